import pytest

from serkit.errors import UserError
from serkit.stopping import Stopping, build


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


def test_defaults():
    assert verdicts(build("patience"), "validation_loss", [1.0] * 11) == ["go"] * 10 + ["stop"]
    assert Stopping().after_epoch([{}]) == "go"
    assert build("patience").after_fold([{"uar": 0.1}]) == "go"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "patient"}, r"unknown stopping rule 'patient'. Did you mean 'patience'\? Available: patience"),
        ({"name": "patience", "epoch": 3}, "stopping rule 'patience': .*epoch"),
    ],
)
def test_what_cannot_be_is_told_at_once(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_a_value_that_is_not_recorded():
    rule = build("patience", monitor="validation_wa")
    with pytest.raises(UserError, match="watches 'validation_wa'; the history has: epoch, loss"):
        rule.after_epoch([{"epoch": 0, "loss": 1.0}])
