"""Augmentations of a recording: noise, time shift, speed, pitch, duration, telephone, codec, level.

Each takes `(signal, rate, speech, generator)`: float32 samples, their rate in Hz, the number of samples that
belong to the recording (the rest is zero padding), and the NumPy generator for all random numbers. To add one,
write its class and add a line to `AUGMENTATIONS`.
"""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from serkit.audio import resample
from serkit.errors import UserError
from serkit.registry import Registry
from serkit.toml import write_value

#: Sampling rate of a telephone call in Hz.
TELEPHONE_RATE = 8000


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise over the whole signal, at a given signal-to-noise ratio.

    Args:
        low: smallest signal-to-noise ratio in dB.
        high: largest signal-to-noise ratio in dB.
    """

    low: float = 10.0
    high: float = 20.0

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        power = np.mean(np.square(signal[:speech], dtype=np.float64)) / 10 ** (
            generator.uniform(self.low, self.high) / 10
        )
        values: np.ndarray = signal + (np.sqrt(power) * generator.standard_normal(len(signal))).astype(np.float32)
        return values


@dataclass(frozen=True)
class Shift:
    """A later start: zeros enter at the beginning, and samples shifted past the end are lost.

    Args:
        low: shortest shift in s.
        high: longest shift in s; limited by the padding after the speech.
    """

    low: float = 0.2
    high: float = 1.0

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        room = (len(signal) - speech) / rate
        seconds = generator.uniform(self.low, max(self.low, min(self.high, room)))
        samples = min(round(seconds * rate), len(signal))
        return np.concatenate([np.zeros(samples, dtype=np.float32), signal[: len(signal) - samples]])


@dataclass(frozen=True)
class Speed:
    """Faster or slower playback by resampling; tempo and pitch change together.

    Args:
        factors: speeds drawn from; above 1 is faster and shorter.
    """

    factors: tuple[float, ...] = (0.9, 1.1)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = float(generator.choice(self.factors))
        return resample(signal[:speech], round(rate * factor), rate)


@dataclass(frozen=True)
class Pitch:
    """Higher or lower pitch at the same duration.

    Args:
        semitones: shifts to draw from, in semitones; below 0 is lower.
    """

    semitones: tuple[float, ...] = (-2, -1, 1, 2)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        steps = float(generator.choice(self.semitones))
        return _stretch(signal[:speech], rate, semitones=steps)


@dataclass(frozen=True)
class Stretch:
    """Slower or faster speech at the same pitch.

    Args:
        factors: speeds drawn from; above 1 is faster and shorter.
    """

    factors: tuple[float, ...] = (0.75, 0.80, 0.85, 0.90, 1.05, 1.10, 1.20, 1.25)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = float(generator.choice(self.factors))
        return _stretch(signal[:speech], rate, factor=factor)


@dataclass(frozen=True)
class Pair:
    """Two of three changes: pitch, duration, noise. Which two, and how strong, is random for each recording.

    Source: Skoulidis et al. 2023, "Speech Manipulation Techniques"; the values are its grids, and the defaults of
    `Pitch` and `Stretch`.

    Args:
        ratios: signal-to-noise ratios to draw from, in dB.
    """

    ratios: tuple[float, ...] = (7, 8, 11, 12, 14, 15, 17, 18, 20)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        left_out = generator.integers(3)
        ratio = float(generator.choice(self.ratios))
        signal = signal[:speech]
        changes: tuple[Augmentation, ...] = (Pitch(), Stretch(), Noise(ratio, ratio))
        for number, change in enumerate(changes):
            if number != left_out:
                signal = change(signal, rate, len(signal), generator)
        return signal


@dataclass(frozen=True)
class ColouredNoise:
    """Steady background noise whose power falls with frequency, at a given signal-to-noise ratio.

    Fans, rooms and streets are louder at low frequencies than white noise is.

    Args:
        low: smallest signal-to-noise ratio in dB.
        high: largest signal-to-noise ratio in dB.
        slopes: slopes of the noise's power to draw from, in dB per octave: 0 is white, -3 pink, -6 brown.
    """

    low: float = 5.0
    high: float = 30.0
    slopes: tuple[float, ...] = (0.0, -3.0, -6.0)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        slope = float(generator.choice(self.slopes))
        ratio = generator.uniform(self.low, self.high)
        spectrum = np.fft.rfft(generator.standard_normal(len(signal)))
        # Flat below 20 Hz; otherwise brown noise would consist mostly of the drift of its first bin.
        frequency = np.maximum(np.fft.rfftfreq(len(signal), 1 / rate), 20.0)
        noise = np.fft.irfft(spectrum * 10 ** (slope * np.log2(frequency) / 20), len(signal))
        power = np.mean(np.square(signal[:speech], dtype=np.float64)) / 10 ** (ratio / 10)
        values: np.ndarray = signal + (np.sqrt(power / np.mean(noise**2)) * noise).astype(np.float32)
        return values


@dataclass(frozen=True)
class Telephone:
    """A telephone call: 300 to 3400 Hz, 8000 Hz, 8-bit mu-law or GSM 06.10, resampled to the recording's rate.

    Args:
        low: lower edge of the band in Hz.
        high: upper edge of the band in Hz.
        subtypes: codings to draw from, by libsndfile's names.
    """

    low: float = 300.0
    high: float = 3400.0
    subtypes: tuple[str, ...] = ("ULAW", "GSM610")

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        from scipy.signal import butter, sosfiltfilt

        subtype = str(generator.choice(self.subtypes))
        call = resample(signal[:speech], rate, TELEPHONE_RATE)
        band = butter(4, (self.low, self.high), "bandpass", fs=TELEPHONE_RATE, output="sos")
        # A very short recording has fewer samples than the default padding needs.
        call = sosfiltfilt(band, call, padlen=min(len(call) - 1, 27)).astype(np.float32)
        coded = _through(call, TELEPHONE_RATE, "WAV", subtype)
        return _as_long(resample(coded, TELEPHONE_RATE, rate), signal)


@dataclass(frozen=True)
class Codec:
    """A lossy file: the recording is encoded and decoded.

    Args:
        formats: formats and subtypes to draw from, by libsndfile's names.
        low: lowest compression level of libsndfile to draw from, 0 (largest file) to 1.
        high: highest compression level.
        constant: whether MP3 uses a constant bit rate, set by the compression level.
    """

    formats: tuple[tuple[str, str], ...] = (("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"), ("OGG", "VORBIS"))
    low: float = 0.3
    high: float = 0.99
    constant: bool = False

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        kind, subtype = self.formats[int(generator.integers(len(self.formats)))]
        compression = float(generator.uniform(self.low, self.high))
        # Opus supports few rates; 16000 Hz is one of them.
        heard = resample(signal[:speech], rate, 16000)
        constant = self.constant and kind == "MP3"
        coded = _through(heard, 16000, kind, subtype, compression, "CONSTANT" if constant else None)
        if constant:
            # At low rates, libsndfile does not remove the coder's delay.
            coded = coded[_delay(heard, coded) :]
        return _as_long(resample(coded, 16000, rate), signal)


@dataclass(frozen=True)
class Level:
    """Another recording level: 16-bit samples with a peak below full scale, or clipped at it.

    Args:
        low: lowest peak in dB of full scale.
        high: highest peak in dB of full scale; above 0, the recording is clipped.
    """

    low: float = -40.0
    high: float = 12.0

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        peak = float(np.abs(signal).max()) or 1.0
        gain = 10 ** (generator.uniform(self.low, self.high) / 20) / peak
        return (np.round(np.clip(signal * gain, -1, 1) * 32767) / 32767).astype(np.float32)


@dataclass(frozen=True)
class Recorded:
    """Random degradations that a recording may undergo before it reaches a recognizer.

    In this order: another speed, colored noise, a telephone or a lossy file (never both), another level.

    Args:
        speed: largest relative change of the speed.
        noise: share of recordings with noise.
        telephone: share of recordings sent through a telephone.
        codec: share of recordings stored as lossy files.
    """

    speed: float = 0.1
    noise: float = 0.6
    telephone: float = 0.3
    codec: float = 0.4

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = 1 + generator.uniform(-self.speed, self.speed)
        changes: list[Augmentation] = [Speed((factor,))]
        if generator.random() < self.noise:
            changes.append(ColouredNoise())
        way = generator.random()
        if way < self.telephone:
            changes.append(Telephone())
        elif way < self.telephone + self.codec:
            changes.append(Codec())
        signal = signal[:speech]
        for change in (*changes, Level()):
            signal = change(signal, rate, len(signal), generator)
        return signal


def _through(
    signal: np.ndarray, rate: int, kind: str, subtype: str, compression: float | None = None, mode: str | None = None
) -> np.ndarray:
    """Encode samples as a file and decode them again."""
    file = io.BytesIO()
    how = {"format": kind, "subtype": subtype, "compression_level": compression, "bitrate_mode": mode}
    # Samples beyond full scale would wrap around in some codings.
    soundfile.write(file, np.clip(signal, -1, 1), rate, **how)
    file.seek(0)
    values: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return values


def _delay(signal: np.ndarray, later: np.ndarray) -> int:
    """Return the delay in samples, up to the surplus, at which the processed signal fits the original best."""
    size = 1 << (len(signal) + len(later)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(later, size) * np.fft.rfft(signal, size).conj(), size)
    return int(np.argmax(correlation[: max(0, len(later) - len(signal)) + 1]))


def _as_long(changed: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Cut samples, or pad them with zeros, to a given length; codings work in blocks."""
    return np.pad(changed, (0, max(0, len(signal) - len(changed))))[: len(signal)]


