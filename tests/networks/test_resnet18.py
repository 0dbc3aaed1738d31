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


def spoilt(**options):
    """A narrow network whose batch norms have statistics under which padding of 0 is not neutral."""
    torch.manual_seed(0)
    network = networks.build("resnet18", INPUTS, OUTPUTS, width=4, **options)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.normal_(1, 0.3)
            layer.bias.data.normal_(0, 0.5)
    return network.eval()


def clip(frames, seed=0):
    return torch.randn(1, 20, frames, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("channels", "expected"), [(1, 11_173_831), (3, 11_180_103)])
def test_parameters(channels, expected):
    network = networks.build("resnet18", {"mel": (80, None)}, {"emotion": 7}, channels=channels)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    assert network.head["emotion"].in_features == 512
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 17 + 3
    # He et al. 2015, fan out: variance 2 / (out * kernel^2).
    deviation = convolutions[0].weight.std().item()
    assert deviation == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.1)


def norm(x, layer):
    scale = layer.weight / (layer.running_var + 1e-5).sqrt()
    return (x - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]


def convolve(x, weight, stride):
    """A convolution as a product of matrices."""
    out, _, kernel, _ = weight.shape
    high, long = ((size + 2 * (kernel // 2) - kernel) // stride + 1 for size in x.shape[2:])
    columns = F.unfold(x, kernel, padding=kernel // 2, stride=stride)
    return (weight.reshape(out, -1) @ columns).reshape(len(x), out, high, long)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_feature_layer_by_layer(channels):
    network = spoilt(channels=channels)
    view = torch.cat([clip(61), clip(61, 1)])
    network.keep = network.map_names
    output = network(Batch({"mel": view}))
    x = torch.stack([view] * channels, 1)
    torch.testing.assert_close(output.maps["conv1.input"], x)
    x = norm(convolve(x, network.stem[0].weight, 2), network.stem[1])
    torch.testing.assert_close(output.maps["conv1.pre"], x, rtol=1e-4, atol=1e-4)
    x = F.pad(x.clamp_min(0), (1, 1, 1, 1), value=-torch.inf).unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    sizes, widths = [], []
    for number, block in enumerate(network.blocks):
        stride = 2 if number in (2, 4, 6) else 1
        short = x
        if stride == 2:
            short = norm(convolve(x, block.shortcut[0].weight, 2), block.shortcut[1])
        inner = norm(convolve(x, block.first[0].weight, stride), block.first[1]).clamp_min(0)
        torch.testing.assert_close(output.maps[f"conv{2 * number + 2}"], inner, rtol=1e-3, atol=1e-3)
        x = norm(convolve(inner, block.second[0].weight, 1), block.second[1]) + short
        torch.testing.assert_close(output.maps[f"conv{2 * number + 3}.pre"], x, rtol=1e-3, atol=1e-3)
        x = x.clamp_min(0)
        sizes.append(tuple(x.shape[2:]))
        widths.append(x.shape[1])
    # 20 -> 10 -> 5 -> 5, 3, 2, 1 and 61 -> 31 -> 16 -> 16, 8, 4, 2.
    assert sizes == [(5, 16)] * 2 + [(3, 8)] * 2 + [(2, 4)] * 2 + [(1, 2)] * 2
    assert widths == [4, 4, 8, 8, 16, 16, 32, 32]
    torch.testing.assert_close(output.features, x.sum((2, 3)) / 2, rtol=1e-3, atol=1e-3)
    head = network.head["emotion"]
    torch.testing.assert_close(output.predictions["emotion"], output.features @ head.weight.T + head.bias)


def test_three_channels_hear_the_same():
    """Three channels compute what one does whose first filters are their sum."""
    three, one = spoilt(channels=3), spoilt(channels=1)
    weights = three.state_dict()
    weights["stem.0.weight"] = weights["stem.0.weight"].sum(1, keepdim=True)
    one.load_state_dict(weights)
    batch = Batch({"mel": clip(50)})
    torch.testing.assert_close(one(batch).features, three(batch).features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_item_alone_and_in_a_padded_batch(channels):
    network = spoilt(channels=channels)
    lengths = torch.tensor([1, 2, 3, 31, 32, 33, 64, 65, 90, 120])
    batch = torch.full((len(lengths), 20, 130), 100.0)  # what stands behind an item's end must not matter
    items = [clip(int(length), seed) for seed, length in enumerate(lengths)]
    for row, item in enumerate(items):
        batch[row, :, : item.shape[2]] = item[0]
    with torch.inference_mode():
        together = network(Batch({"mel": batch}, {"mel": lengths}))
        for row, item in enumerate(items):
            alone = network(Batch({"mel": item}))
            torch.testing.assert_close(together.features[row], alone.features[0], rtol=1e-3, atol=1e-4)
    assert together.features.std(0).max() > 1e-2


def test_every_weight_learns_and_statistics_follow():
    network = networks.build("resnet18", INPUTS, OUTPUTS, width=4)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(Batch({"mel": torch.randn(4, 20, 70)})).predictions["emotion"].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert not any(torch.equal(before[name], value) for name, value in network.named_buffers())


def test_bfloat16_is_close():
    network = spoilt()
    batch = Batch({"mel": clip(80)})
    exact = network(batch).features
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(batch).features
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max()
    assert rough.dtype == torch.float32


def test_onnx_computes_the_same_for_any_batch_and_time():
    logging.disable(logging.WARNING)
    network = spoilt()
    deployed = Deployed(Model(network), ["mel"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["mel"], [(20, None)]))
    seen = []
    for items in (1, 3):
        for time in (1, 33, 64, 150):
            x = torch.cat([clip(time, seed) for seed in range(items)])
            with torch.inference_mode():
                expected = deployed(x).numpy()
            np.testing.assert_allclose(session.run(None, {"mel": x.numpy()})[0], expected, atol=1e-4)
            seen.append(expected)
    assert np.concatenate(seen).std(0).max() > 1e-2


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"x": (384,)}, {}, r"network 'resnet18': view 'x' must have shape \(bands, None\), got \(384,\)"),
        ({"x": (None, 40)}, {}, r"view 'x' must have shape \(bands, None\), got \(None, 40\)"),
        ({"x": (40, None), "y": (40, None)}, {}, "Resnet18 takes one view, got 2: x, y"),
        (INPUTS, {"channels": 2}, "channels must be 1 or 3, got 2"),
        (INPUTS, {"width": 0}, "width must be 1 or more, got 0"),
        (INPUTS, {"chanels": 3}, "unknown option of network 'resnet18' 'chanels'. Did you mean 'channels'"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("resnet18", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)
