"""From the probabilities of overlapping windows to segments: smoothing, and hysteresis by a price of change."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

# Probabilities are floored here, lest one window that is sure of itself outvote all others.
_FLOOR = 1e-3

# Cells after which a decision is made even if it is still open: bounds memory and delay.
_LONGEST_WAIT = 64


@dataclass(frozen=True)
class Window:
    """What was recognised in one window.

    Args:
        start: in s.
        end: in s.
        speech: which part of it is speech, from 0 to 1.
        probabilities: label -> probability; None where nothing new was said.
        latency: s from the arrival of its last sample to its result.
    """

    start: float
    end: float
    speech: float
    probabilities: dict[str, float] | None
    latency: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Segment:
    """A stretch of speech in one emotion.

    Args:
        start: in s.
        end: in s.
        label: its emotion.
        confidence: the label's probability, averaged over the segment.
        probabilities: label -> probability, averaged over the segment.
        final: False while it goes on and may still change.
        sure: whether the confidence reaches the bundle's threshold, which was chosen for whole recordings.
    """

    start: float
    end: float
    label: str
    confidence: float
    probabilities: dict[str, float]
    final: bool = True
    sure: bool = True


@dataclass(frozen=True)
class _Cell:
    """Speech between the ends of two windows: `start` and `end` in s, probabilities (labels,)."""

    start: float
    end: float
    probabilities: np.ndarray

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class _Step:
    """A cell, and for each label it may have the best label (labels,) of the cell before."""

    cell: _Cell
    before: np.ndarray


class Segmenter:
    """Cuts a stretch of speech where its emotion changes.

    The speech between the ends of two windows is a cell. Its probabilities are the mean over the window that
    ends with it and the `lookahead` next ones, which hold it too. Labels are then chosen for all cells of the
    stretch together: those with the largest sum of log probability times duration, less `change` for every
    change of label (Viterbi's algorithm). So a label stays until the evidence for another outweighs the price.
    A cell is decided as soon as every way to go on agrees about it; what comes later cannot alter it then,
    and the segments do not depend on how the sound arrives.

    Args:
        labels: in the order of the probabilities.
        lookahead: windows.
        change: price of a change, in nats times seconds: 1 is paid by a label e times as probable for 1 s.
        is_sure: which confidences are sure.
    """

    def __init__(
        self,
        labels: Sequence[str],
        lookahead: int,
        change: float,
        is_sure: Callable[[float], bool] = lambda confidence: True,
    ) -> None:
        self._labels = list(labels)
        self._lookahead = lookahead
        self._change = change
        self._is_sure = is_sure
        self._reset()

    def add(self, start: float, end: float, probabilities: np.ndarray) -> list[Segment]:
        """Take the cell from `start` to `end` s and the probabilities of the window that ends with it.

        Returns:
            The segments that are final now.
        """
        self._coming.append(_Cell(start, end, probabilities))
        if len(self._coming) > self._lookahead:
            self._score_next()
        return self._emit(self._agreed())

    def finish(self, end: float) -> list[Segment]:
        """End the stretch at `end` s; return its last segments."""
        while self._coming:
            self._score_next()
        segments = self._emit(self._trace(int(self._scores.argmax()), len(self._steps)))
        if self._open:
            segments.append(self._segment(min(end, self._open[-1].end)))
        self._reset()
        return segments

    def preview(self, end: float) -> list[Segment]:
        """Return what `finish(end)` would, and change nothing."""
        twin = copy.copy(self)
        twin._coming, twin._steps, twin._open = self._coming.copy(), self._steps.copy(), self._open.copy()
        return [replace(segment, final=False) for segment in twin.finish(end)]

    def _reset(self) -> None:
        self._coming: deque[_Cell] = deque()
        self._steps: list[_Step] = []  # not decided yet
        self._scores = np.zeros(len(self._labels))  # of the best labels so far that end with each label
        self._open: list[_Cell] = []  # decided, of one label
        self._label = -1

    def _score_next(self) -> None:
        """Smooth the first cell that is coming, and extend the best labels that end with each label by it."""
        ahead = [cell.probabilities for cell in self._coming]
        cell = replace(self._coming.popleft(), probabilities=np.mean(ahead, axis=0))
        best = self._scores.argmax()
        stay = self._scores >= self._scores[best] - self._change
        before = np.where(stay, np.arange(len(self._labels)), best)
        evidence = cell.duration * np.log(np.maximum(cell.probabilities, _FLOOR))
        self._scores = np.where(stay, self._scores, self._scores[best] - self._change) + evidence
        self._steps.append(_Step(cell, before))

    def _agreed(self) -> list[int]:
        """Return the labels of the first cells, up to the last about which all ways agree."""
        labels = np.arange(len(self._labels))
        for count in range(len(self._steps), 0, -1):
            if (labels == labels[0]).all():
                return self._trace(int(labels[0]), count)
            labels = self._steps[count - 1].before[labels]
        if len(self._steps) > _LONGEST_WAIT:
            return self._trace(int(self._scores.argmax()), len(self._steps))[:1]
        return []

    def _trace(self, label: int, count: int) -> list[int]:
        """Return the best labels of the first `count` cells that end with a label."""
        labels = []
        for step in reversed(self._steps[:count]):
            labels.append(label)
            label = int(step.before[label])
        return labels[::-1]

    def _emit(self, labels: list[int]) -> list[Segment]:
        """Decide the first cells; return the segments that end with that."""
        segments = []
        for label, step in zip(labels, self._steps, strict=False):
            if self._open and label != self._label:
                segments.append(self._segment(self._open[-1].end))
                self._open = []
            self._label = label
            self._open.append(step.cell)
        self._steps = self._steps[len(labels) :]
        return segments

    def _segment(self, end: float) -> Segment:
        """Make the segment of the open cells."""
        weights = [cell.duration for cell in self._open]
        mean = np.average([cell.probabilities for cell in self._open], axis=0, weights=weights)
        probabilities = dict(zip(self._labels, mean.tolist(), strict=True))
        label = self._labels[self._label]
        confidence = probabilities[label]
        return Segment(self._open[0].start, end, label, confidence, probabilities, sure=self._is_sure(confidence))
