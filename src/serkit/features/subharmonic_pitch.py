"""Pitch by subharmonic summation (Hermes 1988), with a path of least cost through the candidates.

The spectrum keeps its peaks only, is smoothed, interpolated on a logarithmic axis, and weighted like the sensitivity
of the ear at low frequencies. Shifted copies of it, one for each harmonic, are added up: they meet at the fundamental.
Details that the publications leave open, and the costs of the path, were found by comparison with openSMILE's output.
"""

from __future__ import annotations

import functools

import numpy as np

#: Range of the fundamental frequency in Hz.
LOWEST, HIGHEST = 55.0, 1000.0

#: Candidates of a frame.
CANDIDATES = 6

#: Candidates with a lower voicing are usually unvoiced.
VOICED = 0.7

_HARMONICS = 15
_COMPRESSION = 0.85
# Lowest frequency of the logarithmic axis, in Hz.
_AXIS_START = 25.0
# Steepness of the ear's weighting per octave, and its argument at the start of the axis.
_EAR_SLOPE, _EAR_START = 3.0, -1.0382

# Targets of the interpolation that are computed together. They need few of the spectrum's bins.
_BLOCK = 32
# Bins beyond which a bin has no influence on a cubic spline: each bin weakens it by 0.27.
_REACH = 12

# Costs of a path: of missing voicing, of a candidate below VOICED, of no candidate where one is at least VOICED, of an
# octave, of each rank that the voice leaves below the best, and of the end and the start of voicing.
_UNCERTAIN, _WEAK, _LOST, _OCTAVE, _RANK, _STOP, _START = 1.4, 4.3, 3.8, 4.6, 2.3, 9.7, 0.2
# Usual range of a voice in Hz, and the cost outside it.
_USUAL = 100.0, 350.0


