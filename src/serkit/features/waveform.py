"""The samples themselves, for networks that read waveforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.features.spectrum import Rate, Samples


@dataclass(frozen=True)
class Waveform:
    """Samples in frames without overlap, so that they have a time axis as other views do: (hop, frames).

    Args:
        rate: sampling rate in Hz.
        hop: samples per frame; the last frame is filled with zeros.
    """

    rate: Rate = 16000
    hop: Samples = 160

    name: ClassVar[str] = "waveform"
    version: ClassVar[int] = 1

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.hop, None)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Cut a float32 signal (samples,) into frames: float32 (hop, frames)."""
        padded = np.pad(signal, (0, -len(signal) % self.hop))
        return np.ascontiguousarray(padded.reshape(-1, self.hop).T, dtype=np.float32)
