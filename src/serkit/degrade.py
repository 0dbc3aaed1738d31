"""What happens to a recording on its way to a recogniser: voices, narrow bands, codecs, rooms, another level.

Each takes `(signal, rate, speech, generator)` as the augmentations of `serkit.augment` do, and returns float32
samples as long as the signal. White noise, telephone codecs, pitch and tempo are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serkit.augment import Codec
from serkit.errors import UserError, unknown

#: Codecs by name: libsndfile's format and subtype, the rates in kbit/s at the ends of its compression, of one channel
#: at 16 kHz, and the lowest that can be had: libsndfile refuses MP3 its last step.
CODECS = {
    "opus": ("OGG", "OPUS", 256, 6, 6),
    "mp3": ("MP3", "MPEG_LAYER_III", 160, 8, 16),
}


@dataclass(frozen=True)
class Babble:
    """Many voices at once, at a ratio to the power of the speech: noise shaped like speech in spectrum and rhythm.

    Nobody's recordings: for each talker Gaussian noise, flat from 100 to 500 Hz and 8 dB per octave weaker above
    (about the long-term average of speech, Byrne et al. 1994), whose level goes up and down as syllables do, at
    up to 4 Hz.

    Args:
        ratios: signal-to-noise ratios drawn from, in dB.
        talkers: their number.
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
        return (signal + scale * babble).astype(np.float32)


@dataclass(frozen=True)
class Band:
    """A band of frequencies, cut out with steep edges.

    Args:
        low: lower edge in Hz.
        high: upper edge in Hz.
    """

    low: float = 300.0
    high: float = 3400.0

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise UserError(f"band: from {self.low:g} to {self.high:g} Hz there is none")

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        return _filtered(signal, rate, lambda hertz: (hertz >= self.low) & (hertz <= self.high)).astype(np.float32)


@dataclass(frozen=True)
class Reverberation:
    """A room: the direct sound and a tail of Gaussian noise that dies away exponentially. The level is kept.

    Source: Polack 1988, the statistical model of late reverberation; the tail begins 2 ms behind the direct sound.

    Args:
        seconds: reverberation times (RT60: until the tail is 60 dB weaker) drawn from.
        direct: energy of the direct sound to that of the tail, in dB; 0 is the critical distance.
    """

    seconds: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    direct: float = 0.0

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        response = impulse_response(float(generator.choice(self.seconds)), rate, self.direct, generator)
        size = _fast(len(signal) + len(response))
        spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
        heard = np.fft.irfft(spectrum, size)[: len(signal)]
        level = np.sqrt(_power(signal[:speech]) / max(_power(heard[:speech]), np.finfo(float).tiny))
        return (level * heard).astype(np.float32)


@dataclass(frozen=True)
class Gain:
    """Another recording level; what passes full scale is clipped.

    Args:
        decibels: changes drawn from.
    """

    decibels: tuple[float, ...] = (-20, -10, 10)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = 10 ** (float(generator.choice(self.decibels)) / 20)
        return np.clip(factor * signal, -1, 1).astype(np.float32)


def codec(name: str, kilobits: float) -> Codec:
    """Return lossy coding of wideband speech (16 kHz) at a nominal rate.

    Args:
        name: `opus` or `mp3`.
        kilobits: rate in kbit/s.
    """
    if name not in CODECS:
        raise unknown("codec", name, CODECS)
    format, subtype, most, least, lowest = CODECS[name]
    if not lowest <= kilobits <= most:
        raise UserError(f"{name}: rates from {lowest} to {most} kbit/s can be had, not {kilobits:g}")
    compression = (most - kilobits) / (most - least)
    return Codec(((format, subtype),), compression, compression, constant=True)


def impulse_response(seconds: float, rate: int, direct: float, generator: np.random.Generator) -> np.ndarray:
    """Return a room's response, float64 (samples,): 1 at the first sample, then the tail.

    Args:
        seconds: reverberation time RT60, above 0.
        rate: in Hz.
        direct: energy of the direct sound to that of the tail, in dB.
        generator: of the tail.
    """
    if seconds <= 0:
        raise UserError(f"reverberation: a time of {seconds:g} s cannot be")
    times = np.arange(1, max(2, round(seconds * rate))) / rate
    tail = generator.standard_normal(len(times)) * 10 ** (-3 * times / seconds) * (times >= 0.002)
    tail *= 10 ** (-direct / 20) / np.sqrt(np.square(tail).sum())
    return np.concatenate([[1.0], tail])


def _power(signal: np.ndarray) -> float:
    return float(np.mean(np.square(signal, dtype=np.float64)))


def _filtered(signal: np.ndarray, rate: int, magnitude: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Multiply a signal's spectrum by a function of the frequency in Hz."""
    # Zeros behind the end, which would otherwise run into the start.
    size = _fast(2 * len(signal))
    spectrum = np.fft.rfft(signal, size) * magnitude(np.fft.rfftfreq(size, 1 / rate))
    return np.fft.irfft(spectrum, size)[: len(signal)]


def _rhythm(samples: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Return how loud a talker of `Babble` is: the magnitude of Gaussian noise below 4 Hz, (samples,)."""
    size = _fast(2 * samples)
    lowest = generator.standard_normal((1 + int(4 * size / rate), 2)).view(np.complex128)[:, 0]
    return np.abs(np.fft.irfft(lowest, size)[:samples])


def _speech_spectrum(hertz: np.ndarray) -> np.ndarray:
    """Return the magnitude of `Babble` at some frequencies."""
    # 8 dB per octave in power are an exponent of 8 / (20 log10 2) of the magnitude.
    return np.maximum(hertz / 500, 1.0) ** (-8 / (20 * np.log10(2))) * (hertz >= 100)


def _fast(size: int) -> int:
    """Return the next power of two: transforms of other sizes may take many times as long."""
    return 1 << (size - 1).bit_length()