def candidates(magnitude: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the fundamental frequencies that a frame may have.

    Args:
        magnitude: magnitude spectra (frames, bins), transform length 2 * (bins - 1).
        rate: sampling rate in Hz.

    Returns:
        Frequency in Hz and voicing from 0 to 1, best first, both (frames, `CANDIDATES`); 0 without a candidate.
    """
    bins = magnitude.shape[1]
    octave = _octave(bins, rate)
    axis = np.empty_like(magnitude)
    smooth = _smooth(_peaks_only(magnitude))
    for targets, sources, weights in _spline(bins, rate):
        np.matmul(smooth[:, sources], weights, out=axis[:, targets])
    np.maximum(axis, 0, out=axis)
    total = axis.copy()
    for harmonic in range(2, _HARMONICS + 1):
        # The shift is a little too long, by the axis's bins / (bins - 1), as in the reference.
        shift = int(np.log2(harmonic) * octave * bins / (bins - 1))
        if shift < bins:
            total[:, : bins - shift] += np.float32(_COMPRESSION ** (harmonic - 1)) * axis[:, shift:]
    inside = total[:, 1:-1]
    height = np.where((inside > total[:, :-2]) & (inside >= total[:, 2:]), inside, 0)
    place = np.argpartition(height, -CANDIDATES, axis=1)[:, -CANDIDATES:]
    order = np.argsort(-np.take_along_axis(height, place, axis=1), axis=1, kind="stable")
    place = np.take_along_axis(place, order, axis=1)
    found = np.take_along_axis(height, place, axis=1) > 0
    before, top, after = (np.take_along_axis(total, place + step, axis=1).astype(np.float64) for step in range(3))
    bend = np.where(found, before - 2 * top + after, -1)
    offset = (before - after) / (2 * bend)
    top = top - (before - after) * offset / 4
    frequency = _AXIS_START * np.exp2((place + 1 + offset) / octave)
    found &= (frequency >= LOWEST) & (frequency <= HIGHEST)
    mean = total.mean(axis=1, dtype=np.float64)[:, None]
    voicing = np.maximum(0, 1 - np.divide(mean, top, out=np.ones_like(top), where=found))
    # Candidates outside the range leave no gap.
    order = np.argsort(~found, axis=1, kind="stable")
    return (
        np.take_along_axis(np.where(found, frequency, 0), order, axis=1),
        np.take_along_axis(np.where(found, voicing, 0), order, axis=1),
    )


def contour(frequency: np.ndarray, voicing: np.ndarray) -> np.ndarray:
    """Choose a candidate of each frame, or none.

    Args:
        frequency: candidates in Hz (frames, candidates); 0 for none.
        voicing: their voicing (frames, candidates).

    Returns:
        float64 (frames,) in Hz; 0 if unvoiced.
    """
    frames, count = frequency.shape
    there = frequency > 0
    log = np.log2(np.where(there, frequency, 1))
    low, high = _USUAL
    unusual = np.maximum(0, 1 - frequency / low) + np.maximum(0, frequency - high) / 316
    local = _UNCERTAIN * (1 - voicing) + unusual + np.where(voicing < VOICED, _WEAK, 0)
    strongest = voicing.max(axis=1, initial=0)
    none = _UNCERTAIN * (1 - VOICED) + np.where(strongest >= VOICED, _LOST, 0)
    # The last state of a frame is unvoiced.
    cost = np.column_stack((np.where(there, local, np.inf), none))
    step = np.empty((count + 1, count + 1))
    step[:count, count], step[count, :count], step[count, count] = _STOP, _START, 0
    rank = _RANK * np.arange(count)[:, None]
    came = np.empty((frames, count + 1), dtype=np.int64)
    total = cost[0]
    states = np.arange(count + 1)
    for frame in range(1, frames):
        np.abs(np.subtract.outer(log[frame - 1], log[frame]), out=step[:count, :count])
        step[:count, :count] *= _OCTAVE
        step[:count, :count] += rank
        sums = total[:, None] + step
        best = came[frame] = sums.argmin(axis=0)
        total = sums[best, states] + cost[frame]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = total.argmin()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    values: np.ndarray = np.column_stack((frequency, np.zeros(frames)))[np.arange(frames), path]
    return values


def _peaks_only(magnitude: np.ndarray) -> np.ndarray:
    """Set bins between two peaks, more than two bins away from both, to 0."""
    peak = np.zeros(magnitude.shape, dtype=bool)
    rises = magnitude[:, 1:] > magnitude[:, :-1]
    peak[:, 1:-1] = rises[:, :-1] & (magnitude[:, 1:-1] > magnitude[:, 2:])
    peak[:, 0] = magnitude[:, 0] > magnitude[:, 1]
    peak[:, -1] = rises[:, -1]
    keep = peak.copy()
    for distance in (1, 2):
        keep[:, distance:] |= peak[:, :-distance]
        keep[:, :-distance] |= peak[:, distance:]
    # Nothing is lost before the first peak and after the last.
    keep |= ~np.logical_or.accumulate(peak, axis=1)
    keep |= ~np.logical_or.accumulate(peak[:, ::-1], axis=1)[:, ::-1]
    return np.where(keep, magnitude, 0)


def _smooth(magnitude: np.ndarray) -> np.ndarray:
    """Average with the weights 1/4, 1/2, 1/4; the last bin stays as it is."""
    smooth = magnitude / 2
    smooth[:, 1:-1] += (magnitude[:, :-2] + magnitude[:, 2:]) / 4
    smooth[:, 0] += magnitude[:, 1] / 4
    smooth[:, -1] = magnitude[:, -1]
    return smooth


def _octave(bins: int, rate: int) -> float:
    """Return the points of the logarithmic axis per octave."""
    return float((bins - 1) / np.log2(rate / 2 / _AXIS_START))


@functools.lru_cache(maxsize=4)
def _spline(bins: int, rate: int) -> list[tuple[slice, slice, np.ndarray]]:
    """Return the weights that interpolate a spectrum on the logarithmic axis, times the ear's weighting.

    The axis has as many points as the spectrum. The natural cubic spline runs over the logarithm of the frequency,
    where 0 Hz is an octave below the first bin.

    Returns:
        Blocks of the axis, the bins that they need, and the weights float32 (bins, points).
    """
    octave = _octave(bins, rate)
    points = np.arange(bins) / octave
    knots = np.log2(np.maximum(np.arange(bins), 0.5) * rate / 2 / (bins - 1) / _AXIS_START)
    values = _natural_spline(knots, points)
    ear = 0.5 + np.arctan(_EAR_SLOPE * points * (bins - 1) / bins + _EAR_START) / np.pi
    values *= ear[:, None]
    blocks = []
    for begin in range(0, bins, _BLOCK):
        targets = slice(begin, min(begin + _BLOCK, bins))
        first, last = np.searchsorted(knots, points[[targets.start, targets.stop - 1]])
        sources = slice(max(0, first - _REACH), min(bins, last + _REACH))
        blocks.append((targets, sources, np.ascontiguousarray(values[targets, sources].T, dtype=np.float32)))
    return blocks


def _natural_spline(knots: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the values at `points` of the natural cubic splines that are 1 at one knot and 0 at the others.

    Returns:
        float64 (points, knots).
    """
    count = len(knots)
    width = np.diff(knots)
    # Second derivatives: 0 at both ends, and the slope is continuous at the knots between.
    inner = np.arange(1, count - 1)
    left, right = np.eye(count), np.zeros((count, count))
    left[inner, inner - 1], left[inner, inner], left[inner, inner + 1] = (
        width[:-1],
        2 * (width[:-1] + width[1:]),
        width[1:],
    )
    right[inner, inner - 1], right[inner, inner + 1] = 6 / width[:-1], 6 / width[1:]
    right[inner, inner] = -6 / width[:-1] - 6 / width[1:]
    bend = np.linalg.solve(left, right)
    index = np.clip(np.searchsorted(knots, points) - 1, 0, count - 2)
    step = width[index]
    after = (points - knots[index]) / step
    before = 1 - after
    identity = np.eye(count)
    values: np.ndarray = (
        before[:, None] * identity[index]
        + after[:, None] * identity[index + 1]
        + ((before**3 - before) * step**2 / 6)[:, None] * bend[index]
        + ((after**3 - after) * step**2 / 6)[:, None] * bend[index + 1]
    )
    return values
