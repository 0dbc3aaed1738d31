"""Frame-level descriptors of the extended Geneva Minimalistic Acoustic Parameter Set, eGeMAPSv02."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.errors import UserError
from serkit.features import formants, harmonics, periods, spectrum, subharmonic_pitch
from serkit.features.mfcc import cosines
from serkit.features.spectrum import Rate

#: Descriptors of every frame, and those of the voice.
SPECTRAL = (
    *("Loudness", "alphaRatio", "hammarbergIndex", "slope0-500", "slope500-1500", "spectralFlux"),
    *("mfcc1", "mfcc2", "mfcc3", "mfcc4"),
)
VOICE = (
    *("F0semitoneFrom27.5Hz", "jitterLocal", "shimmerLocaldB", "HNRdBACF", "logRelF0-H1-H2", "logRelF0-H1-A3"),
    *(f"F{number}{kind}" for number in (1, 2, 3) for kind in ("frequency", "bandwidth", "amplitudeLogRelF0")),
)

# Frames in s: Hamming windows for the spectral descriptors and the formants, Gaussian ones for the voice.
_SHORT, _LONG, _HOP = 0.02, 0.06, 0.01
# Frames that are computed together.
_CHUNK = 64
# Standard deviation of the Gaussian window, as a share of half the frame.
_SIGMA = 0.4

# The reference reads 16-bit audio as value / 32767, libsndfile as value / 32768.
_FULL_SCALE = 32768 / 32767

_BANDS, _LOWEST_BAND, _HIGHEST_BAND = 26, 20.0, 8000.0
# Least power of a mel band: one step of 16-bit audio.
_LEAST_BAND = 9.3e-10
# Unit of loudness.
_LOUDNESS_SCALE = 14.4885
_LOUDNESS_POWER = 0.33
_COEFFICIENTS = 4
_LIFTER = 22

# Least level of a bin, in dB.
_LEAST_LEVEL = -140.0

# Frames with a lower RMS are unvoiced.
_QUIET = 0.001
# Reference of the pitch in Hz, and its least value in semitones, because 0 is unvoiced.
_PITCH_REFERENCE, _LEAST_PITCH = 27.5, 1.0
_LEAST_HNR = -100.0


@dataclass(frozen=True)
class EgemapsDescriptors:
    """The 25 low-level descriptors of eGeMAPSv02, shape (25, frames).

    Loudness, spectral balance, spectral flux and MFCC 1 to 4 of 20 ms frames, pitch, jitter, shimmer,
    harmonics-to-noise ratio, harmonic differences and formants 1 to 3 of the voice in 60 ms frames, every 10 ms,
    averaged over three frames; averages of the voice leave out frames where the descriptor is 0, which means unvoiced.
    As in openSMILE, frame t begins at t * 10 ms in both lengths, whole 60 ms frames count (a shorter signal is
    zero-padded to one), and there is a frame more than that.

    Sources: Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research and Affective
    Computing", 2016; missing details by comparison with openSMILE 3, whose column names are used.

    Args:
        rate: sampling rate in Hz, at least 16000, because the mel bands reach 8 kHz.
    """

    rate: Rate = 16000

    name: ClassVar[str] = "egemaps_descriptors"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_rate(self.name, self.rate)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (len(self.columns), None)

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return round(self.rate * _HOP)

    @property
    def columns(self) -> list[str]:
        """Return the name of each row: `Loudness_sma3`, ..., `F3amplitudeLogRelF0_sma3nz`."""
        return [*(f"{name}_sma3" for name in SPECTRAL), *(f"{name}_sma3nz" for name in VOICE)]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the contours of a float32 signal (samples,): float32 (25, frames)."""
        spectral, voice = describe(signal, self.rate)
        frames = voice.shape[1]
        # The last two frames of the voice are not averaged, and come one frame late.
        late = voice[:, [max(0, frames - 2), frames - 1]]
        voiced = np.concatenate((smooth(voice[:, : max(1, frames - 1)], voiced=True), late), axis=1)
        return np.concatenate((smooth(spectral)[:, : frames + 1], voiced[:, : frames + 1])).astype(np.float32)


def check_rate(name: str, rate: int) -> None:
    """Raise `UserError` for a sampling rate that is too low for the mel bands."""
    if rate < 2 * _HIGHEST_BAND:
        raise UserError(f"{name}: rate must be at least {2 * _HIGHEST_BAND:g} Hz, got {rate}")


