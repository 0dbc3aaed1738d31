"""The level of the signal over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

# Floor of the power, so that silence has a level.
_FLOOR = 1e-10


@dataclass(frozen=True)
class Envelope:
    """Level of each frame and its change, in dB.

    Args:
        rate: sampling rate in Hz.
        frame: length of a frame in s.
    """

    rate: int = 16000
    frame: float = 0.01

    name: ClassVar[str] = "example_envelope"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0.001 <= self.frame <= 1:
            raise ValueError(f"frame must be from 0.001 to 1 s, got {self.frame}")

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return round(self.frame * self.rate)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (2, None)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute level and change of a float32 signal (samples,): float32 (2, frames)."""
        padded = np.pad(signal, (0, -len(signal) % self.hop)).reshape(-1, self.hop)
        level = 10 * np.log10(np.maximum((padded.astype(np.float64) ** 2).mean(axis=1), _FLOOR))
        return np.stack([level, np.diff(level, prepend=level[:1])]).astype(np.float32)
