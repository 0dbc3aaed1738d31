import logging

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, to_onnx

INPUTS, OUTPUTS = {"mel": (20, None)}, {"emotion": 4}
SMALL = {"channels": [3, 4, 5, 6], "pools": [[2, 2], [4, 2], [4, 2], [4, 2]], "hidden": 7}


def spoilt(inputs=INPUTS, **options):
    torch.manual_seed(0)
    network = networks.build("crnn", inputs, OUTPUTS, **SMALL | options)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            layer.bias.data.normal_(0, 0.5)
    network.lstm.weight_ih_l0.data *= 2
    return network.eval()


def clip(frames, seed=0, bands=20):
    return torch.randn(1, bands, frames, generator=torch.Generator().manual_seed(seed))


def test_parameters():
    convolutions = (9 * 1 + 3) * 64 + (9 * 64 + 3) * 64 + (9 * 64 + 3) * 128 + (9 * 128 + 3) * 128
    lstm = 4 * 256 * (128 + 256 + 2)
    for bands in (80, 128):
        network = networks.build("crnn", {"mel": (bands, None)}, {"emotion": 7})
        assert sum(parameter.numel() for parameter in network.parameters()) == convolutions + lstm + 7 * 257


@pytest.mark.parametrize(
    ("bands", "frames", "last", "expected"),
    [
        # 80 bands have 2 left before the last pool.
        (80, 301, (2, 4), [(80, 301), (40, 150), (10, 37), (2, 9), (1, 2)]),
        (128, 251, (4, 4), [(128, 251), (64, 125), (16, 31), (4, 7), (1, 1)]),
    ],
)
def test_geometry(bands, frames, last, expected):
    network = networks.build("crnn", {"mel": (bands, None)}, OUTPUTS, channels=[1, 1, 1, 1], hidden=2)
    assert network.pools == [(2, 2), (4, 4), (4, 4), last]
    found = [tuple(x.shape[2:]) for name, x in network.compute(Batch({"mel": clip(frames, bands=bands)}))]
    assert found[::3] == expected


def test_the_feature_layer_by_layer():
    network = spoilt()
    assert network.pools == [(2, 2), (4, 2), (2, 2), (1, 2)]
    network.keep = network.map_names
    output = network(Batch({"mel": clip(50)}))
    x = clip(50)[:, None]
    for number, (block, (high, long)) in enumerate(zip(network.blocks, network.pools, strict=True), start=1):
        norm = block[1]
        x = F.conv2d(x, block[0].weight, block[0].bias, padding=1)
        x = (x - norm.running_mean[:, None, None]) * (norm.weight / (norm.running_var + 1e-5).sqrt())[:, None, None]
        x = x + norm.bias[:, None, None]
        torch.testing.assert_close(output.maps[f"conv{number}.pre"], x, rtol=1e-4, atol=1e-4)
        x = torch.where(x > 0, x, x.exp() - 1)
        torch.testing.assert_close(output.maps[f"conv{number}"], x, rtol=1e-4, atol=1e-4)
        x = x.unfold(2, high, high).unfold(3, long, long).amax((4, 5))
    assert x.shape == (1, 6, 1, 3)
    _, (state, _) = nn.LSTM.forward(network.lstm, x[:, :, 0].transpose(1, 2))
    torch.testing.assert_close(output.features, state[0], rtol=1e-4, atol=1e-5)
    head = network.head["emotion"]
    torch.testing.assert_close(output.predictions["emotion"], output.features @ head.weight.T + head.bias)


def test_what_bands_are_left_stand_beside_each_other():
    network = spoilt(pools=[[2, 2], [2, 2], [1, 2], [1, 1]])
    assert network.lstm.input_size == 6 * 5
    assert network(Batch({"mel": clip(30)})).features.shape == (1, 7)


def test_an_item_alone_and_in_a_padded_batch():
    network = spoilt()
    lengths = torch.tensor([16, 17, 31, 32, 50, 70])
    batch = torch.full((len(lengths), 20, 80), 100.0)  # what stands behind an item's end must not matter
    items = [clip(int(length), seed) for seed, length in enumerate(lengths)]
    for row, item in enumerate(items):
        batch[row, :, : item.shape[2]] = item[0]
    with torch.inference_mode():
        together = network(Batch({"mel": batch}, {"mel": lengths}))
        for row, item in enumerate(items):
            alone = network(Batch({"mel": item}))
            torch.testing.assert_close(together.features[row], alone.features[0], rtol=1e-4, atol=1e-5)
    assert together.features.std(0).max() > 1e-2


def test_every_weight_learns():
    network = networks.build("crnn", INPUTS, OUTPUTS, **SMALL)
    batch = Batch({"mel": torch.randn(4, 20, 64)}, {"mel": torch.tensor([64, 50, 40, 33])})
    network(batch).predictions["emotion"].square().sum().backward()
    silent = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert silent == set()


def test_onnx_computes_the_same_for_any_batch_and_time():
    logging.disable(logging.WARNING)
    network = spoilt()
    network.head["emotion"].weight.data *= 5
    deployed = Deployed(Model(network), ["mel"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["mel"], [(20, None)]))
    seen = []
    for items in (1, 3):
        for time in (16, 33, 150):
            x = torch.cat([clip(time, seed) for seed in range(items)])
            with torch.inference_mode():
                expected = deployed(x).numpy()
            np.testing.assert_allclose(session.run(None, {"mel": x.numpy()})[0], expected, atol=1e-4)
            seen.append(expected)
    assert np.concatenate(seen).std(0).max() > 1e-2


@pytest.mark.parametrize("lengths", [{}, {"mel": torch.tensor([40, 15])}])
def test_an_item_that_is_too_short(lengths):
    frames = 40 if lengths else 15
    message = "network 'crnn': an item has 15 frames; the pools require 16 or more. Pad items"
    with pytest.raises(UserError, match=message):
        spoilt()(Batch({"mel": torch.randn(2, 20, frames)}, lengths))


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"x": (384,)}, {}, r"network 'crnn': view 'x' must have shape \(bands, None\), got \(384,\)"),
        ({"x": (40, None), "y": (40, None)}, {}, "Crnn takes one view, got 2: x, y"),
        (INPUTS, {"pools": [[2, 2]]}, r"pools must have \[bands, frames\] of 1 or more for each entry of channels"),
        (INPUTS, {"pools": [[2, 2], [2, 2], [2, 2], [2, 0]]}, "of 1 or more"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("crnn", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)
