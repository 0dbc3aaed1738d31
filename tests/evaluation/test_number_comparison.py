import dataclasses

import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation.agreement import ccc
from serkit.evaluation.number_comparison import compare
from serkit.evaluation.number_predictions import NumberPredictions


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
    [found] = compare(a, b)
    assert (found.target, found.n) == ("valence", 60)
    assert found.a == pytest.approx(ccc(a.truth[:, 0], a.values[:, 0]))
    assert found.b == pytest.approx(ccc(b.truth[:, 0], b.values[:, 0]))
    assert found.difference == pytest.approx(found.a - found.b)
    assert 0 < found.low < found.difference < found.high
    # Ten speakers, of all 1024 swaps only those of all or none are as far apart.
    assert found.p == pytest.approx(2 / 1024) and "all 1024 swaps of the 10 of 10 speakers" in found.permutation


def test_a_run_does_not_differ_from_itself():
    [found] = compare(made(0.5), made(0.5))
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_equal_runs_are_rarely_called_different():
    """Of two runs with the same error, p below 0.05 in about 5 % of 60 draws."""
    below = 0
    for seed in range(60):
        [found] = compare(made(1.0, seed=2 * seed), made(1.0, seed=2 * seed + 1))
        below += found.p < 0.05
    assert below <= 8


def test_utterances_without_a_label_count_for_nothing():
    a, b = made(0.2), made(1.0, seed=1)
    for run in (a, b):
        run.truth[30:] = np.nan
    assert compare(a, b) == compare(a.select(np.arange(30)), b.select(np.arange(30)))
    assert compare(a, b)[0].n == 30 and "4 degrees" in compare(a, b)[0].method
    a.truth[1:] = b.truth[1:] = np.nan
    with pytest.raises(UserError, match="fewer than two utterances have a label of 'valence'"):
        compare(a, b)


def test_few_speakers_are_named():
    [found] = compare(made(0.2, speakers=4), made(1.0, speakers=4, seed=1))
    assert "only 4 speakers: says nothing about others" in found.permutation and "utterances" in found.permutation


def test_other_utterances_labels_or_targets_are_refused():
    a = made(0.2)
    with pytest.raises(UserError, match="different targets"):
        compare(a, dataclasses.replace(made(1.0), targets=("arousal",)))
    with pytest.raises(UserError, match="do not hold the same predictions"):
        compare(a, made(1.0).select(np.arange(50)))
    with pytest.raises(UserError, match="disagree about the labels of 60 of 60"):
        compare(a, dataclasses.replace(made(1.0), truth=a.truth + 1))
