import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch


def test_logits_are_a_linear_map_of_the_view():
    network = networks.build("linear", {"x": (5, 40)}, {"emotion": 7, "sex": 2}).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 200 * 7 + 7 + 200 * 2 + 2
    x = torch.randn(3, 5, 40)
    output = network(Batch({"x": x}))
    assert torch.equal(output.features, x.reshape(3, 200))
    for target, size in (("emotion", 7), ("sex", 2)):
        head = network.head[target]
        expected = torch.einsum("btf,ktf->bk", x, head.weight.reshape(size, 5, 40)) + head.bias
        torch.testing.assert_close(output.predictions[target], expected)


def test_dropout_is_for_training_only():
    network = networks.build("linear", {"x": (50,)}, {"emotion": 2}, dropout=0.5)
    batch = Batch({"x": torch.randn(2, 50)})
    assert not torch.equal(network(batch).predictions["emotion"], network(batch).predictions["emotion"])
    network.eval()
    assert torch.equal(network(batch).predictions["emotion"], network(batch).predictions["emotion"])


def test_a_time_axis_does_not_fit():
    with pytest.raises(UserError, match="network 'linear': view 'x' has a time axis"):
        networks.build("linear", {"x": (64, None)}, {"emotion": 2})


def test_unknown_network():
    with pytest.raises(UserError, match=r"unknown network 'lineer'\. Did you mean 'linear'"):
        networks.build("lineer", {"x": (64,)}, {"emotion": 2})
