"""How a recording is cut into windows: the same for training and for recognition."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from serkit.errors import UserError, unknown

TAILS = ("pad", "keep", "drop", "last", "first")

# Of windows, and of steps between them, in s. A longer one, padded, need not fit into memory; of shorter ones, or of
# more overlap, there are more than anybody can wait for.
_LONGEST, _SHORTEST, _MOST_OVERLAP = 600.0, 0.001, 1000

# A tail below 0.1 ms is the rounding of duration = samples / rate, or holds no whole sample of speech.
NO_TAIL = 1e-4


@dataclass(frozen=True)
class Windowing:
    """How a recording is cut into windows.

    Args:
        seconds: length of a window; None: the whole recording is one item of its own length.
        hop: from window to window in s; None: `seconds` (no overlap).
        tail: what becomes of the end that fills no window: `pad` it with zeros to a whole one, `keep` it
            shorter, `drop` it, take the `last` whole window (overlapping), or use the `first` window only.
        minimum: a padded or kept tail shorter than this many s is dropped, unless it is all there is.
    """

    seconds: float | None = None
    hop: float | None = None
    tail: str = "pad"
    minimum: float = 0.0

    def __post_init__(self) -> None:
        if self.tail not in TAILS:
            raise unknown("tail", self.tail, TAILS)
        given = [value for value in (self.seconds, self.hop) if value is not None]
        if self.seconds is not None and not all(0 < value < math.inf for value in given):
            raise UserError(f"windows of {self.seconds} s every {self.hop} s: both must be above 0, and finite")
        if not all(_SHORTEST <= value <= _LONGEST for value in given):
            raise UserError(
                f"windows of {self.seconds} s every {self.hop} s: both must be from {_SHORTEST} to {_LONGEST:g} s"
            )
        if self.seconds and self.hop and self.seconds > _MOST_OVERLAP * self.hop:
            raise UserError(
                f"windows of {self.seconds} s every {self.hop} s: a moment lies in more than {_MOST_OVERLAP} of them"
            )
        if not 0 <= self.minimum < math.inf:
            raise UserError(f"windowing: minimum must be a finite number from 0 on, got {self.minimum}")

    def windows(self, duration: float) -> list[tuple[float, float]]:
        """Return start and end in s of each window of a recording of `duration` s; at least one."""
        if self.seconds is None:
            return [(0.0, duration)]
        seconds, hop = self.seconds, self.hop or self.seconds
        if self.tail == "first" or duration <= seconds:
            return [(0.0, min(seconds, duration))]
        # A millionth of a window forgives the rounding of duration = samples / rate.
        whole = int((duration - seconds) / hop + 1e-6) + 1
        windows = [(index * hop, index * hop + seconds) for index in range(whole)]
        covered = windows[-1][1]
        # With overlap a tail is what no window has covered yet, seen from the next window's start.
        rest = duration - whole * hop
        if duration - covered > NO_TAIL:
            if self.tail == "last":
                windows.append((duration - seconds, duration))
            elif self.tail in ("pad", "keep") and rest >= max(self.minimum, NO_TAIL):
                windows.append((whole * hop, duration))
        return windows

    def fit(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """Pad a window's samples with zeros, or trim them, to the length the network expects."""
        if self.seconds is None or self.tail == "keep":
            return signal
        samples = round(self.seconds * rate)
        return np.pad(signal, (0, max(0, samples - len(signal))))[:samples]
