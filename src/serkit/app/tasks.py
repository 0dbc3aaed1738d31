"""Tasks for one recording, run in a separate process; see `processes`.

This module does not import FastAPI, which would double the start time of such a process.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from serkit import audio
from serkit.app.answers import GivenSegmentsAnswer, PredictionAnswer, TimelineAnswer
from serkit.app.limits import Limits
from serkit.errors import UserError
from serkit.recognition import Recognizer, Timeline, TimelineOptions, timing
from serkit.recognition.formats import as_dict
from serkit.recognition.model import Channels
from serkit.recognition.span_readers import read_content
from serkit.recognition.timeline_formats import as_dict as timeline_as_dict
from serkit.recognition.timeline_formats import render

#: Maximum number of given segments of a request.
MOST_SEGMENTS = 10_000


class TooLong(UserError):
    """A recording exceeds the maximum length."""


@dataclass(frozen=True)
class Recognized:
    """Result of a recording.

    Args:
        text: text of the answer.
        duration: duration of what was heard, in s.
        times: time of its decoding, features and network.
    """

    text: str
    duration: float
    times: timing.Times = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A recording with the requested result.

    Args:
        model: name of the recognizer.
        recording: the received recording.
        channel: channel, as in `Recognizer`.
        format: format of the timeline; None: JSON prediction for the whole recording.
        adapt: recording of the same voice, to which the recognizer is adapted for this task; None: no adaptation.
        segments: name and content of a file of segments to recognize; None: the recording is cut by serkit.
        adapt_speakers: whether to adapt to each speaker of the segments.
        options: options of the timeline; None: the defaults.
    """

    model: str
    recording: audio.InMemory
    channel: Channels
    format: str | None = None
    adapt: audio.InMemory | None = None
    segments: tuple[str, bytes] | None = None
    adapt_speakers: bool = False
    options: TimelineOptions | None = None

    def __call__(self, recognizers: Mapping[str, Recognizer], limits: Limits) -> Recognized:
        """Recognize the recording.

        Raises:
            UserError: the recording or the channel is unusable.
            BundleError: the network's output is not probabilities.
        """
        with timing.measuring() as times:
            return replace(self._recognize(recognizers[self.model], limits), times=times)

    def _recognize(self, recognizer: Recognizer, limits: Limits) -> Recognized:
        try:
            duration = check(self.recording, limits)
            if self.adapt is not None:
                duration += check(self.adapt, limits)
                if self.channel == "each":
                    raise UserError("a voice to adapt to cannot be combined with channel 'each', whose voices differ")
                recognizer = recognizer.adapt(self.adapt, self.channel)
            if self.format is None:
                if self.channel == "each":
                    raise UserError("channel 'each' is for a timeline; for answers, ask for channel 0, then 1")
                prediction = recognizer.predict_file(self.recording, self.channel)
                text = PredictionAnswer(model=self.model, **as_dict(prediction)).model_dump_json()
                return Recognized(text, duration)
            if self.segments is not None:
                timeline = self._recognize_segments(recognizer)
            else:
                timeline = recognizer.timeline(self.recording, self.channel, self.options)
        except MemoryError:
            raise UserError(f"{self.recording}: requires more than {limits.memory / 1e6:g} MB of memory") from None
        if self.format == "json" and self.segments is not None:
            answer = GivenSegmentsAnswer(model=self.model, **timeline_as_dict(timeline))
            text = answer.model_dump_json(exclude_unset=True)
        elif self.format == "json":
            text = TimelineAnswer(model=self.model, **timeline_as_dict(timeline)).model_dump_json(exclude_unset=True)
        else:
            text = render(timeline, self.format, csv_safe=True)
        return Recognized(text, duration)

    def _recognize_segments(self, recognizer: Recognizer) -> Timeline:
        assert self.segments is not None
        name, content = self.segments
        spans = read_content(Path(name), content)
        if len(spans.spans) > MOST_SEGMENTS:
            raise UserError(f"{name}: has {len(spans.spans)} segments; the maximum is {MOST_SEGMENTS}")
        if self.channel == "each":
            raise UserError("channel 'each' is for a timeline; segments name their channels")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            timeline = recognizer.predict_segments(
                self.recording, spans, self.channel, adapt_speakers=self.adapt_speakers
            )
        return replace(timeline, warnings=(*timeline.warnings, *(str(one.message) for one in told)))


def check(recording: audio.InMemory, limits: Limits) -> float:
    """Check a recording's header and return its duration in s.

    Raises:
        AudioError: the recording is not audio, or truncated.
        TooLong: the recording is too long.
        UserError: the recording is too short, or has an unsupported rate or number of channels.
    """
    info = audio.info(recording)
    if not limits.lowest_rate <= info.rate <= limits.highest_rate:
        supported = f"{limits.lowest_rate} to {limits.highest_rate} Hz are supported"
        raise UserError(f"{recording}: has a sampling rate of {info.rate} Hz; {supported}")
    if info.channels > limits.channels:
        raise UserError(f"{recording}: has {info.channels} channels; the maximum is {limits.channels}")
    if info.duration > limits.longest:
        raise TooLong(
            f"{recording}: lasts {info.duration:.0f} s; the maximum is {limits.longest:g} s; {limits.remedy()}"
        )
    if info.duration < limits.shortest:
        raise UserError(f"{recording}: lasts {info.duration:g} s; the minimum is {limits.shortest:g} s")
    return info.duration