def _stretch(signal: np.ndarray, rate: int, semitones: float = 0.0, factor: float = 1.0) -> np.ndarray:
    """Change the pitch by `semitones` and, independently, the speed by `factor` (Signalsmith Stretch)."""
    try:
        import python_stretch
    except ImportError:
        raise UserError("copies with another pitch or duration need the lab extra: pip install 'serkit[lab]'") from None
    # Below half the speed it draws random phases; without a seed they would differ from run to run.
    change = python_stretch.Signalsmith.Stretch(0)
    change.preset(1, rate)
    change.setTransposeSemitones(semitones)
    change.setTimeFactor(factor)
    values: np.ndarray = change.process(np.ascontiguousarray(signal)[np.newaxis])[0]
    return values


Augmentation = Noise | Shift | Speed | Pitch | Stretch | Pair | ColouredNoise | Telephone | Codec | Level | Recorded

AUGMENTATIONS = Registry(
    "augmentation",
    {
        "noise": Noise,
        "shift": Shift,
        "speed": Speed,
        "slower": lambda: Speed((0.9,)),
        "faster": lambda: Speed((1.1,)),
        "pitch": Pitch,
        "stretch": Stretch,
        "pair": Pair,
        "coloured_noise": ColouredNoise,
        "telephone": Telephone,
        "codec": Codec,
        "level": Level,
        "recorded": Recorded,
    },
)


def describe(name: str, options: Mapping[str, Any]) -> str:
    """Return the text that stands for an augmentation in the id of a copy; `build` reads it.

    >>> describe("noise", {"low": 0, "high": 5}), describe("slower", {})
    ('noise{ high = 5, low = 0 }', 'slower')
    """
    return f"{name}{write_value(dict(sorted(options.items())))}" if options else name


def build(text: str) -> Augmentation:
    """Make an augmentation from its name, or from the text of `describe`.

    Raises:
        UserError: no augmentation has this name, or it has no such option or value.
    """
    name, brace, options = text.partition("{")
    table = tomllib.loads(f"options = {{{options}")["options"] if brace else {}
    augmentation: Augmentation = AUGMENTATIONS.make(name, table)
    return augmentation
