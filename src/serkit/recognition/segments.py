"""Segments from the probabilities of overlapping windows, by smoothing and a cost of changes."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from serkit.errors import UserError, unknown
from serkit.recognition.prediction import Prediction

# Floor of probabilities, so that one confident window does not outvote all others.
_FLOOR = 1e-3

# Maximum number of undecided cells, which limits memory and delay.
_LONGEST_WAIT = 64


@dataclass(frozen=True)
class Window:
    """Result of one window.

    Args:
        start: start in s.
        end: end in s.
        speech: share of speech, from 0 to 1.
        probabilities: label -> probability; None without new speech.
        latency: time from the arrival of its last sample to its result, in s.
        channel: its channel, if the timeline has one of each channel; otherwise None.
    """

    start: float
    end: float
    speech: float
    probabilities: dict[str, float] | None
    latency: float = field(default=0.0, compare=False)
    channel: int | None = None


@dataclass(frozen=True)
class Segment:
    """A stretch of speech in one emotion.

    Args:
        start: start in s.
        end: end in s.
        label: emotion.
        confidence: probability of the label, averaged over the segment.
        probabilities: label -> probability, averaged over the segment.
        final: False while the segment continues and may still change.
        sure: whether the confidence reaches the bundle's threshold, which was chosen for whole recordings, and there is
            no other `recognition.prediction.Doubt`.
        channel: as for a window.
        doubt: why the segment is not sure; empty if it is.
        speaker: of a given segment: who speaks; empty: not known.
        columns: of a given segment: its other columns.
        error: of a given segment: why it has no answer; the label is then empty, and there are no probabilities.
    """

    start: float
    end: float
    label: str
    confidence: float
    probabilities: dict[str, float]
    final: bool = True
    sure: bool = True
    channel: int | None = None
    doubt: str = ""
    speaker: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Layout:
    """What the segments of timelines hold, which decides the columns and tiers of a file.

    Args:
        labels: labels of the recognizer.
        each: whether each channel has segments.
        speakers: whether segments were given, with speakers.
        columns: names of the other columns of given segments.
    """

    labels: tuple[str, ...] = ()
    each: bool = False
    speakers: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimelineContent:
    """Content of a timeline, which is the answer for one recording over time.

    Args:
        file: its path as given; `signal` for samples.
        duration: duration of the recording in s.
        labels: labels of the recognizer.
        windows: a window for each hop, and for each channel if `channels` are given.
        segments: segments of speech in order, without overlap within a channel; or the given segments, in their order.
        warnings: problems of the recording: silent, truncated, without speech.
        channels: the channels that have a timeline of their own; None: the timeline is of the recording.
        speakers: the speakers of given segments; None: the segments name none.
        columns: names of the other columns of given segments.
        answers: the answer for the whole recording, or for each of the `channels`; none for given segments.
    """

    file: str
    duration: float
    labels: tuple[str, ...]
    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None
    speakers: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
    answers: tuple[Prediction, ...] = ()

    @property
    def layout(self) -> Layout:
        """What the segments hold."""
        return Layout(self.labels, self.channels is not None, self.speakers is not None, self.columns)

    def laid_out(self, layout: Layout) -> Self:
        """Return the same segments in the layout of several timelines, with what this one lacks."""
        return replace(
            self,
            channels=() if layout.each and self.channels is None else self.channels,
            speakers=() if layout.speakers and self.speakers is None else self.speakers,
            columns=layout.columns,
        )

    @property
    def answered(self) -> tuple[Segment, ...]:
        """The segments that have an answer, by their start."""
        return tuple(sorted((one for one in self.segments if not one.error), key=lambda one: one.start))

    def of_speaker(self, speaker: str) -> Self:
        """Return the timeline of one of the `speakers`.

        Raises:
            UserError: no segment names the speaker.
        """
        if speaker not in (self.speakers or ()):
            raise unknown("speaker", speaker, self.speakers or ())
        found = tuple(replace(one, speaker="") for one in self.segments if one.speaker == speaker)
        return replace(self, segments=found, speakers=None)

    def of_channel(self, channel: int) -> Self:
        """Return the timeline of one of the `channels`.

        Raises:
            UserError: the channel has no timeline.
        """
        if channel not in (self.channels or ()):
            raise UserError(
                f"{self.file}: channel {channel!r} has no timeline; recognize the recording with channel='each'"
            )
        return replace(
            self,
            windows=tuple(replace(one, channel=None) for one in self.windows if one.channel == channel),
            segments=tuple(replace(one, channel=None) for one in self.segments if one.channel == channel),
            channels=None,
            answers=tuple(replace(one, channel=None) for one in self.answers if one.channel == channel),
        )


@dataclass(frozen=True)
class _Cell:
    """Speech between the ends of two windows: `start` and `end` in s, probabilities (labels,), and what else is known
    of the window that ends with it: the probability of speech, and the distance from the training recordings."""

    start: float
    end: float
    probabilities: np.ndarray
    speech: float
    distance: float

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class _Step:
    """A cell, with the best previous label for each of its possible labels (labels,)."""

    cell: _Cell
    before: np.ndarray


class Segmenter:
    """Cuts a stretch of speech at changes of emotion.

    The speech between the ends of two windows is a cell. Its probabilities are the mean over the window that
    ends with it and the next `lookahead` windows, which also contain it. Labels of all cells of the stretch are
    chosen together (Viterbi algorithm): they maximize the sum of log probability times duration, minus `change`
    for every change of label. So a label remains until the evidence for another exceeds the cost.
    A cell is decided as soon as all possible paths agree on it. Later sound cannot change it, and the segments
    do not depend on how the sound arrives.

    Args:
        labels: labels in the order of the probabilities.
        lookahead: number of windows.
        change: cost of a change, in nats times seconds; a label that is e times as probable for 1 s outweighs 1.
        doubt: returns why a segment is not sure, from its confidence, probability of speech and distance from the
            training recordings.
    """

    def __init__(
        self,
        labels: Sequence[str],
        lookahead: int,
        change: float,
        doubt: Callable[[float, float, float], str] = lambda confidence, speech, distance: "",
    ) -> None:
        self._labels = list(labels)
        self._lookahead = lookahead
        self._change = change
        self._doubt = doubt
        self._reset()

    def add(
        self, start: float, end: float, probabilities: np.ndarray, speech: float = 1.0, distance: float = 0.0
    ) -> list[Segment]:
        """Add the cell from `start` to `end` s with the results of the window that ends with it.

        Args:
            start: in s.
            end: in s.
            probabilities: (labels,).
            speech: probability that it holds speech.
            distance: its distance from the training recordings.

        Returns:
            The segments that have become final.
        """
        self._coming.append(_Cell(start, end, probabilities, speech, distance))
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
        """Return the result of `finish(end)` without changing anything."""
        twin = copy.copy(self)
        twin._coming, twin._steps, twin._open = self._coming.copy(), self._steps.copy(), self._open.copy()
        return [replace(segment, final=False) for segment in twin.finish(end)]

    def _reset(self) -> None:
        self._coming: deque[_Cell] = deque()
        self._steps: list[_Step] = []  # undecided
        self._scores = np.zeros(len(self._labels))  # of the best path that ends with each label
        self._open: list[_Cell] = []  # decided, with one label
        self._label = -1

    def _score_next(self) -> None:
        """Smooth the next cell, and extend the best path for each label by it."""
        ahead = [cell.probabilities for cell in self._coming]
        cell = replace(self._coming.popleft(), probabilities=np.mean(ahead, axis=0))
        best = self._scores.argmax()
        stay = self._scores >= self._scores[best] - self._change
        before = np.where(stay, np.arange(len(self._labels)), best)
        evidence = cell.duration * np.log(np.maximum(cell.probabilities, _FLOOR))
        self._scores = np.where(stay, self._scores, self._scores[best] - self._change) + evidence
        self._steps.append(_Step(cell, before))

    def _agreed(self) -> list[int]:
        """Return the labels of the first cells, up to the last one on which all paths agree."""
        labels = np.arange(len(self._labels))
        for count in range(len(self._steps), 0, -1):
            if (labels == labels[0]).all():
                return self._trace(int(labels[0]), count)
            labels = self._steps[count - 1].before[labels]
        if len(self._steps) > _LONGEST_WAIT:
            return self._trace(int(self._scores.argmax()), len(self._steps))[:1]
        return []

    def _trace(self, label: int, count: int) -> list[int]:
        """Return the best path of the first `count` cells that ends with a label."""
        labels = []
        for step in reversed(self._steps[:count]):
            labels.append(label)
            label = int(step.before[label])
        return labels[::-1]

    def _emit(self, labels: list[int]) -> list[Segment]:
        """Decide the first cells; return the segments that end."""
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
        """Build the segment of the open cells."""
        weights = [cell.duration for cell in self._open]
        mean = np.average([cell.probabilities for cell in self._open], axis=0, weights=weights)
        probabilities = dict(zip(self._labels, mean.tolist(), strict=True))
        label = self._labels[self._label]
        confidence = probabilities[label]
        speech, distance = (
            float(np.average([getattr(cell, name) for cell in self._open], weights=weights))
            for name in ("speech", "distance")
        )
        doubt = self._doubt(confidence, speech, distance)
        return Segment(self._open[0].start, end, label, confidence, probabilities, sure=not doubt, doubt=doubt)
