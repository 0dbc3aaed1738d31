"""How well predicted numbers agree with rated ones: CCC, Pearson's correlation, RMSE and MAE, all from sums.

Moments are those of the numbers themselves (divided by n, not n - 1), as Lin defines the sample's coefficient.

Source: Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 45:255 (1989).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from serkit.errors import unknown


def ccc(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the concordance correlation coefficient, -1 to 1: 2 cov / (var + var + (difference of means)²).

    1: each number is the rated one. 0 where neither series varies.

    Args:
        truth: numbers, shape (n,), n > 0; those that are not a number do not count.
        predicted: shape (n,).
    """
    return float(score("ccc", sums(truth, predicted, np.zeros(len(truth), dtype=int))[0]))


def sums(truth: np.ndarray, predicted: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return what the metrics need of each cluster of predictions; sums of clusters are those of their union.

    Args:
        truth: shape (n,); pairs with one that is not a number are left out.
        predicted: shape (n,).
        clusters: number of the cluster of each, from 0, shape (n,).

    Returns:
        float64, shape (clusters, 7): n, and the sums of t, p, t², p², t p and |t - p|.
    """
    known = np.isfinite(truth)
    numbers = clusters[known]
    # No metric changes when both are moved alike; near 0 less is lost in the differences of squares.
    center = truth[known].mean() if known.any() else 0.0
    t, p = truth[known].astype(np.float64) - center, predicted[known].astype(np.float64) - center
    terms = (np.ones_like(t), t, p, t * t, p * p, t * p, np.abs(t - p))
    count = int(clusters.max()) + 1
    return np.stack([np.bincount(numbers, weights=term, minlength=count) for term in terms], axis=1)


def score(metric: str, found: np.ndarray) -> np.ndarray:
    """Return a metric of sums of shape (..., 7), shape (...).

    Raises:
        UserError: unknown metric.
    """
    if metric not in AGREEMENT:
        raise unknown("metric", metric, AGREEMENT)
    return AGREEMENT[metric](*np.moveaxis(found, -1, 0))


def _ccc(n, t, p, tt, pp, tp, _) -> np.ndarray:
    covariance, of_truth, of_predicted = _moments(n, t, p, tt, pp, tp)
    return _divide(2 * covariance, of_truth + of_predicted + np.square(_divide(t - p, n)))


def _pearson(n, t, p, tt, pp, tp, _) -> np.ndarray:
    covariance, of_truth, of_predicted = _moments(n, t, p, tt, pp, tp)
    return _divide(covariance, np.sqrt(of_truth * of_predicted))


def _rmse(n, t, p, tt, pp, tp, _) -> np.ndarray:
    return np.sqrt(np.maximum(_divide(tt - 2 * tp + pp, n), 0.0))


def _mae(n, t, p, tt, pp, tp, distance) -> np.ndarray:
    return _divide(distance, n)


#: The first is what runs are chosen and compared by.
AGREEMENT: dict[str, Callable[..., np.ndarray]] = {"ccc": _ccc, "pearson": _pearson, "rmse": _rmse, "mae": _mae}


def _moments(n, t, p, tt, pp, tp) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariance and both variances; rounding makes none of the latter negative."""
    mean_t, mean_p = _divide(t, n), _divide(p, n)
    variances = (np.maximum(_divide(s, n) - mean**2, 0.0) for s, mean in ((tt, mean_t), (pp, mean_p)))
    return _divide(tp, n) - mean_t * mean_p, *variances


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    # A variance of rounding errors alone is none.
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.abs(whole) > 1e-24)
