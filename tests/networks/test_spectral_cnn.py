import logging

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, to_onnx

INPUTS, OUTPUTS = {"mel": (1, 60, 60)}, {"emotion": 7}

# Table 2: channels, kernels, pools, hidden. Then fc1 inputs at 30, 50, 60, 80, and parameters at 60 and 80, by hand.
VECTORS = {
    "000": ([388, 116, 116], [3, 2, 2], [2, 3, 2], [1664, 2688], [1856, 4176, 7424, 11600], [17_088_287, 24_037_151]),
    "001": ([220, 140, 356], [3, 3, 3], [2, 3, 3], [3610, 2910], [3204, 8900, 12816, 28836], [57_526_653, 115_358_853]),
    "010": ([404, 356, 372], [3, 2, 3], [2, 3, 2], [1792, 1280], [3348, 13392, 18228, 37200], [36_743_135, 70_740_959]),
    "011": ([212, 148, 356], [3, 3, 3], [2, 3, 3], [3840, 2858], [3204, 8900, 12816, 28836], [60_974_495, 122_491_295]),
    "100": ([236, 124, 356], [3, 3, 3], [2, 3, 3], [3610, 2816], [3204, 8900, 12816, 28836], [57_121_649, 114_953_849]),
    "101": ([204, 124, 356], [3, 3, 3], [2, 3, 3], [3926, 2858], [3204, 8900, 12816, 28836], [62_190_809, 125_085_329]),
    "110": ([188, 156, 340], [3, 3, 3], [2, 3, 3], [3634, 2816], [3060, 8500, 12240, 27540], [55_483_737, 111_083_937]),
    "111": ([212, 148, 356], [3, 3, 3], [2, 3, 3], [3840, 2944], [3204, 8900, 12816, 28836], [61_305_423, 122_822_223]),
}
SMALL = {"channels": [4, 3, 5], "hidden": [7, 6]}


def small(name, size=20, **options):
    torch.manual_seed(0)
    return networks.build(name, {"mel": (1, size, size)}, OUTPUTS, **{**SMALL, **options})


def pictures(count=4, size=20):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize("size", [30, 50, 60, 80])
@pytest.mark.parametrize("number", VECTORS)
def test_sizes_and_parameters_of_table_2(number, size):
    channels, kernels, pools, hidden, inputs, parameters = VECTORS[number]
    with torch.device("meta"):
        network = networks.build(
            "charma" if number == "000" else "squirtle", {"mel": (1, size, size)}, OUTPUTS,
            channels=channels, kernels=kernels, pools=pools, hidden=hidden,
        )  # fmt: skip
    assert network.fc1.in_features == inputs[[30, 50, 60, 80].index(size)]
    if size >= 60:
        assert sum(parameter.numel() for parameter in network.parameters()) == parameters[size == 80]


def test_the_default_is_table_4():
    with torch.device("meta"):
        network = networks.build("squirtle", INPUTS, OUTPUTS)
    assert sum(parameter.numel() for parameter in network.parameters()) == 55_483_737
    assert (network.norm.momentum, network.dropout.p, network.fc1.in_features) == (0.4, 0.4, 12240)


def by_hand(name, network, x):
    """The paper's figure 2, row by row, in training without dropout."""
    weights = dict(network.named_parameters())

    def convolve(x, number):
        x = F.conv2d(x, weights[f"conv{number}.weight"], weights[f"conv{number}.bias"], padding=1)
        return F.leaky_relu(x, 0.01) if name == "charma" else F.relu(x)

    def norm(x):
        axes = [0, *range(2, x.dim())]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        mean, variance = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
        scale, offset = weights["norm.weight"].reshape(shape), weights["norm.bias"].reshape(shape)
        return scale * (x - mean) / (variance + 1e-5).sqrt() + offset

    kinds = {
        "squirtle": [F.max_pool2d, F.avg_pool2d, F.avg_pool2d],
        "charma": [F.max_pool2d, F.max_pool2d, F.avg_pool2d],
        "bulba": [F.avg_pool2d, F.avg_pool2d, F.avg_pool2d],
    }[name]
    for number, (pool, size) in enumerate(zip(kinds, (2, 3, 3), strict=True), start=1):
        x = convolve(x, number)
        if number == 1 and name != "bulba":
            x = norm(x)
        x = pool(x, size, 2)
    x = F.linear(x.flatten(1), weights["fc1.weight"], weights["fc1.bias"])
    x = norm(x) if name == "bulba" else F.relu(x)
    x = F.relu(F.linear(x, weights["fc2.weight"], weights["fc2.bias"]))
    return x, F.linear(x, weights["head.emotion.weight"], weights["head.emotion.bias"])


