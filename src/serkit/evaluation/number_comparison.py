"""Is one run of predicted numbers better than another on the same utterances?

As `serkit.evaluation.comparison` asks of classes: the interval of a difference is the jackknife's over speakers, and
the permutation test swaps the two runs' predictions speaker by speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serkit.errors import UserError
from serkit.evaluation.agreement import score
from serkit.evaluation.comparison import MINIMUM_SPEAKERS, permutation_test, rows_of
from serkit.evaluation.intervals import by_speaker, by_utterance, jackknife, method, student
from serkit.evaluation.number_predictions import NumberPredictions
from serkit.evaluation.number_scores import tables


@dataclass(frozen=True)
class NumberComparison:
    """Two runs over the same utterances, in one target.

    Args:
        target: its name.
        n: number of predictions of each run.
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
        UserError: the runs do not hold the same utterances, labels or targets; a single utterance.
    """
    a, b = _match(a, b)
    clusters = by_speaker(a)
    if clusters.count < 2:
        raise UserError("the runs predict one utterance: agreement needs two at least")
    few = clusters.unit == "speaker" and clusters.count < MINIMUM_SPEAKERS
    swapped = by_utterance(a, f"only {clusters.count} speakers: says nothing about others") if few else clusters
    counts, exchanged = (
        np.stack([tables(run.truth, run.values, groups.numbers) for run in (a, b)], axis=1)
        for groups in (clusters, swapped)
    )
    found = []
    for column, target in enumerate(a.targets):
        of_target = counts[:, :, column]
        values = score("ccc", of_target.sum(axis=0))
        half = student(clusters.count - 1, level) * np.sqrt(jackknife(_difference, of_target))
        p, permutation = permutation_test(exchanged[:, :, column], _difference, swapped, seed)
        difference = float(values[0] - values[1])
        found.append(
            NumberComparison(
                target=target,
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
        )
    return found


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
