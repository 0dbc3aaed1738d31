import copy
import logging

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from serkit import networks
from serkit.errors import UserError
from serkit.networks.acln import AclnBody, crop
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, to_onnx

INPUTS, OUTPUTS = {"mfcc": (40, None)}, {"emotion": 4}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def spoilt(module):
    """Give every batch norm statistics under which padding of 0 is not neutral."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.normal_()
            layer.bias.data.normal_()
    return module.eval()


def clip(frames, seed=0, coefficients=40):
    return torch.randn(1, coefficients, frames, generator=torch.Generator().manual_seed(seed))


def test_parameters():
    network = networks.build("acln", INPUTS, OUTPUTS)
    convolutions = [832, 51_264, 204_928, 819_456]
    assert [count(block[0]) for block in network.body.blocks] == convolutions
    lstm = 4 * 128 * (256 + 128 + 2)
    attention = 128 * 128 + 128 + 128
    assert count(network) == sum(convolutions) + 960 + lstm + attention + 516 == 1_292_228
    linear = networks.build("acln", INPUTS, OUTPUTS, freq_collapse="linear")
    assert count(linear) - count(network) == 512 * 256 + 256
    # 24 coefficients leave one: 24 -> 12 -> 6 -> 3 -> 1.
    assert count(AclnBody(24, None, "linear")) == count(AclnBody(24, None, "max")) + 256 * 256 + 256


@pytest.mark.parametrize("collapse", ["mean", "max", "linear"])
def test_the_feature_layer_by_layer(collapse):
    body = spoilt(AclnBody(40, None, collapse))
    x = clip(48)
    found = body(x)[0]
    x = x[:, None]
    for index, block in enumerate(body.blocks):
        norm = block[1]
        x = F.conv2d(x, block[0].weight, block[0].bias, padding=2)
        scale = norm.weight / (norm.running_var + 1e-5).sqrt()
        x = F.relu((x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None])
        x = F.max_pool2d(x, (2, 1) if index == 3 else (2, 2))
    assert x.shape == (1, 256, 2, 6)
    steps = x[0].permute(2, 0, 1)
    if collapse == "mean":
        steps = (steps[..., 0] + steps[..., 1]) / 2
    elif collapse == "max":
        steps = torch.maximum(steps[..., 0], steps[..., 1])
    else:
        steps = steps.reshape(6, 512) @ body.collapse.weight.T + body.collapse.bias
    states = nn.LSTM.forward(body.lstm, steps[None])[0][0]
    scores = torch.tanh(states @ body.attention.score[0].weight.T + body.attention.score[0].bias)
    weights = (scores @ body.attention.score[2].weight[0]).exp()
    expected = (weights[:, None] * states).sum(0) / weights.sum()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [None, 5, 20, 24, 64])
@pytest.mark.parametrize("collapse", ["mean", "linear"])
def test_an_item_alone_and_in_a_padded_batch(frames, collapse):
    network = spoilt(networks.build("acln", INPUTS, OUTPUTS, frames=frames, freq_collapse=collapse))
    lengths = torch.tensor([1, 2, 3, 7, 8, 9, 17, 20, 21, 24, 50, 63])
    batch = torch.full((len(lengths), 40, 80), 100.0)  # what stands behind an item's end must not matter
    items = [clip(int(length), seed) for seed, length in enumerate(lengths)]
    for row, item in enumerate(items):
        batch[row, :, : item.shape[2]] = item[0]
    with torch.inference_mode():
        together = network(Batch({"mfcc": batch}, {"mfcc": lengths}))
        longer = network(Batch({"mfcc": F.pad(batch, (0, 31))}, {"mfcc": lengths}))
        torch.testing.assert_close(longer.predictions, together.predictions, rtol=1e-4, atol=1e-5)
        for row, item in enumerate(items):
            alone = network(Batch({"mfcc": item}))
            torch.testing.assert_close(together.features[row], alone.features[0], rtol=1e-4, atol=1e-5)
    assert together.features.std(0).max() > 1e-3


def test_the_end_of_an_item_counts():
    for length, frames in ((9, None), (15, None), (16, None), (9, 9), (15, 15), (16, 16), (9, 16)):
        body = spoilt(AclnBody(40, frames, "mean"))
        x = clip(length)
        changed = x.clone()
        changed[:, :, -1] += 3
        assert (body(x) - body(changed)).abs().max() > 1e-4


def test_a_crop_is_the_middle_in_evaluation():
    x = torch.arange(1.0, 11).expand(4, 2, 10)
    found, kept = crop(x, torch.tensor([10, 9, 4, 2]), 4, random=False)
    assert found[:, 0].tolist() == [[4, 5, 6, 7], [3, 4, 5, 6], [1, 2, 3, 4], [1, 2, 0, 0]]
    assert torch.equal(found[:, 0], found[:, 1])
    assert kept.tolist() == [4, 4, 4, 2]
    found, kept = crop(x, torch.tensor([10, 9, 4, 2]), 12, random=True)
    assert found[0, 0].tolist() == [*range(1, 11), 0, 0]
    assert kept.tolist() == [10, 9, 4, 2]


def test_a_crop_is_anywhere_in_training():
    torch.manual_seed(0)
    x = torch.arange(1.0, 11).expand(400, 2, 10)
    lengths = torch.tensor([10, 7, 4, 3]).repeat(100)
    found, _ = crop(x, lengths, 4, random=True)
    for length, places in ((10, range(1, 8)), (7, range(1, 5)), (4, [1])):
        rows = found[lengths == length, 0]
        assert sorted(set(rows[:, 0].tolist())) == list(places)
        assert torch.equal(rows - rows[:, :1], torch.arange(4.0).expand(len(rows), 4))
    assert set(found[lengths == 3, 0, 3].tolist()) == {0}
    torch.manual_seed(0)
    assert torch.equal(crop(x, lengths, 4, random=True)[0], found)
    assert not torch.equal(crop(x, lengths, 4, random=True)[0], found)


def test_chance_is_for_training_only():
    network = networks.build("acln", INPUTS, OUTPUTS, frames=16, dropout=0.0)
    batch = Batch({"mfcc": torch.randn(3, 40, 60)})
    first, second = (network(batch).features for _ in range(2))
    assert (first - second).abs().max() > 1e-4
    network.eval()
    assert torch.equal(network(batch).features, network(batch).features)
    middle = Batch({"mfcc": batch.views["mfcc"][:, :, 22:38]})
    torch.testing.assert_close(network(batch).features, network(middle).features)


def test_dropout_stands_between_feature_and_classifier():
    network = networks.build("acln", INPUTS, {"emotion": 4, "sex": 2}, dropout=0.5).eval()
    batch = Batch({"mfcc": torch.randn(2, 40, 16)})
    output = network(batch)
    assert output.features.shape == (2, 128)
    for target, head in network.head.items():
        torch.testing.assert_close(output.predictions[target], head(output.features))
    network.dropout.train()
    again = network(batch)
    assert torch.equal(again.features, output.features)
    assert not torch.equal(again.predictions["emotion"], output.predictions["emotion"])


def test_batch_norm_learns_its_statistics_in_training_only():
    network = networks.build("acln", INPUTS, OUTPUTS)
    batch = Batch({"mfcc": torch.randn(4, 40, 16)})
    before = copy.deepcopy(dict(network.named_buffers()))
    network.eval()(batch)
    assert all(torch.equal(before[name], value) for name, value in network.named_buffers())
    network.train()(batch)
    assert not any(torch.equal(before[name], value) for name, value in network.named_buffers())


@pytest.mark.parametrize("collapse", ["mean", "max", "linear"])
def test_every_weight_learns(collapse):
    network = networks.build("acln", INPUTS, OUTPUTS, frames=24, freq_collapse=collapse)
    batch = Batch({"mfcc": torch.randn(4, 40, 40)}, {"mfcc": torch.tensor([40, 30, 20, 10])})
    network(batch).predictions["emotion"].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_bfloat16_is_close():
    network = spoilt(networks.build("acln", INPUTS, OUTPUTS, frames=32))
    batch = Batch({"mfcc": torch.randn(3, 40, 50)})
    exact = network(batch).features
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(batch).features
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max()
    assert rough.dtype == torch.float32


@pytest.mark.parametrize(("frames", "collapse"), [(20, "max"), (None, "linear")])
def test_onnx_computes_the_same_for_any_batch_and_time(frames, collapse):
    logging.disable(logging.WARNING)
    network = spoilt(networks.build("acln", INPUTS, OUTPUTS, frames=frames, freq_collapse=collapse))
    network.head["emotion"].weight.data *= 20  # far from even probabilities
    deployed = Deployed(Model(network), ["mfcc"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["mfcc"], [(40, None)]))
    seen = []
    for items in (1, 3):
        for time in (1, 5, 19, 20, 21, 90):
            x = torch.cat([clip(time, seed) for seed in range(items)])
            with torch.inference_mode():
                expected = deployed(x).numpy()
            np.testing.assert_allclose(session.run(None, {"mfcc": x.numpy()})[0], expected, atol=1e-5)
            seen.append(expected)
    assert np.concatenate(seen).std(0).max() > 1e-2


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"x": (384,)}, {}, r"network 'acln': view 'x' must have shape \(coefficients, None\), got \(384,\)"),
        ({"x": (None, 40)}, {}, r"view 'x' must have shape \(coefficients, None\), got \(None, 40\)"),
        ({"x": (40, 100)}, {}, r"view 'x' must have shape \(coefficients, None\), got \(40, 100\)"),
        ({"x": (12, None)}, {}, "pooling requires at least 16 coefficients, got 12"),
        ({"x": (40, None), "y": (40, None)}, {}, "Acln takes one view, got 2: x, y"),
        (INPUTS, {"frames": 0}, "frames must be 1 or more, got 0"),
        (INPUTS, {"freq_collapse": "min"}, "unknown freq_collapse 'min'. .*Available: linear, max, mean"),
        (INPUTS, {"frame": 3}, "unknown option of network 'acln' 'frame'. Did you mean 'frames'"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("acln", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)
