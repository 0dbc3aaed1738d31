from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from serkit import networks
from serkit.errors import UserError
from serkit.networks.layers.quaternion import QuaternionConv2d
from serkit.networks.network import Batch, Model
from serkit.networks.rh_emo import RhEmo
from serkit.runs.export import Deployed, to_onnx

TINY = {"channels": [4, 8, 4, 8, 4], "hidden": 8}
EMBEDDING, IMAGE = (4, 64, 64), (1, 512, 128)


def make(shape, classes=4, **options):
    torch.manual_seed(0)
    return networks.build("vgg16", {"image": shape}, {"emotion": classes}, **options).eval()


def tiny(shape=(4, 64, 32), **options):
    return make(shape, quaternion=True, **TINY, **options)


def batch(*shape):
    return Batch({"image": torch.rand(*shape, generator=torch.Generator().manual_seed(3))})


@pytest.mark.parametrize(
    ("shape", "classes", "options", "expected"),
    [
        (EMBEDDING, 4, {"quaternion": True}, 9_998_020),
        (EMBEDDING, 5, {"quaternion": True}, 10_002_117),
        (EMBEDDING, 7, {"quaternion": True}, 10_010_311),
        (EMBEDDING, 8, {"quaternion": True}, 10_014_408),
        (IMAGE, 4, {"quaternion": True}, 41_455_300),
        (IMAGE, 4, {}, 165_733_060),
        (IMAGE, 4, {"adaptive_pool": True}, 134_275_780),
    ],
)
def test_parameters(shape, classes, options, expected):
    with torch.device("meta"):
        network = make(shape, classes, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_an_adaptive_pool_stands_before_the_linear_layers():
    network = make((1, 64, 96), adaptive_pool=True, channels=[2, 2, 2, 2, 3], hidden=5)
    assert network.hidden[0].in_features == 3 * 7 * 7
    x = batch(2, 1, 64, 96)
    with torch.no_grad():
        before, _ = network.run(x)
        assert before.shape == (2, 3, 2, 3)
        hidden = F.relu(network.hidden[0](F.adaptive_avg_pool2d(before, (7, 7)).flatten(1)))
        torch.testing.assert_close(network(x).features, F.relu(network.hidden[1](hidden)))


def test_thirteen_convolutions_five_pools():
    network = make((3, 96, 64), channels=[2, 3, 4, 5, 6], hidden=7)
    x = Batch({"image": torch.randn(2, 3, 96, 64)})
    network.keep = network.map_names
    with torch.no_grad():
        output = network(x)
    assert network.map_names[:4] == ["conv1.input", "conv1.pre", "conv1", "conv2.input"]
    assert len(network.map_names) == 39 and list(output.maps) == network.map_names
    channels = [2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6]
    halvings = [0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    for number, (count, halving) in enumerate(zip(channels, halvings, strict=True), 1):
        pre, post = output.maps[f"conv{number}.pre"], output.maps[f"conv{number}"]
        assert post.shape == (2, count, 96 >> halving, 64 >> halving)
        torch.testing.assert_close(post, pre.clamp_min(0))
        assert pre.min() < 0
        if number == 13:
            break
        following = post if halvings[number] == halving else F.max_pool2d(post, 2)
        torch.testing.assert_close(output.maps[f"conv{number + 1}.input"], following)
    assert output.features.shape == (2, 7) and output.predictions["emotion"].shape == (2, 4)
    pooled = F.max_pool2d(output.maps["conv13"], 2).flatten(1)
    hidden = F.relu(network.hidden[1](F.relu(network.hidden[0](pooled))))
    torch.testing.assert_close(output.features, hidden)
    torch.testing.assert_close(output.predictions["emotion"], network.head["emotion"](hidden))


def test_maps_only_when_asked():
    network, x = tiny(), batch(2, 4, 64, 32)
    assert network(x).maps == {}
    network.keep = ["conv2"]
    assert list(network(x).maps) == ["conv2"]


def test_nothing_behind_the_last_map_is_computed():
    network, x, ran = tiny(), batch(2, 4, 64, 32), []
    for number, layer in enumerate((layer for block in network.blocks for layer in block), 1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    network.keep = ["conv1", "conv3"]
    expected = network(x).maps
    assert ran == list(range(1, 14))
    ran.clear()
    found = network.maps(x, {"conv1", "conv3"})
    assert ran == [1, 2, 3]
    torch.testing.assert_close(found, expected)


def test_one_channel_is_the_real_part():
    network = tiny((1, 32, 32))
    x = torch.rand(2, 1, 32, 32)
    whole = torch.cat([x, torch.zeros(2, 3, 32, 32)], 1)
    found = network.maps(Batch({"image": x}), ["conv1.pre"])["conv1.pre"]
    torch.testing.assert_close(found, network.blocks[0][0](whole))
    assert network.blocks[0][0].weight.shape == (4, 1, 1, 3, 3)


def test_init_decides_how_maps_shrink():
    """Glorot's quaternions are He's over sqrt(2) where channels do not change: 12 layers, 64 times."""
    x, sizes = batch(2, 4, 64, 64), {}
    for init in ("public", "he"):
        network = make((4, 64, 64), quaternion=True, channels=[16] * 5, hidden=8, init=init)
        maps = network.maps(x, ["conv1", "conv13"])
        sizes[init] = (maps["conv13"].norm() / maps["conv1"].norm()).item()
    assert sizes["he"] / sizes["public"] == pytest.approx(64, rel=1e-3)


def test_real_weights_are_those_of_the_library():
    """The authors draw none themselves: all weights and biases are uniform within 1 / sqrt(inputs)."""
    network = make((1, 64, 64), **TINY)
    layers = [*(layer for block in network.blocks for layer in block), *network.hidden, network.head["emotion"]]
    for layer in layers:
        bound = layer.weight[0].numel() ** -0.5
        assert 0.7 * bound < layer.weight.abs().max() <= bound
        assert 0 < layer.bias.abs().max() <= bound
    he = make((1, 64, 64), **TINY, init="he")
    for layer in (layer for block in he.blocks for layer in block):
        assert not layer.bias.any()
        assert layer.weight.std().item() == pytest.approx((2 / (layer.out_channels * 9)) ** 0.5, rel=0.25)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, None), {}, r"must have a fixed shape \(channels, height, width\), got \(4, None\)"),
        ((3, 64, 64), {"quaternion": True}, r"must have a fixed shape \(1 or 4, height, width\), got \(3, 64, 64\)"),
        ((1, 31, 64), {}, "must be at least 32 x 32 for five pools, got 31 x 64"),
        ((1, 64, 64), {"channels": [64]}, r"channels must have one number for each of 5 blocks, got \[64\]"),
        ((1, 64, 64), {"quaternion": True, "init": "h"}, "unknown init 'h'. Did you mean 'he'"),
        ((1, 64, 64), {"init": "glorot"}, "unknown init 'glorot'"),
    ],
)
def test_what_cannot_be(shape, options, message):
    with pytest.raises(UserError, match=message):
        networks.build("vgg16", {"image": shape}, {"emotion": 2}, **options)


