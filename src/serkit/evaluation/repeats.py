"""Does a difference between two runs outlast the chance of training: other seeds, other folds?

The intervals of `comparison` are about speakers that were not tested; what is here is about trainings that were
not made. Neither stands for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from serkit.evaluation.comparison import P, match
from serkit.evaluation.intervals import student


@dataclass(frozen=True)
class Effect:
    """A difference that was measured several times.

    Args:
        differences: each of them.
        mean: of them.
        low: lower end of the mean's confidence interval.
        high: upper end.
        p: two-sided p value of Student's t test that the mean is 0.
        overlap: size of a test part over that of a training part, by which the variance was corrected; 0: it was not.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p: float
    overlap: float


def effect(differences: Sequence[float], overlap: float = 0.0, level: float = 0.95) -> Effect:
    """Test a mean difference with Student's t, corrected for training parts that overlap.

    Trainings on overlapping parts are alike, so their spread says too little about that of new ones: the variance
    of the mean is not s^2 / n but s^2 (1 / n + overlap).

    Sources: Nadeau and Bengio, Inference for the generalization error, Machine Learning 52:239 (2003), section 4,
    for parts drawn at random; Bouckaert and Frank, PAKDD 2004, for repeated cross-validation.

    Args:
        differences: n of them, at least two.
        overlap: size of a test part over that of a training part; 0 where trainings differ in nothing but chance.
        level: of confidence, 0 to 1.
    """
    values = np.asarray(differences, dtype=float)
    mean, count = float(values.mean()), len(values)
    error = float(np.sqrt(values.var(ddof=1) * (1 / count + overlap)))
    half = student(count - 1, level) * error
    # Differences that are all alike leave no doubt, unless they are 0.
    p = 2 * float(special.stdtr(count - 1, -abs(mean) / error)) if error else float(mean == 0)
    return Effect(tuple(values.tolist()), mean, mean - half, mean + half, p, overlap)


def over_seeds(a: P, b: P, metric: str | None = None, level: float = 0.95) -> Effect | None:
    """Compare two runs seed by seed, each over all its utterances: what other seeds would give on the same folds.

    The utterances and speakers are the same for all seeds, so it says nothing about others.

    Returns:
        None where there is only one seed.

    Raises:
        UserError: the runs do not hold the same predictions; unknown metric.
    """
    return _over(a, b, metric, lambda run: np.unique(run.seeds, return_inverse=True)[1], 0.0, level)


def over_folds(a: P, b: P, overlap: float, metric: str | None = None, level: float = 0.95) -> Effect | None:
    """Compare two runs fold by fold, with the correction for training parts that overlap.

    Args:
        a: the first run.
        b: the second, with the same test parts.
        overlap: size of a test part over that of a training part, on average.
        metric: key of one of the predictions' metrics, of each fold's test part; None: the first.
        level: of confidence, 0 to 1.

    Returns:
        None where there is only one fold and seed, or the runs have other folds.

    Raises:
        UserError: the runs do not hold the same predictions; unknown metric.
    """

    def folds(run: P) -> np.ndarray:
        repeats = np.unique(run.seeds, return_inverse=True)[1]
        return np.unique(repeats * (run.folds.max() + 1) + run.folds, return_inverse=True)[1]

    return _over(a, b, metric, folds, overlap, level)


def _over(
    a: P,
    b: P,
    metric: str | None,
    parts_of: Callable[[P], np.ndarray],
    overlap: float,
    level: float,
) -> Effect | None:
    """Compare part by part; `parts_of` numbers the part of each prediction from 0, shape (n,)."""
    a, b = match(a, b)
    parts = parts_of(a)
    if not np.array_equal(parts, parts_of(b)) or parts.max() < 1:
        return None
    values = [run.metric(metric).of(run.counts(parts)) for run in (a, b)]
    return effect(values[0] - values[1], overlap, level)
