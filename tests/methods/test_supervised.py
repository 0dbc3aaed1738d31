import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from serkit import methods
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.methods.method import Method
from serkit.methods.supervised import Supervised, balanced_weights
from serkit.networks.network import Batch, Output

LOGITS = [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
TRUTH = [0, 2]
# Cross-entropy: log of the sum of exp(logits), less the right logit.
FIRST = math.log(math.exp(2) + 2) - 2
SECOND = math.log(math.e + 2)


def loss(method, logits=LOGITS, truth=TRUTH, known=None, target="emotion"):
    masks = {} if known is None else {target: torch.tensor(known)}
    batch = Batch({}, targets={target: torch.tensor(truth)}, masks=masks)
    return method.loss(Output({target: torch.tensor(logits)}, torch.empty(0)), batch)


def items(*labels, target="emotion"):
    return [
        Item(Utterance(f"table/{row}", Path("x.wav"), targets={} if name is None else {target: name}))
        for row, name in enumerate(labels)
    ]


def balanced(*labels, classes=("a", "b", "c")):
    method = methods.build("supervised", class_weights="balanced")
    method.prepare(None, SimpleNamespace(classes={"emotion": classes}, training=items(*labels)))
    return method


def test_cross_entropy():
    found = loss(Supervised())
    assert list(found) == ["cross_entropy"]
    assert found["cross_entropy"].item() == pytest.approx((FIRST + SECOND) / 2)


@pytest.mark.parametrize(
    ("classes", "right", "wrong", "even"), [(7, 1.16542, 2.16542, 1.94591), (5, 0.90483, 1.90483, 1.60944)]
)
def test_a_softmax_taken_for_logits_has_a_floor(classes, right, wrong, even):
    method = methods.build("supervised", loss_input="softmax")
    sure = [[100.0] + [0.0] * (classes - 1)]
    assert loss(method, sure, [0])["cross_entropy"].item() == pytest.approx(right, abs=1e-5)
    assert loss(method, sure, [1])["cross_entropy"].item() == pytest.approx(wrong, abs=1e-5)
    assert loss(method, [[3.0] * classes], [0])["cross_entropy"].item() == pytest.approx(even, abs=1e-5)
    # ln(e + classes - 1) - 1; with logits a sure right answer costs nothing.
    assert right == pytest.approx(math.log(math.e + classes - 1) - 1, abs=1e-5)
    assert loss(Supervised(), sure, [0])["cross_entropy"].item() == pytest.approx(0, abs=1e-5)


def test_a_softmax_taken_for_logits_by_hand():
    shares = [math.e**2 / (math.e**2 + 2), 1 / (math.e**2 + 2)]
    expected = math.log(math.exp(shares[0]) + 2 * math.exp(shares[1])) - shares[0]
    found = loss(methods.build("supervised", loss_input="softmax"), LOGITS[:1], TRUTH[:1])
    assert found["cross_entropy"].item() == pytest.approx(expected)


def test_label_smoothing():
    # The log-sum is the same for every class: only the logit that is taken off becomes a mean.
    spread = [FIRST + 2 - 2 / 3, SECOND - 1 / 3]
    expected = sum(0.9 * sharp + 0.1 * even for sharp, even in zip([FIRST, SECOND], spread, strict=True)) / 2
    assert loss(methods.build("supervised", label_smoothing=0.1))["cross_entropy"].item() == pytest.approx(expected)


def test_balanced_weights():
    # 6 items in 3 classes: 6 / (3 * 3), 6 / (3 * 1), 6 / (3 * 2).
    weights = balanced_weights(items("a", "a", "a", "b", "c", "c"), "emotion", ["a", "b", "c"])
    assert weights.tolist() == pytest.approx([2 / 3, 2.0, 1.0])


def test_balanced_weights_count_what_is_there():
    found = balanced_weights(items("a", "a", "b", None, "other"), "emotion", ["a", "b", "c"])
    assert found.tolist() == pytest.approx([3 / (2 * 2), 3 / (2 * 1), 0.0])
    assert balanced_weights(items(1.0, 2.5, 2.5), "emotion", ["1.0", "2.5"]).tolist() == pytest.approx([1.5, 0.75])


def test_rare_classes_weigh_more():
    found = loss(balanced("a", "a", "a", "b", "c", "c"))
    assert found["cross_entropy"].item() == pytest.approx((2 / 3 * FIRST + 1.0 * SECOND) / 2)


def test_balanced_with_smoothing_weighs_by_the_right_class():
    method = balanced("a", "a", "a", "b", "c", "c")
    method.label_smoothing = 0.3
    sharp, even = FIRST, FIRST + 2 - 2 / 3
    found = loss(method, LOGITS[:1], TRUTH[:1])
    assert found["cross_entropy"].item() == pytest.approx(2 / 3 * (0.7 * sharp + 0.3 * even))


def test_items_without_a_label_count_for_nothing():
    found = loss(Supervised(), [*LOGITS, [9.0, 0.0, 0.0]], [*TRUTH, 0], [True, True, False])
    assert found["cross_entropy"].item() == pytest.approx((FIRST + SECOND) / 2)
    found = loss(Supervised(), known=[False, True])
    assert found["cross_entropy"].item() == pytest.approx(SECOND)
    assert loss(Supervised(), known=[False, False])["cross_entropy"].item() == 0


def test_one_term_for_each_target():
    predictions = {"emotion": torch.tensor(LOGITS), "sex": torch.tensor([[0.0, 0.0], [0.0, 0.0]])}
    targets = {"emotion": torch.tensor(TRUTH), "sex": torch.tensor([0, 1])}
    found = Supervised().loss(Output(predictions, torch.empty(0)), Batch({}, targets=targets))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"cross_entropy_emotion": (FIRST + SECOND) / 2, "cross_entropy_sex": math.log(2)}
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("supervisd", {}, "unknown method 'supervisd'. Did you mean 'supervised'"),
        (
            "supervised",
            {"smoothing": 0.1},
            "unknown option of method 'supervised' 'smoothing'. Did you mean 'label_smo",
        ),
        ("supervised", {"class_weights": "balance"}, "unknown class_weights 'balance'. Did you mean 'balanced'"),
        ("supervised", {"loss_input": "softmx"}, "unknown loss_input 'softmx'. Did you mean 'softmax'"),
        ("supervised", {"label_smoothing": 1.5}, "label_smoothing must be from 0 to below 1, got 1.5"),
        ("supervised", {"label_smoothing": "much"}, "method 'supervised': "),
    ],
)
def test_what_cannot_be(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        methods.build(name, **options)
    assert "\n" not in str(caught.value)


def test_a_method_needs_only_its_loss():
    method, model, batch = Method(), torch.nn.Identity(), Batch({})
    candidates = items("a", "b")
    assert method.select(candidates, None) is candidates
    assert method.forward(model, batch) is batch
    assert method.finish(model, []) is model
    with pytest.raises(TypeError, match="Method does not define a loss"):
        method.loss(None, batch)
