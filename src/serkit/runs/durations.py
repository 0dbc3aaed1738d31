"""Calibration by duration: how much less certain a model must be of less speech, fitted on recordings cut short."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serkit.evaluation import unsure
from serkit.evaluation.calibration import exponent, sharpened, temperature
from serkit.evaluation.predictions import Predictions
from serkit.recognition.bundle import ByDuration
from serkit.runs.files import Final
from serkit.runs.folder import RunFolder
from serkit.runs.tested import Tested

#: Durations to which recordings are cut around their middle, in s.
CUTS = (0.5, 0.7, 1.0, 1.5, 2.0)

#: Maximum number of a run's recordings that are cut.
RECORDINGS = 500


@dataclass(frozen=True)
class Calibrated:
    """The answers of a run's folds to their test parts, and the calibration that follows from them.

    Args:
        predictions: the answers before calibration.
        temperature: temperature of the median recording.
        threshold: confidence below which answers are unsure; None for a run older than thresholds.
        by_duration: how the temperature depends on the duration; None: it does not.
        factors: factor of the temperature for each answer, (n,).
    """

    predictions: Predictions
    temperature: float
    threshold: float | None
    by_duration: ByDuration | None
    factors: np.ndarray

    def of_folds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return what `serkit.evaluation.unsure` takes: answers (n, classes) calibrated by duration, but not yet by
        temperature, their truth, folds and corpora."""
        found = self.predictions
        return self.flattened(found.probabilities), found.truth, found.folds, np.array(found.corpora)

    def flattened(self, probabilities: np.ndarray) -> np.ndarray:
        """Return other answers to the same recordings, (n, classes), calibrated by duration."""
        return sharpened(probabilities, self.factors[:, None]) if self.by_duration else probabilities


def calibrated(run: RunFolder, final: Final) -> Calibrated:
    """Calibrate the answers of a run's folds.

    Args:
        run: a finished run with classes.
        final: its final model, with the temperature and the threshold that do not know durations.
    """
    predictions = run.predictions
    short, factors = by_duration(run)
    if short is None:
        assert final.temperature is not None
        return Calibrated(predictions, final.temperature, final.unsure_below, short, factors)
    known = sharpened(predictions.probabilities, factors[:, None])
    scale = temperature(np.log(np.maximum(known, 1e-12)), predictions.truth)
    confidence, right = sharpened(known, scale).max(axis=1), predictions.predicted == predictions.truth
    threshold = unsure.fitted(confidence, right, predictions.folds, np.array(predictions.corpora))
    return Calibrated(predictions, scale, None if final.unsure_below is None else threshold, short, factors)


def by_duration(run: RunFolder) -> tuple[ByDuration | None, np.ndarray]:
    """Fit the calibration by duration to the answers of a run's folds to their test parts, whole and cut.

    Args:
        run: a finished run with classes.

    Returns:
        The calibration, whose reference is the median recording, and the factor of the temperature for each of the
        run's predictions (n,). None and ones if the model has no input with a time axis, or reads another channel than
        speech, which would have to be cut as well.
    """
    predictions = run.predictions
    frames = np.empty(len(predictions))
    step = math.ceil(len(predictions) / RECORDINGS)
    counts: list[float] = []
    answers: list[np.ndarray] = []
    truth: list[int] = []
    name = ""
    for tested in Tested.folds(run):
        timed = [view for view, (_, feature) in tested.views.items() if None in feature.shape]
        if not timed or any(table.channel for table, _ in tested.views.values()):
            return None, np.ones(len(predictions))
        name = timed[0]
        own = (predictions.folds == tested.split.fold) & (predictions.seeds == tested.split.seed)
        for row in np.flatnonzero(own):
            utterance = predictions.ids[row]
            frames[row] = _frames(tested.stored(name, [utterance]))
            if row % step:
                continue
            signal, rate = tested.hear(utterance)
            found = [frames[row]], [predictions.probabilities[row]]
            for count in (round(seconds * rate) for seconds in CUTS):
                if count < len(signal):
                    begin = (len(signal) - count) // 2
                    windows = tested.windows(signal[begin : begin + count], rate)
                    found[0].append(_frames(windows.arrays[name]))
                    found[1].append(tested.recognize(windows))
            counts += found[0]
            answers += found[1]
            truth += [int(predictions.truth[row])] * len(found[0])
    reference = float(np.median(frames))
    power = exponent(np.stack(answers), np.array(truth), np.array(counts))
    calibration = ByDuration(input=name, frames=reference, exponent=power)
    return calibration, (reference / frames) ** power


def _frames(windows: Sequence[np.ndarray]) -> float:
    """Return the mean number of frames of windows."""
    return float(np.mean([array.shape[-1] for array in windows]))
