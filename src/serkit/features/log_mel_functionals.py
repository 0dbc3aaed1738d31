"""Simple functionals of the log-mel spectrogram: the linear baseline's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.features.log_mel import LogMel
from serkit.features.spectrum import Bands, Rate

#: Order of the blocks in the vector; each holds one value per band.
FUNCTIONALS = ("mean", "std", "low", "high", "delta_std")


@dataclass(frozen=True)
class LogMelFunctionals:
    """Statistics over time of each mel band: a vector of 5 * bands values.

    The statistics are mean, standard deviation, 10th and 90th percentile of the level in dB, and the standard
    deviation of its change between frames.

    Args:
        rate: sampling rate in Hz.
        bands: number of mel bands (25 ms windows every 10 ms).
    """

    rate: Rate = 16000
    bands: Bands = 40

    name: ClassVar[str] = "log_mel_functionals"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self.log_mel()

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (len(FUNCTIONALS) * self.bands,)

    @property
    def columns(self) -> list[str]:
        """Return the name of each value: `mean_0`, ..., `delta_std_39`."""
        return [f"{functional}_{band}" for functional in FUNCTIONALS for band in range(self.bands)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the vector of a float32 signal (samples,): float32 (5 * bands,)."""
        levels = self.log_mel()(signal)
        low, high = np.percentile(levels, (10, 90), axis=1)
        change = np.diff(levels, axis=1) if levels.shape[1] > 1 else np.zeros_like(levels)
        parts = (levels.mean(axis=1), levels.std(axis=1), low, high, change.std(axis=1))
        return np.concatenate(parts).astype(np.float32)

    def log_mel(self) -> LogMel:
        """Return the spectrogram that the statistics describe."""
        window, hop = round(0.025 * self.rate), round(0.010 * self.rate)
        fft = 1 << (window - 1).bit_length()
        return LogMel(rate=self.rate, fft=fft, length=window, hop=hop, bands=self.bands)
