"""Smoothing of an F0 contour: a reconstruction of the bidirectional search that Chen et al. 2022 cite.

The cited text (Jun et al., via Xiao et al.) cannot be had. Public is only the idea: take the reliable body of
each voiced run and go from it in both directions, undoing doubled and halved values on the way. Every
constant here is a choice made for this reconstruction.
"""

from __future__ import annotations

import math

import numpy as np

#: What three values in a row that fit in no way may mean.
BREAKS = ("end", "restart")

# A steady stretch shorter than this is no anchor.
_SHORTEST_ANCHOR = 3
# An anchor outside this range around the median of the recording may be an octave off itself.
_PLAUSIBLE = (0.6, 1.67)
# So many values in a row that had to be made up end a run: what is there is not voiced.
_LONGEST_REPAIR = 3
# So many doubled or halved ones in a row are believed where a run may be left for another.
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
        f0: in Hz, shape (frames,); 0 where unvoiced.
        lowest, highest: range in Hz that a repaired value keeps.
        steady: neighbours that differ by no more than this share (or 10 Hz) belong to one stretch; the longest
            is the anchor from which the search goes on.
        jump: a value, or its double, half, triple or third, is accepted up to this share away from the last
            accepted one; otherwise it is extrapolated from the last two.
        median: odd length of the median filter within a run, in frames; 1: none.
        breaks: what three values in a row mean that fit in no way: `end`, the run ends before them (a wrong
            voicing decision is not painted over); `restart`, the voice jumps, and what is left is a run with an
            anchor of its own. There doubled and halved values too are believed when they last.

    Returns:
        float64 (frames,) in Hz; 0 wherever `f0` is 0, and from a break on where `breaks` is `end`.
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
    """Return first frame and the one after the last of each stretch of true values, shape (runs, 2).

    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return edges.reshape(-1, 2)


def _anchor(run: np.ndarray, steady: float, typical: float) -> tuple[int, int]:
    """Choose the frames of a run to trust: the first, and the one after the last."""
    # Relative to the lower of two neighbours: the contour read backwards gives the same stretches.
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
    """Repair a track, which goes on from an anchor, in place; return how many frames there are up to a break."""
    found = track.tolist()
    value, here = float(anchor[-1]), -1
    slope = value - float(anchor[-2]) if len(anchor) > 1 else 0.0
    believed = -1  # the last frame that was taken as it is
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
    """Median filter in place; where a window would reach beyond an end, values stay."""
    if length <= len(run):
        windows = np.lib.stride_tricks.sliding_window_view(run, length)
        run[length // 2 : len(run) - length // 2] = np.median(windows, axis=1)
