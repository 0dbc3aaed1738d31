"""Spectral features as square images: mel spectrogram, chromagram, MFCC.

Source: Skoulidis et al. 2023, "Data Pre-Processing": pre-emphasis, trimming of zeros, a feature of librosa, levels in
dB, resizing. Missing details are librosa's defaults.
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

# librosa's floors of a power, and of an amplitude before it is squared.
LEAST_POWER = 1e-10
LEAST_AMPLITUDE = 1e-5


@dataclass(frozen=True)
class _Square(ABC):
    """Common base: a signal of any length becomes one image, shape (1, size, size).

    Row 0 is the lowest band; time runs along the columns. Values are levels divided by `top_db`, from -1 to 0.
    As in the paper, resizing has two steps, which differ from a single one: first the time axis to the number of
    rows, then the result to `size`. Both average over all pixels that a new pixel covers (bilinear).

    Args:
        rate: sampling rate in Hz.
        size: rows and columns; the paper tries 30, 50, 60 and 80.
        preemphasis: share of the previous sample to subtract from each sample.
        fft: length of transform and Hann window in samples.
        hop: samples between frames.
        top_db: levels at least this many dB below the maximum are -1; the maximum is 0.
        strict_units: whether each kind of value has its proper unit. Otherwise all count as amplitudes, as in the
            paper, which doubles the dB of a power spectrum and loses the signs of a cepstrum.
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
                raise UserError(f"{self.name}: {field} must be above 0, got {getattr(self, field):g}")
        if not 0 <= self.preemphasis <= 1:
            raise UserError(f"{self.name}: preemphasis must be from 0 to 1, got {self.preemphasis:g}")

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (1, self.size, self.size)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Draw a float32 signal (samples,): float32 (1, size, size)."""
        signal = np.trim_zeros(_emphasise(signal, self.preemphasis))
        if not len(signal):
            # Digital silence has no maximum.
            return np.full((1, self.size, self.size), -1, dtype=np.float32)
        values = self.values(signal)
        levels = self.strict(values) if self.strict_units else self._decibels(values**2, LEAST_AMPLITUDE**2)
        picture = Image.fromarray(np.ascontiguousarray(levels / np.float32(self.top_db), dtype=np.float32))
        for columns, rows in ((len(levels), len(levels)), (self.size, self.size)):
            # In mode "F" Pillow keeps floats; it widens the triangle of its bilinear filter by the reduction factor.
            picture = picture.resize((columns, rows), Image.Resampling.BILINEAR)
        return np.array(picture)[None]

    @abstractmethod
    def values(self, signal: np.ndarray) -> np.ndarray:
        """Compute the feature, (rows, frames), of a signal that is not all zeros."""

    def strict(self, values: np.ndarray) -> np.ndarray:
        """Return powers as levels in dB."""
        return self._decibels(values, LEAST_POWER)

    def _decibels(self, power: np.ndarray, floor: float) -> np.ndarray:
        """Return levels below the maximum, down to `-top_db`."""
        levels = 10 * np.log10(np.maximum(power, np.float32(floor)))
        values: np.ndarray = np.maximum(levels - levels.max(), np.float32(-self.top_db))
        return values

    def mel(self, bands: int) -> LogMel:
        """Return the mel spectrogram with `bands` bands that the image shows."""
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
    """Mel spectrogram as a square image (see `_Square`), with filters of equal area on Slaney's scale.

    Args:
        bands: number of mel bands before resizing.
    """

    bands: Bands = 128

    name: ClassVar[str] = "mel_square"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mel(self.bands)

    def values(self, signal: np.ndarray) -> np.ndarray:
        return self.mel(self.bands)(signal)


@dataclass(frozen=True)
class ChromaSquare(_Square):
    """Chromagram as a square image (see `_Square`): energy of the twelve pitch classes relative to the loudest.

    The semitones follow the recording's own tuning.
    """

    name: ClassVar[str] = "chroma_square"

    def values(self, signal: np.ndarray) -> np.ndarray:
        taper = spectrum.window("hann", self.fft, self.fft)
        chunks = [part.real**2 + part.imag**2 for _, part in spectrum.spectra(signal, taper, self.hop, center=True)]
        power = np.concatenate(chunks)
        return chroma.chromagram(power, self.rate)


@dataclass(frozen=True)
class MfccSquare(_Square):
    """Cepstral coefficients as a square image (see `_Square`), c0 first. In strict units they keep their signs.

    Args:
        bands: number of mel bands before the cosine transform.
        coefficients: number of coefficients to keep.
    """

    bands: Bands = 128
    coefficients: Bands = 20

    name: ClassVar[str] = "mfcc_square"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mel(self.bands)
        if not 0 < self.coefficients <= self.bands:
            raise UserError(
                f"mfcc_square: coefficients must be from 1 to {self.bands} (bands), got {self.coefficients}"
            )

    def values(self, signal: np.ndarray) -> np.ndarray:
        levels = 10 * np.log10(np.maximum(self.mel(self.bands)(signal), np.float32(LEAST_POWER)))
        # librosa's value, independent of the image's `top_db`.
        levels = np.maximum(levels, levels.max() - np.float32(80))
        cepstrum = np.empty((levels.shape[1], self.coefficients), dtype=np.float32)
        spectrum.apply_filters(levels.T, cosines(self.bands, self.coefficients, lifter=0.0), out=cepstrum)
        return cepstrum.T

    def strict(self, values: np.ndarray) -> np.ndarray:
        return values


def _emphasise(signal: np.ndarray, share: float) -> np.ndarray:
    """Subtract a share of the previous sample from each sample; the first sample follows librosa.

    librosa's filter starts from 2 s[0] - s[1], which is added to the first sample.
    """
    emphasised = signal.copy()
    emphasised[1:] -= np.float32(share) * signal[:-1]
    if len(signal) > 1:
        emphasised[0] += 2 * signal[0] - signal[1]
    return emphasised
