"""Calibration inside the folds: each temperature is fitted on a validation part and measured on the test part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serkit.evaluation.calibration import ece, log_loss, sharpened, temperature
from serkit.evaluation.predictions import Predictions
from serkit.records import Record


class Change(Record):
    """A measure before and after division by a temperature."""

    before: float
    after: float


class Calibrated(Record):
    """Expected calibration error and log loss before and after division by a temperature."""

    ece: Change
    log_loss: Change


class Fold(Calibrated):
    """The same of one fold, with its temperature."""

    temperature: float


class Calibration(Calibrated):
    """The same over all folds, and by name of the fold (`seed-0-fold-1`)."""

    fitted_on: str
    folds: dict[str, Fold]


def fit_temperature(held: Predictions) -> float:
    """Return the temperature fitted on a fold's validation part.

    Each class counts as seen once more with every answer; otherwise, a small part without errors would make the
    probabilities 1.
    """
    logarithms = np.log(np.maximum(held.probabilities, np.finfo(float).tiny))
    classes = len(held.classes)
    return temperature(logarithms, held.truth, smoothing=classes / (len(held) + classes))


def calibration(predictions: Predictions, temperatures: Mapping[tuple[int, int], float]) -> Calibration:
    """Measure the test parts' probabilities before and after division by their fold's temperature.

    Args:
        predictions: uncalibrated predictions of all folds.
        temperatures: temperature of each seed and fold.
    """
    after = predictions.probabilities.copy()
    folds = {}
    for (seed, fold), value in temperatures.items():
        rows = (predictions.seeds == seed) & (predictions.folds == fold)
        after[rows] = sharpened(predictions.probabilities[rows], value)
        folds[f"seed-{seed}-fold-{fold}"] = Fold(temperature=value, **_judge(predictions, after, rows))
    everything = np.ones(len(predictions), dtype=bool)
    judged = _judge(predictions, after, everything)
    return Calibration(fitted_on="validation part of each fold", folds=folds, **judged)


def _judge(predictions: Predictions, after: np.ndarray, rows: np.ndarray) -> dict[str, Change]:
    truth, before = predictions.truth[rows], predictions.probabilities[rows]
    return {
        measure.__name__: Change(before=measure(before, truth), after=measure(after[rows], truth))
        for measure in (ece, log_loss)
    }
