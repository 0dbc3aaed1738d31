import numpy as np
import pytest
from scipy import stats

from serkit.errors import UserError
from serkit.evaluation import metrics
from serkit.evaluation.repeats import effect, over_folds, over_seeds


def test_without_overlap_it_is_students_t_test():
    differences = [0.02, 0.05, -0.01, 0.03]
    expected = stats.ttest_1samp(differences, 0)
    interval = expected.confidence_interval(0.95)
    found = effect(differences)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.mean, found.low, found.high) == (
        pytest.approx(0.0225),
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )


def test_overlap_widens_by_hand():
    # s^2 of 1, 2, 3 is 1; 1/3 + 1/9 = 4/9, so the error is 2/3 and t = 3; Student's quantile for 2 degrees is 4.302653.
    found = effect([1.0, 2.0, 3.0], overlap=1 / 9)
    assert (found.low, found.high) == (pytest.approx(2 - 4.302653 * 2 / 3), pytest.approx(2 + 4.302653 * 2 / 3))
    assert found.p == pytest.approx(2 * stats.t.sf(3, 2))
    assert found.overlap == 1 / 9


def test_differences_that_are_all_alike():
    assert effect([0.0, 0.0]).p == 1
    found = effect([0.25, 0.25])
    assert (found.p, found.low, found.high) == (0, 0.25, 0.25)


@pytest.fixture
def runs(make):
    """Two runs of 3 seeds over 12 utterances of 4 speakers, each speaker a fold; the seeds are numbered unlike."""
    generator = np.random.default_rng(2)
    truth = np.tile(np.arange(12) % 3, 3)
    answers = [np.where(generator.random(36) < share, truth, (truth + 1) % 3) for share in (0.8, 0.5)]
    ids = [f"x/{number}" for number in range(12)] * 3
    found = []
    for answer, seeds in zip(answers, ((0, 1, 2), (7, 8, 9)), strict=True):
        run = make(truth, answer, ids=ids, seeds=np.repeat(seeds, 12))
        run.folds[:] = np.tile(np.arange(12) // 3 + 1, 3)
        found.append(run)
    return found


def uar(run, rows):
    return metrics.uar(run.truth[rows], run.predicted[rows])


def test_over_seeds_each_seed_is_scored_over_all_its_utterances(runs):
    a, b = runs
    found = over_seeds(a, b)
    expected = [uar(a, a.seeds == seed) - uar(b, b.seeds == seed + 7) for seed in (0, 1, 2)]
    assert found.differences == pytest.approx(expected)
    assert found.p == pytest.approx(stats.ttest_1samp(expected, 0).pvalue)
    assert found.overlap == 0


def test_over_folds_each_fold_of_each_seed_is_one(runs):
    a, b = runs
    found = over_folds(a, b, overlap=1 / 3)
    expected = [
        uar(a, (a.seeds == seed) & (a.folds == fold)) - uar(b, (b.seeds == seed + 7) & (b.folds == fold))
        for seed in (0, 1, 2)
        for fold in (1, 2, 3, 4)
    ]
    assert found.differences == pytest.approx(expected)
    error = np.std(expected, ddof=1) * np.sqrt(1 / 12 + 1 / 3)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(np.mean(expected)) / error, 11))


def test_where_there_is_nothing_to_compare(runs, make):
    a, b = runs
    first = a.select(a.seeds == 0)
    assert over_seeds(first, b.select(b.seeds == 7)) is None
    other = b.select(b.seeds == 7)
    other.folds[:] = 1
    assert over_folds(first, other, 0.25) is None
    with pytest.raises(UserError, match="do not hold the same predictions"):
        over_seeds(a, other)
