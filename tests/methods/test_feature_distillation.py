import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from serkit import methods
from serkit.errors import UserError
from serkit.networks.network import Batch, Output

# Features of the items 0 to 2; the batch holds items 1 and 2. Logarithms make the distributions plain fractions.
TEACHER = [[9.0, 9.0, -9.0], [2 * math.log(1), 2 * math.log(2), 2 * math.log(5)], [0.0, 0.0, 0.0]]
STUDENT = [[0.0, 0.0, 2 * math.log(2)], [2 * math.log(3), 0.0, 0.0]]
INDEX = [1, 2]
LOGITS = [[2.0, 0.0], [0.0, 0.0]]
# Of logits 2, 0 with class 0 right, and of 0, 0.
CROSS_ENTROPY = (math.log(1 + math.exp(-2)) + math.log(2)) / 2

# At tau = 2: teacher q, student p, by item.
Q = [(1 / 8, 2 / 8, 5 / 8), (1 / 3, 1 / 3, 1 / 3)]
P = [(1 / 4, 1 / 4, 1 / 2), (3 / 5, 1 / 5, 1 / 5)]


def divergence(a, b):
    """Sum over a batch of sum_m a_m (log a_m - log b_m)."""
    return sum(x * (math.log(x) - math.log(y)) for row, other in zip(a, b) for x, y in zip(row, other))  # noqa: B905


def prepared(targets=TEACHER, theirs=None, ours=None, **options):
    asked = []

    def outputs(stage, what):
        asked.append((stage, what))
        return torch.tensor(targets)

    method = methods.build("feature_distillation", teacher="large", **options)
    classes = {"emotion": ["anger", "joy"]}
    teacher = SimpleNamespace(classes=theirs or classes)
    method.prepare(None, SimpleNamespace(outputs=outputs, finished={"large": teacher}, classes=ours or classes))
    assert asked == [("large", "predictions" if options.get("on") == "logits" else "features")]
    return method


def terms(method, features=STUDENT, logits=LOGITS, index=INDEX, masks=None):
    output = Output({"emotion": torch.tensor(logits)}, torch.tensor(features))
    batch = Batch({}, targets={"emotion": torch.tensor([0, 1])}, masks=masks or {}, index=torch.tensor(index))
    return {name: term.item() for name, term in method.loss(output, batch).items()}


def test_by_hand():
    expected = {"distillation": 0.6 * 4 * divergence(Q, P) / 2, "cross_entropy": 0.4 * CROSS_ENTROPY}
    assert terms(prepared()) == pytest.approx(expected)
    assert divergence(Q, P) != pytest.approx(divergence(P, Q), rel=0.05)


def test_equal_features_have_no_divergence():
    for direction in ("teacher_student", "student_teacher"):
        found = terms(prepared(kl_direction=direction), features=TEACHER[1:])
        assert found["distillation"] == pytest.approx(0, abs=1e-6)
    # Neither has a constant added to all numbers of an item.
    shifted = [[value + 3 for value in row] for row in TEACHER[1:]]
    assert terms(prepared(), features=shifted)["distillation"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("reduction", "factor"), [("batchmean", 1 / 2), ("mean", 1 / 6), ("sum", 1.0)])
@pytest.mark.parametrize(
    ("direction", "expected"), [("teacher_student", divergence(Q, P)), ("student_teacher", divergence(P, Q))]
)
def test_directions_and_reductions(reduction, factor, direction, expected):
    method = prepared(alpha=1.0, kl_direction=direction, reduction=reduction)
    assert terms(method) == pytest.approx({"distillation": 4 * expected * factor})


def test_alpha_zero_is_cross_entropy():
    assert terms(prepared(alpha=0.0)) == pytest.approx({"cross_entropy": CROSS_ENTROPY})


def test_alpha_one_is_tau_squared_times_the_divergence():
    assert terms(prepared(alpha=1.0)) == pytest.approx({"distillation": 4 * divergence(Q, P) / 2})
    # At tau = 1 the fractions are those of the squares.
    q, p = ([tuple(x**2 / sum(y**2 for y in row) for x in row) for row in rows] for rows in (Q, P))
    assert terms(prepared(alpha=1.0, tau=1.0)) == pytest.approx({"distillation": divergence(q, p) / 2}, rel=1e-5)


def test_against_torch_on_random_features():
    torch.manual_seed(0)
    teacher, student = torch.randn(4, 512) * 3, torch.randn(4, 512)
    method = prepared(teacher.tolist(), alpha=0.3, tau=3.0)
    found = terms(method, student[:2].tolist(), index=[3, 0])["distillation"]
    expected = F.kl_div((student[:2] / 3).log_softmax(1), (teacher[[3, 0]] / 3).softmax(1), reduction="batchmean")
    assert found == pytest.approx(0.3 * 9 * expected.item(), rel=1e-4)


