"""What happens to a recording on its way to a recogniser: voices, telephone, codecs, rooms, another level.

Each takes `(signal, rate, speech, generator)` as the augmentations of `serkit.augment` do, and returns float32
samples as long as the signal. White noise, pitch and tempo are `Noise`, `Pitch` and `Stretch` there.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from serkit.audio import resample
from serkit.errors import UserError, unknown

#: Codecs of `Telephone`: how libsndfile writes them.
CODINGS = {"mu-law": "ULAW", "a-law": "ALAW", "gsm": "GSM610"}

#: Codecs of `Codec`: libsndfile's format and subtype, and the rates in kbit/s at the ends of its compression level
#: (0: most bits), of one channel at `CODEC_RATE`.
CODECS: dict[str, tuple[str, str, float, float]] = {
    "opus": ("OGG", "OPUS", 256, 6),
    "mp3": ("MP3", "MPEG_LAYER_III", 160, 8),
}

#: Rates that can be had, in kbit/s: libsndfile refuses MP3 its lowest.
LOWEST = {"opus": 6, "mp3": 16}

#: What codecs are given, in Hz: wideband speech.
CODEC_RATE = 16000

#: Rate of the telephone network, in Hz.
TELEPHONE_RATE = 8000

# Codecs look ahead: what they give may come later by up to this, in s.
_LONGEST_DELAY = 0.15


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
        babble = np.zeros(len(signal))
        for _ in range(self.talkers):
            voice = _filtered(generator.standard_normal(len(signal)), rate, _speech_spectrum)
            rhythm = _filtered(generator.standard_normal(len(signal)), rate, lambda hertz: hertz <= 4)
            babble += voice * np.abs(rhythm)
        wanted = _power(signal[:speech]) / 10 ** (ratio / 10)
        scale = np.sqrt(wanted / max(_power(babble), np.finfo(float).tiny))
        return (signal + scale * babble).astype(np.float32)


@dataclass(frozen=True)
class Telephone:
    """A telephone line: a band of frequencies, at 8 kHz, and perhaps one of the network's codecs.

    Args:
        low: lower edge of the band in Hz.
        high: upper edge in Hz.
        coding: `mu-law` or `a-law` (ITU-T G.711, 64 kbit/s), `gsm` (GSM 06.10 full rate, 13 kbit/s); None: the
            band only, at the recording's own rate.
    """

    low: float = 300.0
    high: float = 3400.0
    coding: str | None = None

    def __post_init__(self) -> None:
        if self.coding is not None and self.coding not in CODINGS:
            raise unknown("telephone coding", self.coding, CODINGS)
        if not 0 <= self.low < self.high:
            raise UserError(f"telephone: a band from {self.low:g} to {self.high:g} Hz is none")

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        heard = _filtered(signal, rate, lambda hertz: (hertz >= self.low) & (hertz <= self.high)).astype(np.float32)
        if self.coding is None:
            return heard
        return _coded(heard, rate, TELEPHONE_RATE, {"format": "WAV", "subtype": CODINGS[self.coding]})


@dataclass(frozen=True)
class Codec:
    """Lossy coding and decoding of wideband speech (16 kHz), by libsndfile.

    Args:
        name: `opus` or `mp3`.
        kilobits: nominal rates drawn from, in kbit/s.
    """

    name: str = "opus"
    kilobits: tuple[float, ...] = (8, 16, 24, 32)

    def __post_init__(self) -> None:
        if self.name not in CODECS:
            raise unknown("codec", self.name, CODECS)
        low, high = LOWEST[self.name], CODECS[self.name][2]
        if not all(low <= rate <= high for rate in self.kilobits):
            raise UserError(f"{self.name}: rates from {low} to {high} kbit/s can be had, not {list(self.kilobits)}")

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        format, subtype, most, least = CODECS[self.name]
        level = (most - float(generator.choice(self.kilobits))) / (most - least)
        options: dict[str, Any] = {"format": format, "subtype": subtype, "compression_level": level}
        if self.name == "mp3":
            options["bitrate_mode"] = "CONSTANT"
        return _coded(signal, rate, CODEC_RATE, options)


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


def _speech_spectrum(hertz: np.ndarray) -> np.ndarray:
    """Return the magnitude of `Babble` at some frequencies."""
    # 8 dB per octave in power are an exponent of 8 / (20 log10 2) of the magnitude.
    return np.maximum(hertz / 500, 1.0) ** (-8 / (20 * np.log10(2))) * (hertz >= 100)


def _fast(size: int) -> int:
    """Return the next power of two: transforms of other sizes may take many times as long."""
    return 1 << (size - 1).bit_length()


def _coded(signal: np.ndarray, rate: int, coded_rate: int, options: dict[str, Any]) -> np.ndarray:
    """Write and read samples in another format and rate, without the codec's delay: as long as the signal."""
    file = io.BytesIO()
    clipped = np.clip(resample(np.ascontiguousarray(signal), rate, coded_rate), -1, 1)
    with soundfile.SoundFile(file, "w", coded_rate, 1, **options) as target:
        target.write(clipped)
    file.seek(0)
    found, found_rate = soundfile.read(file, dtype="float32")
    found = resample(found, found_rate, rate)
    found = found[_delay(signal, found, round(_LONGEST_DELAY * rate)) :][: len(signal)]
    return np.pad(found, (0, len(signal) - len(found)))


def _delay(signal: np.ndarray, later: np.ndarray, longest: int) -> int:
    """Return by how many samples a signal fits best what came of it."""
    size = _fast(len(signal) + len(later))
    correlation = np.fft.irfft(np.fft.rfft(later, size) * np.fft.rfft(signal, size).conj(), size)
    return int(np.argmax(correlation[: longest + 1]))