@pytest.mark.parametrize("name", ["squirtle", "charma", "bulba"])
def test_layers_in_the_order_of_figure_2(name):
    options = {} if name == "bulba" else {"dropout": 0.0}
    network = small(name, kernels=[3, 3, 3], pools=[2, 3, 3], **options)
    torch.nn.init.normal_(network.norm.weight)
    torch.nn.init.normal_(network.norm.bias)
    output = network(Batch({"mel": pictures()}))
    features, logits = by_hand(name, network, pictures())
    torch.testing.assert_close(output.features, features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.predictions["emotion"], logits, rtol=1e-4, atol=1e-5)


def test_dropout_lies_between_the_linear_layers_and_only_in_training():
    network, batch = small("squirtle", dropout=0.5), Batch({"mel": pictures()})
    assert not torch.equal(network(batch).features, network(batch).features)
    network.eval()
    assert torch.equal(network(batch).features, network(batch).features)
    with pytest.raises(UserError, match="unknown option of network 'bulba' 'dropout'"):
        small("bulba", dropout=0.5)


def test_momentum_is_the_weight_of_the_new_batch():
    network = small("squirtle", momentum=0.3)
    network(Batch({"mel": pictures()}))
    mean = F.relu(network.conv1(pictures())).mean((0, 2, 3))
    torch.testing.assert_close(network.norm.running_mean, 0.3 * mean)


def test_slope():
    first, second = small("charma", slope=0.0), small("charma", slope=0.5)
    x = pictures()
    assert first.activate(x).min() == 0
    torch.testing.assert_close(second.activate(x).min(), 0.5 * x.min())


def test_every_map_can_be_asked_for():
    network = small("squirtle").eval()
    network.keep = network.map_names
    maps = network(Batch({"mel": pictures()})).maps
    assert list(maps) == [f"conv{number}{what}" for number in (1, 2, 3) for what in (".input", ".pre", "")]
    torch.testing.assert_close(maps["conv2"], F.relu(maps["conv2.pre"]))
    torch.testing.assert_close(maps["conv3.pre"], network.conv3(maps["conv3.input"]))


def test_pictures_need_not_be_square_nor_grey():
    network = networks.build("squirtle", {"mel": (2, 24, 40)}, {"emotion": 3, "sex": 2}, **SMALL)
    output = network(Batch({"mel": torch.zeros(2, 2, 24, 40)}))
    assert {name: tuple(logits.shape) for name, logits in output.predictions.items()} == {
        "emotion": (2, 3),
        "sex": (2, 2),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 9}, "pool3 with kernel 3 does not fit the side of 1 that conv3 leaves"),
        ({"size": 1, "kernels": [4, 3, 3]}, "conv1 with kernel 4 leaves nothing of a side of 1"),
        ({"channels": [3, 4]}, r"channels must have 3 numbers, got \[3, 4\]"),
        ({"hidden": [3, 0]}, "hidden must be whole numbers of 1 or more, got 0"),
        ({"pools": [2, 2.5, 2]}, "pools must be whole numbers of 1 or more, got 2.5"),
        ({"momentum": 0.0}, "momentum must be above 0 and at most 1, got 0"),
        ({"slope": 0.1}, "unknown option of network 'squirtle' 'slope'"),
        ({"dropout": 1.5}, "dropout"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, message):
    with pytest.raises(UserError, match=message) as error:
        small("squirtle", **options)
    assert "\n" not in str(error.value)


def test_it_wants_pictures():
    with pytest.raises(
        UserError, match=r"view 'mel' must have a fixed shape \(channels, rows, columns\), got \(8, None\)"
    ):
        networks.build("squirtle", {"mel": (8, None)}, OUTPUTS)


@pytest.mark.parametrize("name", ["charma", "bulba"])
def test_onnx_computes_the_same(name):
    logging.disable(logging.WARNING)
    network = small(name)
    network(Batch({"mel": pictures()}))  # statistics that are not those of a new batch norm
    deployed = Deployed(Model(network), ["mel"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["mel"], [(1, 20, 20)]))
    x = pictures(3)
    with torch.inference_mode():
        expected = network(Batch({"mel": x})).predictions["emotion"].softmax(1)
    np.testing.assert_allclose(session.run(None, {"mel": x.numpy()})[0], expected, atol=1e-6)
