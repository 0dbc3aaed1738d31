import logging

import numpy as np
import onnxruntime
import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, to_onnx

INPUTS, OUTPUTS = {"is09": (384,)}, {"emotion": 4}


def make(**options):
    torch.manual_seed(0)
    return networks.build("fcn", INPUTS, OUTPUTS, **options)


def test_parameters():
    assert sum(parameter.numel() for parameter in make().parameters()) == 763_140


@pytest.mark.parametrize("taken", ["after", "before"])
def test_the_feature_layer_by_layer(taken):
    network, x = make(features=taken), torch.randn(5, 384)
    found = network(Batch({"is09": x})).features
    layers = list(network.body.layers)
    assert [layer.out_features for layer in layers[::3]] == [256, 512, 1024]
    for index in (0, 3, 6):
        x = x @ layers[index].weight.T + layers[index].bias
        # In training: the batch's own statistics.
        x = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
        if index < 6 or taken == "after":
            x = x.clamp_min(0)
    torch.testing.assert_close(found, x, rtol=1e-3, atol=1e-4)
    assert (found.min() < 0) == (taken == "before")


@pytest.mark.parametrize("taken", ["after", "before"])
def test_the_classifier_reads_what_is_behind_the_relu(taken):
    network = make(features=taken).eval()
    output = network(Batch({"is09": torch.randn(2, 384)}))
    expected = network.head["emotion"](output.features.clamp_min(0))
    torch.testing.assert_close(output.predictions["emotion"], expected)


def test_dropout_only_in_training():
    network, batch = make(dropout=0.5), Batch({"is09": torch.randn(4, 384)})
    first, second = network(batch), network(batch)
    torch.testing.assert_close(first.features, second.features)
    assert not torch.equal(first.predictions["emotion"], second.predictions["emotion"])
    network.eval()
    assert torch.equal(network(batch).predictions["emotion"], network(batch).predictions["emotion"])


def test_onnx_computes_the_same_for_any_batch():
    logging.disable(logging.WARNING)
    network = make()
    for _ in range(3):
        network(Batch({"is09": 3 + torch.randn(8, 384)}))  # statistics that are not those of a new batch norm
    network.head["emotion"].weight.data *= 5
    deployed = Deployed(Model(network), ["is09"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["is09"], [(384,)]))
    for items in (1, 3):
        x = 3 + torch.randn(items, 384)
        with torch.inference_mode():
            expected = deployed(x).numpy()
        assert expected.max() > 0.3
        np.testing.assert_allclose(session.run(None, {"is09": x.numpy()})[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"x": (40, None)}, {}, r"network 'fcn': view 'x' must be a vector \(size,\), got shape \(40, None\)"),
        ({"x": (None,)}, {}, r"view 'x' must be a vector \(size,\), got shape \(None,\)"),
        ({"x": (3,), "y": (4,)}, {}, "Fcn takes one view, got 2: x, y"),
        (INPUTS, {"features": "befor"}, "unknown features 'befor'. Did you mean 'before'"),
        (INPUTS, {"dropout": 2.0}, "network 'fcn': dropout probability"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("fcn", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)
