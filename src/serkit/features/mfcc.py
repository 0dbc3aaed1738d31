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
    """Cosine transform of the log-mel spectrum over time, shape (coefficients, frames), c0 first.

    Pre-emphasis of the whole signal, power spectrum, mel filters of equal height, logarithm, orthonormal
    DCT-II. The defaults are a reading of Zhong, Yu & Zhang 2020, section III-A: the paper's 24 ms Hamming
    windows every 12 ms fit into its 256-point transform only at 8 kHz, but its recordings have 16 kHz, where
    512 points are the next power of two. To the letter instead: `rate = 8000, fft = 256, length = 192,
    hop = 96`. The number of filters and coefficients, c0 and the pre-emphasis factor are not in the paper.

    Args:
        rate: sampling rate in Hz.
        fft: transform length in samples.
        length: window length in samples; a window shorter than the transform is zero-padded.
        hop: samples from frame to frame; frame t is centred on sample t * hop (zeros beyond the ends).
        bands: number of mel bands, from 0 Hz to half the rate.
        coefficients: how many are kept, at most `bands`.
        preemphasis: share of the sample before that is subtracted from each, 0 for none.
        window: `hann`, `hamming` or `rectangular`.
        scale: mel formula, `htk` or `slaney`.
        lifter: L of the factor 1 + L/2 sin(pi n / L) on coefficient n (Young et al., The HTK Book); 0 for
            none. It makes no difference behind a normalisation of each coefficient.
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
        self._log_mel()
        if self.level == "linear":
            raise UserError("mfcc: level 'linear' has no logarithm; 'ln' and 'db' have one")
        if not 0 < self.coefficients <= self.bands:
            raise UserError(f"mfcc: coefficients {self.coefficients} must lie in 1..bands ({self.bands})")
        if not 0 <= self.preemphasis <= 1 or self.lifter < 0:
            raise UserError(
                f"mfcc: preemphasis {self.preemphasis:g} must lie in 0..1, lifter {self.lifter:g} must be 0 or more"
            )

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.coefficients, None)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the coefficients of a float32 signal (samples,): float32 (coefficients, frames)."""
        emphasised = signal.copy()
        # The sample before the first is taken as 0.
        emphasised[1:] -= np.float32(self.preemphasis) * signal[:-1]
        levels = self._log_mel()(emphasised)
        cepstrum = np.empty((levels.shape[1], self.coefficients), dtype=np.float32)
        spectrum.apply_filters(levels.T, cosines(self.bands, self.coefficients, self.lifter), out=cepstrum)
        return np.ascontiguousarray(cepstrum.T)

    def _log_mel(self) -> LogMel:
        shared = ("rate", "fft", "length", "hop", "bands", "window", "scale", "level", "floor")
        return LogMel(**{field: getattr(self, field) for field in shared})


@functools.lru_cache(maxsize=32)
def cosines(bands: int, coefficients: int, lifter: float) -> np.ndarray:
    """Orthonormal DCT-II with the lifter's factors in it, float32 (bands, coefficients)."""
    order = np.arange(coefficients)
    basis = np.sqrt(2 / bands) * np.cos(np.pi * order * (np.arange(bands)[:, None] + 0.5) / bands)
    basis[:, 0] /= np.sqrt(2)
    if lifter:
        basis *= 1 + lifter / 2 * np.sin(np.pi * order / lifter)
    return basis.astype(np.float32)
