"""One vector for the spoken part of a recording: timbre, voice and rhythm, whatever the recording's level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.errors import UserError
from serkit.features import cepstral_pitch, spectrum
from serkit.features.mfcc import cosines
from serkit.features.spectrum import Bands
from serkit.features.speech_log_mel import SpeechLogMel, relative, spoken

#: Statistics over time of each contour, in this order.
STATISTICS = (
    *("mean", "deviation", "p5", "p25", "median", "p75", "p95", "skewness", "kurtosis"),
    *("slope_deviation", "bend_deviation", "rise", "course", "arch"),
)

#: Edges in Hz of the bands of the modulation spectrum: phrases, words, syllables (3 to 8 Hz), sounds, roughness.
MODULATION_EDGES = (0.5, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 31.0)

# Frames of the modulation spectrum's transform: 8 s at 62.5 frames a second, in steps of 0.12 Hz.
_MODULATION_FRAMES = 512

#: Pitch is in semitones above this many Hz, between low and high voices: 0 where nothing is voiced says nothing.
_MIDDLE = 200.0

# Voicing and pitch are looked for in every second frame: they take as long as all the rest together.
_VOICE_STEP = 2

# Voicing of a voiced frame at least. Windows of 25 ms hold so few periods that a steady voice of 100 Hz reaches 0.39,
# one of 250 Hz 0.84; white noise stays at 0.15.
_VOICED = 0.3

# A contour whose deviation is below this (dB, semitones or a share) stands still: skewness and kurtosis of what moves
# less would be those of rounding, which differs between processors. No speech is so still.
_STILL = 1e-3

# Power of the loud frames when the pitch is looked for, whose cepstrum adds 1 to the power.
_LOUD = 1e5


@dataclass(frozen=True)
class SpeechFunctionals(SpeechLogMel):
    """Statistics of cepstrum, voicing and pitch, and the modulation spectrum: a vector of fixed size.

    Levels are those of `SpeechLogMel`: without the silence around the speech, relative to the loud frames. The
    contours are `coefficients` of their cosine transform along the bands, the voicing of each frame, and the pitch
    of the voiced frames in semitones; of each the `STATISTICS`. The modulation spectrum is the power (natural
    logarithm) with which the mean level of each of `groups` groups of neighbouring bands moves, in the bands of
    `MODULATION_EDGES`.

    Args:
        rate, fft, length, hop, bands, low, high, trim, margin, range: as in `SpeechLogMel`.
        coefficients: of the cosine transform, the mean level among them.
        groups: of bands, for the modulation spectrum; divides `bands`.
    """

    coefficients: Bands = 24
    groups: Bands = 16

    name: ClassVar[str] = "speech_functionals"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.coefficients <= self.bands or self.groups < 1 or self.bands % self.groups:
            raise UserError(
                f"{self.name}: coefficients {self.coefficients} must lie in 1..bands ({self.bands}), and "
                f"groups {self.groups} must divide the bands"
            )
        frequency = np.fft.rfftfreq(_MODULATION_FRAMES, self.hop / self.rate)
        if not np.histogram(frequency, MODULATION_EDGES)[0].all():
            raise UserError(
                f"{self.name}: {self.rate / self.hop:g} frames a second do not show modulation from "
                f"{MODULATION_EDGES[0]:g} to {MODULATION_EDGES[-1]:g} Hz; with hop {round(self.rate / 62.5)} they do"
            )

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (len(self.columns),)

    @property
    def columns(self) -> list[str]:
        """Name of each value: `cepstrum0_mean`, ..., `pitch_rise`, `modulation0_0.5`, ..., `modulation15_18`."""
        contours = [*(f"cepstrum{number}" for number in range(self.coefficients)), "voicing", "pitch"]
        modulation = [f"modulation{group}_{low:g}" for group in range(self.groups) for low in MODULATION_EDGES[:-1]]
        return [f"{contour}_{name}" for contour in contours for name in STATISTICS] + modulation

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the vector of a float32 signal (samples,): float32 (size,)."""
        power = self._power(signal)
        filters = spectrum.mel_filters(self.rate, self.fft, self.bands, self.low, self.high, "htk", None)
        mel = np.empty((len(power), self.bands), dtype=np.float32)
        spectrum.apply_filters(power, filters, out=mel)
        levels = 10 * np.log10(np.maximum(mel.T, 1e-10))
        part = spoken(levels, self.trim, self.margin)
        levels, power = relative(levels[:, part], self.range), power[part]
        cepstrum = cosines(self.bands, self.coefficients, 0.0).T @ levels
        voicing, pitch = self._voice(power[::_VOICE_STEP])
        contours = statistics(cepstrum), statistics(voicing[None]), statistics(pitch[None])
        return np.concatenate([*map(np.ravel, contours), self._modulation(levels)]).astype(np.float32)

    def _power(self, signal: np.ndarray) -> np.ndarray:
        """Return the power spectra of all frames: float32 (frames, bins)."""
        taper = spectrum.window("hann", self.length, self.fft)
        frames = spectrum.frame_count(len(signal), self.fft, self.hop, center=True)
        power = np.empty((frames, self.fft // 2 + 1), dtype=np.float32)
        for place, chunk in spectrum.spectra(signal, taper, self.hop, center=True):
            power[place] = chunk.real**2 + chunk.imag**2
        return power

    def _voice(self, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the voicing of each frame, and the pitch in semitones of those that are voiced."""
        loud = float(np.percentile(power.max(axis=1), 95)) or 1.0
        voicing, pitch = cepstral_pitch.voicing_and_pitch(power * np.float32(_LOUD / loud), self.rate)
        voiced = pitch[(voicing >= _VOICED) & (pitch > 0)]
        return voicing, 12 * np.log2(voiced / _MIDDLE)

    def _modulation(self, levels: np.ndarray) -> np.ndarray:
        """Return the modulation spectrum of levels (bands, frames): (groups * bands of modulation,)."""
        groups = levels.reshape(self.groups, -1, levels.shape[1]).mean(axis=1)
        moving = groups - groups.mean(axis=1, keepdims=True)
        # A longer recording is folded to the transform's length: that gives the whole one's spectrum at these points.
        folded = _fold(moving, _MODULATION_FRAMES)
        power = np.abs(np.fft.rfft(folded)) ** 2 / levels.shape[1]
        frequency = np.fft.rfftfreq(_MODULATION_FRAMES, self.hop / self.rate)
        bands: Sequence[np.ndarray] = [
            power[:, (frequency >= low) & (frequency < high)].mean(axis=1)
            for low, high in itertools.pairwise(MODULATION_EDGES)
        ]
        # 1e-3 dB squared a frame: far below what speech moves, and a logarithm for what does not move at all.
        return np.log(np.stack(bands, axis=1) + 1e-3).ravel()


def statistics(contours: np.ndarray) -> np.ndarray:
    """Describe contours (contours, frames) by `STATISTICS`: (contours, statistics); zeros if there are no frames.

    Kurtosis is 3 for a normal distribution, less for a contour that stands still; slope and bend are first and second
    differences of neighbouring frames, and the rise is the mean of the slopes that are positive, others counting as 0.
    The course is the mean of the last third of the frames less that of the first, the arch that of the middle third
    less half of both.
    """
    frames = contours.shape[1]
    if not frames:
        return np.zeros((len(contours), len(STATISTICS)))
    slope = np.diff(contours, prepend=contours[:, :1])
    mean, deviation = contours.mean(axis=1), contours.std(axis=1)
    standard = (contours - mean[:, None]) / np.maximum(deviation, _STILL)[:, None]
    square = standard * standard
    # At least a frame each: of one or two frames the thirds overlap.
    third = -(-frames // 3)
    first, last = contours[:, :third].mean(axis=1), contours[:, -third:].mean(axis=1)
    middle = contours[:, (frames - third) // 2 :][:, :third].mean(axis=1)
    return np.column_stack(
        [
            mean,
            deviation,
            *np.percentile(contours, (5, 25, 50, 75, 95), axis=1),
            (square * standard).mean(axis=1),
            (square * square).mean(axis=1),
            slope.std(axis=1),
            np.diff(slope, prepend=slope[:, :1]).std(axis=1),
            np.maximum(slope, 0).mean(axis=1),
            last - first,
            middle - (first + last) / 2,
        ]
    )


def _fold(rows: np.ndarray, frames: int) -> np.ndarray:
    """Add up stretches of so many frames: (rows, any) to (rows, frames)."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % frames)))
    return padded.reshape(len(rows), -1, frames).sum(axis=1)
