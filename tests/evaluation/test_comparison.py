import itertools

import numpy as np
import pytest
from scipy import stats

from serkit.errors import UserError
from serkit.evaluation import comparison, metrics
from serkit.evaluation.comparison import compare


def random_runs(make, speakers, each, seed=0, better=0.0):
    """Two runs of 60 % accuracy, the second better by `better`."""
    generator = np.random.default_rng(seed)
    count = speakers * each
    truth = generator.integers(3, size=count)
    answers = [np.where(generator.random(count) < share, truth, (truth + 1) % 3) for share in (0.6, 0.6 + better)]
    names = [f"x/{number // each}" for number in range(count)]
    return tuple(make(truth, answer, names) for answer in answers)


def brute_force(a, b, metric, units):
    """Go through all swaps of whole units; the p value by its definition."""
    score = getattr(metrics, metric)
    observed = abs(score(a.truth, a.predicted) - score(b.truth, b.predicted))
    units = np.array(units)
    names = np.unique(units)
    as_large = 0
    for swap in itertools.product([False, True], repeat=len(names)):
        swapped = np.isin(units, names[np.array(swap)])
        first = np.where(swapped, b.predicted, a.predicted)
        second = np.where(swapped, a.predicted, b.predicted)
        as_large += abs(score(a.truth, first) - score(a.truth, second)) >= observed - 1e-12
    return as_large / 2 ** len(names)


@pytest.mark.parametrize("metric", ["accuracy", "uar", "macro_f1"])
def test_speakers_are_swapped_in_every_way(make, metric):
    a, b = random_runs(make, 8, 5, seed=3, better=0.2)
    found = compare(a, b, metric)
    assert found.p == pytest.approx(brute_force(a, b, metric, a.speakers))
    assert found.permutation == "all 256 swaps of the 8 of 8 speakers on which the runs differ"
    score = getattr(metrics, metric)
    assert found.a == pytest.approx(score(a.truth, a.predicted))
    assert found.difference == pytest.approx(score(a.truth, a.predicted) - score(b.truth, b.predicted))


def test_with_few_speakers_utterances_are_swapped(make):
    a, b = random_runs(make, 4, 3, seed=1)
    found = compare(a, b, "uar")
    differ = int((a.predicted != b.predicted).sum())
    assert found.p == pytest.approx(brute_force(a, b, "uar", a.ids))
    assert found.permutation == (
        f"all {2**differ} swaps of the {differ} of 12 utterances on which the runs differ "
        "(only 4 speakers: says nothing about others)"
    )
    assert found.clusters == 4 and "leave-one-speaker-out" in found.method


def test_many_clusters_are_swapped_at_random_with_nearly_the_same_result(make):
    a, b = random_runs(make, 16, 24, seed=8, better=0.08)
    found = compare(a, b, "accuracy")
    assert found.permutation == "10000 random swaps of the 16 of 16 speakers on which the runs differ"
    # Swapping a speaker turns the sign of its part of the difference: all 65536 signs, with plain sums.
    parts = ((a.predicted == a.truth).astype(int) - (b.predicted == b.truth)).reshape(16, 24).sum(axis=1)
    sums = np.array(list(itertools.product([-1, 1], repeat=16))) @ parts
    expected = (abs(sums) >= abs(parts.sum())).mean()
    assert 0.02 < expected < 0.5
    assert found.p == pytest.approx(expected, abs=0.015)
    assert compare(a, b, "accuracy").p == found.p
    assert compare(a, b, "accuracy", seed=1).p != found.p


def test_a_random_p_value_is_never_zero(make):
    truth = np.arange(400) % 3
    speakers = [f"x/{number // 20}" for number in range(400)]
    found = compare(make(truth, truth, speakers), make(truth, (truth + 1) % 3, speakers), "accuracy")
    assert (found.a, found.b, found.difference) == (1.0, 0.0, 1.0)
    assert found.p == pytest.approx(1 / 10_001)
    assert found.mcnemar < 1e-100


def test_equal_runs_do_not_differ(make):
    a, _ = random_runs(make, 8, 5)
    found = compare(a, a)
    assert (found.difference, found.low, found.high, found.p, found.mcnemar) == (0, 0, 0, 1, 1)


def test_swapping_the_runs_turns_the_difference(make):
    a, b = random_runs(make, 10, 8, seed=2, better=0.2)
    there, back = compare(a, b), compare(b, a)
    assert there.difference == pytest.approx(-back.difference) and there.difference < 0
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))
    assert (there.p, there.mcnemar) == (pytest.approx(back.p), pytest.approx(back.mcnemar))


