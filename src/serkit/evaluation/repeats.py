"""Tests whether a difference between two runs holds over trainings with other seeds or folds.

The intervals of `comparison` apply to new speakers; the tests here apply to new trainings. Neither replaces the other.
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
    """A difference measured several times.

    Args:
        differences: the measured differences.
        mean: mean of the differences.
        low: lower end of the mean's confidence interval.
        high: upper end.
        p: two-sided p value of Student's t test that the mean is 0.
        overlap: size of a test part divided by that of a training part, for the correction of the variance; 0: no
            correction.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    p: float
    overlap: float


def effect(differences: Sequence[float], overlap: float = 0.0, level: float = 0.95) -> Effect:
    """Test a mean difference with Student's t, corrected for training parts that overlap.

    Trainings on overlapping parts are similar, so their spread underestimates that of new trainings. The variance of
    the mean is therefore s^2 (1 / n + overlap) instead of s^2 / n.

    Sources: Nadeau and Bengio, Inference for the generalization error, Machine Learning 52:239 (2003), section 4,
    for parts drawn at random; Bouckaert and Frank, PAKDD 2004, for repeated cross-validation.

    Args:
        differences: n differences, at least two.
        overlap: size of a test part divided by that of a training part; 0 if trainings differ only in their seeds.
        level: confidence level, 0 to 1.
    """
    values = np.asarray(differences, dtype=float)
    mean, count = float(values.mean()), len(values)
    error = float(np.sqrt(values.var(ddof=1) * (1 / count + overlap)))
    half = student(count - 1, level) * error
    # Equal differences have no variance, and are significant unless they are 0.
    p = 2 * float(special.stdtr(count - 1, -abs(mean) / error)) if error else float(mean == 0)
    return Effect(tuple(values.tolist()), mean, mean - half, mean + half, p, overlap)


def over_seeds(a: P, b: P, metric: str | None = None, level: float = 0.95) -> Effect | None:
    """Compare two runs seed by seed over all utterances, to estimate the effect of other seeds on the same folds.

    All seeds share utterances and speakers, so the result does not apply to others.

    Returns:
        The effect, or None if there is only one seed.

    Raises:
        UserError: the runs do not hold the same predictions, or the metric is unknown.
    """
    return _over(a, b, metric, lambda run: np.unique(run.seeds, return_inverse=True)[1], 0.0, level)


def over_folds(a: P, b: P, overlap: float, metric: str | None = None, level: float = 0.95) -> Effect | None:
    """Compare two runs fold by fold, with the correction for training parts that overlap.

    Args:
        a: the first run.
        b: the second, with the same test parts.
        overlap: mean size of a test part divided by that of a training part.
        metric: key of a metric of the predictions, computed for each fold's test part; None: the first.
        level: confidence level, 0 to 1.

    Returns:
        The effect, or None if there is only one fold and seed, or the runs have different folds.

    Raises:
        UserError: the runs do not hold the same predictions, or the metric is unknown.
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
