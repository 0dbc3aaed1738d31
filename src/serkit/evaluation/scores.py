"""All numbers of a run in one JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from serkit.errors import unknown
from serkit.evaluation import metrics
from serkit.evaluation.calibration import ece
from serkit.evaluation.intervals import interval
from serkit.evaluation.predictions import Predictions
from serkit.flags import Flag


def scores(
    predictions: Predictions, flags: Sequence[Flag] = (), training_labels: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score predictions in every way serkit reports.

    Args:
        predictions: of all folds and seeds; metrics go over all of them together.
        flags: what leaked or was chosen on the test part; stored with the scores.
        training_labels: class names of the training parts, whose commonest is the majority class; None:
            the commonest of the truth.

    Returns:
        What `json.dump` takes: counts; `accuracy`, `uar` and `macro_f1`, each with its interval; `recalls`
        (None for a class that does not occur); `confusion` (rows true, columns predicted); `majority`
        (always predicting the commonest class); `ece`; `speakers`; `corpora` where there are several;
        `seeds` with mean and standard deviation where there are several; `flags`.

    Raises:
        UserError: the commonest training label is not a class of the predictions.
    """
    truth, predicted, classes = predictions.truth, predictions.predicted, predictions.classes
    found: dict[str, Any] = {
        "n": len(predictions),
        "utterances": len(set(predictions.ids)),
        "classes": list(classes),
        **_intervals(predictions),
        "recalls": {
            name: None if np.isnan(recall) else float(recall)
            for name, recall in zip(classes, metrics.recalls(truth, predicted, len(classes)), strict=True)
        },
        "confusion": metrics.confusion(truth, predicted, len(classes)).tolist(),
        "majority": _majority(predictions, training_labels),
        "ece": ece(predictions.probabilities, truth),
        "speakers": metrics.per_speaker(truth, predicted, predictions.speakers),
    }
    corpora = np.array(predictions.corpora)
    if len(set(corpora)) > 1:
        parts = {str(name): predictions.select(corpora == name) for name in np.unique(corpora)}
        found["corpora"] = {name: {"n": len(part), **_intervals(part)} for name, part in parts.items()}
    found["seeds"] = _seeds(predictions)
    found["flags"] = [flag.to_dict() for flag in flags]
    return found


def _intervals(predictions: Predictions) -> dict[str, dict[str, Any]]:
    return {metric: asdict(interval(predictions, metric)) for metric in metrics.METRICS}


def _majority(predictions: Predictions, training_labels: Sequence[str] | None) -> dict[str, Any]:
    """Score always predicting the commonest class; of equally common ones the first."""
    truth, classes = predictions.truth, predictions.classes
    labels = [classes[index] for index in truth] if training_labels is None else training_labels
    name, _ = min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    if name not in classes:
        raise unknown("class", name, classes)
    always = np.full(len(truth), classes.index(name))
    return {
        "class": name,
        "of": "truth" if training_labels is None else "training labels",
        "accuracy": metrics.accuracy(truth, always),
        "uar": metrics.uar(truth, always),
    }


def _seeds(predictions: Predictions) -> dict[str, Any]:
    """Return the metrics of each seed, and over several seeds their mean and standard deviation (n - 1)."""
    each = {}
    for seed in np.unique(predictions.seeds):
        part = predictions.select(predictions.seeds == seed)
        counts = metrics.confusion(part.truth, part.predicted, len(part.classes))
        each[str(seed)] = {metric: float(metrics.score(metric, counts)) for metric in metrics.METRICS}
    found: dict[str, Any] = {"each": each}
    if len(each) > 1:
        for statistic, name in ((np.mean, "mean"), (lambda values: np.std(values, ddof=1), "sd")):
            found[name] = {
                metric: float(statistic([values[metric] for values in each.values()])) for metric in metrics.METRICS
            }
    return found
