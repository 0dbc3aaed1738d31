"""Jitter and shimmer: how much consecutive periods of a voice differ in length and amplitude."""

from __future__ import annotations

import numpy as np

# Periods are searched for within this share of the mean period.
_RANGE = 0.1
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
        mean difference of their amplitudes, in dB. Both are 0 in unvoiced frames.
    """
    values = np.zeros((2, len(pitch)))
    length = amplitude = 0.0
    start = 0.0
    for frame in np.flatnonzero(pitch):
        if frame == 0 or not pitch[frame - 1]:
            length = amplitude = 0.0
        if not length:
            start = float(max(start, frame * hop))
        lengths, jumps, steps = [], [], []
        while start < (frame + 1) * hop:
            period, alike = _period(signal, int(start + 0.5), rate / pitch[frame])
            if not period:
                break
            if alike < _ALIKE:
                length = amplitude = 0.0
                start += rate / pitch[frame]
                continue
            part = signal[int(start + 0.5) : int(start + 0.5) + round(period)]
            size = float(np.ptp(part))
            lengths.append(period)
            if length:
                jumps.append(abs(period - length))
            if amplitude and size:
                steps.append(abs(20 * np.log10(size / amplitude)))
            length, amplitude = period, size
            start += period
        # A frame without a complete period keeps the values of the one before.
        values[0, frame] = np.mean(jumps) / np.mean(lengths) if jumps else values[0, frame - 1]
        values[1, frame] = np.mean(steps) if steps else values[1, frame - 1]
    return values


def _period(signal: np.ndarray, start: int, expected: float) -> tuple[float, float]:
    """Return the length of the period at `start` and its correlation with the next; 0, 0 at the signal's end."""
    width = round(expected)
    shortest, longest = int(expected * (1 - _RANGE)) - 1, int(np.ceil(expected * (1 + _RANGE))) + 1
    following = signal[start + shortest : start + longest + width]
    if len(following) < longest - shortest + width:
        return 0.0, 0.0
    first = signal[start : start + width] - signal[start : start + width].mean()
    products = np.correlate(following, first)
    sums = np.concatenate(([0.0], np.cumsum(following, dtype=np.float64)))
    squares = np.concatenate(([0.0], np.cumsum(following.astype(np.float64) ** 2)))
    energy = squares[width:] - squares[:-width] - (sums[width:] - sums[:-width]) ** 2 / width
    scale = np.sqrt(np.maximum(energy, 0) * float(first @ first))
    alike = np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0)
    best = 1 + int(alike[1:-1].argmax())
    before, top, after = alike[best - 1 : best + 2]
    bend = before - 2 * top + after
    offset = (before - after) / (2 * bend) if bend < 0 and top >= max(before, after) else 0.0
    return shortest + best + offset, float(top)
