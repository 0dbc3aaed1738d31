"""Is one run of predicted numbers better than another on the same utterances?

As `serkit.evaluation.comparison` asks of classes: the interval of a difference is the jackknife's over speakers, and
the permutation test swaps the two runs' predictions speaker by speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serkit.errors import UserError
from serkit.evaluation.agreement import score, sums
from serkit.evaluation.comparison import MINIMUM_SPEAKERS, permutation_test, rows_of
from serkit.evaluation.intervals import by_speaker, by_utterance, jackknife, method, student
from serkit.evaluation.number_predictions import NumberPredictions


@dataclass(frozen=True)
class NumberComparison:
    """Two runs over the same utterances, in one target.

    Args:
        target: its name.
        n: number of predictions of each run that have a label of it.
        a: CCC of the first run.
        b: CCC of the second run.
        difference: a - b.
        low: lower end of the difference's 95 % interval.
        high: upper end.
        method: of the interval.
        p: two-sided p value of the permutation test.
        permutation: what was swapped, and how often.
    """

    target: str
    n: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    method: str
    p: float
    permutation: str


def compare(a: NumberPredictions, b: NumberPredictions, level: float = 0.95, seed: int = 0) -> list[NumberComparison]:
    """Compare the CCC of two runs, target by target.

    Predictions are matched by utterance and repeat: the lowest seed of one run belongs to the lowest of the other.

    Args:
        a: the first run.
        b: the second run.
        level: of confidence of the interval, 0 to 1.
        seed: of the drawn permutations.

    Raises:
        UserError: the runs do not hold the same utterances, labels or targets; a target with a single utterance.
    """
    a, b = _match(a, b)
    return [_compare(a, b, column, level, seed) for column in range(len(a.targets))]


def _compare(a: NumberPredictions, b: NumberPredictions, column: int, level: float, seed: int) -> NumberComparison:
    """Compare two runs in the same order in one target, over the utterances that have a label of it."""
    known = np.isfinite(a.truth[:, column])
    if len({name for name, there in zip(a.ids, known, strict=True) if there}) < 2:
        raise UserError(f"fewer than two utterances have a label of '{a.targets[column]}': nothing to agree with")
    a, b = a.select(known), b.select(known)
    clusters = by_speaker(a)
    few = clusters.unit == "speaker" and clusters.count < MINIMUM_SPEAKERS
    swapped = by_utterance(a, f"only {clusters.count} speakers: says nothing about others") if few else clusters
    counts, exchanged = (
        np.stack([sums(run.truth[:, column], run.values[:, column], groups.numbers) for run in (a, b)], axis=1)
        for groups in (clusters, swapped)
    )
    values = score("ccc", counts.sum(axis=0))
    half = student(clusters.count - 1, level) * np.sqrt(jackknife(_difference, counts))
    p, permutation = permutation_test(exchanged, _difference, swapped, seed)
    difference = float(values[0] - values[1])
    return NumberComparison(
        target=a.targets[column],
        n=len(a),
        a=float(values[0]),
        b=float(values[1]),
        difference=difference,
        low=difference - float(half),
        high=difference + float(half),
        method=method(clusters),
        p=p,
        permutation=permutation,
    )


def _difference(counts: np.ndarray) -> np.ndarray:
    """Return the CCC of the first run less that of the second, from sums (..., 2, 7)."""
    values = score("ccc", counts)
    return values[..., 0] - values[..., 1]


def _match(a: NumberPredictions, b: NumberPredictions) -> tuple[NumberPredictions, NumberPredictions]:
    """Bring both runs into the same order."""
    if a.targets != b.targets:
        raise UserError(
            f"runs with different targets cannot be compared: {', '.join(a.targets)} and {', '.join(b.targets)}"
        )
    order_a, order_b = rows_of(a, b)
    a, b = a.select(order_a), b.select(order_b)
    wrong = np.flatnonzero(~np.isclose(a.truth, b.truth, rtol=0, atol=0, equal_nan=True).all(axis=1))
    if len(wrong):
        raise UserError(f"the runs disagree about the labels of {len(wrong)} of {len(a)} predictions")
    return a, b
