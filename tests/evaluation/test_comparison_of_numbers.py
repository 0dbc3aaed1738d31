import dataclasses

import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation.comparison import compare, compare_parts
from serkit.evaluation.metrics import ccc
from serkit.evaluation.predictions import NumberPredictions
from serkit.evaluation.repeats import over_folds, over_seeds


def made(noise, speakers=10, seed=0, shuffled=False):
    """A run over the same utterances whatever the noise."""
    generator = np.random.default_rng(0)
    truth = generator.normal(0, 1, (speakers * 6, 1))
    values = truth + np.random.default_rng(seed + 1).normal(0, noise, truth.shape)
    order = np.random.default_rng(5).permutation(len(truth)) if shuffled else np.arange(len(truth))
    return NumberPredictions(
        ids=tuple(f"one/{n:03}" for n in order),
        speakers=tuple(f"one/s{n // 6}" for n in order),
        truth=truth[order],
        values=values[order],
        targets=("valence",),
        folds=np.ones(len(truth), dtype=int),
        seeds=np.full(len(truth), seed),
    )


def test_a_clear_difference_is_seen_whatever_the_order():
    a, b = made(0.2), made(1.5, seed=1, shuffled=True)
    [(target, found)] = compare_parts(a, b).items()
    assert (target, found.metric, found.n, found.mcnemar) == ("valence", "ccc", 60, None)
    assert found.a == pytest.approx(ccc(a.truth[:, 0], a.values[:, 0]))
    assert found.b == pytest.approx(ccc(b.truth[:, 0], b.values[:, 0]))
    assert found.difference == pytest.approx(found.a - found.b)
    assert 0 < found.low < found.difference < found.high
    # Ten speakers, of all 1024 swaps only those of all or none are as far apart.
    assert found.p == pytest.approx(2 / 1024) and "all 1024 swaps of the 10 of 10 speakers" in found.permutation


def test_a_run_does_not_differ_from_itself():
    found = compare(made(0.5), made(0.5))
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_equal_runs_are_rarely_called_different():
    """Of two runs with the same error, p below 0.05 in about 5 % of 60 draws."""
    below = 0
    for seed in range(60):
        found = compare(made(1.0, seed=2 * seed), made(1.0, seed=2 * seed + 1))
        below += found.p < 0.05
    assert below <= 8


def test_utterances_without_a_label_count_for_nothing():
    a, b = made(0.2), made(1.0, seed=1)
    for run in (a, b):
        run.truth[30:] = np.nan
    found = compare_parts(a, b)
    assert found == compare_parts(a.select(np.arange(30)), b.select(np.arange(30)))
    assert found["valence"].n == 30 and "4 degrees" in found["valence"].method
    a.truth[1:] = b.truth[1:] = np.nan
    with pytest.raises(UserError, match="fewer than two utterances have a label of 'valence'"):
        compare_parts(a, b)


def test_few_speakers_are_named():
    found = compare(made(0.2, speakers=4), made(1.0, speakers=4, seed=1))
    assert "only 4 speakers: says nothing about others" in found.permutation and "utterances" in found.permutation


def test_other_utterances_labels_or_targets_are_refused():
    a = made(0.2)
    with pytest.raises(UserError, match="different targets"):
        compare(a, dataclasses.replace(made(1.0), targets=("arousal",)))
    with pytest.raises(UserError, match="do not hold the same predictions"):
        compare(a, made(1.0).select(np.arange(50)))
    with pytest.raises(UserError, match="the runs have different labels for 60 of 60"):
        compare(a, dataclasses.replace(made(1.0), truth=a.truth + 1))


def test_other_metrics_seeds_and_folds_are_compared_too():
    a, b = made(0.2), made(1.0)
    found = compare(a, b, "rmse")
    assert found.a == pytest.approx(np.sqrt(np.mean((a.truth - a.values) ** 2))) and found.difference < 0
    assert found.low < found.difference < found.high < 0
    with pytest.raises(UserError, match="unknown metric 'uar'"):
        compare(a, b, "uar")
    folds = np.arange(60) % 2 + 1
    halves = over_folds(dataclasses.replace(a, folds=folds), dataclasses.replace(b, folds=folds), overlap=1.0)
    expected = [a.select(folds == fold).value() - b.select(folds == fold).value() for fold in (1, 2)]
    assert halves.differences == pytest.approx(expected)
    assert over_seeds(a, b) is None
