"""Log-mel spectrogram of the spoken part, relative to its loudness."""

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

    Recording level and the pauses around an utterance depend on how a corpus was made, not on emotion. A network
    for other recordings should not see them. Shape (bands, frames), lowest band first, values from about -range
    to a few dB above 0.

    Args:
        rate: sampling rate in Hz.
        fft: transform length in samples.
        length: window length in samples.
        hop: samples between frames.
        bands: number of mel bands (HTK scale).
        low: lower edge of the first band in Hz.
        high: upper edge of the last band in Hz.
        trim: frames at both ends with an energy more than this many dB below the loudest frame's are removed,
            except for `margin` frames.
        margin: number of frames to keep around the speech.
        range: levels more than this many dB below the loud frames are raised to it.
        remove_offset: whether to remove a constant offset (DC), as `spectrum.spectra` does. With an offset, pauses are
            as loud as speech in the lowest bands, and every frame looks voiced.
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
    remove_offset: bool = False

    name: ClassVar[str] = "speech_log_mel"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self.log_mel()
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
        levels = self.log_mel()(signal)
        levels = levels[:, spoken(levels, self.trim, self.margin)]
        return relative(levels, self.range)

    def interval(self, signal: np.ndarray) -> tuple[float, float]:
        """Return start and end, in s, of the part of a signal that the frames cover."""
        levels = self.log_mel()(signal)
        start, end, _ = spoken(levels, self.trim, self.margin).indices(levels.shape[1])
        return start * self.hop / self.rate, min(end * self.hop, len(signal)) / self.rate

    def log_mel(self) -> LogMel:
        """Return the spectrogram of the whole signal."""
        shared = ("rate", "fft", "length", "hop", "bands", "low", "high", "remove_offset")
        return LogMel(**{field: getattr(self, field) for field in shared})


def spoken(levels: np.ndarray, trim: float, margin: int) -> slice:
    """Return the frames of a log-mel spectrogram (bands, frames) in dB that hold the speech, with a margin.

    Args:
        levels: levels of the whole recording.
        trim: frames before and after the speech are more than this many dB below the loudest frame.
        margin: number of frames to keep around the speech.
    """
    # Energy of a frame in dB. Its loudest band alone may be 18 dB lower, which is not precise enough.
    energy = 10 * np.log10(np.sum(10 ** (levels / 10), axis=0))
    loud = np.flatnonzero(energy > energy.max() - trim)
    return slice(max(0, loud[0] - margin), loud[-1] + 1 + margin)


def relative(levels: np.ndarray, range: float) -> np.ndarray:
    """Return levels (bands, frames) in dB relative to the loud frames, at least -`range`."""
    # The 95th percentile instead of the maximum, so that a click does not set the level of an utterance.
    loud = np.percentile(levels.max(axis=0), 95).astype(np.float32)
    values: np.ndarray = np.maximum(levels - loud, np.float32(-range))
    return values
