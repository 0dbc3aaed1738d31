"""Short-time Fourier magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from serkit.errors import UserError, unknown
from serkit.features import spectrum
from serkit.features.spectrum import Rate, Samples
from serkit.options import Between


@dataclass(frozen=True)
class StftMagnitude:
    """Magnitude spectrum over time, shape (fft // 2 + 1, frames), lowest frequency first.

    With the defaults, 4 s at 16 kHz give 129 x 501 (Guizzo et al. 2023: Hamming window of 16 ms, half
    overlap).

    With a `size`, it is an image of shape (1, frames, bins) with time along the rows. Missing frames and bins are 0;
    surplus ones are cut off. Guizzo et al. 2023: 512 x 128.

    Args:
        rate: sampling rate in Hz.
        fft: transform length in samples.
        length: window length in samples, at most `fft`.
        hop: samples between frames.
        window: `hann`, `hamming` or `rectangular`.
        spectrum_scale: whether to divide magnitudes by the window's sum, so that a full-scale sine
            reads 0.5 with every window (SciPy's scaling "spectrum").
        center: whether frame t is centered on sample t * hop (zeros beyond the ends).
        size: frames and bins of the image; None: the spectrum (bins, frames).
    """

    rate: Rate = 16000
    fft: Samples = 256
    length: Samples = 256
    hop: Samples = 128
    window: str = "hamming"
    spectrum_scale: bool = True
    center: bool = True
    size: Annotated[tuple[int, int], Between(1, 1 << 13)] | None = None

    name: ClassVar[str] = "stft_magnitude"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if isinstance(self.size, list):
            # TOML and JSON have no tuples; a list has no hash.
            object.__setattr__(self, "size", tuple(self.size))
        if self.size is not None and (len(self.size) != 2 or not all(map(_is_side, self.size))):
            raise UserError(f"stft_magnitude: size must be frames and bins, e.g. [512, 128], got {self.size}")
        if not 0 < self.length <= self.fft:
            raise UserError(f"stft_magnitude: length must be from 1 to fft ({self.fft}), got {self.length}")
        if min(self.rate, self.hop) < 1:
            raise UserError(f"stft_magnitude: rate {self.rate} and hop {self.hop} must be above 0")
        if self.window not in spectrum.WINDOWS:
            raise unknown("stft_magnitude window", self.window, spectrum.WINDOWS)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.fft // 2 + 1, None) if self.size is None else (1, *self.size)

    @property
    def middle(self) -> int:
        """Sample in the middle of the first frame."""
        return 0 if self.center else self.fft // 2

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the magnitudes of a float32 signal (samples,): float32 of `shape`."""
        taper = spectrum.window(self.window, self.length, self.fft)
        if self.spectrum_scale:
            taper = taper / taper.sum()
        frames = spectrum.frame_count(len(signal), self.fft, self.hop, self.center)
        magnitude = np.empty((frames, self.fft // 2 + 1), dtype=np.float32)
        for place, chunk in spectrum.spectra(signal, taper, self.hop, self.center):
            np.abs(chunk, out=magnitude[place])
        if self.size is None:
            return np.ascontiguousarray(magnitude.T)
        image = np.zeros((1, *self.size), dtype=np.float32)
        seen = magnitude[: self.size[0], : self.size[1]]
        image[0, : seen.shape[0], : seen.shape[1]] = seen
        return image


def _is_side(side: object) -> bool:
    return isinstance(side, int) and side > 0
