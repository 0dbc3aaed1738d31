"""The spread of the answers to one speaker, by which a recognizer notices one-sided material."""

from __future__ import annotations

import numpy as np

from serkit.evaluation.calibration import sharpened
from serkit.evaluation.predictions import Predictions
from serkit.recognition.adaptation import spread

# Fewest answers of a spread.
_FEWEST = 3


def spreads(predictions: Predictions, temperature: float) -> tuple[float, float] | None:
    """Return the median spread of the answers to a speaker in one class, and in all classes.

    Args:
        predictions: predictions for held-out speakers.
        temperature: temperature of the deployed model.

    Returns:
        None if no speaker is known with enough recordings, or if answers in one class spread as much as all.
    """
    answers = sharpened(predictions.probabilities, temperature)
    speakers = np.array([speaker or "" for speaker in predictions.speakers])
    one, several = [], []
    for speaker in np.unique(speakers[speakers != ""]):
        of = speakers == speaker
        parts = [answers[of & (predictions.truth == label)] for label in np.unique(predictions.truth[of])]
        if len(parts) < 2 or of.sum() < _FEWEST:
            continue
        several.append(spread(answers[of]))
        one += [spread(part) for part in parts if len(part) >= _FEWEST]
    if not one or not several:
        return None
    narrow, wide = float(np.median(one)), float(np.median(several))
    return (narrow, wide) if narrow < wide else None
