import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from serkit.errors import UserError
from serkit.evaluation import metrics

# Truth a a a b b c: a is right twice, b once, c never; d is never true, but predicted once.
TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 3])


def test_values_computed_by_hand():
    assert metrics.accuracy(TRUTH, PREDICTED) == pytest.approx(3 / 6)
    assert metrics.uar(TRUTH, PREDICTED) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    # F1: a 2 * 2 / (3 + 3), b 2 * 1 / (2 + 2), c and d 0.
    assert metrics.macro_f1(TRUTH, PREDICTED) == pytest.approx((2 / 3 + 1 / 2) / 4)
    assert metrics.confusion(TRUTH, PREDICTED).tolist() == [
        [2, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]
    np.testing.assert_allclose(metrics.recalls(TRUTH, PREDICTED, 5), [2 / 3, 1 / 2, 0, np.nan, np.nan], equal_nan=True)


pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40)


@given(pairs)
@settings(max_examples=150, deadline=None)
def test_all_agree_with_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    present = np.unique(truth)
    assert metrics.accuracy(truth, predicted) == pytest.approx(accuracy_score(truth, predicted))
    recall = recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert metrics.uar(truth, predicted) == pytest.approx(recall)
    f1 = f1_score(truth, predicted, average="macro", zero_division=0)
    assert metrics.macro_f1(truth, predicted) == pytest.approx(f1)
    each = recall_score(truth, predicted, labels=range(6), average=None, zero_division=np.nan)
    np.testing.assert_allclose(metrics.recalls(truth, predicted, 6), each, equal_nan=True)
    expected = confusion_matrix(truth, predicted, labels=range(6))
    np.testing.assert_array_equal(metrics.confusion(truth, predicted, 6), expected)


@given(pairs, st.data())
@settings(max_examples=50, deadline=None)
def test_matrices_of_clusters_are_those_of_their_predictions(pairs, data):
    truth, predicted = np.array(pairs).T
    clusters = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(truth), max_size=len(truth))))
    found = metrics.confusions(truth, predicted, clusters, 6)
    assert found.shape == (clusters.max() + 1, 6, 6)
    for number in np.unique(clusters):
        inside = clusters == number
        np.testing.assert_array_equal(found[number], metrics.confusion(truth[inside], predicted[inside], 6))


def test_scores_of_many_matrices_at_once():
    first, second = metrics.confusion(TRUTH, PREDICTED, 4), metrics.confusion(TRUTH, TRUTH, 4)
    for metric, function in (
        ("accuracy", metrics.accuracy),
        ("uar", metrics.uar),
        ("macro_f1", metrics.macro_f1),
    ):
        expected = [function(TRUTH, PREDICTED), 1.0]
        np.testing.assert_allclose(metrics.score(metric, np.stack([first, second])), expected)


def test_an_unknown_metric_is_refused():
    with pytest.raises(UserError, match=r"unknown metric 'uarr'\. Did you mean 'uar'"):
        metrics.score("uarr", np.eye(2))
