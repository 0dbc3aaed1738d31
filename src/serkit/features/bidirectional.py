"""Smoothing of an F0 contour: a reconstruction of the bidirectional search cited by Chen et al. 2022.

The cited text (Jun et al., via Xiao et al.) is not available. Only the idea is public: start from the reliable
body of each voiced run, go in both directions, and correct doubled and halved values. All constants were
chosen for this reconstruction.
"""

from __future__ import annotations

import math

import numpy as np

#: Ways to handle three consecutive values that do not fit.
BREAKS = ("end", "restart")

# Minimum length of a steady stretch that serves as anchor.
_SHORTEST_ANCHOR = 3
# An anchor outside this range around the recording's median may itself be an octave error.
_PLAUSIBLE = (0.6, 1.67)
# A run ends after this many consecutive extrapolated values, because the frames are not voiced.
_LONGEST_REPAIR = 3
# With `restart`, this many consecutive doubled or halved values are accepted.
_LONGEST_OCTAVE = 5


def smooth(
    f0: np.ndarray,
    lowest: float,
    highest: float,
    steady: float = 0.10,
    jump: float = 0.20,
    median: int = 3,
    breaks: str = "end",
) -> np.ndarray:
    """Repair and smooth each voiced run of a contour.

    Args:
        f0: F0 in Hz, shape (frames,); 0 if unvoiced.
        lowest, highest: range of repaired values in Hz.
        steady: neighbors that differ by at most this share (or 10 Hz) form a stretch; the longest stretch is the
            anchor from which the search starts.
        jump: a value, or its double, half, triple or third, is accepted up to this share away from the last
            accepted value; otherwise it is extrapolated from the last two.
        median: odd length of the median filter within a run, in frames; 1: no filter.
        breaks: handling of three consecutive values that do not fit. `end`: the run ends before them, so that a
            wrong voicing decision remains visible. `restart`: the voice jumps, and the rest is a run with its own
            anchor; lasting doubled and halved values are then accepted as well.

    Returns:
        float64 (frames,) in Hz; 0 wherever `f0` is 0 and, if `breaks` is `end`, after a break.
    """
    smoothed = np.array(f0, dtype=np.float64)
    voiced = smoothed > 0
    typical = float(np.median(smoothed[voiced])) if voiced.any() else 0.0
    left = [smoothed[begin:end] for begin, end in runs(voiced)]
    while left:
        run = left.pop()
        first, last = _anchor(run, steady, typical)
        after = last + _search(run[last:], run[first:last], lowest, highest, jump, breaks)
        before = first - _search(run[:first][::-1], run[first:last][::-1], lowest, highest, jump, breaks)
        if breaks == "end":
            run[:before] = run[after:] = 0.0
        else:
            left += [rest for rest in (run[:before], run[after:]) if len(rest)]
        _filter(run[before:after], median)
    return smoothed


def runs(flags: np.ndarray) -> np.ndarray:
    """Return the first frame and the one after the last of each stretch of true values, shape (runs, 2).

    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return edges.reshape(-1, 2)


def _anchor(run: np.ndarray, steady: float, typical: float) -> tuple[int, int]:
    """Return the reliable frames of a run: the first, and the one after the last."""
    # Relative to the lower neighbor, so that the reversed contour gives the same stretches.
    allowed = np.maximum(10.0, steady * np.minimum(run[:-1], run[1:]))
    stretches = runs(np.abs(np.diff(run)) <= allowed)
    stretches[:, 1] += 1  # n steps join n + 1 frames
    stretches = stretches[np.diff(stretches)[:, 0] >= _SHORTEST_ANCHOR]
    if not len(stretches):
        frame = min(range(len(run)), key=lambda index: (abs(run[index] - np.median(run)), abs(run[index] - typical)))
        return frame, frame + 1
    means = np.array([run[begin:end].mean() for begin, end in stretches])
    plausible = (means >= _PLAUSIBLE[0] * typical) & (means <= _PLAUSIBLE[1] * typical)
    choice = np.flatnonzero(plausible) if plausible.any() else np.arange(len(stretches))
    best = max(choice, key=lambda index: (np.ptp(stretches[index]), -abs(means[index] - typical)))
    return int(stretches[best][0]), int(stretches[best][1])


def _search(track: np.ndarray, anchor: np.ndarray, lowest: float, highest: float, jump: float, breaks: str) -> int:
    """Repair a track that starts at an anchor, in place; return the number of frames before a break."""
    found = track.tolist()
    value, here = float(anchor[-1]), -1
    slope = value - float(anchor[-2]) if len(anchor) > 1 else 0.0
    believed = -1  # the last frame accepted unchanged
    for frame, f0 in enumerate(found):
        candidates = [f0, *(c for c in (2 * f0, f0 / 2, 3 * f0, f0 / 3) if lowest <= c <= highest)]
        nearest = min(candidates, key=lambda candidate: abs(math.log(candidate / value)))
        if abs(nearest - value) <= jump * value:
            slope = (nearest - value) / (frame - here)
            here, value = frame, nearest
            track[frame] = nearest
            believed = frame if nearest == f0 else believed
        else:
            track[frame] = min(max(value + slope * (frame - here), lowest), highest)
        if frame - here == _LONGEST_REPAIR:
            end = here
        elif breaks == "restart" and frame - believed == _LONGEST_OCTAVE:
            end = believed
        else:
            continue
        track[end + 1 : frame + 1] = found[end + 1 : frame + 1]
        return end + 1
    return len(found)


def _filter(run: np.ndarray, length: int) -> None:
    """Apply a median filter in place; values whose window exceeds an end are unchanged."""
    if length <= len(run):
        windows = np.lib.stride_tricks.sliding_window_view(run, length)
        run[length // 2 : len(run) - length // 2] = np.median(windows, axis=1)
