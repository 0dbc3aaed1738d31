"""Comparison of two runs on the same utterances.

Tests by utterance (McNemar's test; the permutation test with few speakers) apply to new utterances of the same
speakers, not to new speakers. If two systems are equally good over all speakers but each is better for some of them,
such a test prefers one system in about a quarter of cases (measured with 4 to 24 speakers, p < 0.05). The interval and
the permutation test over speakers keep their 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special

from serkit.errors import UserError
from serkit.evaluation.intervals import Clusters, by_speaker, by_utterance, jackknife, method, student
from serkit.evaluation.metrics import SHARE
from serkit.evaluation.predictions import Answers, Predictions

P = TypeVar("P", bound=Answers)

#: With fewer speakers, swaps of whole speakers cannot yield a p value below 1 %.
MINIMUM_SPEAKERS = 8
#: Maximum number of clusters for which all swaps are computed (16384); with more, random swaps are drawn.
EXACT_CLUSTERS = 14
DRAWS = 10_000
# Number of clusters whose swaps are in memory at once, in 64 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs on the same utterances.

    Args:
        metric: the compared metric.
        n: number of predictions of each run.
        a: metric of the first run.
        b: metric of the second run.
        difference: a - b.
        low: lower end of the difference's 95 % interval; for a share, >= -1.
        high: upper end; for a share, <= 1.
        method: method of the interval.
        clusters: number of independent units of the interval.
        p: two-sided p value of the permutation test: the probability of a difference at least as large if the two runs
            were interchangeable.
        permutation: units and number of the swaps.
        mcnemar: two-sided p value of McNemar's exact test on accuracy, with utterances as independent units; None for
            numbers.
    """

    metric: str
    n: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    method: str
    clusters: int
    p: float
    permutation: str
    mcnemar: float | None


def compare(a: P, b: P, metric: str | None = None, level: float = 0.95, seed: int = 0) -> Comparison:
    """Compare two runs, prediction by prediction.

    Predictions are matched by utterance and repeat; the lowest seed of one run matches the lowest seed of the other.

    Args:
        a: the first run.
        b: the second run.
        metric: key of a metric of the predictions; None: the first.
        level: confidence level of the interval, 0 to 1.
        seed: seed of the random swaps.

    Raises:
        UserError: the runs do not hold the same utterances, truths, classes or targets; unknown metric.
    """
    a, b = match(a, b)
    measure, clusters = a.metric(metric), by_speaker(a)

    def difference(counts: np.ndarray) -> np.ndarray:
        values = measure.of(counts)
        result: np.ndarray = values[..., 0] - values[..., 1]
        return result

    both = _counts(a, b, clusters)
    values, found = measure.of(both.sum(axis=0)), float(difference(both.sum(axis=0)))
    few = clusters.unit == "speaker" and clusters.count < MINIMUM_SPEAKERS
    swapped = by_utterance(a, f"only {clusters.count} speakers: says nothing about others") if few else clusters
    p, permutation = permutation_test(_counts(a, b, swapped), difference, swapped, seed)
    low, high = -np.inf, np.inf
    if clusters.count > 1:
        half = student(clusters.count - 1, level) * np.sqrt(jackknife(difference, both))
        if isinstance(a, Predictions) and isinstance(b, Predictions):
            half = max(half, special.ndtri((1 + level) / 2) * _of_pairs(a, b, found))
        low, high = found - float(half), found + float(half)
    return Comparison(
        metric=measure.key,
        n=len(a),
        a=float(values[0]),
        b=float(values[1]),
        difference=found,
        low=max(-1.0, low) if measure.scale is SHARE else low,
        high=min(1.0, high) if measure.scale is SHARE else high,
        method=method(clusters),
        clusters=clusters.count,
        p=p,
        permutation=permutation,
        mcnemar=_mcnemar(a, b) if isinstance(a, Predictions) and isinstance(b, Predictions) else None,
    )


def compare_parts(a: P, b: P, level: float = 0.95, seed: int = 0) -> dict[str, Comparison]:
    """Compare two runs for each separate score: all classes (without a name), or each target of numbers by its name.

    Arguments and errors are those of `compare`; also raised if fewer than two utterances have a label of a target.
    """
    a, b = match(a, b)
    pairs = zip(a.parts(), b.parts(), strict=True)
    return {name: compare(of_a, of_b, level=level, seed=seed) for (name, of_a), (_, of_b) in pairs}


def match(a: P, b: P) -> tuple[P, P]:
    """Sort two runs into the same order, by utterance and repeat.

    Raises:
        UserError: the runs do not hold the same utterances, truths, classes or targets.
    """
    names = [getattr(run, run.names) for run in (a, b)]
    if names[0] != names[1]:
        differ = " and ".join(", ".join(of_run) for of_run in names)
        raise UserError(f"runs with different {a.names} cannot be compared: {differ}")
    order_a, order_b = rows_of(a, b)
    a, b = a.select(order_a), b.select(order_b)
    same = np.isclose(a.truth, b.truth, rtol=0, atol=0, equal_nan=True).reshape(len(a), -1).all(axis=1)
    wrong = np.flatnonzero(~same)
    if len(wrong):
        raise UserError(
            f"the runs have different labels for {len(wrong)} of {len(a)} predictions "
            f"(first: '{a.ids[wrong[0]]}'); compare runs with the same target and classes"
        )
    return a, b


