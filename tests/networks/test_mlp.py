import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch

INPUTS, OUTPUTS = {"functionals": (10,)}, {"emotion": 4, "sex": 2}


def make(**options):
    torch.manual_seed(0)
    return networks.build("mlp", INPUTS, OUTPUTS, **options)


def test_parameters_by_hand():
    # 10 * 8 + 8 and 8 * 6 + 6, twice the width for each batch norm, 6 * 4 + 4 and 6 * 2 + 2.
    expected = (88 + 16) + (54 + 12) + 28 + 14
    assert sum(parameter.numel() for parameter in make(hidden=[8, 6]).parameters()) == expected


def test_layer_by_layer():
    network = make(hidden=[8, 6]).eval()
    first, second = network.body[1], network.body[5]
    for norm in (network.body[2], network.body[6]):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(5, 10)
    found = network(Batch({"functionals": x}))
    for layer, norm in ((first, network.body[2]), (second, network.body[6])):
        x = x @ layer.weight.T + layer.bias
        x = ((x - norm.running_mean) / (norm.running_var + 1e-5).sqrt()).clamp_min(0)
    torch.testing.assert_close(found.features, x)
    for target, head in network.head.items():
        torch.testing.assert_close(found.predictions[target], x @ head.weight.T + head.bias)


def test_what_is_beyond_the_limit_counts_as_the_limit():
    network = make(limit=2.0).eval()
    x = torch.tensor([[2.0, -2.0, 1.0] + [0.0] * 7])
    far = torch.tensor([[1e6, -3.0, 1.0] + [0.0] * 7])
    torch.testing.assert_close(
        network(Batch({"functionals": far})).features, network(Batch({"functionals": x})).features
    )
    assert not torch.equal(
        make(limit=9.0).eval()(Batch({"functionals": far})).features, network(Batch({"functionals": x})).features
    )


def test_inputs_are_dropped_in_training_only():
    network, x = make(input_dropout=0.9, dropout=0.0), torch.randn(3, 10)
    seen = []
    network.body[1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    network.train()(Batch({"functionals": x}))
    network.eval()(Batch({"functionals": x}))
    assert (seen[0] == 0).float().mean() > 0.5
    torch.testing.assert_close(seen[1], x)


@pytest.mark.parametrize(
    ("inputs", "options", "problem"),
    [
        ({"x": (10, None)}, {}, r"must be a vector \(size,\), got shape \(10, None\)"),
        ({"x": (10,)}, {"hidden": []}, "hidden must have a size"),
        ({"x": (10,)}, {"limit": 0.0}, "limit must be above 0"),
    ],
)
def test_what_cannot_be(inputs, options, problem):
    with pytest.raises(UserError, match=problem):
        networks.build("mlp", inputs, OUTPUTS, **options)
