import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from serkit.errors import UserError
from serkit.evaluation.metrics import NUMBERS, ccc, named, score, sums

TRUTH = np.array([1.0, 2.0, 3.0, 4.0])
PREDICTED = np.array([1.0, 3.0, 2.0, 5.0])


def all_of(truth, predicted):
    found = sums(truth[:, None], predicted[:, None], np.zeros(len(truth), dtype=int))[0]
    return {metric: float(score(metric, found)) for metric in NUMBERS}


def test_by_hand():
    # Means 2.5 and 2.75, variances 1.25 and 2.1875, covariance 1.375; differences 0, 1, -1, 1.
    assert all_of(TRUTH, PREDICTED) == {
        "ccc": pytest.approx(2 * 1.375 / (1.25 + 2.1875 + 0.0625)),
        "pearson": pytest.approx(1.375 / (1.25 * 2.1875) ** 0.5),
        "rmse": pytest.approx(0.75**0.5),
        "mae": pytest.approx(0.75),
    }


def test_concordance_asks_for_spread_and_level_where_correlation_does_not():
    assert ccc(TRUTH, TRUTH) == pytest.approx(1)
    assert ccc(TRUTH, 5 - TRUTH) == pytest.approx(-1)
    # Twice the spread around the same mean: 2 * 2 / (1 + 4).
    assert ccc(TRUTH, 2 * TRUTH - 2.5) == pytest.approx(0.8)
    assert all_of(TRUTH, 2 * TRUTH - 2.5)["pearson"] == pytest.approx(1)
    assert ccc(TRUTH, np.full(4, 2.5)) == 0
    assert all_of(TRUTH, np.full(4, 2.0))["pearson"] == 0
    assert ccc(np.full(3, 2.0), np.full(3, 2.0)) == 0


numbers = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=3, max_size=20)


@given(numbers, st.floats(-1000, 1000))
@settings(max_examples=60, deadline=None)
def test_as_numpy_computes_them_wherever_the_scale_begins(pairs, offset):
    truth, predicted = np.array(pairs).T + offset
    found = all_of(truth, predicted)
    error = truth - predicted
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), abs=1e-6)
    assert found["mae"] == pytest.approx(np.mean(np.abs(error)), abs=1e-6)
    spread = truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2
    if spread > 1e-3:
        expected = 2 * np.cov(truth, predicted, bias=True)[0, 1] / spread
        assert found["ccc"] == pytest.approx(expected, abs=1e-6)
    if min(truth.std(), predicted.std()) > 1e-2:
        assert found["pearson"] == pytest.approx(stats.pearsonr(truth, predicted).statistic, abs=1e-6)


def test_sums_of_clusters_add_up_and_unknown_labels_do_not_count():
    truth = np.array([1.0, np.nan, 2.0, 3.0, 4.0])
    predicted = np.array([1.0, 9.0, 3.0, 2.0, 5.0])
    found = sums(truth[:, None], predicted[:, None], np.array([0, 0, 1, 1, 2]))
    assert found.shape == (3, 1, 7) and found[:, 0, 0].tolist() == [1, 2, 1]
    assert float(score("ccc", found.sum(axis=0))) == pytest.approx(ccc(TRUTH, PREDICTED))
    assert score("mae", found).tolist() == [0, 1, 1]


def test_unknown_metrics_are_refused():
    with pytest.raises(UserError, match="unknown metric 'uar'"):
        named("uar", NUMBERS)
    with pytest.raises(UserError, match="unknown metric 'r2'"):
        score("r2", np.zeros((1, 7)))


def test_several_targets_count_alike_and_those_without_labels_not_at_all():
    truth = np.stack([TRUTH, 2 * TRUTH, np.full(4, np.nan)], axis=1)
    predicted = np.stack([PREDICTED, 2 * TRUTH, TRUTH], axis=1)
    found = sums(truth, predicted, np.zeros(4, dtype=int))
    assert score("ccc", found).tolist() == pytest.approx([(ccc(TRUTH, PREDICTED) + 1) / 2])
