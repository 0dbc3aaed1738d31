import logging

import numpy as np
import onnxruntime
import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, to_onnx

INPUTS, OUTPUTS = {"mfcc": (40, None), "is09": (384,)}, {"emotion": 4}


def batch(items, frames, **lengths):
    return Batch({"mfcc": torch.randn(items, 40, frames), "is09": torch.randn(items, 384)}, lengths)


def test_parameters():
    network = networks.build("fused", INPUTS, OUTPUTS)
    channels = (1_292_228 - 516) + (763_140 - 4 * 1025)
    assert sum(parameter.numel() for parameter in network.parameters()) == channels + 1153 * 1024 + 1025 * 4


@pytest.mark.parametrize("names", [("mfcc", "is09"), ("is09", "mfcc")])
def test_it_joins_what_the_two_networks_give(names):
    torch.manual_seed(0)
    network = networks.build("fused", {name: INPUTS[name] for name in names}, OUTPUTS, frames=24).eval()
    acln = networks.build("acln", {"mfcc": INPUTS["mfcc"]}, OUTPUTS, frames=24).eval()
    fcn = networks.build("fcn", {"is09": INPUTS["is09"]}, OUTPUTS).eval()
    acln.body.load_state_dict(network.acln.state_dict())
    fcn.body.load_state_dict(network.fcn.state_dict())
    data = batch(3, 50, mfcc=torch.tensor([50, 30, 10]))
    output = network(data)
    views = {name: Batch({name: data.views[name]}, data.lengths) for name in INPUTS}
    both = np.concatenate([acln(views["mfcc"]).features.detach(), fcn(views["is09"]).features.detach()], axis=1)
    expected = np.maximum(both @ network.join.weight.detach().numpy().T + network.join.bias.detach().numpy(), 0)
    np.testing.assert_allclose(output.features.detach(), expected, atol=1e-5)
    torch.testing.assert_close(output.predictions["emotion"], network.head["emotion"](output.features))


def test_every_weight_learns_and_dropout_is_for_training_only():
    torch.manual_seed(0)
    network, data = networks.build("fused", INPUTS, OUTPUTS, frames=16), batch(4, 16)
    output = network(data)
    assert not torch.allclose(output.predictions["emotion"], network.head["emotion"](output.features))
    output.predictions["emotion"].square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    network.eval()
    assert torch.equal(network(data).predictions["emotion"], network(data).predictions["emotion"])


def test_onnx_computes_the_same_for_any_batch_and_time():
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    network = networks.build("fused", INPUTS, OUTPUTS, frames=24).eval()
    network.head["emotion"].weight.data *= 200
    deployed = Deployed(Model(network), list(INPUTS), "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, list(INPUTS), list(INPUTS.values())))
    for items, time in ((1, 7), (3, 24), (1, 24), (3, 90)):
        views = batch(items, time).views
        with torch.inference_mode():
            expected = deployed(*views.values()).numpy()
        assert expected.max() > 0.3
        found = session.run(None, {name: view.numpy() for name, view in views.items()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"mfcc": (40, None)},
            r"network 'fused': fused requires two views, \(coefficients, None\) and \(size,\), got 1",
        ),
        ({"a": (384,), "b": (384,)}, r"view 'b' must have shape \(coefficients, None\), got \(384,\)"),
        ({"a": (40, None), "b": (40, None)}, r"view 'a' must be a vector \(size,\), got shape \(40, None\)"),
    ],
)
def test_what_cannot_be(inputs, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("fused", inputs, OUTPUTS)
    assert "\n" not in str(caught.value)