def rows_of(a: Answers, b: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Return the matching rows of two runs, by utterance and repeat.

    Raises:
        UserError: the runs do not hold the same predictions.
    """
    rows_a, rows_b = _rows(a, "first"), _rows(b, "second")
    only_a, only_b = sorted(rows_a.keys() - rows_b.keys()), sorted(rows_b.keys() - rows_a.keys())
    if only_a or only_b:
        alone = [f"'{id}' of repeat {repeat + 1}" for id, repeat in only_a[:1] + only_b[:1]]
        examples = " and ".join(alone)
        raise UserError(
            f"the runs do not hold the same predictions: {len(only_a)} of {len(rows_a)} are only in the "
            f"first, {len(only_b)} of {len(rows_b)} only in the second ({examples}); "
            "compare runs of one protocol on the same corpora"
        )
    keys = sorted(rows_a)
    return np.array([rows_a[key] for key in keys]), np.array([rows_b[key] for key in keys])


def _rows(predictions: Answers, side: str) -> dict[tuple[str, int], int]:
    """Return the row of each utterance and repeat."""
    repeats = np.unique(predictions.seeds, return_inverse=True)[1]
    keys = list(zip(predictions.ids, repeats.tolist(), strict=True))
    rows = {key: row for row, key in enumerate(keys)}
    if len(rows) < len(keys):
        raise UserError(
            f"the {side} run tests {len(keys) - len(rows)} utterances again with the same seed; "
            "only runs that test an utterance once per seed can be compared"
        )
    return rows


def _counts(a: Answers, b: Answers, clusters: Clusters) -> np.ndarray:
    """Return the counts of each cluster and run, shape (clusters, 2, ...)."""
    return np.stack([run.counts(clusters.numbers) for run in (a, b)], axis=1)


def _of_pairs(a: Predictions, b: Predictions, difference: float) -> float:
    """Return the standard error of a difference of independent pairs (McNemar), from the pairs that only one run got
    right.

    Few speakers can have similar differences by chance, so an interval is never narrower than that for independent
    utterances.
    """
    unequal = np.mean((a.predicted == a.truth) != (b.predicted == b.truth))
    return float(np.sqrt(max(0.0, unequal - difference**2) / len(set(a.ids))))


def permutation_test(
    counts: np.ndarray, difference: Callable[[np.ndarray], np.ndarray], clusters: Clusters, seed: int
) -> tuple[float, str]:
    """Swap the runs' predictions cluster by cluster; return the p value and a description of the test.

    Args:
        counts: additive counts of each cluster and run, shape (clusters, 2, ...).
        difference: function from sums of shape (..., 2, ...) to the difference of the runs' metric.
        clusters: clusters of the predictions.
        seed: seed of the random swaps.
    """
    total = counts.sum(axis=0).astype(np.float64)
    exchange = (counts[:, 1] - counts[:, 0]).reshape(len(counts), -1).astype(np.float64)
    # A swap of clusters in which the runs agree has no effect; without these clusters, far fewer swaps are required.
    exchange = exchange[exchange.any(axis=1)]
    exact = len(exchange) <= EXACT_CLUSTERS
    observed = difference(total)
    as_large = swaps = 0
    for swap in _swaps(len(exchange), exact, seed):
        moved = (swap @ exchange).reshape(-1, *total.shape[1:])
        differences = difference(np.stack([total[0] + moved, total[1] - moved], axis=1))
        # Equal differences must count as equal despite rounding.
        as_large += int((np.abs(differences) >= abs(observed) - 1e-12).sum())
        swaps += len(swap)
    what = f"of the {len(exchange)} of {clusters.count} {clusters.unit}s on which the runs differ"
    what += f" ({clusters.why})" if clusters.why else ""
    if exact:
        return as_large / swaps, f"all {swaps} swaps {what}"
    # The identity is one of the possible swaps, so p is never 0.
    return (as_large + 1) / (swaps + 1), f"{swaps} random swaps {what}"


def _swaps(clusters: int, exact: bool, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks of swaps, 0 or 1, float64, shape (some, clusters)."""
    if exact:
        yield (np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1).astype(np.float64)
        return
    generator = np.random.default_rng(seed)
    most = max(1, _BLOCK // clusters)
    for done in range(0, DRAWS, most):
        yield generator.integers(2, size=(min(most, DRAWS - done), clusters)).astype(np.float64)


def _mcnemar(a: Predictions, b: Predictions) -> float:
    """Return the exact p value of the hypothesis that each run is better on half of the utterances that differ.

    With one seed, this is McNemar's test. With several, it is the sign test: a run is better on an utterance if more of
    its seeds are right, because seeds of an utterance are not independent trials.
    """
    numbers = by_utterance(a, "").numbers
    better = (a.predicted == a.truth).astype(int) - (b.predicted == b.truth)
    balance = np.bincount(numbers, weights=better)
    first, second = int((balance > 0).sum()), int((balance < 0).sum())
    return min(1.0, 2 * float(special.bdtr(min(first, second), first + second, 0.5)))
