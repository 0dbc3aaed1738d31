import numpy as np
import pytest

from serkit.evaluation import unsure
from serkit.evaluation.calibration import ece, sharpened


def test_the_threshold_by_hand():
    # From the surest on, right less wrong is 1, 2, 3, 2, 1, 2, 1: most above 0.7, halfway to the next.
    confidence = np.array([0.9, 0.5, 0.8, 0.4, 0.7, 0.6, 0.3])
    right = np.array([1, 0, 1, 1, 1, 0, 0], dtype=bool)
    assert unsure.threshold(confidence, right) == pytest.approx(0.65)


def test_of_equal_surpluses_the_one_that_answers_more():
    # Right less wrong: 1, 0, 1.
    assert unsure.threshold(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])) == 0.0


def test_answers_of_equal_confidence_are_sure_or_unsure_together():
    # The right one of the two at 0.6 cannot be had without the wrong one.
    confidence = np.array([0.9, 0.6, 0.6, 0.6, 0.2])
    right = np.array([True, True, False, False, False])
    assert unsure.threshold(confidence, right) == pytest.approx(0.75)


@pytest.mark.parametrize(("right", "sure"), [(True, 3), (False, 0)])
def test_all_or_none(right, sure):
    confidence = np.array([0.5, 1.0, 0.7])
    limit = unsure.threshold(confidence, np.full(3, right))
    assert (confidence >= limit).sum() == sure


def test_calibrated_answers_are_unsure_below_a_half():
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0, 1, 200_000)
    assert unsure.threshold(confidence, generator.random(200_000) < confidence) == pytest.approx(0.5, abs=0.02)


def drawn(n=4000, scale=3.0):
    """Answers three times as sharp as they should be, in four folds."""
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 1.5, (n, 3))
    truth = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    weights = np.exp(scale * logits)
    return weights / weights.sum(axis=1, keepdims=True), truth, np.arange(n) % 4


def test_what_is_fitted_on_other_folds_mends_the_error():
    probabilities, truth, folds = drawn()
    found = unsure.held_out(probabilities, truth, folds, np.full(len(truth), "one")).to_dict()
    assert found["ece_before"] == pytest.approx(ece(probabilities, truth))
    assert found["ece_before"] > 0.15
    assert found["ece_after"] < 0.04
    accuracy = found["accuracy"]
    assert accuracy["unsure"] < 0.5 < accuracy["all"] < accuracy["sure"]
    total = found["coverage"] * accuracy["sure"] + (1 - found["coverage"]) * accuracy["unsure"]
    assert total == pytest.approx(accuracy["all"])
    assert found["curve"][0] == [1.0, pytest.approx(accuracy["all"])]
    shares, rights = zip(*found["curve"], strict=True)
    assert list(shares) == sorted(shares, reverse=True)
    assert rights[-1] > rights[0] + 0.2


def test_a_fold_is_not_measured_with_what_was_fitted_on_it():
    # Fold 0 is all wrong and learns from fold 1 that every answer is sure; fold 1 learns that none is.
    probabilities = np.tile([0.9, 0.1], (6, 1))
    folds = np.array([0, 0, 1, 1, 1, 1])
    truth = np.array([1, 1, 0, 0, 0, 0])
    found = unsure.held_out(probabilities, truth, folds, np.array(["a", "b"])[folds]).to_dict()
    assert found["coverage"] == pytest.approx(1 / 3)
    assert found["accuracy"] == {"all": pytest.approx(2 / 3), "sure": 0.0, "unsure": 1.0}
    left, right = found["corpora"]["a"], found["corpora"]["b"]
    assert (left["coverage"], left["accuracy"]) == (1.0, {"all": 0.0, "sure": 0.0, "unsure": None})
    assert (right["coverage"], right["accuracy"]) == (0.0, {"all": 1.0, "sure": None, "unsure": 1.0})
    # 0.9 is right on b; a's temperature, fitted on b, makes it nearly certain.
    assert left["ece"] > 0.99


def test_one_corpus_is_not_measured_twice():
    probabilities, truth, folds = drawn(200)
    assert "corpora" not in unsure.held_out(probabilities, truth, folds, np.full(200, "one")).to_dict()


def test_a_single_fold_has_no_others():
    probabilities, truth, _ = drawn(20)
    assert unsure.held_out(probabilities, truth, np.zeros(20), np.full(20, "one")) is None


def test_sharpened_is_the_softmax_of_divided_logits():
    logits = np.array([[2.0, 1.0, -1.0], [0.0, 0.5, 3.0]])
    weights = np.exp(logits)
    halved = np.exp(logits / 2)
    np.testing.assert_allclose(
        sharpened(weights / weights.sum(axis=1, keepdims=True), 2.0), halved / halved.sum(axis=1, keepdims=True)
    )
    np.testing.assert_allclose(sharpened(np.array([[1.0, 0.0]]), 0.5), [[1.0, 0.0]], atol=1e-12)


def test_the_reliable_threshold_by_hand():
    # From the surest on, the share of right answers is 1, 1, 2/3, 3/4, 3/5: 3/4 last above 0.6, halfway to the next.
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.4])
    right = np.array([1, 1, 0, 1, 0], dtype=bool)
    one = np.full(5, "a")
    assert unsure.reliable(confidence, right, one, 0.75) == pytest.approx(0.5)
    assert unsure.reliable(confidence, right, one, 0.6) == 0.0
    assert unsure.reliable(confidence, ~right, one, 0.75) > 1


def test_corpora_count_the_same_for_the_reliable_threshold():
    # The large corpus is always right, the small one never: both together are half right.
    confidence, right = np.linspace(0.9, 0.5, 12), np.arange(12) < 10
    corpora = np.where(right, "large", "small")
    assert unsure.reliable(confidence, right, np.full(12, "a"), 0.8) == 0.0
    assert unsure.reliable(confidence, right, corpora, 0.8) > 0.5


def test_the_threshold_is_reliable_only_where_each_fold_is_a_corpus():
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    right = np.array([1, 1, 0, 1, 0, 1], dtype=bool)
    corpora = np.array(["a", "b"] * 3)
    by_corpus = np.where(corpora == "a", 1, 2)
    assert unsure.fitted(confidence, right, by_corpus, corpora) == unsure.reliable(confidence, right, corpora)
    assert unsure.fitted(confidence, right, by_corpus, corpora) > unsure.threshold(confidence, right)
    for folds in (np.array([1, 1, 1, 2, 2, 2]), np.ones(6)):
        assert unsure.fitted(confidence, right, folds, corpora) == unsure.threshold(confidence, right)


def test_sure_answers_keep_a_lowest_threshold():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 200)
    probabilities = generator.dirichlet([1, 1, 1], 200) * 0.4 + 0.6 * np.eye(3)[truth]
    folds, corpora = np.repeat([1, 2], 100), np.repeat(["a", "b"], 100)
    after, sure = unsure.judged(probabilities, truth, folds, corpora)
    assert sure.all()
    limit = float(np.median(after.max(axis=1)))
    assert (unsure.judged(probabilities, truth, folds, corpora, limit)[1] == (after.max(axis=1) >= limit)).all()
