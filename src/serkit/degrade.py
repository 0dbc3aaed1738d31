"""Degradations of a recording: background voices, narrow bands, codecs, rooms, another level.

Each takes `(signal, rate, speech, generator)`, like the augmentations in `serkit.augment`, and returns float32
samples of the same length. White noise, telephone codecs, pitch and tempo are in `serkit.augment`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serkit.augment import Codec
from serkit.errors import UserError, unknown

#: Codecs by name: libsndfile's format and subtype; the bit rates in kbit/s at both ends of its compression, for one
#: channel at 16 kHz; and the lowest available bit rate. libsndfile rejects the last step of MP3.
CODECS = {
    "opus": ("OGG", "OPUS", 256, 6, 6),
    "mp3": ("MP3", "MPEG_LAYER_III", 160, 8, 16),
}


@dataclass(frozen=True)
class Babble:
    """Background voices at a given signal-to-noise ratio: noise with the spectrum and rhythm of speech.

    The voices are synthetic. Each talker is Gaussian noise, flat from 100 to 500 Hz and falling by 8 dB per octave
    above (about the long-term average of speech, Byrne et al. 1994). Its level varies at the rate of syllables, up
    to 4 Hz.

    Args:
        ratios: signal-to-noise ratios to draw from, in dB.
        talkers: number of talkers.
    """

    ratios: tuple[float, ...] = (5, 10, 15, 20)
    talkers: int = 6

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        ratio = float(generator.choice(self.ratios))
        voices = np.zeros(len(signal))
        for _ in range(self.talkers):
            voices += generator.standard_normal(len(signal)) * _rhythm(len(signal), rate, generator)
        babble = _filtered(voices, rate, _speech_spectrum)
        wanted = _power(signal[:speech]) / 10 ** (ratio / 10)
        scale = np.sqrt(wanted / max(_power(babble), np.finfo(float).tiny))
        values: np.ndarray = (signal + scale * babble).astype(np.float32)
        return values


@dataclass(frozen=True)
class Band:
    """A frequency band with steep edges.

    Args:
        low: lower edge in Hz.
        high: upper edge in Hz.
    """

    low: float = 300.0
    high: float = 3400.0

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise UserError(f"band: low must be below high, got {self.low:g} to {self.high:g} Hz")

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        return _filtered(signal, rate, lambda hertz: (hertz >= self.low) & (hertz <= self.high)).astype(np.float32)


@dataclass(frozen=True)
class Reverberation:
    """A room: the direct sound and a tail of Gaussian noise that decays exponentially. The level stays the same.

    Source: Polack 1988, the statistical model of late reverberation; the tail begins 2 ms after the direct sound.

    Args:
        seconds: reverberation times to draw from, in s (RT60: time in which the tail falls by 60 dB).
        direct: ratio of the energy of the direct sound to that of the tail, in dB; 0 is the critical distance.
    """

    seconds: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    direct: float = 0.0

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        response = impulse_response(float(generator.choice(self.seconds)), rate, self.direct, generator)
        size = _fast(len(signal) + len(response))
        spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
        heard = np.fft.irfft(spectrum, size)[: len(signal)]
        level = np.sqrt(_power(signal[:speech]) / max(_power(heard[:speech]), np.finfo(float).tiny))
        values: np.ndarray = (level * heard).astype(np.float32)
        return values


@dataclass(frozen=True)
class Gain:
    """Another recording level; samples beyond full scale are clipped.

    Args:
        decibels: changes to draw from, in dB.
    """

    decibels: tuple[float, ...] = (-20, -10, 10)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = 10 ** (float(generator.choice(self.decibels)) / 20)
        return np.clip(factor * signal, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Offset:
    """A constant offset (DC), as cheap converters add; nothing is clipped.

    Args:
        ratio: offset in units of the speech's RMS.
    """

    ratio: float

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        values: np.ndarray = signal + np.float32(self.ratio * np.sqrt(_power(signal[:speech])))
        return values


def codec(name: str, kilobits: float) -> Codec:
    """Return a lossy coding of wideband speech (16 kHz) at a nominal bit rate.

    Args:
        name: `opus` or `mp3`.
        kilobits: bit rate in kbit/s.
    """
    if name not in CODECS:
        raise unknown("codec", name, CODECS)
    format, subtype, most, least, lowest = CODECS[name]
    if not lowest <= kilobits <= most:
        raise UserError(f"{name}: the bit rate must be from {lowest} to {most} kbit/s, got {kilobits:g}")
    compression = (most - kilobits) / (most - least)
    return Codec(((format, subtype),), compression, compression, constant=True)


def impulse_response(seconds: float, rate: int, direct: float, generator: np.random.Generator) -> np.ndarray:
    """Return the impulse response of a room, float64 (samples,): 1 at the first sample, then the tail.

    Args:
        seconds: reverberation time RT60 in s, above 0.
        rate: sampling rate in Hz.
        direct: ratio of the energy of the direct sound to that of the tail, in dB.
        generator: random numbers for the tail.
    """
    if seconds <= 0:
        raise UserError(f"reverberation: the time must be above 0 s, got {seconds:g}")
    times = np.arange(1, max(2, round(seconds * rate))) / rate
    tail = generator.standard_normal(len(times)) * 10 ** (-3 * times / seconds) * (times >= 0.002)
    tail *= 10 ** (-direct / 20) / np.sqrt(np.square(tail).sum())
    return np.concatenate([[1.0], tail])


def _power(signal: np.ndarray) -> float:
    return float(np.mean(np.square(signal, dtype=np.float64)))


def _filtered(signal: np.ndarray, rate: int, magnitude: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Multiply a signal's spectrum by a function of the frequency in Hz."""
    # Zeros after the end; otherwise the end would wrap around into the start.
    size = _fast(2 * len(signal))
    spectrum = np.fft.rfft(signal, size) * magnitude(np.fft.rfftfreq(size, 1 / rate))
    return np.fft.irfft(spectrum, size)[: len(signal)]


def _rhythm(samples: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Return the loudness of a talker of `Babble`: the magnitude of Gaussian noise below 4 Hz, (samples,)."""
    size = _fast(2 * samples)
    lowest = generator.standard_normal((1 + int(4 * size / rate), 2)).view(np.complex128)[:, 0]
    return np.abs(np.fft.irfft(lowest, size)[:samples])


def _speech_spectrum(hertz: np.ndarray) -> np.ndarray:
    """Return the magnitude of `Babble` at given frequencies."""
    # 8 dB per octave in power is an exponent of 8 / (20 log10 2) of the magnitude.
    values: np.ndarray = np.maximum(hertz / 500, 1.0) ** (-8 / (20 * np.log10(2))) * (hertz >= 100)
    return values


def _fast(size: int) -> int:
    """Return the next power of two: transforms of other sizes may take many times as long."""
    return 1 << (size - 1).bit_length()
