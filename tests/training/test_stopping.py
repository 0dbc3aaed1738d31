import math

import pytest

from serkit.errors import UserError
from serkit.training.stopping import Stopping, build


def verdicts(rule, key, values):
    """Judge after each epoch of a training."""
    history = [{"epoch": epoch, key: value} for epoch, value in enumerate(values)]
    return [rule.after_epoch(history[: epoch + 1]) for epoch in range(len(values))]


def test_patience_with_a_loss():
    rule = build("patience", epochs=2)
    assert verdicts(rule, "validation_loss", [3, 2, 2.5, 1.9, 2, 2]) == ["go"] * 5 + ["stop"]


def test_patience_with_a_score_that_should_rise():
    rule = build("patience", epochs=2, monitor="validation_uar")
    assert verdicts(rule, "validation_uar", [0.2, 0.5, 0.4, 0.6, 0.3, 0.1]) == ["go"] * 5 + ["stop"]


def test_the_same_value_again_is_no_improvement():
    assert verdicts(build("patience", epochs=3), "validation_loss", [1, 1, 1, 1]) == ["go", "go", "go", "stop"]


def test_what_is_not_a_number_is_the_worst():
    assert verdicts(build("patience", epochs=2), "validation_loss", [math.nan, 3, 2, 1, math.nan]) == ["go"] * 5
    rule = build("patience", epochs=2, monitor="validation_uar")
    assert verdicts(rule, "validation_uar", [math.nan, 0.1, math.nan, math.nan])[-1] == "stop"
    floor = build("floor", at=[[1, 0.5]], monitor="validation_uar")
    assert verdicts(floor, "validation_uar", [1.0, math.nan])[-1] == "abandon"


