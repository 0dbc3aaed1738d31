"""F0 of the electroglottograph (EGG): the feature of chen2022."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from serkit.errors import UserError, unknown
from serkit.features import butterworth, spectrum
from serkit.features.bidirectional import BREAKS, runs, smooth
from serkit.features.spectrum import Hertz, Rate, Samples, Share
from serkit.options import Between

SCALES = ("hz", "relative", "log")
ESTIMATORS = ("biased", "normalised")

#: A level in dB, relative to another.
Level = Annotated[float, Between(-1000, 1000)]

# Lags within this share of the best height count as equal; the shorter wins (against octave errors downward).
_AS_GOOD = 0.9


@dataclass(frozen=True)
class F0Egg:
    """F0 over time, 0 if unvoiced: shape (1, frames), or (2, frames) with a row that is 1 if voiced.

    Steps: high-pass filter, voicing by energy, autocorrelation, smoothing. It works on any periodic signal,
    including speech, but is designed for the EGG, whose cycles are free of the vocal tract's resonances.
    Frames are not centered: frame t covers the samples from t * hop on, and only whole frames count (a shorter
    signal is zero-padded to one).

    Sources: Chen et al. 2022, figure 3 and equation 1. The paper gives no constants; all were chosen here.

    Args:
        rate: sampling rate in Hz.
        length: length of a frame in samples. It should hold two periods of `f_min`, because equation 1 sums over
            the rest of a frame beyond the lag; 40 ms suffice down to 50 Hz.
        hop: samples between frames.
        f_min, f_max: range of F0 in Hz.
        high_pass: corner in Hz of a zero-phase Butterworth filter that removes the larynx's slow movement, which
            is often larger than the cycles; 0: no filter.
        order: order of that filter, which is applied forward and backward.
        below_peak: voiced frames are at most this many dB below the loudest frame.
        above_noise: voiced frames are at least this many dB above the noise (10th percentile of the frames'
            energies). In a recording with hardly any pause no frame is; -100 disables this condition.
        periodicity: minimum correlation of a voiced frame with itself one period later, 0 to 1; 0: any.
        gap: maximum length in frames of a pause in a voiced run that is filled.
        run: minimum length of a voiced run in frames; shorter runs are dropped.
        estimator: `biased`: the lag with the largest sum of equation 1, the shortest if several are equal.
            `normalised`: each sum is divided by the energy of the two stretches that it multiplies; of the peaks
            that are nearly as high as the highest, the one with the shortest lag counts, and without a peak there
            is no periodicity. Biased sums favor short lags and need no peak.
        interpolate: whether a parabola through the best lag and its neighbors refines the lag. It is off in the
            paper's equation, so F0 comes in steps (5.6 Hz at 300 Hz).
        smoothing: whether to smooth voiced runs (see `bidirectional.smooth`).
        steady, jump, median, breaks: constants of the smoothing.
        scale: `hz`; `relative` (F0 / f_max); `log` (octaves above f_min). Unvoiced frames are 0 in all.
        voicing: whether to add the second row.
    """

    rate: Rate = 16000
    length: Samples = 640
    hop: Samples = 160
    f_min: Hertz = 60.0
    f_max: Hertz = 500.0
    high_pass: Hertz = 45.0
    order: Annotated[int, Between(1, 8)] = 4
    below_peak: Level = 30.0
    above_noise: Level = 10.0
    periodicity: Share = 0.0
    gap: Annotated[int, Between(0, 100_000)] = 2
    run: Annotated[int, Between(1, 100_000)] = 5
    estimator: str = "biased"
    interpolate: bool = False
    smoothing: bool = True
    steady: Share = 0.10
    jump: Share = 0.20
    median: Annotated[int, Between(1, 9999)] = 3
    breaks: str = "end"
    scale: str = "hz"
    voicing: bool = False

    name: ClassVar[str] = "f0_egg"
    version: ClassVar[int] = 1
    #: Default options of a table.
    in_tables: ClassVar[dict[str, Any]] = {"voicing": True}

    def __post_init__(self) -> None:
        if not 0 < self.f_min < self.f_max <= self.rate / 4:
            raise UserError(
                f"{self.name}: F0 must be from 0 to {self.rate / 4:g} Hz, got {self.f_min:g} to {self.f_max:g} Hz"
            )
        if self.length < self._lags[1] + 2:
            raise UserError(
                f"{self.name}: a frame of {self.length} samples is not longer than a period of {self.f_min:g} Hz; "
                f"{math.ceil(2 * self.rate / self.f_min)} samples hold two periods"
            )
        if min(self.hop, self.order, self.run) < 1 or self.high_pass < 0 or self.gap < 0:
            raise UserError(
                f"{self.name}: hop {self.hop}, order {self.order} and run {self.run} must be at least 1, "
                f"high_pass {self.high_pass:g} and gap {self.gap} at least 0"
            )
        if 0 < self.high_pass < (lowest := butterworth.lowest(self.rate)):
            raise UserError(f"{self.name}: high_pass {self.high_pass:g} Hz must be 0, or at least {lowest:.2g} Hz")
        if self.median < 1 or self.median % 2 == 0:
            raise UserError(f"{self.name}: median {self.median} must be odd: 1, 3, 5, ...")
        for field, allowed in (("scale", SCALES), ("estimator", ESTIMATORS), ("breaks", BREAKS)):
            if getattr(self, field) not in allowed:
                raise unknown(f"{self.name} {field}", getattr(self, field), allowed)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (2 if self.voicing else 1, None)

    @property
    def columns(self) -> list[str]:
        return ["f0", "voiced"] if self.voicing else ["f0"]

    @property
    def middle(self) -> int:
        """Sample in the middle of the first frame."""
        return self.length // 2

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute F0 of a float32 signal (samples,): float32 (1 or 2, frames)."""
        f0 = self.contour(signal)
        voiced = f0 > 0
        if self.scale == "relative":
            f0 = f0 / self.f_max
        elif self.scale == "log":
            f0 = np.log2(np.where(voiced, f0, self.f_min) / self.f_min)
        rows = [f0, voiced] if self.voicing else [f0]
        return np.array(rows, dtype=np.float32)

    def contour(self, signal: np.ndarray) -> np.ndarray:
        """Return F0 in Hz, float64 (frames,), 0 if unvoiced."""
        if self.high_pass:
            signal = butterworth.high_pass(signal, self.rate, self.high_pass, self.order)
        signal = np.pad(signal, (0, max(0, self.length - len(signal))))
        energy, f0, periodicity = self._frames(signal)
        voiced = self._voiced(energy, periodicity)
        f0 = np.where(voiced, f0, 0.0)
        if self.smoothing:
            f0 = smooth(f0, self.f_min, self.f_max, self.steady, self.jump, self.median, self.breaks)
        return f0

    def _frames(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return energy in dB, F0 in Hz and periodicity of every frame, each (frames,)."""
        frames = np.lib.stride_tricks.sliding_window_view(signal, self.length)[:: self.hop]
        energy, f0, periodicity = (np.empty(len(frames)) for _ in range(3))
        for begin in range(0, len(frames), spectrum.CHUNK):
            place = slice(begin, begin + spectrum.CHUNK)
            sums = self._autocorrelation(frames[place])
            energy[place] = 10 * np.log10(sums[:, 0] + 1e-10)
            f0[place], periodicity[place] = self._estimate(frames[place], sums)
        return energy, f0, periodicity

    @property
    def _lags(self) -> tuple[int, int]:
        """Return the shortest and the longest lag of equation 1."""
        return math.ceil(self.rate / self.f_max), math.floor(self.rate / self.f_min)

    def _autocorrelation(self, frames: np.ndarray) -> np.ndarray:
        """Sum x(m) x(m + k) over each frame (frames, length) for all lags up to one beyond the longest."""
        lags = self._lags[1] + 2
        fft = 1 << (self.length + lags - 1).bit_length()  # long enough that no lag wraps around
        spectra = np.fft.rfft(frames, fft)
        return np.fft.irfft(spectra.real**2 + spectra.imag**2, fft)[:, :lags]

    def _estimate(self, frames: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return F0 in Hz and periodicity, (frames,) each, from the sums (frames, lags)."""
        first, last = self._lags
        correlation = sums / _energies(frames, sums.shape[1])
        rows = np.arange(len(sums))
        if self.estimator == "biased":
            curve = sums
            lag = first + sums[:, first : last + 1].argmax(axis=1)
            periodicity = correlation[rows, lag]
        else:
            curve = correlation
            place, periodicity = _shortest_peak(correlation[:, first - 1 : last + 2])
            lag = first + place
        shift = _vertex(curve[rows, lag - 1], curve[rows, lag], curve[rows, lag + 1]) if self.interpolate else 0.0
        return np.clip(self.rate / (lag + shift), self.f_min, self.f_max), periodicity

    def _voiced(self, energy: np.ndarray, periodicity: np.ndarray) -> np.ndarray:
        """Return which frames are voiced, bool (frames,)."""
        threshold = max(energy.max() - self.below_peak, np.percentile(energy, 10) + self.above_noise)
        voiced = (energy > threshold) & (periodicity >= self.periodicity)
        for begin, end in runs(~voiced):
            if end - begin <= self.gap and begin > 0 and end < len(voiced):
                voiced[begin:end] = True
        for begin, end in runs(voiced):
            if end - begin < self.run:
                voiced[begin:end] = False
        values: np.ndarray = voiced
        return values


def _energies(frames: np.ndarray, lags: int) -> np.ndarray:
    """Return the geometric mean of the energies of a frame's first and last `length - k` samples, (frames, lags k)."""
    total = np.cumsum(np.square(frames, dtype=np.float64), axis=1)
    beginning = total[:, : -lags - 1 : -1]
    ending = total[:, -1:] - np.pad(total[:, : lags - 1], ((0, 0), (1, 0)))
    # 1e-10 avoids a division by 0 in silence; it is -128 dB per sample of a 40 ms frame.
    values: np.ndarray = np.sqrt(beginning * np.maximum(ending, 0)) + 1e-10
    return values


def _shortest_peak(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first peak of each curve that is nearly as high as the highest.

    The first and the last column serve only as neighbors; positions count from the second column.

    Returns:
        Position and height of the peak; both are 0 without a peak above 0.
    """
    inner = curves[:, 1:-1]
    peaks = (inner > curves[:, :-2]) & (inner >= curves[:, 2:])
    heights = np.where(peaks, np.maximum(inner, 0.0), 0.0)
    place = (heights >= _AS_GOOD * heights.max(axis=1, keepdims=True)).argmax(axis=1)
    return place, heights[np.arange(len(curves)), place]


def _vertex(before: np.ndarray, at: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the offset in samples from a peak to the vertex of the parabola through it and its neighbors."""
    bend = before - 2 * at + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    # If the best lag is at the edge of the range and not a peak, the parabola is meaningless.
    return np.where(np.abs(shift) <= 0.5, shift, 0.0)
