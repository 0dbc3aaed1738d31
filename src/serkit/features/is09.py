"""The 384 features of the INTERSPEECH 2009 Emotion Challenge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.features.is09_descriptors import Is09Descriptors
from serkit.features.spectrum import Rate

#: Order of the 12 values of each contour.
FUNCTIONALS = (
    "max",
    "min",
    "range",
    "maxPos",
    "minPos",
    "amean",
    "linregc1",
    "linregc2",
    "linregerrQ",
    "stddev",
    "skewness",
    "kurtosis",
)

# Rounding error of a value, as a share of the largest magnitude it is computed from: some bits of a float32.
ROUNDING = 1e-6
# Rounding error of a cepstral coefficient, a sum of logarithms that nearly cancel: 1e-5 between processors, 1e-4 and
# more with the last bits of the samples. A larger value would merge values that openSMILE distinguishes (two minima
# 2.6e-4 apart in emodb's 08b01Lb).
CEPSTRAL_ROUNDING = 2.5e-4

# Maximum size of a block of contours, which limits the memory for an hour-long recording.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Is09:
    """12 functionals over the whole recording for each of the 32 contours of `Is09Descriptors`: a vector of 384.

    maxPos and minPos are frame numbers; linregc1 and linregc2 are the slope (per frame) and the value at frame 0
    of the regression line, linregerrQ is the mean square of the residual; kurtosis is 3 for a normal
    distribution. Unvoiced frames count with F0 = 0.

    Values of a contour that differ only by rounding count as equal: within 2.5e-4 in the cepstrum, and within a
    millionth of the largest magnitude in energy and voicing; slopes have the tolerance of their descriptor. Zero
    crossings and F0 are counted in samples and must be identical. The position of a maximum or minimum is the first
    of equal frames; skewness and kurtosis of a contour of equal values are about 0.

    Source: Schuller, Steidl & Batliner, "The INTERSPEECH 2009 Emotion Challenge", table 1. Values and names
    agree with openSMILE 3, the program of the challenge.

    Args:
        rate: sampling rate in Hz; the published systems use 16000.
    """

    rate: Rate = 16000

    name: ClassVar[str] = "is09"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        self.descriptors()

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (len(self.columns),)

    @property
    def columns(self) -> list[str]:
        """Return the name of each value: `pcm_RMSenergy_sma_max`, ..., `F0_sma_de_kurtosis`."""
        return [f"{contour}_{name}" for contour in self.descriptors().columns for name in FUNCTIONALS]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the vector of a float32 signal (samples,): float32 (384,)."""
        contours = self.descriptors()(signal)
        # The reference omits the last two frames, whose slope is incomplete.
        used = contours[:, : max(1, contours.shape[1] - 2)]
        rounding = self._rounding(used)
        rows = max(1, _BLOCK // used.shape[1])
        places = [slice(begin, begin + rows) for begin in range(0, len(used), rows)]
        return np.concatenate([functionals(used[p], rounding[p]) for p in places]).astype(np.float32).ravel()

    def _rounding(self, contours: np.ndarray) -> np.ndarray:
        """Return the rounding error of each contour (contours, frames): float64 (contours,)."""
        # Slopes are differences of descriptors, with the same precision.
        rounding = ROUNDING * np.tile(_magnitude(contours[: len(contours) // 2]), 2)
        names = self.descriptors().columns
        rounding[["mfcc" in name for name in names]] = CEPSTRAL_ROUNDING
        rounding[[name.startswith(("pcm_zcr", "F0")) for name in names]] = 0
        return rounding

    def descriptors(self) -> Is09Descriptors:
        """Return the contours that the functionals describe."""
        return Is09Descriptors(rate=self.rate)


def functionals(contours: np.ndarray, rounding: np.ndarray | None = None) -> np.ndarray:
    """Compute the `FUNCTIONALS` of contours.

    Args:
        contours: float32 (contours, frames).
        rounding: maximum difference between equal values of each contour, (contours,); None: a millionth of its
            largest magnitude.

    Returns:
        float64 (contours, 12).
    """
    if rounding is None:
        rounding = ROUNDING * _magnitude(contours)
    frames = contours.shape[1]
    high, low = contours.max(axis=1).astype(np.float64), contours.min(axis=1).astype(np.float64)
    # float32 numbers add up exactly in float64, so a constant has a variance of exactly 0.
    mean = contours.mean(axis=1, dtype=np.float64)
    centred = contours - mean[:, None]
    square = centred**2
    variance = square.mean(axis=1)

    def standardised(moment: np.ndarray, power: float) -> np.ndarray:
        # A contour that varies less than its rounding error has no shape.
        least = np.maximum(variance, rounding**2)
        values: np.ndarray = np.divide(moment, least**power, out=np.zeros_like(mean), where=least > 0)
        return values

    time = np.arange(frames) - (frames - 1) / 2
    slope = centred @ time / (time @ time or 1.0)
    residual = centred - slope[:, None] * time
    values = (
        high,
        low,
        high - low,
        # The first true value.
        (contours >= (high - rounding)[:, None]).argmax(axis=1),
        (contours <= (low + rounding)[:, None]).argmax(axis=1),
        mean,
        slope,
        mean - slope * (frames - 1) / 2,
        (residual**2).mean(axis=1),
        np.sqrt(variance),
        standardised((square * centred).mean(axis=1), 1.5),
        standardised((square**2).mean(axis=1), 2),
    )
    return np.stack(values, axis=1)


def _magnitude(contours: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each contour (contours, frames): float64 (contours,)."""
    values: np.ndarray = np.abs(contours).max(axis=1).astype(np.float64)
    return values
