"""The functionals of eGeMAPSv02 (88) and GeMAPSv01b (62)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.features.egemaps_descriptors import SPECTRAL, VOICE, check_rate, describe, smooth
from serkit.features.spectrum import Rate

_CURVE = (
    *("amean", "stddevNorm", "percentile20.0", "percentile50.0", "percentile80.0", "pctlrange0-2"),
    *("meanRisingSlope", "stddevRisingSlope", "meanFallingSlope", "stddevFallingSlope"),
)
_MOMENTS = ("amean", "stddevNorm")
_BALANCE = ("alphaRatio", "hammarbergIndex", "slope0-500", "slope500-1500")
_TIMBRE = ("spectralFlux", "mfcc1", "mfcc2", "mfcc3", "mfcc4")
_TEMPORAL = (
    *("loudnessPeaksPerSec", "VoicedSegmentsPerSec", "MeanVoicedSegmentLengthSec", "StddevVoicedSegmentLengthSec"),
    *("MeanUnvoicedSegmentLength", "StddevUnvoicedSegmentLength"),
)

# Frames per second.
_FRAMES = 100
# Least height of a peak, as a share of the contour's range.
_PEAK = 0.1
# Shorter runs of voiced or unvoiced frames are no segments.
_LEAST_SEGMENT = 3


def _named(contour: str, part: str) -> str:
    """Return a spectral contour's name in a part of the frames, V or UV: `slopeV0-500`."""
    head = contour.rstrip("0123456789-") if contour.startswith("slope") else contour
    return f"{head}{part}{contour[len(head) :]}"


def _columns(extended: bool) -> list[str]:
    """Return the names of the functionals in openSMILE's order."""
    timbre = _TIMBRE if extended else ()
    voice = [name for name in VOICE[1:] if extended or name not in ("F2bandwidth", "F3bandwidth")]
    contours: list[tuple[str, tuple[str, ...]]] = [
        (f"{VOICE[0]}_sma3nz", _CURVE),
        ("loudness_sma3", _CURVE),
        *((f"{name}_sma3", _MOMENTS) for name in timbre),
        *((f"{name}_sma3nz", _MOMENTS) for name in voice),
        *((f"{_named(name, 'V')}_sma3nz", _MOMENTS) for name in (*_BALANCE, *timbre)),
        *((f"{_named(name, 'UV')}_sma3nz", ("amean",)) for name in (*_BALANCE, *timbre[:1])),
    ]
    names = [f"{contour}_{functional}" for contour, functionals in contours for functional in functionals]
    return [*names, *_TEMPORAL, *(["equivalentSoundLevel_dBp"] if extended else [])]


@dataclass(frozen=True)
class Egemaps:
    """88 functionals over the whole recording of the descriptors of `EgemapsDescriptors`: the set eGeMAPSv02.

    Mean and coefficient of variation of every descriptor, percentiles and slopes of pitch and loudness, the spectral
    descriptors again over voiced (V) and unvoiced (UV) frames, rates and lengths of peaks and segments, and the
    equivalent sound level in dB. Slopes are per second. Descriptors of the voice count in voiced frames only. A value
    without any frame is 0.

    Sources: Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research and Affective
    Computing", 2016; missing details by comparison with openSMILE 3, whose column names and order are used.

    Args:
        rate: sampling rate in Hz, at least 16000, because the mel bands reach 8 kHz.
    """

    rate: Rate = 16000

    name: ClassVar[str] = "egemaps"
    version: ClassVar[int] = 1
    _extended: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rate(self.name, self.rate)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (len(self.columns),)

    @property
    def columns(self) -> list[str]:
        """Return the name of each value: `F0semitoneFrom27.5Hz_sma3nz_amean`, ..., `equivalentSoundLevel_dBp`."""
        return _columns(self._extended)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the vector of a float32 signal (samples,): float32 (columns,)."""
        values = _functionals(signal, self.rate)
        return np.array([values[name] for name in self.columns], dtype=np.float32)


@dataclass(frozen=True)
class Gemaps(Egemaps):
    """62 functionals, the set GeMAPSv01b: those of `Egemaps` without spectral flux, MFCC, F2 and F3 bandwidth.

    Args:
        rate: sampling rate in Hz, at least 16000.
    """

    name: ClassVar[str] = "gemaps"
    _extended: ClassVar[bool] = False


def _functionals(signal: np.ndarray, rate: int) -> dict[str, float]:
    """Compute all functionals by name."""
    spectral, voice = describe(signal, rate, formants_everywhere=False)
    frames = voice.shape[1]
    # The reference leaves out the last two frames of the voice, and one of its segments.
    used = slice(0, max(1, frames - 2))
    voiced = voice[0] > 0
    # The formants' levels are low, not 0, in unvoiced frames, and count there.
    counted = np.where(voiced | np.array(["amplitude" in name for name in VOICE])[:, None], voice, 0)
    smoothed = smooth(counted, voiced=True)[:, used]
    values: dict[str, float] = {}

    def add(contour: str, row: np.ndarray, functionals: tuple[str, ...]) -> None:
        values.update({f"{contour}_{name}": value for name, value in zip(functionals, _moments(row), strict=False)})
        if functionals == _CURVE:
            values.update({f"{contour}_{name}": value for name, value in zip(_CURVE[2:], _curve(row), strict=True)})

    for name, row in zip(VOICE, smoothed, strict=True):
        add(f"{name}_sma3nz", row[row != 0], _CURVE if name == VOICE[0] else _MOMENTS)
    whole = smooth(spectral)
    for name, row in zip(SPECTRAL, whole, strict=True):
        add(f"{name}_sma3" if name != "Loudness" else "loudness_sma3", row, _CURVE if name == "Loudness" else _MOMENTS)
    for part, chosen in (("V", voiced), ("UV", ~voiced)):
        rows = smooth(np.where(chosen, spectral[:, :frames], 0), voiced=True)[:, used]
        for name, row in zip(SPECTRAL[1:], rows[1:], strict=True):
            add(f"{_named(name, part)}_sma3nz", row[row != 0], _MOMENTS)
    values["loudnessPeaksPerSec"] = _FRAMES * sum(high for _, high in _extremes(whole[0])) / whole.shape[1]
    values |= _segments(voiced[: max(1, frames - 1)])
    values["equivalentSoundLevel_dBp"] = _sound_level(signal, rate)
    return values


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the coefficient of variation, which has the mean's sign; 0 without values."""
    if not values.size:
        return 0.0, 0.0
    mean = float(values.mean())
    return mean, float(values.std()) / mean if mean else 0.0


