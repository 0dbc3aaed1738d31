"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from serkit.errors import UserError
from serkit.features import spectrum
from serkit.features.log_mel import LogMel
from serkit.features.spectrum import Bands, Rate, Samples, Share
from serkit.options import Between


@dataclass(frozen=True)
class Mfcc:
    """Cosine transform of the log-mel spectrum over time, shape (coefficients, frames), with c0 first.

    Steps: pre-emphasis of the whole signal, power spectrum, mel filters of equal height, logarithm, orthonormal
    DCT-II. The defaults interpret Zhong, Yu & Zhang 2020, section III-A: the paper's 24 ms Hamming windows
    every 12 ms fit into its 256-point transform only at 8 kHz, but its recordings have 16 kHz, where 512 points
    are the next power of two. The literal reading is `rate = 8000, fft = 256, length = 192, hop = 96`. The
    paper does not give the number of filters and coefficients, c0 or the pre-emphasis factor.

    Args:
        rate: sampling rate in Hz.
        fft: transform length in samples.
        length: window length in samples; a window shorter than the transform is zero-padded.
        hop: samples between frames; frame t is centered on sample t * hop (zeros beyond the ends).
        bands: number of mel bands, from 0 Hz to half the rate.
        coefficients: number of coefficients to keep, at most `bands`.
        preemphasis: share of the previous sample to subtract from each sample; 0: none.
        window: `hann`, `hamming` or `rectangular`.
        scale: mel formula, `htk` or `slaney`.
        lifter: L of the factor 1 + L/2 sin(pi n / L) on coefficient n (Young et al., The HTK Book); 0 for
            none. It has no effect if each coefficient is normalized afterward.
        level: logarithm before the transform, `ln` or `db` (10 log10).
        floor: smallest mel power before the logarithm.
    """

    rate: Rate = 16000
    fft: Samples = 512
    length: Samples = 384
    hop: Samples = 192
    bands: Bands = 40
    coefficients: Bands = 40
    preemphasis: Share = 0.97
    window: str = "hamming"
    scale: str = "htk"
    lifter: Annotated[float, Between(0, 10_000)] = 0.0
    level: str = "ln"
    floor: Annotated[float, Between(1e-37, 1)] = 1e-10

    name: ClassVar[str] = "mfcc"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self.log_mel()
        if self.level == "linear":
            raise UserError("mfcc: level must be 'ln' or 'db', got 'linear'")
        if not 0 < self.coefficients <= self.bands:
            raise UserError(f"mfcc: coefficients must be from 1 to bands ({self.bands}), got {self.coefficients}")
        if not 0 <= self.preemphasis <= 1 or self.lifter < 0:
            given = f"{self.preemphasis:g} and {self.lifter:g}"
            raise UserError(f"mfcc: preemphasis must be from 0 to 1 and lifter at least 0, got {given}")

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.coefficients, None)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the coefficients of a float32 signal (samples,): float32 (coefficients, frames)."""
        emphasised = signal.copy()
        # The sample before the first counts as 0.
        emphasised[1:] -= np.float32(self.preemphasis) * signal[:-1]
        levels = self.log_mel()(emphasised)
        cepstrum = np.empty((levels.shape[1], self.coefficients), dtype=np.float32)
        spectrum.apply_filters(levels.T, cosines(self.bands, self.coefficients, self.lifter), out=cepstrum)
        return np.ascontiguousarray(cepstrum.T)

    def log_mel(self) -> LogMel:
        """Return the spectrogram that the coefficients are computed from."""
        shared = ("rate", "fft", "length", "hop", "bands", "window", "scale", "level", "floor")
        return LogMel(**{field: getattr(self, field) for field in shared})


@functools.lru_cache(maxsize=32)
def cosines(bands: int, coefficients: int, lifter: float) -> np.ndarray:
    """Return the orthonormal DCT-II, multiplied by the lifter's factors, float32 (bands, coefficients)."""
    order = np.arange(coefficients)
    basis = np.sqrt(2 / bands) * np.cos(np.pi * order * (np.arange(bands)[:, None] + 0.5) / bands)
    basis[:, 0] /= np.sqrt(2)
    if lifter:
        basis *= 1 + lifter / 2 * np.sin(np.pi * order / lifter)
    values: np.ndarray = basis.astype(np.float32)
    return values
