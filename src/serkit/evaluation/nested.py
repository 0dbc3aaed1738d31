"""Calibration inside the folds: each temperature is fitted on a validation part and measured on the test part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serkit.evaluation.calibration import ece, log_loss, sharpened, temperature
from serkit.evaluation.predictions import Predictions


def fit_temperature(held: Predictions) -> float:
    """Return the temperature fitted on a fold's validation part.

    Each class counts as seen once more with every answer; otherwise, a small part without errors would make the
    probabilities 1.
    """
    logarithms = np.log(np.maximum(held.probabilities, np.finfo(float).tiny))
    classes = len(held.classes)
    return temperature(logarithms, held.truth, smoothing=classes / (len(held) + classes))


def calibration(predictions: Predictions, temperatures: Mapping[tuple[int, int], float]) -> dict[str, Any]:
    """Measure the test parts' probabilities before and after division by their fold's temperature.

    Args:
        predictions: uncalibrated predictions of all folds.
        temperatures: temperature of each seed and fold.

    Returns:
        A JSON object: `ece` and `log_loss` over all folds, each `before` and `after`; and for each of `folds`
        (`seed-0-fold-1`) the `temperature`, `ece` and `log_loss`.
    """
    after = predictions.probabilities.copy()
    folds = {}
    for (seed, fold), value in temperatures.items():
        rows = (predictions.seeds == seed) & (predictions.folds == fold)
        after[rows] = sharpened(predictions.probabilities[rows], value)
        folds[f"seed-{seed}-fold-{fold}"] = {"temperature": value, **_judge(predictions, after, rows)}
    everything = np.ones(len(predictions), dtype=bool)
    return {"fitted_on": "validation part of each fold", **_judge(predictions, after, everything), "folds": folds}


def _judge(predictions: Predictions, after: np.ndarray, rows: np.ndarray) -> dict[str, dict[str, float]]:
    truth = predictions.truth[rows]
    versions = {"before": predictions.probabilities[rows], "after": after[rows]}
    return {
        measure.__name__: {name: measure(probabilities, truth) for name, probabilities in versions.items()}
        for measure in (ece, log_loss)
    }