def _curve(values: np.ndarray) -> tuple[float, ...]:
    """Return percentiles 20, 50, 80, the range from the first to the last, and the slopes of a contour (frames,)."""
    if not values.size:
        return (0.0,) * 8
    low, middle, high = np.percentile(values, (20, 50, 80))
    return (low, middle, high, high - low, *_slopes(values))


def _extremes(contour: np.ndarray) -> list[tuple[int, bool]]:
    """Find the peaks (True) and valleys (False) of a contour, which alternate.

    A peak is at least `_PEAK` of the contour's range above the valleys beside it. What comes before the first peak
    or valley is not known, so the first frame may be one.
    """
    least = _PEAK * float(np.ptp(contour))
    values = contour.tolist()
    found: list[tuple[int, bool]] = []
    top = bottom = 0
    for frame, value in enumerate(values):
        if value > values[top]:
            top = frame
        if value < values[bottom]:
            bottom = frame
        if (not found or not found[-1][1]) and values[top] - value > least:
            found.append((top, True))
            bottom = frame
        elif (not found or found[-1][1]) and value - values[bottom] > least:
            found.append((bottom, False))
            top = frame
    return found


def _slopes(contour: np.ndarray) -> tuple[float, ...]:
    """Return mean and deviation of the slopes of rising and of falling parts, per second.

    Parts go from the first frame over the `_extremes` to the last frame. As in the reference, the last part is in the
    mean but not in the deviation.
    """
    found = _extremes(contour)
    if found and (not found[0][1] or found[0][0] == 0):
        found = found[1:]
    if not found:
        return (0.0,) * 4
    slopes: dict[bool, list[float]] = {True: [], False: []}
    last = len(contour) - 1
    begin = 0

    def slope(first: int, end: int) -> float:
        return float(contour[end] - contour[first]) / (end - first) * _FRAMES

    for end, rises in found:
        slopes[rises].append(abs(slope(begin, end)))
        begin = end
    tail: dict[bool, list[float]] = {True: [], False: []}
    if begin < last:
        rises = not found[-1][1]
        rest = contour[begin:]
        turn = begin + int(rest.argmax() if rises else rest.argmin())
        if contour[turn] == contour[last]:
            tail[rises].append(slope(begin, last))
        else:
            slopes[rises].append(abs(slope(begin, turn)))
            tail[not rises].append(abs(slope(turn, last)))
    result = []
    for rises in (True, False):
        count = len(slopes[rises]) + len(tail[rises])
        mean = sum(slopes[rises] + tail[rises]) / max(count, 1)
        result += [mean, (sum((value - mean) ** 2 for value in slopes[rises]) / max(count, 1)) ** 0.5]
    return tuple(result)


def _segments(voiced: np.ndarray) -> dict[str, float]:
    """Return rate and lengths of the voiced and unvoiced segments by name; a length is from first to last frame."""
    seconds = {kind: (_lengths(part) - 1) / _FRAMES for kind, part in (("V", voiced), ("UV", ~voiced))}
    values = {"VoicedSegmentsPerSec": _FRAMES * len(seconds["V"]) / len(voiced)}
    for names, lengths in ((_TEMPORAL[2:4], seconds["V"]), (_TEMPORAL[4:6], seconds["UV"])):
        values |= dict(zip(names, (lengths.mean(), lengths.std()) if len(lengths) else (0.0, 0.0), strict=True))
    return values


def _lengths(chosen: np.ndarray) -> np.ndarray:
    """Return the lengths in frames of the runs of chosen frames; one frame may be missing within a run."""
    filled = chosen.copy()
    filled[1:-1] |= chosen[:-2] & chosen[2:]
    edges = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    return lengths[lengths >= _LEAST_SEGMENT]


def _sound_level(signal: np.ndarray, rate: int) -> float:
    """Return the level of the mean power of the 20 ms frames, in dB relative to full scale."""
    length, hop = round(rate * 0.02), round(rate * 0.01)
    padded = np.pad(signal, (0, max(0, length - len(signal)))).astype(np.float64) * (32768 / 32767)
    power = np.concatenate(([0.0], np.cumsum(padded**2)))
    mean = float(np.mean(power[length::hop] - power[: len(power) - length : hop])) / length
    return 10 * math.log10(max(mean, 1e-12))