def test_items_without_a_label_are_distilled():
    found = terms(prepared(), masks={"emotion": torch.tensor([True, False])})
    both = 0.6 * 4 * divergence(Q, P) / 2
    assert found == pytest.approx({"distillation": both, "cross_entropy": 0.4 * math.log(1 + math.exp(-2))})


def test_only_the_student_learns():
    method = prepared(alpha=1.0)
    method.targets.requires_grad_(False)
    features = torch.tensor(STUDENT, requires_grad=True)
    logits = torch.tensor(LOGITS, requires_grad=True)
    batch = Batch({}, targets={"emotion": torch.tensor([0, 1])}, index=torch.tensor(INDEX))
    torch.stack(list(method.loss(Output({"emotion": logits}, features), batch).values())).sum().backward()
    # Of tau^2 KL(T || S), mean over two items: tau (p - q) / 2.
    expected = 2 * (torch.tensor(P) - torch.tensor(Q)) / 2
    torch.testing.assert_close(features.grad, expected)
    assert (
        logits.grad is None
        and method.targets.grad is None
        and method.targets.tolist() == torch.tensor(TEACHER).tolist()
    )


def test_extreme_features_stay_finite():
    found = terms(prepared([[0.0, 0.0, 0.0], [1e4, 0.0, 0.0], [0.0, 0.0, 1e4]]), features=[[0.0, 1e4, 0.0]] * 2)
    assert math.isfinite(found["distillation"]) and found["distillation"] > 1000


def test_logits_of_one_target():
    targets = [[0.0, 0.0], [0.0, 2 * math.log(3)], [0.0, 0.0]]
    found = terms(prepared(targets, on="logits", alpha=1.0), logits=[[0.0, 0.0], [2 * math.log(4), 0.0]])
    expected = divergence([(1 / 4, 3 / 4), (1 / 2, 1 / 2)], [(1 / 2, 1 / 2), (4 / 5, 1 / 5)])
    assert found == pytest.approx({"distillation": 4 * expected / 2})


def test_each_target_has_a_distribution_of_its_own():
    classes = {"emotion": ["anger", "joy"], "sex": ["female", "male"]}
    method = prepared([[0.0, 2 * math.log(3), 50.0, 50.0]], classes, classes, on="logits", alpha=1.0)
    predictions = {"emotion": torch.zeros(1, 2), "sex": torch.tensor([[2 * math.log(4), 0.0]])}
    output = Output(predictions, torch.zeros(1, 5))
    found = method.loss(output, Batch({}, index=torch.tensor([0])))["distillation"].item()
    expected = divergence([(1 / 4, 3 / 4), (1 / 2, 1 / 2)], [(1 / 2, 1 / 2), (4 / 5, 1 / 5)])
    assert found == pytest.approx(4 * expected)


def test_features_of_another_size():
    message = "'feature_distillation': the features of teacher 'large' have size 4, but the student's have 3; give both"
    with pytest.raises(UserError, match=message):
        terms(prepared([[0.0] * 4] * 3))


@pytest.mark.parametrize(
    "theirs", [["anger", "fear"], ["joy", "anger"], ["anger", "joy", "fear"]], ids=["other", "order", "more"]
)
def test_logits_of_other_classes(theirs):
    message = f"teacher 'large' are for emotion: {', '.join(theirs)}; the student's are for emotion: anger, joy. Give"
    with pytest.raises(UserError, match=message):
        prepared(theirs={"emotion": theirs}, on="logits")
    prepared(theirs={"emotion": theirs})  # features need no equal classes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "method 'feature_distillation': .*'teacher'"),
        ({"teacher": "t", "alpha": 1.1}, "alpha must be from 0 to 1, got 1.1"),
        ({"teacher": "t", "alpha": math.nan}, "alpha must be from 0 to 1, got nan"),
        ({"teacher": "t", "tau": 0}, "tau must be above 0, got 0"),
        ({"teacher": "t", "tau": math.inf}, "tau must be above 0, got inf"),
        ({"teacher": "t", "kl_direction": "student"}, "unknown kl_direction 'student'"),
        ({"teacher": "t", "reduction": "avg"}, "unknown reduction 'avg'. .*Available: batchmean, mean, sum"),
        ({"teacher": "t", "on": "logit"}, "unknown on 'logit'. Did you mean 'logits'"),
        ({"teachr": "t"}, "unknown option of method 'feature_distillation' 'teachr'. Did you mean 'teacher'"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message) as caught:
        methods.build("feature_distillation", **options)
    assert "\n" not in str(caught.value)
