"""Accuracy, unweighted average recall and macro F1, all from confusion matrices.

Papers name them in conflicting ways: "weighted accuracy" is `accuracy`, "unweighted accuracy" mostly `uar`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from serkit.errors import unknown


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
    return confusions(truth, predicted, np.zeros(len(truth), dtype=int), classes)[0]


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


def score(metric: str, counts: np.ndarray) -> np.ndarray:
    """Return a metric of confusion matrices of shape (..., classes, classes), shape (...).

    Raises:
        UserError: unknown metric.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    return METRICS[metric](counts)


def per_speaker(
    truth: np.ndarray, predicted: np.ndarray, speakers: Sequence[str | None]
) -> dict[str, dict[str, float]]:
    """Return number of predictions `n`, `accuracy` and `uar` of each speaker; None is called `unknown`."""
    names, clusters = np.unique([speaker or "unknown" for speaker in speakers], return_inverse=True)
    counts = confusions(truth, predicted, clusters)
    return {
        str(name): {"n": int(matrix.sum()), "accuracy": float(_accuracy(matrix)), "uar": float(_uar(matrix))}
        for name, matrix in zip(names, counts, strict=True)
    }


def _accuracy(counts: np.ndarray) -> np.ndarray:
    return _right(counts).sum(axis=-1) / counts.sum(axis=(-2, -1))


def _uar(counts: np.ndarray) -> np.ndarray:
    occurrences = counts.sum(axis=-1)
    return _divide(_right(counts), occurrences).sum(axis=-1) / (occurrences > 0).sum(axis=-1)


def _macro_f1(counts: np.ndarray) -> np.ndarray:
    # F1 = 2 TP / (2 TP + FP + FN): the denominator is row sum plus column sum.
    both = counts.sum(axis=-1) + counts.sum(axis=-2)
    return _divide(2 * _right(counts), both).sum(axis=-1) / (both > 0).sum(axis=-1)


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "uar": _uar,
    "macro_f1": _macro_f1,
}


def _right(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _divide(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
