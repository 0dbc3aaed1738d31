"""The metrics of classes, from confusion matrices, and of numbers, from sums. A new metric is an entry in one of two
tables.

Papers use conflicting names: "weighted accuracy" is `accuracy`, and "unweighted accuracy" is mostly `uar`. Moments of
numbers are divided by n, not n - 1, as Lin defines the sample's coefficient.

Source: Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 45:255 (1989).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from serkit.errors import unknown
from serkit.writing import percent

# Perfect agreement has an infinite z, and an error of 0 has an infinite logarithm.
_NEAR_ONE = 1 - 1e-12
_NEAR_ZERO = 1e-12


@dataclass(frozen=True)
class Scale:
    """The scale on which a metric's interval is computed.

    Args:
        there: function from the metric's values to the scale, on which errors are nearly normal.
        back: function from the scale to valid values of the metric.
    """

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


#: For shares, which have Wilson's interval (see `serkit.evaluation.intervals`).
SHARE = Scale(lambda share: share, lambda share: np.clip(share, 0, 1))
#: For correlations; Lin 1989 uses it for CCC too.
FISHER = Scale(lambda value: np.arctanh(np.clip(value, -_NEAR_ONE, _NEAR_ONE)), np.tanh)
#: For errors, which are not negative.
LOGARITHM = Scale(lambda error: np.log(np.maximum(error, _NEAR_ZERO)), np.exp)


@dataclass(frozen=True)
class Metric:
    """A measure of the quality of predictions.

    Args:
        key: name in files and options.
        name: name for people.
        of: function from counts of predictions to the value: confusion matrices (..., classes, classes) -> (...), or
            sums of numbers (..., targets, 7) -> (...), the mean over the targets with labels.
        unit: `%` for a share, shown times 100; `label` for the labels' own unit; empty for a plain number.
        scale: scale of its interval.
    """

    key: str
    name: str
    of: Callable[[np.ndarray], np.ndarray]
    unit: Literal["%", "label", ""]
    scale: Scale

    @property
    def heading(self) -> str:
        """The name with the unit, for the head of a column."""
        return f"{self.name} %" if self.unit == "%" else self.name

    def text(self, value: float | None, sign: Literal["", "+"] = "") -> str:
        """Format a value, or a difference with its sign, without the unit; None yields an empty text.

        >>> CLASSES["uar"].text(0.5), NUMBERS["ccc"].text(0.5, "+")
        ('50.0', '+0.500')
        """
        if value is None:
            return ""
        return percent(value, sign) if self.unit == "%" else f"{value:{sign}.3f}"

    def amount(self, value: float | None) -> str:
        """Format a value with its unit: `50.0%`; None yields an empty text."""
        return self.text(value) + ("%" if self.unit == "%" and value is not None else "")

    def in_words(self, value: float) -> str:
        """Format the name and a value with its unit.

        >>> CLASSES["uar"].in_words(0.5)
        'UAR 50.0%'
        """
        return f"{self.name} {self.amount(value)}"

    def range(self, low: float | None, high: float | None, sign: Literal["", "+"] = "") -> str:
        """Format the ends of an interval; None yields an empty text.

        >>> CLASSES["uar"].range(0.5, 0.6), NUMBERS["ccc"].range(-0.1, 0.2)
        ('50.0–60.0', '-0.100 to 0.200')
        """
        if low is None or high is None:
            return ""
        # A dash next to a minus would be hard to read.
        dash = "–" if self.unit == "%" and not sign else " to "
        return f"{self.text(low, sign)}{dash}{self.text(high, sign)}"


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the share of right predictions; both arguments are class indices of shape (n,), n > 0."""
    return float(score("accuracy", confusion(truth, predicted)))


