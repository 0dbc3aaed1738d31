import numpy as np
import pytest
from sklearn.metrics import log_loss

from serkit.evaluation.calibration import ece
from serkit.evaluation.nested import calibration, fit_temperature


@pytest.fixture
def predictions(make):
    """Two folds of four utterances, 0.9 sure; the first fold is right in 3 of 4, the second in 1 of 4."""
    found = make([0, 0, 0, 0] * 2, [0, 0, 0, 1, 0, 1, 1, 1], classes="ab", seeds=[0] * 8)
    found.folds[:] = [1] * 4 + [2] * 4
    return found


def test_the_temperature_by_hand(make):
    # 3 of 4 are right. With two more items, one of each answer, 4 of 6: p = 2/3, so 9 ** (1 / T) = 2.
    held = make([0, 0, 0, 0], [0, 0, 0, 1], classes="ab")
    assert fit_temperature(held) == pytest.approx(np.log(9) / np.log(2), rel=1e-4)


def test_what_is_all_right_does_not_become_certain(make):
    held = make([0, 1, 0, 1], [0, 1, 0, 1], classes="ab")
    # 5 of 6: 9 ** (1 / T) = 5.
    assert fit_temperature(held) == pytest.approx(np.log(9) / np.log(5), rel=1e-4)


def test_each_fold_is_judged_with_its_own_temperature(predictions):
    found = calibration(predictions, {(0, 1): 2.0, (0, 2): 1.0}).to_dict()
    assert found["fitted_on"] == "validation part of each fold"
    first, second = found["folds"]["seed-0-fold-1"], found["folds"]["seed-0-fold-2"]
    assert first["temperature"] == 2 and second["temperature"] == 1
    # 0.9 to 0.1 is 9 to 1; its root is 3 to 1: 0.75, and 3 of 4 are right.
    assert first["ece"] == {"before": pytest.approx(0.15), "after": pytest.approx(0)}
    assert first["log_loss"]["after"] == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4)
    assert second["ece"] == {"before": pytest.approx(0.65), "after": pytest.approx(0.65)}
    after = predictions.probabilities.copy()
    after[:4] = [[0.75, 0.25]] * 3 + [[0.25, 0.75]]
    assert found["ece"] == {
        "before": pytest.approx(ece(predictions.probabilities, predictions.truth)),
        "after": pytest.approx(ece(after, predictions.truth)),
    }
    assert found["log_loss"]["before"] == pytest.approx(
        log_loss(predictions.truth, predictions.probabilities, labels=[0, 1])
    )
    assert found["log_loss"]["after"] == pytest.approx(log_loss(predictions.truth, after, labels=[0, 1]))
