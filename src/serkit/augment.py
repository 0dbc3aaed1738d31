"""Augmented copies of a recording: noise, time shift, speed, pitch, duration.

Each takes `(signal, rate, speech, generator)`: float32 samples, their rate in Hz, how many of them are
the recording (the rest is zero padding), and the NumPy generator all chance comes from. To add one, write
its class and add its line to `AUGMENTATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from serkit.audio import resample
from serkit.errors import UserError, unknown


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise over the whole signal, at a ratio to the power of the speech in it.

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
        return signal + (np.sqrt(power) * generator.standard_normal(len(signal))).astype(np.float32)


@dataclass(frozen=True)
class Shift:
    """A later start: zeros move in from the left, what passes the end is lost.

    Args:
        low: shortest shift in s.
        high: longest shift in s; less where the padding behind the speech is shorter.
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
    """Faster or slower playing by resampling: tempo and pitch move together.

    Args:
        factors: speeds drawn from; above 1 is faster and shorter.
    """

    factors: tuple[float, ...] = (0.9, 1.1)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = float(generator.choice(self.factors))
        return resample(signal[:speech], round(rate * factor), rate)


@dataclass(frozen=True)
class Pitch:
    """Higher or lower, of the same duration.

    Args:
        semitones: drawn from; below 0 is lower.
    """

    semitones: tuple[float, ...] = (-2, -1, 1, 2)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        steps = float(generator.choice(self.semitones))
        change = _library().PitchShift(min_semitones=steps, max_semitones=steps, p=1.0)
        return change(np.ascontiguousarray(signal[:speech]), rate)


@dataclass(frozen=True)
class Stretch:
    """Slower or faster, at the same pitch.

    Args:
        factors: speeds drawn from; above 1 is faster and shorter.
    """

    factors: tuple[float, ...] = (0.75, 0.80, 0.85, 0.90, 1.05, 1.10, 1.20, 1.25)

    def __call__(self, signal: np.ndarray, rate: int, speech: int, generator: np.random.Generator) -> np.ndarray:
        factor = float(generator.choice(self.factors))
        change = _library().TimeStretch(min_rate=factor, max_rate=factor, leave_length_unchanged=False, p=1.0)
        return change(np.ascontiguousarray(signal[:speech]), rate)


@dataclass(frozen=True)
class Pair:
    """Two of: another pitch, another duration, noise; which two, and how much, is drawn for each recording.

    Source: Skoulidis et al. 2023, "Speech Manipulation Techniques"; the values are its grids, and the defaults of
    `Pitch` and `Stretch`.

    Args:
        ratios: signal-to-noise ratios drawn from, in dB.
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


def _library() -> Any:
    """Import what changes pitch and duration: with its own imports it takes a second."""
    try:
        import audiomentations
    except ImportError:
        raise UserError("copies with another pitch or duration need the lab extra: pip install 'serkit[lab]'") from None
    return audiomentations


Augmentation = Noise | Shift | Speed | Pitch | Stretch | Pair

AUGMENTATIONS: dict[str, Callable[[], Augmentation]] = {
    "noise": Noise,
    "shift": Shift,
    "speed": Speed,
    "slower": lambda: Speed((0.9,)),
    "faster": lambda: Speed((1.1,)),
    "pitch": Pitch,
    "stretch": Stretch,
    "pair": Pair,
}


def build(name: str) -> Augmentation:
    """Make an augmentation by name."""
    if name not in AUGMENTATIONS:
        raise unknown("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name]()