def describe(signal: np.ndarray, rate: int, formants_everywhere: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Compute the descriptors before smoothing.

    Args:
        signal: float32 (samples,).
        rate: sampling rate in Hz.
        formants_everywhere: whether to compute the formants' frequencies and bandwidths in unvoiced frames as well.

    Returns:
        The `SPECTRAL` descriptors float32 (10, short frames), and those of the `VOICE` float32 (15, long frames), 0 in
        unvoiced frames, but for the formants' frequencies and bandwidths, and for their levels, which are -201 dB.
    """
    short, long, hop = (round(rate * seconds) for seconds in (_SHORT, _LONG, _HOP))
    signal = np.pad(signal, (0, max(0, long - len(signal)))).astype(np.float32) * np.float32(_FULL_SCALE)
    frames = np.lib.stride_tricks.sliding_window_view(signal, long)[::hop]
    pitch = _pitch(frames, rate)
    voice = np.zeros((len(VOICE), len(frames)), dtype=np.float32)
    voice[8::3] = harmonics.SILENT
    voiced = np.flatnonzero(pitch)
    voice[0, voiced] = np.maximum(12 * np.log2(pitch[voiced] / _PITCH_REFERENCE), _LEAST_PITCH)
    voice[1:3] = periods.jitter_and_shimmer(signal, pitch, rate, hop)

    cut = np.lib.stride_tricks.sliding_window_view(signal, short)[::hop]
    spectral = np.empty((len(SPECTRAL), len(cut)), dtype=np.float32)
    before = None
    for part in _parts(len(cut)):
        spectra = _spectra(cut[part], _hamming(short))
        magnitude = _magnitude(spectra)
        _describe_spectrum(magnitude, before, rate, spectral[:, part])
        before = magnitude[-1]
        places = np.arange(part.start, min(part.stop, len(frames)))
        if not formants_everywhere:
            places = places[pitch[places] > 0]
        if len(places):
            frequency, bandwidth = formants.formants(spectra[places - part.start], short, rate)
            voice[6::3, places], voice[7::3, places] = frequency.T, bandwidth.T
    for part in _parts(len(voiced)):
        places = voiced[part]
        magnitude = _magnitude(_spectra(frames[places], _gaussian(long)))
        voice[3, places] = _harmonicity(magnitude**2, pitch[places], rate)
        compared = harmonics.levels(magnitude, pitch[places], voice[6::3, places].T, rate)
        voice[[4, 5, 8, 11, 14], places[:, None]] = compared.T
    return spectral, voice


def smooth(contours: np.ndarray, voiced: bool = False) -> np.ndarray:
    """Average contours (contours, frames) over three frames, as float64; both ends are extended by their value.

    With `voiced`, values of 0 stay 0, and others are averages of the neighbors that are not 0.
    """
    padded = np.pad(contours, ((0, 0), (1, 1)), mode="edge").astype(np.float64)
    total = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    if not voiced:
        return total / 3
    there = padded != 0
    count = there[:, :-2].astype(np.int64) + there[:, 1:-1] + there[:, 2:]
    return np.where(there[:, 1:-1], total / np.maximum(count, 1), 0)


def _parts(frames: int) -> Iterator[slice]:
    """Yield the places of the frames that are computed together."""
    for begin in range(0, frames, _CHUNK):
        yield slice(begin, min(begin + _CHUNK, frames))


def _spectra(frames: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the complex spectra of frames, zero-padded to a power of 2: (frames, bins)."""
    values: np.ndarray = np.fft.rfft(frames * window, 1 << (len(window) - 1).bit_length())
    return values


def _magnitude(spectra: np.ndarray) -> np.ndarray:
    # Half the time of abs().
    values: np.ndarray = np.sqrt(spectra.real**2 + spectra.imag**2)
    return values


def _describe_spectrum(magnitude: np.ndarray, before: np.ndarray | None, rate: int, out: np.ndarray) -> None:
    """Fill `out` (10, frames) with the descriptors of magnitude spectra; `before` is the last frame before them."""
    power = magnitude**2
    mel = np.empty((len(power), _BANDS), dtype=np.float32)
    spectrum.apply_filters(power, _filters(rate, power.shape[1]), out=mel)
    np.maximum(mel, _LEAST_BAND, out=mel)
    out[0] = mel**_LOUDNESS_POWER @ _loudness()
    out[6:] = cosines(_BANDS, _COEFFICIENTS + 1, _LIFTER)[:, 1:].T @ np.log(mel).T

    def edge(frequency: float) -> int:
        return int(frequency * 2 * (power.shape[1] - 1) / rate + 0.5)

    middle, top = edge(1000), edge(5000) + 1
    low, high = power[:, :middle].sum(axis=1), power[:, middle:top].sum(axis=1)
    out[1] = _decibels(high, low)
    middle = edge(2000)
    out[2] = _decibels(power[:, :middle].max(axis=1), power[:, middle:top].max(axis=1))
    level = 10 * np.log10(np.maximum(power[:, : edge(1500) + 1], 10 ** (_LEAST_LEVEL / 10)))
    for row, (begin, end) in ((3, (0, edge(500))), (4, (edge(500), edge(1500)))):
        out[row] = level[:, begin : end + 1] @ _slope(begin, end, rate / 2 / (power.shape[1] - 1))
    part = magnitude[:, : edge(5000)]
    change = np.diff(part, axis=0, prepend=part[:1] if before is None else before[None, : edge(5000)])
    out[5] = np.sqrt(np.mean(change**2, axis=1))


def _pitch(frames: np.ndarray, rate: int) -> np.ndarray:
    """Return the fundamental frequency of long frames in Hz (frames,); 0 if unvoiced."""
    window = _gaussian(frames.shape[1])
    frequency = np.zeros((len(frames), subharmonic_pitch.CANDIDATES))
    voicing = np.zeros_like(frequency)
    loud = np.empty(len(frames), dtype=bool)
    for part in _parts(len(frames)):
        magnitude = _magnitude(_spectra(frames[part], window))
        frequency[part], voicing[part] = subharmonic_pitch.candidates(magnitude, rate)
        # The energy of the windowed frame, by Parseval's theorem: inner bins stand for two.
        energy = 2 * np.einsum("tf,tf->t", magnitude, magnitude) - magnitude[:, 0] ** 2 - magnitude[:, -1] ** 2
        loud[part] = energy > 2 * (magnitude.shape[1] - 1) * len(window) * _QUIET**2
    return np.where(loud, subharmonic_pitch.contour(frequency, voicing), 0)


def _harmonicity(power: np.ndarray, pitch: np.ndarray, rate: int) -> np.ndarray:
    """Return the harmonics-to-noise ratio in dB from the highest autocorrelation near the period: (frames,)."""
    correlation = np.fft.irfft(power)
    lag = np.rint(rate / pitch).astype(np.int64)
    near = np.clip(lag[:, None] + np.arange(-3, 4), 1, power.shape[1] - 1)
    highest = np.take_along_axis(correlation, near, axis=1).max(axis=1)
    noise = correlation[:, 0] - highest
    ratio = np.divide(highest, noise, out=np.zeros_like(noise), where=(noise > 0) & (highest > 0))
    values: np.ndarray = np.maximum(10 * np.log10(np.maximum(ratio, 1e-10)), _LEAST_HNR)
    return values


def _decibels(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return a ratio in dB; 0 for silence."""
    there = (above > 0) & (below > 0)
    ratio = np.divide(above, below, out=np.ones_like(above), where=there)
    values: np.ndarray = 10 * np.log10(ratio)
    return values


@functools.lru_cache(maxsize=8)
def _hamming(length: int) -> np.ndarray:
    values: np.ndarray = np.hamming(length).astype(np.float32)
    return values


@functools.lru_cache(maxsize=8)
def _gaussian(length: int) -> np.ndarray:
    half = (length - 1) / 2
    values: np.ndarray = np.exp(-0.5 * ((np.arange(length) - half) / (_SIGMA * half)) ** 2).astype(np.float32)
    return values


@functools.lru_cache(maxsize=8)
def _filters(rate: int, bins: int) -> np.ndarray:
    """Return triangles of height 1 with straight sides on the mel scale, not in Hz: float32 (bins, bands)."""
    mel = np.log1p(np.arange(bins) * rate / 2 / (bins - 1) / 700)
    edges = _edges()
    values: np.ndarray = np.maximum(0, 1 - np.abs(mel[:, None] - edges[1:-1]) / (edges[1] - edges[0]))
    # HTK's rounding of the lowest frequency leaves out a bin.
    values[: int(_LOWEST_BAND * 2 * (bins - 1) / rate + 1.5)] = 0
    return values.astype(np.float32)


def _edges() -> np.ndarray:
    """Return the edges of the mel bands, log(1 + Hz / 700)."""
    low, high = np.log1p(_LOWEST_BAND / 700), np.log1p(_HIGHEST_BAND / 700)
    values: np.ndarray = np.linspace(low, high, _BANDS + 2)
    return values


@functools.lru_cache(maxsize=1)
def _loudness() -> np.ndarray:
    """Return the weight of each band in the loudness: the curve of equal loudness, compressed; float32 (bands,)."""
    # Hermansky 1990, equation 5, with a steeper fall above 4 kHz.
    speed = 2 * np.pi * 700 * np.expm1(_edges()[1:-1])
    square = speed**2
    curve = (square + 56.8e6) * square**2 / ((square + 6.3e6) ** 2 * (square + 0.38e9) * (1 + speed**7 / 1.7e31))
    values: np.ndarray = (curve**_LOUDNESS_POWER / _LOUDNESS_SCALE).astype(np.float32)
    return values


@functools.lru_cache(maxsize=8)
def _slope(begin: int, end: int, width: float) -> np.ndarray:
    """Return the weights of the levels of the bins `begin` to `end` in their slope in dB per Hz: float32 (bins,).

    As in the reference, the sums are over both ends, but the number of bins is `end - begin`.
    """
    frequency = np.arange(begin, end + 1) * width
    count = end - begin
    total = frequency.sum()
    values: np.ndarray = (count * frequency - total) / (count * np.sum(frequency**2) - total**2)
    return values.astype(np.float32)
