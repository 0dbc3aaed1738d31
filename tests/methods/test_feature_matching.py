import math
from types import SimpleNamespace

import pytest
import torch

from serkit import methods, networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model, Output

TARGETS = [[0.0, 0.0], [1.0, 2.0], [4.0, -4.0]]
FEATURES = [[1.5, 2.0], [3.0, -1.0]]
INDEX = [1, 2]
# |1.5 - 1|, |2 - 2|, |3 - 4|, |-1 + 4|, mean over 2 items of 2 numbers.
DISTANCE = (0.5 + 0.0 + 1.0 + 3.0) / 4
LOGITS = [[2.0, 0.0], [0.0, 0.0]]
# Of logits 2, 0 with class 0 right, and of 0, 0.
CROSS_ENTROPY = (math.log(1 + math.exp(-2)) + math.log(2)) / 2


def prepared(targets=TARGETS, **options):
    asked = []

    def outputs(stage, what):
        asked.append((stage, what))
        return torch.tensor(targets)

    method = methods.build("feature_matching", teacher="large", **options)
    method.prepare(None, SimpleNamespace(outputs=outputs))
    assert asked == [("large", "features")]
    return method


def loss(method, index=INDEX, masks=None):
    output = Output({"emotion": torch.tensor(LOGITS)}, torch.tensor(FEATURES))
    batch = Batch({}, targets={"emotion": torch.tensor([0, 1])}, masks=masks or {}, index=torch.tensor(index))
    return {name: term.item() for name, term in method.loss(output, batch).items()}


def test_distance_and_cross_entropy_by_hand():
    assert loss(prepared()) == pytest.approx({"match": DISTANCE, "cross_entropy": CROSS_ENTROPY})
    assert loss(prepared(weight=10.0)) == pytest.approx({"match": 10 * DISTANCE, "cross_entropy": CROSS_ENTROPY})


def test_without_labels():
    assert loss(prepared(cross_entropy=False)) == pytest.approx({"match": DISTANCE})


def test_weight_zero_is_cross_entropy():
    assert loss(prepared(weight=0.0)) == pytest.approx({"match": 0.0, "cross_entropy": CROSS_ENTROPY})


def test_each_item_has_its_own_target():
    expected = (1.5 + 2.0 + 2.0 + 3.0) / 4
    assert loss(prepared(), [0, 1])["match"] == pytest.approx(expected)


def test_items_without_a_label_are_matched():
    found = loss(prepared(), masks={"emotion": torch.tensor([True, False])})
    assert found == pytest.approx({"match": DISTANCE, "cross_entropy": math.log(1 + math.exp(-2))})


def student():
    torch.manual_seed(0)
    options = {"depth": 1, "heads": 1, "head_size": 2, "hidden": 3, "width": 2, "patch": [4, 1]}
    return Model(networks.build("vit", {"image": (1, 4, 4)}, {"emotion": 2}, **options))


@pytest.mark.parametrize("cross_entropy", [True, False])
def test_what_a_step_changes(cross_entropy):
    """Without labels the head stays as it was, with weight decay too; the teacher's features always do."""
    method, model = prepared(cross_entropy=cross_entropy), student()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    index = torch.tensor(INDEX)
    batch = Batch({"image": torch.randn(2, 1, 4, 4)}, targets={"emotion": torch.tensor([0, 1])}, index=index)
    torch.stack(list(method.loss(method.forward(model, batch), batch).values())).sum().backward()
    optimizer.step()
    same = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert same == (set() if cross_entropy else {"network.head.emotion.weight", "network.head.emotion.bias"})
    assert (model.network.head["emotion"].weight.grad is not None) == cross_entropy
    assert method.targets.tolist() == TARGETS and not method.targets.requires_grad


def test_features_of_another_size():
    with pytest.raises(UserError, match="features of teacher 'large' have size 3, but the student's have 2; give both"):
        loss(prepared([[0.0] * 3] * 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "method 'feature_matching': .*'teacher'"),
        ({"teacher": "t", "weight": -1.0}, "weight must be at least 0, got -1.0"),
        ({"teacher": "t", "weight": math.nan}, "weight must be at least 0, got nan"),
        ({"teacher": "t", "weight": 0, "cross_entropy": False}, "weight = 0 without cross_entropy leaves nothing"),
        ({"teachr": "t"}, "unknown option of method 'feature_matching' 'teachr'. Did you mean 'teacher'"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message) as caught:
        methods.build("feature_matching", **options)
    assert "\n" not in str(caught.value)
