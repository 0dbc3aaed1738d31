"""Frame-level descriptors of the INTERSPEECH 2009 Emotion Challenge, the basis of its 384 functionals."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.errors import UserError
from serkit.features import cepstral_pitch, spectrum
from serkit.features.mfcc import cosines
from serkit.features.spectrum import Rate

PREEMPHASIS = 0.97
BANDS = 26
_HIGHEST_BAND = 8000.0
COEFFICIENTS = 12
LIFTER = 22

# The reference reads 16-bit audio as value / 32767, libsndfile as value / 32768.
_FULL_SCALE = 32768 / 32767
# Unit of the mel bands, as in HTK: one step of 16-bit audio. Lower levels are raised to 1.
_STEP = 1 / 32767

_NAMES = (
    "pcm_RMSenergy_sma{}",
    *(f"pcm_fftMag_mfcc_sma{{}}[{number}]" for number in range(1, COEFFICIENTS + 1)),
    "pcm_zcr_sma{}",
    "voiceProb_sma{}",
    "F0_sma{}",
)


@dataclass(frozen=True)
class Is09Descriptors:
    """The 16 low-level descriptors and their 16 slopes over time, shape (32, frames).

    RMS energy, MFCC 1 to 12, zero-crossing rate, voicing probability and F0 in Hz (0 if unvoiced) of 25 ms
    frames every 10 ms (whole frames only; a shorter signal is zero-padded to one), averaged over three frames;
    then the slope of each, per frame, over five frames. Contours are extended by their end values. As in
    openSMILE, a table gives the start time of each frame.

    Sources: Schuller, Steidl & Batliner 2009, table 1; missing details by comparison with openSMILE 3, whose
    column names are used.

    Args:
        rate: sampling rate in Hz, at least 2000.
    """

    rate: Rate = 16000

    name: ClassVar[str] = "is09_descriptors"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.rate < 2000:  # required for F0 up to 500 Hz
            raise UserError(f"{self.name}: rate must be at least 2000 Hz (usually 16000), got {self.rate}")

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (2 * len(_NAMES), None)

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return (self.rate + 50) // 100

    @property
    def columns(self) -> list[str]:
        """Return the name of each row: `pcm_RMSenergy_sma`, ..., `F0_sma`, `pcm_RMSenergy_sma_de`, ..., `F0_sma_de`."""
        return [name.format(kind) for kind in ("", "_de") for name in _NAMES]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the contours of a float32 signal (samples,): float32 (32, frames)."""
        smooth = _moving_average(_raw(signal, self.rate, self.hop))
        return np.concatenate((smooth[:, :-2], _slope(smooth)))


def frame_length(rate: int) -> int:
    """Return 25 ms in samples, rounding halves up."""
    return (rate + 20) // 40


def _raw(signal: np.ndarray, rate: int, hop: int) -> np.ndarray:
    """Compute the 16 descriptors before smoothing: float32 (16, frames)."""
    length = frame_length(rate)
    if len(signal) < length:
        signal = np.pad(signal, (0, length - len(signal)))
    frames = 1 + (len(signal) - length) // hop
    raw = np.empty((len(_NAMES), frames), dtype=np.float32)
    for begin in range(0, frames, spectrum.CHUNK):
        end = min(begin + spectrum.CHUNK, frames)
        _describe(signal[begin * hop : (end - 1) * hop + length], rate, hop, raw[:, begin:end])
    raw[15] = cepstral_pitch.contour(raw[14], raw[15])
    return raw


def _describe(signal: np.ndarray, rate: int, hop: int, out: np.ndarray) -> None:
    """Fill `out` (16, frames) with the descriptors of the frames in `signal`; F0 is not yet smoothed."""
    windowed = _windowed(signal, rate, hop, out.shape[1])
    spectra = np.fft.rfft(windowed)
    # Real and imaginary part squared: half the time of abs() and **2.
    power = spectra.real**2 + spectra.imag**2
    np.sqrt(np.einsum("ts,ts->t", windowed, windowed) / np.float32(frame_length(rate)), out=out[0])
    mel = np.empty((len(power), BANDS), dtype=np.float32)
    spectrum.apply_filters(np.sqrt(power), filters(rate, windowed.shape[1]), out=mel)
    out[1:13] = cosines(BANDS, COEFFICIENTS + 1, LIFTER)[:, 1:].T @ np.log(np.maximum(mel, 1, out=mel)).T
    out[13] = _zero_crossing_rate(signal, frame_length(rate), hop)
    out[14], out[15] = cepstral_pitch.voicing_and_pitch(power, rate)


def _windowed(signal: np.ndarray, rate: int, hop: int, frames: int) -> np.ndarray:
    """Cut into frames, pre-emphasize each, multiply by a Hamming window, and pad to the transform's length."""
    taper = window(rate)
    length = len(taper)
    windowed = np.zeros((frames, 1 << (length - 1).bit_length()), dtype=np.float32)
    emphasised = signal[1:] - np.float32(PREEMPHASIS) * signal[:-1]
    cut = np.lib.stride_tricks.sliding_window_view(emphasised, length - 1)[::hop]
    np.multiply(cut, taper[1:], out=windowed[:, 1:length])
    # A frame does not know earlier samples: its first sample counts as its own predecessor.
    windowed[:, 0] = signal[: (frames - 1) * hop + 1 : hop] * ((1 - np.float32(PREEMPHASIS)) * taper[0])
    return windowed


def _zero_crossing_rate(signal: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Count changes of sign per sample of each frame, float64 (frames,).

    A sample that is 0 between neighbors of different sign (or another 0) is a crossing. The step to a frame's last
    sample does not count.
    """
    sign = np.sign(signal).astype(np.int8)
    before, current, after = sign[:-2], sign[1:-1], sign[2:]
    crossing = (before * current < 0) | ((current == 0) & (before * after <= 0))
    count = np.concatenate(([0], np.cumsum(crossing)))
    return (count[length - 2 :: hop] - count[: len(count) - length + 2 : hop]) / length


def _moving_average(raw: np.ndarray) -> np.ndarray:
    """Average over three frames, and add two frames for the slope at the end."""
    padded = np.pad(raw, ((0, 0), (1, 3)), mode="edge")
    values: np.ndarray = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / np.float32(3)
    return values


def _slope(smooth: np.ndarray) -> np.ndarray:
    """Return the slope per frame by least squares over five frames, without the last two frames of `smooth`."""
    padded = np.pad(smooth, ((0, 0), (2, 0)), mode="edge")
    near, far = padded[:, 3:-1] - padded[:, 1:-3], padded[:, 4:] - padded[:, :-4]
    values: np.ndarray = (near + 2 * far) / np.float32(10)
    return values


@functools.lru_cache(maxsize=8)
def window(rate: int) -> np.ndarray:
    """Return a symmetric Hamming window of 25 ms that also sets the full scale: float32 (samples,)."""
    return (np.hamming(frame_length(rate)) * _FULL_SCALE).astype(np.float32)


@functools.lru_cache(maxsize=8)
def filters(rate: int, fft: int) -> np.ndarray:
    """Return triangles of height 1 with straight sides on the mel scale (HTK), not in Hz: float32 (bins, bands)."""
    mel = np.log1p(np.arange(fft // 2 + 1) * rate / fft / 700)
    edges = np.linspace(0, np.log1p(min(_HIGHEST_BAND, rate / 2) / 700), BANDS + 2)
    place = mel[:, None] / edges[1]
    values: np.ndarray = (np.maximum(0, 1 - np.abs(place - np.arange(1, BANDS + 1))) / _STEP).astype(np.float32)
    return values