def test_the_interval_of_a_difference_in_accuracy_is_that_of_a_t_test(make):
    a, b = random_runs(make, 10, 20, seed=4, better=0.2)
    right = [(run.predicted == run.truth).reshape(10, 20).mean(axis=1) for run in (a, b)]
    expected = stats.ttest_rel(*right).confidence_interval(0.95)
    found = compare(a, b, "accuracy")
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_interval_is_never_narrower_than_for_independent_pairs(make):
    # In each of 4 speakers the first run alone gets 3 right, the second alone 1: no spread at all.
    speakers = [name for name in "stuv" for _ in range(10)]
    a, b = (
        make([0] * 40, ([0] * 3 + [1] * 7) * 4, speakers),
        make([0] * 40, ([1] * 3 + [0] + [1] * 6) * 4, speakers),
    )
    found = compare(a, b, "accuracy")
    half = 1.959964 * np.sqrt((16 / 40 - 0.2**2) / 40)
    assert (found.low, found.high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


def test_mcnemar_is_a_sign_test_of_what_one_run_alone_gets_right(make):
    # 9 only the first, 2 only the second, 5 both, 4 neither.
    first, second = [0] * 9 + [1] * 2 + [0] * 5 + [1] * 4, [1] * 9 + [0] * 2 + [0] * 5 + [1] * 4
    found = compare(make([0] * 20, first), make([0] * 20, second), "accuracy")
    assert found.mcnemar == pytest.approx(stats.binomtest(2, 11).pvalue)


def test_seeds_of_an_utterance_are_one_trial(make):
    first, second = [0] * 9 + [1] * 2 + [0] * 9, [1] * 9 + [0] * 2 + [0] * 9
    ids = [f"x/{number}" for number in range(20)]
    a, b = (
        make([0] * 60, answers * 3, ids=ids * 3, seeds=[0] * 20 + [1] * 20 + [2] * 20) for answers in (first, second)
    )
    found = compare(a, b, "accuracy")
    assert found.mcnemar == pytest.approx(stats.binomtest(2, 11).pvalue)
    assert (found.n, found.clusters) == (60, 20)
    assert found.permutation.startswith("all 2048 swaps of the 11 of 20 utterances")


def test_predictions_are_matched_by_utterance_and_repeat(make):
    ids = ["x/1", "x/2", "x/3", "x/1", "x/2", "x/3"]
    a = make([0, 1, 2] * 2, [0, 1, 2, 0, 0, 0], ids=ids, seeds=[0, 0, 0, 1, 1, 1])
    order = np.array([4, 2, 0, 5, 1, 3])
    b = make([0, 1, 2] * 2, [0, 1, 2, 0, 0, 0], ids=ids, seeds=[10, 10, 10, 30, 30, 30]).select(order)
    found = compare(a, b, "accuracy")
    assert (found.n, found.difference, found.p, found.mcnemar) == (6, 0, 1, 1)
    assert (found.low, found.high) == (0, 0)


def test_runs_that_do_not_match_are_refused(make):
    a = make([0, 1, 2], [0, 1, 2], ids=["x/1", "x/2", "x/3"])
    with pytest.raises(UserError) as error:
        compare(a, make([0, 1], [0, 1], ids=["x/1", "x/9"]))
    assert "2 of 3 are only in the first, 1 of 2 only in the second" in str(error.value)
    assert "('x/2' of repeat 1 and 'x/9' of repeat 1)" in str(error.value)
    with pytest.raises(UserError, match="the runs have different labels for 1 of 3 predictions \\(first: 'x/3'\\)"):
        compare(a, make([0, 1, 1], [0, 1, 2], ids=["x/1", "x/2", "x/3"]))
    with pytest.raises(UserError, match="different classes cannot be compared: a, b, c, d and a, b, c"):
        compare(a, make([0, 1, 2], [0, 1, 2], ids=["x/1", "x/2", "x/3"], classes="abc"))
    with pytest.raises(UserError, match="the second run tests 1 utterances again with the same seed"):
        compare(a, make([0, 1, 2], [0, 1, 2], ids=["x/1", "x/2", "x/2"]))


def test_one_utterance_says_nothing(make):
    found = compare(make([0], [0]), make([0], [1]))
    assert (found.difference, found.low, found.high, found.p, found.mcnemar) == (1, -1, 1, 1, 1)


def test_random_swaps_take_bounded_memory_and_are_the_same_in_any_blocks(monkeypatch):
    whole = np.random.default_rng(3).integers(2, size=(comparison.DRAWS, 17))
    for block in (17, 17 * 999, 17 * comparison.DRAWS):
        monkeypatch.setattr(comparison, "_BLOCK", block)
        blocks = list(comparison._swaps(17, False, 3))
        assert max(found.size for found in blocks) <= block
        np.testing.assert_array_equal(np.concatenate(blocks), whole)
