"""The metrics: of classes from confusion matrices, of numbers from sums. A new one is an entry in one of two tables.

Papers name those of classes in conflicting ways: "weighted accuracy" is `accuracy`, "unweighted accuracy" mostly `uar`.
Moments of numbers are divided by n, not n - 1, as Lin defines the sample's coefficient.

Source: Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 45:255 (1989).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from serkit.errors import unknown
from serkit.writing import percent

# Perfect agreement has an infinite z, no error at all an infinite logarithm.
_NEAR_ONE = 1 - 1e-12
_NEAR_ZERO = 1e-12


@dataclass(frozen=True)
class Scale:
    """The scale on which a metric's interval is made.

    Args:
        there: from the metric's values to the scale, on which their errors are nearly normal.
        back: from the scale to values that the metric can have.
    """

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


#: Of shares, which have Wilson's interval (see `serkit.evaluation.intervals`).
SHARE = Scale(lambda share: share, lambda share: np.clip(share, 0, 1))
#: Of correlations; Lin 1989 makes the interval of CCC so too.
FISHER = Scale(lambda value: np.arctanh(np.clip(value, -_NEAR_ONE, _NEAR_ONE)), np.tanh)
#: Of errors, which are not negative.
LOGARITHM = Scale(lambda error: np.log(np.maximum(error, _NEAR_ZERO)), np.exp)


@dataclass(frozen=True)
class Metric:
    """How right predictions are, as one number.

    Args:
        key: its name in files and options.
        name: its name for people.
        of: counts of predictions -> value: confusion matrices (..., classes, classes) -> (...), or sums of numbers
            (..., targets, 7) -> (...), the mean over the targets that have labels.
        unit: `%` for a share, shown times 100; `label` for the labels' own unit; empty for a plain number.
        scale: of its interval.
    """

    key: str
    name: str
    of: Callable[[np.ndarray], np.ndarray]
    unit: Literal["%", "label", ""]
    scale: Scale

    @property
    def heading(self) -> str:
        """Its name with its unit, for the head of a column."""
        return f"{self.name} %" if self.unit == "%" else self.name

    def text(self, value: float | None, sign: Literal["", "+"] = "") -> str:
        """Write a value, or a difference with its sign, without the unit; no value is an empty text.

        >>> CLASSES["uar"].text(0.5), NUMBERS["ccc"].text(0.5, "+")
        ('50.0', '+0.500')
        """
        if value is None:
            return ""
        return percent(value, sign) if self.unit == "%" else f"{value:{sign}.3f}"

    def amount(self, value: float | None) -> str:
        """Write a value with its unit: `50.0%`; no value is an empty text."""
        return self.text(value) + ("%" if self.unit == "%" and value is not None else "")

    def in_words(self, value: float) -> str:
        """Write its name and a value with its unit.

        >>> CLASSES["uar"].in_words(0.5)
        'UAR 50.0%'
        """
        return f"{self.name} {self.amount(value)}"

    def range(self, low: float | None, high: float | None, sign: Literal["", "+"] = "") -> str:
        """Write the ends of an interval; no ends are an empty text.

        >>> CLASSES["uar"].range(0.5, 0.6), NUMBERS["ccc"].range(-0.1, 0.2)
        ('50.0–60.0', '-0.100 to 0.200')
        """
        if low is None or high is None:
            return ""
        # A dash next to a minus would be hard to read.
        dash = "–" if self.unit == "%" and not sign else " to "
        return f"{self.text(low, sign)}{dash}{self.text(high, sign)}"


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the share of right predictions; both of shape (n,), class indices, n > 0."""
    return float(score("accuracy", confusion(truth, predicted)))


def uar(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the unweighted average recall: mean of the recalls of the classes that occur in `truth`."""
    return float(score("uar", confusion(truth, predicted)))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean of the classes' F1, over the classes that occur in `truth` or `predicted`.

    The F1 of a class that is never right is 0 (scikit-learn's `zero_division=0`).
    """
    return float(score("macro_f1", confusion(truth, predicted)))


def ccc(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the concordance correlation coefficient, -1 to 1: 2 cov / (var + var + (difference of means)²).

    1: each number is the rated one. 0 where neither series varies.

    Args:
        truth: numbers, shape (n,), n > 0; those that are not a number do not count.
        predicted: shape (n,).
    """
    one = np.zeros(len(truth), dtype=int)
    return float(score("ccc", sums(truth[:, None], predicted[:, None], one)[0]))


def recalls(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return the recall of each class, shape (classes,); not a number for a class that does not occur."""
    counts = confusion(truth, predicted, classes)
    return _divide(_right(counts), counts.sum(axis=-1), empty=np.nan)


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int | None = None) -> np.ndarray:
    """Count the predictions: true class in the row, predicted class in the column.

    Args:
        truth: class indices, shape (n,).
        predicted: class indices, shape (n,).
        classes: their number; None: as many as occur.

    Returns:
        int64, shape (classes, classes).
    """
    values: np.ndarray = confusions(truth, predicted, np.zeros(len(truth), dtype=int), classes)[0]
    return values


def confusions(
    truth: np.ndarray, predicted: np.ndarray, clusters: np.ndarray, classes: int | None = None
) -> np.ndarray:
    """Count the predictions of each cluster apart.

    Args:
        truth, predicted, classes: as for `confusion`.
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
    """Return what the metrics of numbers need of each cluster; sums of clusters are those of their union.

    Args:
        truth: shape (n, targets); pairs with a label that is not a number are left out.
        predicted: shape (n, targets).
        clusters: number of the cluster of each, from 0, shape (n,).

    Returns:
        float64, shape (clusters, targets, 7): n, and the sums of t, p, t², p², t p and |t - p|.
    """
    columns = zip(truth.T, predicted.T, strict=True)
    return np.stack([_sums(labels, values, clusters) for labels, values in columns], axis=1)


def _sums(truth: np.ndarray, predicted: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    known = np.isfinite(truth)
    numbers = clusters[known]
    # No metric changes when both are moved alike; near 0 less is lost in the differences of squares.
    center = truth[known].mean() if known.any() else 0.0
    t, p = truth[known].astype(np.float64) - center, predicted[known].astype(np.float64) - center
    terms = (np.ones_like(t), t, p, t * t, p * p, t * p, np.abs(t - p))
    count = int(clusters.max()) + 1
    return np.stack([np.bincount(numbers, weights=term, minlength=count) for term in terms], axis=1)


def score(metric: str, counts: np.ndarray) -> np.ndarray:
    """Return a metric of counts of predictions, see `Metric.of`.

    Raises:
        UserError: unknown metric.
    """
    return named(metric).of(counts)


def named(metric: str, among: Mapping[str, Metric] | None = None) -> Metric:
    """Return a metric by its key, of `CLASSES`, of `NUMBERS` or, without a table, of either.

    Raises:
        UserError: unknown metric.
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
    """Return the mean of a metric over the targets that have labels."""

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
    """Return covariance and both variances; rounding makes none of the latter negative."""
    mean_t, mean_p = _divide(t, n), _divide(p, n)
    variances = (np.maximum(_divide(s, n) - mean**2, 0.0) for s, mean in ((tt, mean_t), (pp, mean_p)))
    return _divide(tp, n) - mean_t * mean_p, *variances


def _right(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _divide(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    # A variance of rounding errors alone is none.
    shape = np.broadcast(part, whole).shape
    values: np.ndarray = np.divide(part, whole, out=np.full(shape, empty), where=np.abs(whole) > 1e-24)
    return values


def _table(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.key: metric for metric in metrics}


#: By key. The first of each table is what runs are chosen and compared by.
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