def test_defaults():
    assert verdicts(build("patience"), "validation_loss", [1.0] * 11) == ["go"] * 10 + ["stop"]
    assert Stopping().after_epoch([{}]) == "go"
    assert build("patience").after_fold([{"uar": 0.1}]) == "go"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "patient"}, r"unknown stopping rule 'patient'. Did you mean 'patience'\? Available: .*patience"),
        ({"name": "patience", "epoch": 3}, "unknown option of stopping rule 'patience' 'epoch'. Did you mean 'epochs'"),
        ({"name": "patience", "epochs": "8"}, "'patience': epochs must be a whole number, got '8'"),
        ({"name": "patience", "epochs": -1}, "'patience': epochs must be 0 or more, got -1"),
        ({"name": "floor", "at": [20, 0.2]}, r"'floor': at must be a list of pairs .*, got \[20, 0.2\]"),
        ({"name": "floor", "at": [[4]]}, r"'floor': at must be a list of pairs .*, got \[\[4\]\]"),
        ({"name": "floor", "at": 4}, "'floor': at must be a list, got 4"),
        ({"name": "floor", "at": [[4, "x"]]}, "'floor': at must be a list of pairs"),
        ({"name": "stalled", "every": 0}, "'stalled': every and times must be 1 or more, got 0 and 4"),
        ({"name": "stalled", "times": 0}, "'stalled': every and times must be 1 or more, got 4 and 0"),
        ({"name": "fold_floor", "below": 0.4}, "'fold_floor': below must be a table, got 0.4"),
    ],
)
def test_what_cannot_be_is_told_at_once(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_a_value_that_is_not_recorded():
    rule = build("patience", monitor="validation_wa")
    with pytest.raises(UserError, match="watches 'validation_wa'; the history has: epoch, loss"):
        rule.after_epoch([{"epoch": 0, "loss": 1.0}])


def fired(rule, values, key="validation_macro_f1", other=None):
    """Return the first verdict that is not `go` and its epoch, judging after each epoch."""
    history = [{"epoch": epoch, key: value, **(other or {})} for epoch, value in enumerate(values)]
    for epoch in range(len(history)):
        verdict = rule.after_epoch(history[: epoch + 1])
        if verdict != "go":
            return verdict, epoch
    return None


LOSS = {"validation_loss": 1.0}
RISING_F1 = [0.015 * epoch for epoch in range(300)]  # gains of 6 % every 4 epochs


@pytest.mark.parametrize(
    ("stage", "name", "epochs"),
    [
        ("qualification", "A1", {20: 0.17}),
        ("qualification", "A2", {50: 0.20}),
        ("qualification", "A3", {75: 0.24}),
        ("qualification", "A4", {100: 0.27, 125: 0.27}),
        ("qualification", "A5", {150: 0.36}),
        ("qualification", "A6", {200: 0.39}),
        ("qualification", "A7", {250: 0.42}),
        ("qualification_2", "A1", {20: 0.42}),
        ("qualification_2", "A4", {100: 0.51, 125: 0.51}),
        ("qualification_2", "A7", {250: 0.58}),
    ],
)
def test_class_a_abandons_below_its_threshold_in_its_epochs_only(stage, name, epochs):
    for epoch, least in epochs.items():
        values = [0.99] * 300
        values[epoch] = least
        assert fired(build(stage, classes="A"), values) is None
        values[epoch] = least - 1e-6
        assert fired(build(stage, classes="A"), values) == ("abandon", epoch)
        # Anywhere else it does no harm.
        values[epoch], values[epoch + 1], values[epoch - 1] = 0.99, 0.0, 0.0
        assert fired(build(stage, classes="A"), values) is None


def test_a_floor_under_a_loss_is_a_ceiling():
    rule = build("floor", at=[[2, 1.5]], monitor="validation_loss")
    assert fired(rule, [9, 9, 1.4, 9], "validation_loss") is None
    assert fired(rule, [9, 9, 1.6, 9], "validation_loss") == ("abandon", 2)


def b1(values):
    """Class B with a macro F1 that always gains."""
    rule = build("qualification", classes="B")
    history = [
        {"epoch": epoch, "validation_loss": loss, "validation_macro_f1": RISING_F1[epoch]}
        for epoch, loss in enumerate(values)
    ]
    return next((epoch for epoch in range(len(history)) if rule.after_epoch(history[: epoch + 1]) == "stop"), None)


def test_b1_stops_after_four_rises_over_four_epochs_each():
    falling = [2 - 0.001 * epoch for epoch in range(120)]
    assert b1(falling) is None
    rising = [1 + 0.001 * epoch for epoch in range(120)]
    assert b1(rising) == 52  # the first epoch above 50 that 4 divides
    # From epoch 56 on it rises: 60, 64, 68 and 72 lie above the one before.
    turning = [2 - 0.001 * epoch if epoch <= 56 else 2 + 0.001 * epoch for epoch in range(120)]
    assert b1(turning) == 72
    # One of the four is no rise, if only by being equal.
    turning[64] = turning[60]
    assert b1(turning) == 80
    # What lies between is not looked at.
    between = [loss if epoch % 4 == 0 else 5 for epoch, loss in enumerate(falling)]
    assert b1(between) is None


def test_b2_stops_where_four_gains_in_a_row_are_below_a_percent():
    rule = build("qualification", classes="B")
    values = [0.003 * epoch for epoch in range(200)]  # 1.2 % every 4 epochs
    assert fired(rule, values, other=LOSS) is None
    flat = [0.0024 * epoch for epoch in range(200)]  # 0.96 %
    assert fired(rule, flat, other=LOSS) == ("stop", 52)
    # A loss of macro F1 is no gain either.
    falling = [1 - 0.01 * epoch for epoch in range(90)]
    assert fired(rule, falling, other=LOSS) == ("stop", 52)
    # One gain of a percent among them is enough to go on.
    steps = [0.5 + 0.02 * (epoch // 16) for epoch in range(105)]
    assert fired(rule, steps, other=LOSS) is None


def test_b3_looks_at_forty_epochs_from_120_on():
    # Rises by 2 % every 8 epochs and falls back: B2 never fires, but 40 epochs gain nothing.
    saw = [0.5 + 0.02 * (epoch % 8 == 4) for epoch in range(200)]
    assert fired(build("qualification", classes="B"), saw, other=LOSS) == ("stop", 120)
    assert fired(build("qualification", classes="B", b3=-1.0), saw, other=LOSS) is None
    stalled = build("stalled", after=110, every=40, times=1, gain=0.01, monitor="validation_macro_f1")
    assert fired(stalled, [0.5] * 200) == ("stop", 120)
    assert fired(stalled, [0.5] * 120 + [0.6] * 80) == ("stop", 160)
    edge = build("stalled", after=80, every=40, times=1, gain=0.01, monitor="validation_macro_f1")
    assert fired(edge, [0.5] * 200) == ("stop", 120)  # not in epoch 80 itself
    late = build("stalled", after=0, every=40, times=2, gain=0.01, monitor="validation_macro_f1")
    assert fired(late, [0.5] * 200) == ("stop", 80)  # before it there are no two gains


def test_later_folds_last_until_the_window_of_the_rule_that_fired_began():
    rule = build("qualification", classes="B")
    rising = [
        {"epoch": epoch, "validation_loss": 1 + 0.001 * epoch, "validation_macro_f1": RISING_F1[epoch]}
        for epoch in range(53)
    ]
    assert rule.after_epoch(rising) == "stop"
    assert rule.later_epochs(rising) == 37  # epochs 0 to 36: loss[52] > loss[48] > ... > loss[36]
    saw = [
        {"epoch": epoch, "validation_loss": 1.0, "validation_macro_f1": 0.5 + 0.02 * (epoch % 8 == 4)}
        for epoch in range(121)
    ]
    assert rule.later_epochs(saw) == 81
    assert build("patience").later_epochs(rising) is None


@pytest.mark.parametrize(
    ("options", "f1", "accuracy", "verdict"),
    [
        ({}, 0.41, 0.44, "abandon"),
        ({}, 0.42, 0.44, "go"),
        ({}, 0.41, 0.45, "go"),
        ({"c_need": "any"}, 0.41, 0.60, "abandon"),
        ({"c_need": "any"}, 0.42, 0.45, "go"),
        ({"c_macro_f1": 0.5, "c_accuracy": 0.5}, 0.49, 0.49, "abandon"),
        ({"classes": "AB"}, 0.1, 0.1, "go"),
    ],
)
def test_class_c_judges_the_latest_fold(options, f1, accuracy, verdict):
    good = {"macro_f1": 0.9, "accuracy": 0.9, "uar": 0.9}
    scores = [good, {"macro_f1": f1, "accuracy": accuracy, "uar": 0.0}]
    assert build("qualification", **options).after_fold(scores) == verdict
    assert build("qualification", **options).after_fold([*scores, good]) == "go"


def test_the_second_stage_asks_for_more_of_a_fold():
    scores = [{"macro_f1": 0.59, "accuracy": 0.59}]
    assert build("qualification").after_fold(scores) == "go"
    assert build("qualification_2").after_fold(scores) == "abandon"


def test_to_abandon_weighs_more_than_to_stop():
    floor = {"name": "floor", "at": [[1, 0.5]], "monitor": "validation_loss"}
    patience = {"name": "patience", "epochs": 1}
    values = [0.1, 0.6]
    for rules in ([floor, patience], [patience, floor]):
        assert verdicts(build("combined", rules=rules), "validation_loss", values) == ["go", "abandon"]
    assert verdicts(build("combined", rules=[patience]), "validation_loss", values) == ["go", "stop"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "qualification", "classes": "AD"}, "unknown classes 'AD'.*Available: A, B, C"),
        ({"name": "qualification", "a": [0.5]}, "stopping rule 'qualification': a must have 7 thresholds, got 1"),
        ({"name": "fold_floor", "below": {"uar": 0.5}, "need": "most"}, "unknown need 'most'. Available: all, any"),
        ({"name": "combined", "rules": [{"name": "patients"}]}, "unknown stopping rule 'patients'"),
    ],
)
def test_what_cannot_be_of_the_paper(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)
