import logging

import numpy as np
import onnxruntime
import torch

from serkit.networks.layers.recurrent import Lstm


def test_its_states_by_hand():
    torch.manual_seed(0)
    lstm = Lstm(3, 2)
    x = torch.randn(1, 4, 3)
    hidden = cell = np.zeros(2)
    weights = [getattr(lstm, name).detach().numpy() for name in ("weight_ih_l0", "weight_hh_l0")]
    bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()
    for step, frame in enumerate(x[0].numpy()):
        gates = weights[0] @ frame + weights[1] @ hidden + bias
        enter, forget, out = (1 / (1 + np.exp(-gates[place : place + 2])) for place in (0, 2, 6))
        cell = forget * cell + enter * np.tanh(gates[4:6])
        hidden = out * np.tanh(cell)
        np.testing.assert_allclose(lstm(x)[0, step].detach(), hidden, rtol=1e-5, atol=1e-6)


def test_every_export_of_a_process_leaves_time_free():
    logging.disable(logging.WARNING)
    for seed in range(2):
        torch.manual_seed(seed)
        lstm = Lstm(3, 4).eval()
        free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
        program = torch.onnx.export(lstm, (torch.randn(2, 9, 3),), dynamic_shapes=(free,), verbose=False)
        session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
        for items, steps in ((1, 1), (3, 9), (2, 40)):
            x = torch.randn(items, steps, 3)
            found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
            np.testing.assert_allclose(found, lstm(x).detach(), atol=1e-6)
