"""Jitter and shimmer: how much consecutive periods of a voice differ in length and amplitude."""

from __future__ import annotations

import math

import numpy as np

# Periods are searched for within this share of the mean period.
_RANGE = 0.1
# Weights of sums over a period.
_ONES = np.ones(1024, dtype=np.float32)
# Frames before the voice's first frame where the search begins.
_BACK = 7
# Least correlation of two periods.
_ALIKE = 0.5


def jitter_and_shimmer(signal: np.ndarray, pitch: np.ndarray, rate: int, hop: int) -> np.ndarray:
    """Follow a voice from period to period.

    Args:
        signal: (samples,).
        pitch: fundamental frequency of each frame in Hz (frames,); 0 if unvoiced.
        rate: sampling rate in Hz.
        hop: samples between frames.

    Returns:
        float64 (2, frames): mean difference of the lengths of consecutive periods, as a share of their mean length;
        mean difference of their amplitudes, in dB. A voiced frame without a period has the values of the one before.
    """
    values = np.zeros((2, len(pitch)))
    start = length = 0.0
    for frame in np.flatnonzero(pitch).tolist():
        if frame == 0 or not pitch[frame - 1]:
            start = length = 0.0
        expected = rate / float(pitch[frame])
        width = round(expected)
        start = max(start, float((frame - _BACK) * hop), 0.0)
        lengths, jumps, steps = [], [], []
        # Both periods end within the frame's first hop.
        while start + 2 * expected < (frame + 1) * hop:
            first = int(start + 0.5)
            period, alike = _period(signal, first, expected)
            if not period or alike < _ALIKE:
                start += expected
                continue
            second = int(start + period + 0.5)
            sizes = _size(signal[first : first + width]), _size(signal[second : second + width])
            if min(sizes) > 0:
                steps.append(abs(20 * math.log10(sizes[1] / sizes[0])))
            if length:
                jumps.append(abs(period - length))
            lengths.append(period)
            length = period
            start += period
        before = values[:, frame - 1] if frame else values[:, frame]
        values[0, frame] = sum(jumps) / len(jumps) * len(lengths) / sum(lengths) if jumps else before[0]
        values[1, frame] = sum(steps) / len(steps) if steps else before[1]
    return values


def _period(signal: np.ndarray, start: int, expected: float) -> tuple[float, float]:
    """Return the length of the period at `start` and its correlation with the next; 0, 0 without a peak."""
    width = round(expected)
    shortest, longest = int(expected * (1 - _RANGE)), math.ceil(expected * (1 + _RANGE))
    following = signal[start + shortest : start + longest + width]
    if len(following) < longest - shortest + width:
        return 0.0, 0.0
    first = signal[start : start + width]
    first = first - first.sum() / np.float32(width)
    ones = _ONES[:width] if width <= len(_ONES) else np.ones(width, dtype=np.float32)
    energy = np.correlate(following**2, ones) - np.correlate(following, ones) ** 2 / width
    # The mean of what follows does not matter, because that of the first period is 0.
    alike = np.correlate(following, first) / np.sqrt(np.maximum(energy, 1e-20) * max(float(first @ first), 1e-20))
    best = int(alike[1:-1].argmax()) + 1
    if not alike[best - 1] < alike[best] > alike[best + 1]:
        peaks = np.flatnonzero((alike[1:-1] > alike[:-2]) & (alike[1:-1] > alike[2:])) + 1
        if not len(peaks):
            return 0.0, 0.0
        best = int(peaks[alike[peaks].argmax()])
    before, top, after = alike[best - 1 : best + 2].tolist()
    return shortest + best + (before - after) / (2 * (before - 2 * top + after)), top


def _size(part: np.ndarray) -> float:
    return float(part.max()) - float(part.min())
