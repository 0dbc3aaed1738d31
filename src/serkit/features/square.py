"""Spectral features as square pictures: mel spectrogram, chromagram, MFCC.

Source: Skoulidis et al. 2023, "Data Pre-Processing": pre-emphasis, trimming of zeros, a feature of librosa, levels in
dB, resizing. What the paper does not state is librosa's default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image

from serkit.errors import UserError
from serkit.features import chroma, spectrum
from serkit.features.log_mel import LogMel
from serkit.features.mfcc import cosines
from serkit.features.spectrum import Bands, Decibels, Rate, Samples, Share, Side

# librosa's floors: of a power, and of an amplitude before it is squared.
_LEAST_POWER = 1e-10
_LEAST_AMPLITUDE = 1e-5


@dataclass(frozen=True)
class _Square(ABC):
    """What the three have in common: a signal of any length becomes one picture, shape (1, size, size).

    Row 0 is the lowest band, time runs along the columns. Values are levels divided by `top_db`, from -1 to 0.
    The time axis is resized to as many columns as there are rows, and the result to the wanted size: two steps, as
    in the paper, which differ from a single one. Both average over all pixels that a new one covers (bilinear).

    Args:
        rate: sampling rate in Hz.
        size: rows and columns; the paper tries 30, 50, 60 and 80.
        preemphasis: share of the sample before that is subtracted from each.
        fft: length of transform and Hann window in samples.
        hop: samples from frame to frame.
        top_db: levels this many dB or more below the maximum are -1; the maximum is 0.
        strict_units: each kind of value has the unit it should have. Otherwise all are taken for amplitudes, as in
            the paper: of a power spectrum that doubles the dB, and of a cepstrum it loses the signs.
    """

    rate: Rate = 16000
    size: Side = 60
    preemphasis: Share = 0.97
    fft: Samples = 2048
    hop: Samples = 512
    top_db: Decibels = 80.0
    strict_units: bool = False

    name: ClassVar[str]
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for field in ("rate", "size", "fft", "hop", "top_db"):
            if getattr(self, field) <= 0:
                raise UserError(f"{self.name}: {field} {getattr(self, field):g} must be above 0")
        if not 0 <= self.preemphasis <= 1:
            raise UserError(f"{self.name}: preemphasis {self.preemphasis:g} must lie in 0..1")

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (1, self.size, self.size)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Draw a float32 signal (samples,): float32 (1, size, size)."""
        signal = np.trim_zeros(_emphasise(signal, self.preemphasis))
        if not len(signal):
            # Digital silence has no maximum to relate to.
            return np.full((1, self.size, self.size), -1, dtype=np.float32)
        values = self.values(signal)
        levels = self.strict(values) if self.strict_units else self._decibels(values**2, _LEAST_AMPLITUDE**2)
        picture = Image.fromarray(np.ascontiguousarray(levels / np.float32(self.top_db), dtype=np.float32))
        for columns, rows in ((len(levels), len(levels)), (self.size, self.size)):
            # In mode "F" Pillow keeps floats; it widens the triangle of its bilinear filter by the factor of shrinking.
            picture = picture.resize((columns, rows), Image.Resampling.BILINEAR)
        return np.array(picture)[None]

    @abstractmethod
    def values(self, signal: np.ndarray) -> np.ndarray:
        """Compute the feature, (rows, frames), of a signal that holds more than zeros."""

    def strict(self, values: np.ndarray) -> np.ndarray:
        """Return powers as levels in dB."""
        return self._decibels(values, _LEAST_POWER)

    def _decibels(self, power: np.ndarray, floor: float) -> np.ndarray:
        """Return levels below the maximum, down to `-top_db`."""
        levels = 10 * np.log10(np.maximum(power, np.float32(floor)))
        return np.maximum(levels - levels.max(), np.float32(-self.top_db))

    def _mel(self, bands: int) -> LogMel:
        return LogMel(
            rate=self.rate,
            fft=self.fft,
            length=self.fft,
            hop=self.hop,
            bands=bands,
            scale="slaney",
            norm="slaney",
            level="linear",
        )


@dataclass(frozen=True)
class MelSquare(_Square):
    """Mel spectrogram as a square picture (see `_Square`), filters of equal area on Slaney's scale.

    Args:
        bands: number of mel bands before resizing.
    """

    bands: Bands = 128

    name: ClassVar[str] = "mel_square"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._mel(self.bands)

    def values(self, signal: np.ndarray) -> np.ndarray:
        return self._mel(self.bands)(signal)


@dataclass(frozen=True)
class ChromaSquare(_Square):
    """Chromagram as a square picture (see `_Square`): energy of the twelve pitch classes, in shares of the loudest.

    The semitones lie where the recording's own tuning puts them.
    """

    name: ClassVar[str] = "chroma_square"

    def values(self, signal: np.ndarray) -> np.ndarray:
        taper = spectrum.window("hann", self.fft, self.fft)
        chunks = [part.real**2 + part.imag**2 for _, part in spectrum.spectra(signal, taper, self.hop, center=True)]
        power = np.concatenate(chunks)
        return chroma.chromagram(power, self.rate)


@dataclass(frozen=True)
class MfccSquare(_Square):
    """Cepstral coefficients as a square picture (see `_Square`), c0 first. In strict units they keep their signs.

    Args:
        bands: number of mel bands under the cosine transform.
        coefficients: how many are kept.
    """

    bands: Bands = 128
    coefficients: Bands = 20

    name: ClassVar[str] = "mfcc_square"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._mel(self.bands)
        if not 0 < self.coefficients <= self.bands:
            raise UserError(f"mfcc_square: coefficients {self.coefficients} must lie in 1..bands ({self.bands})")

    def values(self, signal: np.ndarray) -> np.ndarray:
        levels = 10 * np.log10(np.maximum(self._mel(self.bands)(signal), np.float32(_LEAST_POWER)))
        # librosa's, whatever `top_db` of the picture is.
        levels = np.maximum(levels, levels.max() - np.float32(80))
        cepstrum = np.empty((levels.shape[1], self.coefficients), dtype=np.float32)
        spectrum.apply_filters(levels.T, cosines(self.bands, self.coefficients, lifter=0.0), out=cepstrum)
        return cepstrum.T

    def strict(self, values: np.ndarray) -> np.ndarray:
        return values


def _emphasise(signal: np.ndarray, share: float) -> np.ndarray:
    """Subtract a share of the sample before from each; the first goes on as librosa's does.

    Its filter starts from 2 s[0] - s[1], which is added to the first sample.
    """
    emphasised = signal.copy()
    emphasised[1:] -= np.float32(share) * signal[:-1]
    if len(signal) > 1:
        emphasised[0] += 2 * signal[0] - signal[1]
    return emphasised
