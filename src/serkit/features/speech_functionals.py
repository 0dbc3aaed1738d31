"""A vector for the spoken part of a recording: timbre, voice and rhythm, independent of the level."""

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

#: Band edges of the modulation spectrum in Hz: phrases, words, syllables (3 to 8 Hz), sounds, roughness.
MODULATION_EDGES = (0.5, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 31.0)

# Frames of the modulation spectrum's transform: 8 s at 62.5 frames per second, in steps of 0.12 Hz.
MODULATION_FRAMES = 512

#: Reference of the pitch in Hz, between low and high voices, so that 0 without voiced frames is neutral.
MIDDLE = 200.0

# Voicing and pitch use every second frame, because they take as long as everything else together.
VOICE_STEP = 2

# Minimum voicing of a voiced frame. Windows of 25 ms hold few periods: a steady voice of 100 Hz reaches 0.39, one of
# 250 Hz 0.84; white noise stays at 0.15.
VOICED = 0.3

# A contour with a deviation below this (dB, semitones or a share) counts as constant: its skewness and kurtosis would
# be those of rounding, which differs between processors. Speech always varies more.
STILL = 1e-3

# Power of the loud frames for the pitch, whose cepstrum adds 1 to the power.
LOUD = 1e5


@dataclass(frozen=True)
class SpeechFunctionals(SpeechLogMel):
    """Statistics of cepstrum, voicing and pitch, and the modulation spectrum: a vector of fixed size.

    Levels are those of `SpeechLogMel`: without the silence around the speech, relative to the loud frames. The
    contours are `coefficients` of their cosine transform along the bands, the voicing of each frame, and the pitch
    of the voiced frames in semitones; each gives the `STATISTICS`. The modulation spectrum is the power (natural
    logarithm) of the mean level's variation in each of `groups` groups of neighboring bands, in the bands of
    `MODULATION_EDGES`.

    Args:
        rate, fft, length, hop, bands, low, high, trim, margin, range, remove_offset: as in `SpeechLogMel`.
        coefficients: number of coefficients of the cosine transform, including the mean level.
        groups: number of groups of bands for the modulation spectrum; must divide `bands`.
    """

    coefficients: Bands = 24
    groups: Bands = 16

    name: ClassVar[str] = "speech_functionals"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.coefficients <= self.bands or self.groups < 1 or self.bands % self.groups:
            raise UserError(
                f"{self.name}: coefficients must be from 1 to bands ({self.bands}), got {self.coefficients}; "
                f"groups must divide the bands, got {self.groups}"
            )
        frequency = np.fft.rfftfreq(MODULATION_FRAMES, self.hop / self.rate)
        if not np.histogram(frequency, MODULATION_EDGES)[0].all():
            raise UserError(
                f"{self.name}: {self.rate / self.hop:g} frames per second cannot show modulation from "
                f"{MODULATION_EDGES[0]:g} to {MODULATION_EDGES[-1]:g} Hz; use hop {round(self.rate / 62.5)}"
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
        voicing, pitch = self._voice(power[::VOICE_STEP])
        contours = statistics(cepstrum), statistics(voicing[None]), statistics(pitch[None])
        return np.concatenate([*map(np.ravel, contours), self._modulation(levels)]).astype(np.float32)

    def _power(self, signal: np.ndarray) -> np.ndarray:
        """Return the power spectra of all frames: float32 (frames, bins)."""
        taper = spectrum.window("hann", self.length, self.fft)
        frames = spectrum.frame_count(len(signal), self.fft, self.hop, center=True)
        power = np.empty((frames, self.fft // 2 + 1), dtype=np.float32)
        for place, chunk in spectrum.spectra(signal, taper, self.hop, True, self.remove_offset):
            power[place] = chunk.real**2 + chunk.imag**2
        return power

    def _voice(self, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the voicing of each frame, and the pitch of the voiced frames in semitones."""
        loud = float(np.percentile(power.max(axis=1), 95)) or 1.0
        voicing, pitch = cepstral_pitch.voicing_and_pitch(power * np.float32(LOUD / loud), self.rate)
        voiced = pitch[(voicing >= VOICED) & (pitch > 0)]
        return voicing, 12 * np.log2(voiced / MIDDLE)

    def _modulation(self, levels: np.ndarray) -> np.ndarray:
        """Return the modulation spectrum of levels (bands, frames): (groups * bands of modulation,)."""
        groups = levels.reshape(self.groups, -1, levels.shape[1]).mean(axis=1)
        moving = groups - groups.mean(axis=1, keepdims=True)
        # Folding a longer recording to the transform's length gives the whole recording's spectrum at these points.
        folded = _fold(moving, MODULATION_FRAMES)
        power = np.abs(np.fft.rfft(folded)) ** 2 / levels.shape[1]
        frequency = np.fft.rfftfreq(MODULATION_FRAMES, self.hop / self.rate)
        bands: Sequence[np.ndarray] = [
            power[:, (frequency >= low) & (frequency < high)].mean(axis=1)
            for low, high in itertools.pairwise(MODULATION_EDGES)
        ]
        # 1e-3 dB squared per frame is far below the variation of speech, and keeps the logarithm of a constant finite.
        return np.log(np.stack(bands, axis=1) + 1e-3).ravel()


def statistics(contours: np.ndarray) -> np.ndarray:
    """Return the `STATISTICS` of contours (contours, frames): (contours, statistics); zeros without frames.

    Kurtosis is 3 for a normal distribution, and less for a constant contour. Slope and bend are the first and second
    differences of neighboring frames; the rise is the mean of the positive slopes, with other slopes as 0. The course
    is the mean of the last third of the frames minus that of the first; the arch is the mean of the middle third minus
    half of both.
    """
    frames = contours.shape[1]
    if not frames:
        return np.zeros((len(contours), len(STATISTICS)))
    slope = np.diff(contours, prepend=contours[:, :1])
    mean, deviation = contours.mean(axis=1), contours.std(axis=1)
    standard = (contours - mean[:, None]) / np.maximum(deviation, STILL)[:, None]
    square = standard * standard
    # At least one frame each: with one or two frames the thirds overlap.
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
    """Add up stretches of `frames` frames: (rows, any) to (rows, frames)."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % frames)))
    values: np.ndarray = padded.reshape(len(rows), -1, frames).sum(axis=1)
    return values
