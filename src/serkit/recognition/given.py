"""Recognition of given segments: one answer for each, in one pass over the recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serkit import audio
from serkit.errors import UserError
from serkit.recognition import timing
from serkit.recognition.adaptation import Voice
from serkit.recognition.model import Channel, Model, Part
from serkit.recognition.samples import check_recording
from serkit.recognition.segments import Segment
from serkit.recognition.spans import Span
from serkit.recognition.timeline import Timeline

#: A longer segment, in s, is read by itself, window by window; shorter ones are kept in memory.
LONGEST_KEPT = 120.0

#: An end this many s behind the last sample is rounding.
_TOLERANCE = 0.05


def of_file(
    model: Model, path: audio.Recording, spans: Sequence[Span], channel: Channel = None, adapt: bool = False
) -> Timeline:
    """Recognize the given segments of a recording; see `Recognizer.predict_segments`."""
    check_recording(path)
    model.bundle.want_classes()
    model.check_channel(channel)
    with audio.collecting_warnings() as texts:
        info = audio.info(path)
        problems = [span.problem(info.duration) for span in spans]
        sound = [index for index, problem in enumerate(problems) if not problem]
        _warn_of_ends(path, spans, sound, info.duration)
        recording = _Recording(model, path, info, {index: spans[index] for index in sound})
        models = dict.fromkeys({span.speaker for span in spans}, model)
        if adapt:
            models |= _adapted(model, recording, channel)
        answers: dict[int, Segment] = {}
        for index, part in recording.parts():
            span = spans[index]
            try:
                found = models[span.speaker].predict_part(part, channel if span.channel is None else span.channel)
            except audio.AudioError as error:
                problems[index] = str(error).removeprefix(f"{part.name}: ")
                continue
            answers[index] = _segment(
                span, info.duration, found.label, found.confidence, found.probabilities, found.doubt
            )
        for index, span in enumerate(spans):
            if index not in answers:
                reason = problems[index] or "holds no sample of the recording"
                audio.warn(f"{path}: {span.place or f'segment {index}'}: {reason}")
                answers[index] = _segment(span, info.duration, error=reason)
    channels = {one.channel for one in answers.values() if one.channel is not None}
    named = any(span.speaker for span in spans)
    return Timeline(
        str(path),
        info.duration,
        tuple(model.bundle.labels),
        (),
        tuple(answers[index] for index in range(len(spans))),
        tuple(texts),
        tuple(sorted(channels)) if channels else None,
        tuple(dict.fromkeys(span.speaker for span in spans)) if named else None,
        tuple(dict.fromkeys(name for span in spans for name in span.columns)),
    )


def _segment(
    span: Span,
    duration: float,
    label: str = "",
    confidence: float = 0.0,
    probabilities: Mapping[str, float] | None = None,
    doubt: str = "",
    error: str = "",
) -> Segment:
    end = duration if span.end is None else span.end
    return Segment(
        span.start,
        # Rounding behind the last sample would not fit into annotation formats.
        end if error else min(end, duration),
        label,
        confidence,
        dict(probabilities or {}),
        sure=not doubt and not error,
        doubt=doubt,
        channel=span.channel,
        speaker=span.speaker,
        columns=span.columns,
        error=error,
    )


def _warn_of_ends(path: audio.Recording, spans: Sequence[Span], sound: Sequence[int], duration: float) -> None:
    late = [end for index in sound if (end := spans[index].end) is not None and end > duration + _TOLERANCE]
    if late:
        audio.warn(
            f"{path}: {len(late)} segments end after the recording ({max(late):g} s of {duration:.3f} s) and are "
            "recognized up to its end"
        )


def _adapted(model: Model, recording: _Recording, channel: Channel) -> dict[str, Model]:
    """Return the model of each speaker, adapted to all segments of the speaker."""
    voices: dict[str, Voice] = {}
    for index, part in recording.parts():
        span = recording.spans[index]
        if span.speaker:
            voice = voices.setdefault(span.speaker, model.new_voice())
            try:
                model.hear_part(part, voice, channel if span.channel is None else span.channel)
            except audio.AudioError:
                continue  # reported when it is recognized
    if not voices and recording.spans:
        raise UserError(f"{recording.path}: its segments name no speakers to adapt to")
    for speaker, voice in voices.items():
        # Not of each segment: many hold a breath, or a cough.
        if not voice.seconds:
            audio.warn(f"{recording.path}: {speaker}: no speech to adapt to")
    return {speaker: model.adapted(voice) for speaker, voice in voices.items()}


@dataclass(frozen=True)
class _Recording:
    """A recording, and its segments that can be recognized, by their index."""

    model: Model
    path: audio.Recording
    info: audio.Info
    spans: Mapping[int, Span]

    def parts(self) -> Iterator[tuple[int, Part]]:
        """Yield each segment as a part of the recording; the order is that of their ends."""
        rate, long = self.info.rate, []
        wanted = []
        for index, span in self.spans.items():
            end = self.info.duration if span.end is None else min(span.end, self.info.duration)
            begin, stop = round(span.start * rate), min(self.info.frames, round(end * rate))
            if end - span.start > LONGEST_KEPT:
                long.append((index, span.start, end))
            elif stop > begin:
                wanted.append(_Wanted(index, begin, stop))
        for index, samples in _gather(timing.each("decode", audio.frames(self.path)), wanted):
            yield index, self.model.part_of_samples(self._name(index), samples, rate)
        for index, start, end in long:
            yield index, self.model.part_of_file(self._name(index), self.path, start, end)

    def _name(self, index: int) -> str:
        return f"{self.path}: {self.spans[index].place or f'segment {index}'}"


@dataclass
class _Wanted:
    """Samples from `begin` to before `stop`, and the pieces of them that have arrived."""

    index: int
    begin: int
    stop: int
    pieces: list[np.ndarray] = field(default_factory=list)

    def take(self) -> np.ndarray:
        """Return the samples, and release the blocks that they came from."""
        samples = np.concatenate(self.pieces)
        self.pieces.clear()
        return samples


def _gather(blocks: Iterator[np.ndarray], wanted: Sequence[_Wanted]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the samples (samples, channels) of intervals, which may overlap, while blocks arrive.

    Pieces are views of the blocks, so overlapping intervals share memory.
    """
    coming = sorted(wanted, key=lambda one: one.begin, reverse=True)
    active: list[_Wanted] = []
    position = 0
    for block in blocks:
        after = position + len(block)
        while coming and coming[-1].begin < after:
            active.append(coming.pop())
        for one in active:
            one.pieces.append(block[max(0, one.begin - position) : one.stop - position])
        for one in [one for one in active if one.stop <= after]:
            yield one.index, one.take()
        active = [one for one in active if one.stop > after]
        position = after
        if not coming and not active:
            return
    for one in active:  # the recording is truncated
        yield one.index, one.take()