def test_export_behind_rh_emo():
    """The graph holds real convolutions of finished weights; linear weights stay a quarter."""
    torch.manual_seed(0)
    upstream = Model(RhEmo({"image": (1, 256, 64)}, {"emotion": 3}, hidden=5)).eval()
    upstream(Batch({"image": torch.rand(4, 1, 256, 64)}))
    network = networks.build("vgg16", {"embedding": (4, 32, 32)}, {"emotion": 3}, quaternion=True, **TINY, init="he")
    model = Model(network, upstream={"embedding": upstream.headless()}).eval()
    deployed = Deployed(model, ["image"], "emotion", 1.0).eval()
    content = to_onnx(deployed, ["image"], [(1, 256, 64)])
    assert any(isinstance(layer, QuaternionConv2d) for layer in deployed.modules())
    graph = onnx.load_model_from_string(content).graph
    held = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 3 + 13 and all(node.input[1] in held for node in convolutions)
    assert held[convolutions[4].input[1]] == (4, 4, 3, 3)
    assert not [node for node in graph.node if node.op_type in ("ConvTranspose", "Neg")]
    # RH-emo 256, real convolutions, then two linear layers of a quarter, biases, classifier.
    sizes = [4, 4, 4, 8, 8, 4, 4, 4, 8, 8, 8, 4, 4, 4]
    real = sum(9 * before * after + after for before, after in pairwise(sizes))
    assert sum(int(np.prod(shape)) for shape in held.values() if np.prod(shape) > 1) < 256 + real + 32 + 100
    session = onnxruntime.InferenceSession(content)
    for items in (1, 3):
        x = torch.rand(items, 1, 256, 64)
        with torch.inference_mode():
            expected = deployed(x).numpy()
        found = session.run(None, {"image": x.numpy()})[0]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert np.ptp(expected, axis=0).max() > 0 or items == 1


def test_cnn_names_its_maps_too():
    torch.manual_seed(0)
    network = networks.build("cnn", {"mel": (16, None)}, {"emotion": 2}, residual=[1, 0, 2], channels=[4, 6, 8]).eval()
    x = Batch({"mel": torch.randn(2, 16, 40)}, lengths={"mel": torch.tensor([40, 25])})
    network.keep = network.map_names
    with torch.no_grad():
        maps = network(x).maps
        x.lengths.clear()
        unpadded = network(x).maps
    assert len(network.map_names) == 18 and list(maps) == network.map_names
    assert [maps[f"conv{number}"].shape[1] for number in range(1, 7)] == [4, 4, 6, 8, 8, 8]
    for number in range(1, 7):
        torch.testing.assert_close(maps[f"conv{number}"], maps[f"conv{number}.pre"].clamp_min(0))
        assert (number == 1) or torch.equal(maps[f"conv{number}.input"], maps[f"conv{number - 1}"])
    # What is behind an item's end counts in no map, so neither in a Gram matrix.
    assert not maps["conv2.pre"][1, :, :, 13:].any() and unpadded["conv2.pre"][1, :, :, 13:].any()
    residual = network.blocks[0].residual[0]
    torch.testing.assert_close(unpadded["conv2.pre"], unpadded["conv1"] + residual(unpadded["conv1"]))
    assert isinstance(residual, nn.Sequential)
