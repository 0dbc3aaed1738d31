"""Whether a sound is like speech: a check before an answer is called sure.

The check looks at a whole window. Speech moves in ways that other sounds do not share all at once: its level and its
spectrum change at the rate of syllables, voiced and unvoiced sounds alternate, its pitch glides, and its spectrum is
neither flat nor a few lines.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from serkit import audio

#: Sampling rate of the check in Hz: a telephone carries no more.
RATE = 8000

LENGTH = 320
HOP = 160
FFT = 512
BANDS = 24
# About the band of a telephone, in Hz: what is below or above may be of the room and the microphone.
LOWEST, HIGHEST = 250.0, 3600.0

# Pitch in Hz.
DEEPEST, TOPMOST = 60.0, 500.0
FIRST, LAST = int(RATE / TOPMOST), int(RATE / DEEPEST)  # lags in samples

# Frames this far below the loudest ones in dB count as pauses.
RANGE = 35.0
FLOOR = 1e-9

#: Names of the measures, in the order of `measures`.
MEASURES = (
    "active share",
    "voiced share",
    "periodicity, mean",
    "periodicity, SD",
    "pitch, SD",
    "pitch, change",
    "pitch, jumps",
    "level, slow SD",
    "level, fast SD",
    "level, syllables",
    "shape, slow SD",
    "shape, fast SD",
    "shape, slow share",
    "shape, within",
    "flatness, mean",
    "flatness, SD",
    "peak share",
    "mean spectrum, flatness",
    "centroid, mean",
    "centroid, SD",
    "centroid and level",
    "periodicity and level",
    "periodicity and centroid",
    "level, skewness",
    "bands together",
    "lines",
    "onset",
)


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return tables of the measures.

    Returns:
        The window (length,), its autocorrelation at the lags of pitch (lags,), the filters (bins, bands) and their
        centers in Hz.
    """
    window = np.hanning(LENGTH + 1)[:-1]
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * FFT)) ** 2)[FIRST:LAST] / (window**2).sum()
    low, high = 1127 * np.log1p(np.array([LOWEST, HIGHEST]) / 700)
    mel = np.linspace(low, high, BANDS + 2)
    edges = 700 * np.expm1(mel / 1127)
    hertz = np.arange(FFT // 2 + 1) * RATE / FFT
    rise = (hertz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - hertz[:, None]) / np.diff(edges)[1:]
    filters = np.maximum(0, np.minimum(rise, fall))
    return window.astype(np.float32), own, filters.astype(np.float32), edges[1:-1]


@functools.cache
def _correlating() -> np.ndarray:
    """Return the transform from power to autocorrelation, divided by that of the window: float32 (bins, lags)."""
    bins = np.arange(FFT // 2 + 1)[:, None]
    # All but the first and the last bin count twice.
    twice = np.where(bins % (FFT // 2) == 0, 1, 2)
    cosines: np.ndarray = twice * np.cos(2 * np.pi * bins * np.arange(FIRST, LAST) / FFT) / tables()[1]
    return cosines.astype(np.float32)


#: Below this probability there is no speech. `benchmarks/speechlike.py fit` finds 0.09; corpora that are not fitted
#: need a margin.
THRESHOLD = 0.06

#: Below this probability an answer is not sure, as `benchmarks/speechlike.py fit` finds it.
CERTAIN = 0.63

#: Limit of a standardized measure.
FARTHEST = 4.0

#: Weights of the network, as `benchmarks/speechlike.py` writes them.
WEIGHTS = Path(__file__).with_suffix(".json")


def probability(samples: np.ndarray, rate: int) -> float:
    """Return the probability that a window holds speech: float32 (samples,) at `rate` Hz -> 0 to 1."""
    if not len(samples):
        return 0.0
    halves = halved(samples) if rate == 2 * RATE else audio.resample(samples, rate, RATE)
    return of_measures(measures(halves))


def of_measures(values: np.ndarray) -> float:
    """Return the probability of speech from `measures`."""
    mean, scale, hidden, bias, output, offset = weights()
    x = np.clip((values - mean) / scale, -FARTHEST, FARTHEST)
    return float(1 / (1 + np.exp(-(output @ np.tanh(hidden @ x + bias) + offset))))


@functools.cache
def weights() -> tuple[np.ndarray, ...]:
    """Return mean and scale of the measures, and the weights of a network with one hidden layer."""
    content = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return tuple(np.array(content[name]) for name in ("mean", "scale", "hidden", "bias", "output", "offset"))


def measures(samples: np.ndarray) -> np.ndarray:
    """Measure a window: float32 (samples,) at `RATE` -> float64 (measures,), in the order of `MEASURES`."""
    window, _, filters, centers = tables()
    if len(samples) < LENGTH + 4 * HOP:
        samples = np.pad(samples, (0, LENGTH + 4 * HOP - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, LENGTH)[::HOP]
    frames = frames * window
    spectrum = np.fft.rfft(frames, FFT)
    power = spectrum.real**2 + spectrum.imag**2
    band = power @ filters
    total = band.sum(axis=1) + 1e-12
    level = 10 * np.log10(total)
    top = _quantile(level, 0.95)
    active = level > top - RANGE
    level = np.maximum(level, top - RANGE)

    # At so few lags, faster than a Fourier transform.
    energy = 2 * power.sum(axis=1, keepdims=True) - power[:, :1] - power[:, -1:]
    lags = power @ _correlating() / (energy + 1e-12 * FFT)
    # Longer lags must be clearly better, or the octave below would often win.
    weighed = lags - 0.0006 * np.arange(LAST - FIRST)
    at = weighed.argmax(axis=1)
    periodicity = lags[np.arange(len(at)), at].clip(0, 1)
    semitones = 12 * np.log2(RATE / (at + FIRST))
    voiced = active & (periodicity > 0.55)

    bands = 10 * np.log10(np.maximum(band, FLOOR * 1e-3 + total.max() * 10 ** (-(RANGE + 20) / 10)))
    smooth = _smooth(bands, 3)
    slow = smooth - _smooth(bands, 25)
    fast = bands - smooth
    shape = slow - slow.mean(axis=1, keepdims=True)
    within = bands - bands.mean(axis=1, keepdims=True)
    quick = fast - fast.mean(axis=1, keepdims=True)
    slowness = _rms(shape[active]) / (_rms(shape[active]) + _rms(quick[active]) + 0.05)
    moved = _smooth(level[:, None], 3)[:, 0]
    swing = moved - _smooth(level[:, None], 25)[:, 0]
    turns = np.diff(np.signbit(swing)) & (np.abs(np.diff(swing)) > 0.3)
    crossings = np.count_nonzero(turns) / (len(level) * HOP / RATE)

    share = band / total[:, None]
    logs = np.log(share + 1e-6)
    flatness = logs.mean(axis=1)
    centroid = np.log(centers) @ share.T
    fine = power[:, int(LOWEST * FFT / RATE) : int(HIGHEST * FFT / RATE)]
    fine = fine / (fine.sum(axis=1, keepdims=True) + 1e-12)
    strongest = np.partition(fine, -6, axis=1)[:, -6:].sum(axis=1)
    lines = -np.einsum("ij,ij->i", fine, np.log(fine + 1e-9))
    mean = share[active].mean(axis=0) + 1e-6
    glides, jumps, spread = 0.0, 0.0, 0.0
    if np.count_nonzero(voiced) > 2:
        tones = semitones[voiced]
        steps = np.abs(np.diff(semitones))[voiced[1:] & voiced[:-1]]
        small = steps[steps < 3]
        glides = small.mean() if len(small) else 0.0
        jumps = (steps >= 3).mean() if len(steps) else 1.0
        spread = _quantile(tones, 0.8) - _quantile(tones, 0.2)
    centred = level - level.mean()
    skew = (centred**3).mean() / (centred.std() ** 3 + 1)
    together = slow.mean(axis=1).var() / (slow.var(axis=0).mean() + 0.1)
    return np.array(
        [
            active.mean(),
            voiced.sum() / max(1, active.sum()),
            periodicity[active].mean(),
            periodicity[active].std(),
            min(float(spread), 24.0),
            glides,
            jumps,
            np.log(swing.std() + 0.1),
            np.log((level - moved).std() + 0.1),
            min(crossings, 15.0),
            np.log(_rms(shape[active]) + 0.1),
            np.log(_rms(quick[active]) + 0.1),
            slowness,
            np.log(within[active].std(axis=0).mean() + 0.1),
            flatness[active].mean(),
            flatness[active].std(),
            strongest[active].mean(),
            np.log(mean).mean(),
            centroid[active].mean(),
            centroid[active].std(),
            _correlation(centroid[active], level[active]),
            _correlation(periodicity[active], level[active]),
            _correlation(periodicity[active], centroid[active]),
            skew,
            together,
            lines[active].mean(),
            np.log1p(max(0.0, float(np.diff(level).max()))),
        ]
    )


def _smooth(rows: np.ndarray, width: int) -> np.ndarray:
    """Average rows (frames, columns) over an odd number of frames; fewer at the ends."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    at = np.arange(len(rows))
    first, last = np.maximum(0, at - width // 2), np.minimum(len(rows), at + width // 2 + 1)
    means: np.ndarray = (sums[last] - sums[first]) / (last - first)[:, None]
    return means


def _quantile(values: np.ndarray, share: float) -> float:
    """Return the value that a share of values do not exceed; NumPy's own costs more than all else for short arrays."""
    at = round(share * (len(values) - 1))
    return float(np.partition(values, at)[at])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation; values without spread have none."""
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).mean() / (one.std() * other.std() + 1e-2))


def halved(samples: np.ndarray) -> np.ndarray:
    """Return samples at half their rate, after a half-band low-pass filter of 31 taps.

    Every second tap of such a filter is 0, except the middle one.
    """
    even, odd = samples[::2], samples[1::2]
    if not len(odd):
        return MIDDLE * even
    result: np.ndarray = MIDDLE * even
    half = len(TAPS) // 2
    padded = np.pad(odd, (half, half))
    # Faster than `np.convolve`; the taps are symmetric.
    for number, tap in enumerate(TAPS[:half]):
        first, last = (padded[at : at + len(even)] for at in (number, len(TAPS) - 1 - number))
        result += tap * (first + last)
    return result


def _half_band() -> tuple[np.float32, np.ndarray]:
    """Return the middle tap, and the taps at odd distances from it (16,)."""
    at = np.arange(-15, 16)
    taps = np.sinc(at / 2) / 2 * np.hamming(len(at))
    taps = (taps / taps.sum()).astype(np.float32)
    return taps[15], taps[::2]


MIDDLE, TAPS = _half_band()
