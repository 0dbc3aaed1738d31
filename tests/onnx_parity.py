"""Whether a network computes the same as an ONNX file as in torch, for any batch."""

import logging

import numpy as np
import onnxruntime
import torch

from serkit.networks.network import Model
from serkit.runs.export import Deployed, to_onnx


def check_parity(network, shape, sharpness=0.3):
    """Compare the probabilities of random images of `shape`, one and three at a time.

    The network's must reach `sharpness` somewhere: nearly even ones would agree whatever is computed.
    """
    logging.disable(logging.WARNING)
    deployed = Deployed(Model(network), ["image"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["image"], [shape]))
    for items in (1, 3):
        image = np.random.default_rng(items).random((items, *shape), dtype=np.float32)
        with torch.inference_mode():
            expected = deployed(torch.from_numpy(image)).numpy()
        assert expected.max() > sharpness
        np.testing.assert_allclose(session.run(None, {"image": image})[0], expected, atol=1e-5)
