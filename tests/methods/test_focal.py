import math

import pytest
import torch
import torch.nn.functional as F

from serkit import methods
from serkit.errors import UserError
from serkit.methods.focal import focal_loss
from serkit.networks.network import Batch, Output

# Softmax of log(1), log(3): 1/4 and 3/4; of equal logits: 1/2.
LOGITS = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)], [1.0, 1.0]])
TRUTH = torch.tensor([0, 1, 1])
P = [0.25, 0.75, 0.5]


def loss(method, known=None):
    masks = {} if known is None else {"emotion": torch.tensor(known)}
    batch = Batch({}, targets={"emotion": TRUTH}, masks=masks)
    return method.loss(Output({"emotion": LOGITS}, torch.empty(0)), batch)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_by_hand(gamma):
    expected = [-((1 - p) ** gamma) * math.log(p) for p in P]
    assert focal_loss(LOGITS, TRUTH, gamma).tolist() == pytest.approx(expected)
    found = loss(methods.build("focal", gamma=gamma))
    assert list(found) == ["focal"]
    assert found["focal"].item() == pytest.approx(sum(expected) / 3)
    found = loss(methods.build("focal", gamma=gamma), [True, False, True])
    assert found["focal"].item() == pytest.approx((expected[0] + expected[2]) / 2)


def test_gamma_two_and_no_class_weights_are_the_default():
    assert loss(methods.build("focal"))["focal"].item() == pytest.approx(
        sum(-((1 - p) ** 2) * math.log(p) for p in P) / 3
    )


def test_gamma_zero_is_cross_entropy():
    logits = torch.randn(20, 7)
    truth = torch.randint(0, 7, (20,))
    assert torch.equal(focal_loss(logits, truth, 0.0), F.cross_entropy(logits, truth, reduction="none"))


def test_the_factor_is_trained_through():
    """Against the derivative of the formula, taken in double precision by finite differences."""
    logits = LOGITS.double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, TRUTH, 2.0), logits)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_what_is_certain_has_a_gradient(gamma):
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    losses = focal_loss(logits, torch.tensor([0, 0]), gamma)
    losses.sum().backward()
    assert losses.tolist() == pytest.approx([0.0, 200.0], abs=1e-3)
    assert torch.isfinite(logits.grad).all() and not logits.grad[0].any()


def test_class_weights():
    method = methods.build("focal", class_weights="balanced")
    method.weights = {"emotion": torch.tensor([3.0, 0.5])}
    terms = [-((1 - p) ** 2) * math.log(p) * weight for p, weight in zip(P, [3.0, 0.5, 0.5], strict=True)]
    assert loss(method)["focal"].item() == pytest.approx(sum(abs(term) for term in terms) / 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, "gamma must be at least 0, got -1.0"),
        ({"gamma": math.nan}, "gamma must be at least 0, got nan"),
        ({"class_weights": "balance"}, "unknown class_weights 'balance'. Did you mean 'balanced'"),
        ({"label_smoothing": 0.1}, "unknown option of method 'focal' 'label_smoothing'"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        methods.build("focal", **options)