def uar(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the unweighted average recall: mean of the recalls of the classes that occur in `truth`."""
    return float(score("uar", confusion(truth, predicted)))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean of the classes' F1, over the classes that occur in `truth` or `predicted`.

    The F1 of a class that is never right is 0 (`zero_division=0` in scikit-learn).
    """
    return float(score("macro_f1", confusion(truth, predicted)))


def ccc(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the concordance correlation coefficient, -1 to 1: 2 cov / (var + var + (difference of means)²).

    The value is 1 if all predictions equal the labels, and 0 if neither series varies.

    Args:
        truth: labels, shape (n,), n > 0; NaN does not count.
        predicted: shape (n,).
    """
    one = np.zeros(len(truth), dtype=int)
    return float(score("ccc", sums(truth[:, None], predicted[:, None], one)[0]))


def recalls(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return the recall of each class, shape (classes,); NaN for a class that does not occur."""
    counts = confusion(truth, predicted, classes)
    return _divide(_right(counts), counts.sum(axis=-1), empty=np.nan)


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int | None = None) -> np.ndarray:
    """Count the predictions, with true classes in rows and predicted classes in columns.

    Args:
        truth: class indices, shape (n,).
        predicted: class indices, shape (n,).
        classes: number of classes; None: the number that occurs.

    Returns:
        int64, shape (classes, classes).
    """
    values: np.ndarray = confusions(truth, predicted, np.zeros(len(truth), dtype=int), classes)[0]
    return values


def confusions(
    truth: np.ndarray, predicted: np.ndarray, clusters: np.ndarray, classes: int | None = None
) -> np.ndarray:
    """Count the predictions of each cluster separately.

    Args:
        truth, predicted, classes: as in `confusion`.
        clusters: number of the cluster of each prediction, from 0, shape (n,).

    Returns:
        int64, shape (clusters, classes, classes).
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    classes = classes or int(max(truth.max(), predicted.max())) + 1
    groups = int(clusters.max()) + 1
    cells = (clusters * classes + truth) * classes + predicted
    return np.bincount(cells, minlength=groups * classes**2).reshape(groups, classes, classes)


def sums(truth: np.ndarray, predicted: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return the sums of each cluster for the metrics of numbers; the sums of clusters add up.

    Args:
        truth: labels, shape (n, targets); pairs without a label (NaN) are left out.
        predicted: shape (n, targets).
        clusters: number of the cluster of each prediction, from 0, shape (n,).

    Returns:
        float64, shape (clusters, targets, 7): n, and the sums of t, p, t², p², t p and `|t - p|`.
    """
    columns = zip(truth.T, predicted.T, strict=True)
    return np.stack([_sums(labels, values, clusters) for labels, values in columns], axis=1)


def _sums(truth: np.ndarray, predicted: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    known = np.isfinite(truth)
    numbers = clusters[known]
    # A common shift does not change a metric, but near 0 the differences of squares lose less precision.
    center = truth[known].mean() if known.any() else 0.0
    t, p = truth[known].astype(np.float64) - center, predicted[known].astype(np.float64) - center
    terms = (np.ones_like(t), t, p, t * t, p * p, t * p, np.abs(t - p))
    count = int(clusters.max()) + 1
    return np.stack([np.bincount(numbers, weights=term, minlength=count) for term in terms], axis=1)


def score(metric: str, counts: np.ndarray) -> np.ndarray:
    """Return the value of a metric from counts of predictions; see `Metric.of`.

    Raises:
        UserError: the metric is unknown.
    """
    return named(metric).of(counts)


def named(metric: str, among: Mapping[str, Metric] | None = None) -> Metric:
    """Return a metric by its key from a table, or without a table from `CLASSES` or `NUMBERS`.

    Raises:
        UserError: the metric is unknown.
    """
    among = METRICS if among is None else among
    if metric not in among:
        raise unknown("metric", metric, among)
    return among[metric]


def _accuracy(counts: np.ndarray) -> np.ndarray:
    values: np.ndarray = _right(counts).sum(axis=-1) / counts.sum(axis=(-2, -1))
    return values


def _uar(counts: np.ndarray) -> np.ndarray:
    occurrences = counts.sum(axis=-1)
    values: np.ndarray = _divide(_right(counts), occurrences).sum(axis=-1) / (occurrences > 0).sum(axis=-1)
    return values


def _macro_f1(counts: np.ndarray) -> np.ndarray:
    # F1 = 2 TP / (2 TP + FP + FN): the denominator is row sum plus column sum.
    both = counts.sum(axis=-1) + counts.sum(axis=-2)
    values: np.ndarray = _divide(2 * _right(counts), both).sum(axis=-1) / (both > 0).sum(axis=-1)
    return values


def _over_targets(metric: Callable[..., np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the mean of a metric over the targets with labels."""

    def mean(counts: np.ndarray) -> np.ndarray:
        rated = counts[..., 0] > 0
        values = np.where(rated, metric(*np.moveaxis(counts, -1, 0)), 0)
        result: np.ndarray = values.sum(axis=-1) / np.maximum(rated.sum(axis=-1), 1)
        return result

    return mean


def _ccc(
    n: np.ndarray, t: np.ndarray, p: np.ndarray, tt: np.ndarray, pp: np.ndarray, tp: np.ndarray, _: np.ndarray
) -> np.ndarray:
    covariance, of_truth, of_predicted = _moments(n, t, p, tt, pp, tp)
    return _divide(2 * covariance, of_truth + of_predicted + np.square(_divide(t - p, n)))


def _pearson(
    n: np.ndarray, t: np.ndarray, p: np.ndarray, tt: np.ndarray, pp: np.ndarray, tp: np.ndarray, _: np.ndarray
) -> np.ndarray:
    covariance, of_truth, of_predicted = _moments(n, t, p, tt, pp, tp)
    return _divide(covariance, np.sqrt(of_truth * of_predicted))


def _rmse(
    n: np.ndarray, t: np.ndarray, p: np.ndarray, tt: np.ndarray, pp: np.ndarray, tp: np.ndarray, _: np.ndarray
) -> np.ndarray:
    values: np.ndarray = np.sqrt(np.maximum(_divide(tt - 2 * tp + pp, n), 0.0))
    return values


def _mae(
    n: np.ndarray, t: np.ndarray, p: np.ndarray, tt: np.ndarray, pp: np.ndarray, tp: np.ndarray, distance: np.ndarray
) -> np.ndarray:
    return _divide(distance, n)


def _moments(
    n: np.ndarray, t: np.ndarray, p: np.ndarray, tt: np.ndarray, pp: np.ndarray, tp: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariance and both variances, which are never negative despite rounding."""
    mean_t, mean_p = _divide(t, n), _divide(p, n)
    variances = (np.maximum(_divide(s, n) - mean**2, 0.0) for s, mean in ((tt, mean_t), (pp, mean_p)))
    return _divide(tp, n) - mean_t * mean_p, *variances


def _right(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _divide(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    # A variance due to rounding errors counts as 0.
    shape = np.broadcast(part, whole).shape
    values: np.ndarray = np.divide(part, whole, out=np.full(shape, empty), where=np.abs(whole) > 1e-24)
    return values


def _table(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.key: metric for metric in metrics}


#: By key. Runs are chosen and compared by the first metric of each table.
CLASSES = _table(
    Metric("uar", "UAR", _uar, "%", SHARE),
    Metric("accuracy", "accuracy", _accuracy, "%", SHARE),
    Metric("macro_f1", "macro F1", _macro_f1, "%", SHARE),
)
NUMBERS = _table(
    Metric("ccc", "CCC", _over_targets(_ccc), "", FISHER),
    Metric("pearson", "Pearson", _over_targets(_pearson), "", FISHER),
    Metric("rmse", "RMSE", _over_targets(_rmse), "label", LOGARITHM),
    Metric("mae", "MAE", _over_targets(_mae), "label", LOGARITHM),
)
METRICS = {**CLASSES, **NUMBERS}
