"""Log-mel spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from serkit.errors import UserError, unknown
from serkit.features import spectrum
from serkit.features.spectrum import Bands, Hertz, Rate, Samples
from serkit.options import Between

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "window": spectrum.WINDOWS,
    "scale": ("htk", "slaney"),
    "norm": ("slaney", None),
    "level": ("db", "ln", "linear"),
}


@dataclass(frozen=True)
class LogMel:
    """Mel-band levels over time, shape (bands, frames), lowest band first.

    Args:
        rate: sampling rate in Hz.
        fft: transform length in samples.
        length: window length in samples; a window shorter than the transform is zero-padded.
        hop: samples between frames.
        bands: number of mel bands.
        low: lower edge of the first band in Hz.
        high: upper edge of the last band in Hz; None: half the rate.
        window: `hann`, `hamming` or `rectangular`.
        scale: mel formula, `htk` or `slaney`.
        norm: `slaney` for filters of equal area, None for filters of equal height.
        power: exponent of the magnitude spectrum: 2 power, 1 magnitude.
        level: `db` (10 log10), `ln`, or `linear` for no logarithm.
        floor: smallest value before the logarithm. 1e-10 is -100 dB: below the noise floor of 16-bit
            audio (-96 dB).
        center: whether frame t is centered on sample t * hop (zeros beyond the ends).
        remove_offset: whether to remove a constant offset (DC), as `spectrum.spectra` does.
    """

    rate: Rate = 16000
    fft: Samples = 512
    length: Samples = 400
    hop: Samples = 160
    bands: Bands = 64
    low: Hertz = 0.0
    high: Hertz | None = None
    window: str = "hann"
    scale: str = "htk"
    norm: str | None = None
    power: Annotated[float, Between(0.01, 4)] = 2.0
    level: str = "db"
    floor: Annotated[float, Between(1e-37, 1)] = 1e-10
    center: bool = True
    remove_offset: bool = False

    name: ClassVar[str] = "log_mel"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 < self.length <= self.fft:
            raise UserError(f"log_mel: length must be from 1 to fft ({self.fft}), got {self.length}")
        if not 0 <= self.low < (self.high or self.rate / 2) <= self.rate / 2:
            limits = f"low must be below high, both from 0 to {self.rate / 2:g} Hz"
            raise UserError(f"log_mel: {limits}, got {self.low:g} and {self.high}")
        if min(self.hop, self.bands) < 1 or self.floor <= 0:
            raise UserError(f"log_mel: hop {self.hop}, bands {self.bands} and floor {self.floor:g} must be above 0")
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise unknown(f"log_mel {field}", getattr(self, field), map(str, allowed))

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.bands, None)

    @property
    def middle(self) -> int:
        """Sample in the middle of the first frame."""
        return 0 if self.center else self.fft // 2

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the levels of a float32 signal (samples,): float32 (bands, frames)."""
        taper = spectrum.window(self.window, self.length, self.fft)
        filters = spectrum.mel_filters(
            self.rate, self.fft, self.bands, self.low, self.high or self.rate / 2, self.scale, self.norm
        )
        frames = spectrum.frame_count(len(signal), self.fft, self.hop, self.center)
        mel = np.empty((frames, self.bands), dtype=np.float32)
        for place, chunk in spectrum.spectra(signal, taper, self.hop, self.center, self.remove_offset):
            # Real and imaginary part squared: half the time of abs() and **2.
            energy = chunk.real**2 + chunk.imag**2
            if self.power != 2:
                energy **= self.power / 2
            spectrum.apply_filters(energy, filters, out=mel[place])
        if self.level != "linear":
            np.log(np.maximum(mel, self.floor, out=mel), out=mel)
        if self.level == "db":
            mel *= np.float32(10 / np.log(10))
        return np.ascontiguousarray(mel.T)
