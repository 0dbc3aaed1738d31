import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch

INPUTS = {"b": (3,), "a": (3,)}


def make(**options):
    return networks.build("ensemble", INPUTS, {"emotion": 3}, **options)


def answers(a, b):
    """Logits whose softmax is given, shifted by what softmax takes away again."""
    return Batch({"a": torch.tensor([a]).log() + 5, "b": torch.tensor([b]).log() - 3})


def test_the_geometric_mean_by_hand():
    # sqrt(0.8 * 0.2) = 0.4, sqrt(0.1 * 0.4) = 0.2 and again 0.2: together 0.8.
    output = make()(answers([0.8, 0.1, 0.1], [0.2, 0.4, 0.4]))
    found = output.predictions["emotion"].softmax(1)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.25, 0.25]]))
    torch.testing.assert_close(output.features, output.predictions["emotion"])


def test_shares_belong_to_views_by_name_and_need_not_add_up():
    # 0.8 ** 0.75 * 0.2 ** 0.25 and so on, by logarithms.
    batch = answers([0.8, 0.1, 0.1], [0.2, 0.4, 0.4])
    weights = torch.tensor([0.8**0.75 * 0.2**0.25, 0.1**0.75 * 0.4**0.25, 0.1**0.75 * 0.4**0.25])
    found = make(shares={"a": 3.0, "b": 1.0})(batch).predictions["emotion"].softmax(1)
    torch.testing.assert_close(found, (weights / weights.sum())[None])


def test_it_has_nothing_to_train():
    assert list(make().parameters()) == []


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "problem"),
    [
        ({"a": (3,), "b": (4,)}, {"emotion": 3}, {}, r"view 'b' must have shape \(3,\), got \(4,\)"),
        (INPUTS, {"emotion": 3, "sex": 2}, {}, "an ensemble must have one target, got 2"),
        (INPUTS, {"emotion": 3}, {"shares": {"a": 1.0}}, "above 0 for each of b, a"),
        (INPUTS, {"emotion": 3}, {"shares": {"a": 1.0, "b": 0.0}}, "above 0"),
    ],
)
def test_what_cannot_be(inputs, outputs, options, problem):
    with pytest.raises(UserError, match=problem):
        networks.build("ensemble", inputs, outputs, **options)
