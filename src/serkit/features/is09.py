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

# Numbers in a block of contours: bounds the memory that an hour-long recording takes.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Is09:
    """12 functionals over the whole recording of each of the 32 contours of `Is09Descriptors`: a vector of 384.

    maxPos and minPos are frame numbers (the first of equals); linregc1 and linregc2 slope (per frame) and
    value at frame 0 of the regression line, linregerrQ the mean square of what is left; kurtosis is 3 for a
    normal distribution. Unvoiced frames count with F0 = 0.

    Source: Schuller, Steidl & Batliner, "The INTERSPEECH 2009 Emotion Challenge", table 1. Values and names
    agree with openSMILE 3, the challenge's program.

    Args:
        rate: sampling rate in Hz; the published systems use 16000.
    """

    rate: Rate = 16000

    name: ClassVar[str] = "is09"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._descriptors()

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (len(self.columns),)

    @property
    def columns(self) -> list[str]:
        """Name of each value: `pcm_RMSenergy_sma_max`, ..., `F0_sma_de_kurtosis`."""
        return [f"{contour}_{name}" for contour in self._descriptors().columns for name in FUNCTIONALS]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the vector of a float32 signal (samples,): float32 (384,)."""
        contours = self._descriptors()(signal)
        # The reference leaves out the two last frames, whose slope is not complete.
        used = contours[:, : max(1, contours.shape[1] - 2)]
        rows = max(1, _BLOCK // used.shape[1])
        blocks = [functionals(used[begin : begin + rows]) for begin in range(0, len(used), rows)]
        return np.concatenate(blocks).astype(np.float32).ravel()

    def _descriptors(self) -> Is09Descriptors:
        return Is09Descriptors(rate=self.rate)


def functionals(contours: np.ndarray) -> np.ndarray:
    """Describe float32 contours (contours, frames) by `FUNCTIONALS`: float64 (contours, 12)."""
    frames = contours.shape[1]
    high, low = contours.max(axis=1), contours.min(axis=1)
    # float32 numbers add up exactly in float64: a constant has exactly no variance.
    mean = contours.mean(axis=1, dtype=np.float64)
    centred = contours - mean[:, None]
    square = centred**2
    variance = square.mean(axis=1)

    def standardised(moment: np.ndarray, power: float) -> np.ndarray:
        return np.divide(moment, variance**power, out=np.zeros_like(mean), where=variance > 0)

    time = np.arange(frames) - (frames - 1) / 2
    slope = centred @ time / (time @ time or 1.0)
    residual = centred - slope[:, None] * time
    values = (
        high,
        low,
        high.astype(np.float64) - low,
        contours.argmax(axis=1),
        contours.argmin(axis=1),
        mean,
        slope,
        mean - slope * (frames - 1) / 2,
        (residual**2).mean(axis=1),
        np.sqrt(variance),
        standardised((square * centred).mean(axis=1), 1.5),
        standardised((square**2).mean(axis=1), 2),
    )
    return np.stack(values, axis=1)
