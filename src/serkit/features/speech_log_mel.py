"""Log-mel spectrogram of the spoken part, relative to its own loudness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from serkit.errors import UserError
from serkit.features.log_mel import LogMel
from serkit.features.spectrum import Bands, Decibels, Hertz, Rate, Samples
from serkit.options import Between


@dataclass(frozen=True)
class SpeechLogMel:
    """Levels in dB below the recording's loud frames, without the silence before and after the speech.

    Recording level and the pauses around an utterance say how a corpus was made, not how somebody feels;
    a network that is to work on other recordings should not see them. Shape (bands, frames), lowest band
    first, values from about -range to a few dB above 0.

    Args:
        rate: sampling rate in Hz.
        fft: transform length in samples.
        length: window length in samples.
        hop: samples from frame to frame.
        bands: number of mel bands (HTK scale).
        low: lower edge of the first band in Hz.
        high: upper edge of the last band in Hz.
        trim: frames at either end whose energy lies more than this many dB below the loudest frame's are
            left out; `margin` frames are kept around what remains.
        margin: in frames.
        range: levels further below the loud frames than this many dB are raised to it.
    """

    rate: Rate = 16000
    fft: Samples = 512
    length: Samples = 400
    hop: Samples = 256
    bands: Bands = 64
    low: Hertz = 60.0
    high: Hertz = 7800.0
    trim: Decibels = 40.0
    margin: Annotated[int, Between(0, 100_000)] = 3
    range: Decibels = 60.0

    name: ClassVar[str] = "speech_log_mel"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._log_mel()
        if min(self.trim, self.range) <= 0 or self.margin < 0:
            raise UserError(
                f"{self.name}: trim {self.trim:g} and range {self.range:g} must be above 0, "
                f"margin {self.margin} at least 0"
            )

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.bands, None)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the levels of a float32 signal (samples,): float32 (bands, frames)."""
        levels = self._log_mel()(signal)
        levels = levels[:, spoken(levels, self.trim, self.margin)]
        return relative(levels, self.range)

    def interval(self, signal: np.ndarray) -> tuple[float, float]:
        """Return which part of a signal the frames show: start and end in s."""
        levels = self._log_mel()(signal)
        start, end, _ = spoken(levels, self.trim, self.margin).indices(levels.shape[1])
        return start * self.hop / self.rate, min(end * self.hop, len(signal)) / self.rate

    def _log_mel(self) -> LogMel:
        shared = ("rate", "fft", "length", "hop", "bands", "low", "high")
        return LogMel(**{field: getattr(self, field) for field in shared})


def spoken(levels: np.ndarray, trim: float, margin: int) -> slice:
    """Return which frames of a log-mel spectrogram (bands, frames) in dB hold the speech, and a margin around it.

    Args:
        levels: of the whole recording.
        trim: frames before and after the speech lie more than this many dB below the loudest frame.
        margin: in frames.
    """
    # Energy of a frame in dB; its loudest band alone is within 18 dB of it, which is not enough here.
    energy = 10 * np.log10(np.sum(10 ** (levels / 10), axis=0))
    loud = np.flatnonzero(energy > energy.max() - trim)
    return slice(max(0, loud[0] - margin), loud[-1] + 1 + margin)


def relative(levels: np.ndarray, range: float) -> np.ndarray:
    """Return levels (bands, frames) in dB below the loud frames, none more than `range` dB below them."""
    # The 95th percentile, not the maximum: one click must not set the level of an utterance.
    loud = np.percentile(levels.max(axis=0), 95).astype(np.float32)
    return np.maximum(levels - loud, np.float32(-range))
