"""Calibration of probabilities: its measurement, and its correction with one number."""

from __future__ import annotations

import numpy as np

#: Temperatures are searched between the inverse of this and this.
TEMPERATURE_LIMIT = 100.0
# exp(-100) is 0 in float32; this floor makes a log-probability of minus infinity finite.
_LOWEST = -100.0


def temperature(logits: np.ndarray, truth: np.ndarray, smoothing: float = 0.0) -> float:
    """Return the temperature T for which softmax(logits / T) has the highest likelihood.

    Above 1, the probabilities were too confident; below 1, not confident enough. Fit it on data used neither for
    training nor for testing.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.

    Args:
        logits: logits or log-probabilities, shape (n, classes).
        truth: class indices, shape (n,).
        smoothing: share of each item's target that is spread evenly over the possible classes. It keeps the
            probabilities below 1 if all n items are right.
    """
    from scipy import optimize, special

    shifted = np.maximum(logits - logits.max(axis=1, keepdims=True), _LOWEST).astype(np.float64)
    right = shifted[np.arange(len(truth)), truth]
    if smoothing:
        right = (1 - smoothing) * right + smoothing * shifted.mean(axis=1, where=shifted > _LOWEST)

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.mean(special.logsumexp(shifted * scale, axis=1) - right * scale))

    limit = np.log(TEMPERATURE_LIMIT)
    found = optimize.minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def exponent(probabilities: np.ndarray, truth: np.ndarray, durations: np.ndarray) -> float:
    """Return the exponent by which the temperature must fall with the duration, from 0 to 1.

    It is the s for which softmax(logits / (T * duration ** -s)) has the highest likelihood, with the best T: the less a
    recording holds, the less certain its answer can be.

    Args:
        probabilities: shape (n, classes).
        truth: class indices, shape (n,).
        durations: of the recordings, in any unit, shape (n,).
    """
    from scipy import optimize

    relative = durations[:, None] / np.median(durations)

    def loss(power: float) -> float:
        flattened = sharpened(probabilities, relative**-power)
        return log_loss(sharpened(flattened, temperature(np.log(flattened), truth)), truth)

    found = optimize.minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-4})
    return float(found.x)


def sharpened(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return the probabilities (n, classes) after division of their logits by a temperature, or one for each row
    (n, 1)."""
    logits = np.log(np.maximum(probabilities, 1e-12)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    values: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return values


def ece(probabilities: np.ndarray, truth: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error: the mean difference between confidence and accuracy.

    Predictions are put into bins of equal width by the probability of the predicted class; a bin includes its upper
    edge.

    Source: Guo et al. 2017, equation 3.

    Args:
        probabilities: shape (n, classes).
        truth: class indices, shape (n,).
        bins: number of bins.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    numbers = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    # |sum of right - sum of confidence| of a bin is its size times the difference of its means.
    gaps = np.bincount(numbers, weights=right - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of -log p(right class), each at most 100; 0 if all predictions are certain and right.

    Args:
        probabilities: shape (n, classes).
        truth: class indices, shape (n,).
    """
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], np.exp(_LOWEST))).mean())
