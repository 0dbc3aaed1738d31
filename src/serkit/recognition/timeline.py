"""The timeline of a recording: its emotions over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from serkit import audio
from serkit.atomic import write_text
from serkit.errors import UserError
from serkit.recognition import presentation, timing
from serkit.recognition.model import Channels, Model
from serkit.recognition.prediction import Prediction, of_channel
from serkit.recognition.samples import as_samples, check_recording
from serkit.recognition.segments import Segment, TimelineContent, Window
from serkit.recognition.stream import Stream
from serkit.recognition.timeline_formats import FORMATS, as_dict, render
from serkit.recognition.timeline_options import TimelineOptions

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image


class Timeline(TimelineContent):
    """The answer for one recording over time; its attributes are those of `TimelineContent`."""

    def __repr__(self) -> str:
        segments = [f"{one.start:.1f}-{one.end:.1f} {one.label}" for one in self.segments]
        count = f"{len(segments)} segment{'' if len(segments) == 1 else 's'}"
        told = f"{count}: {presentation.first_of(segments, most=4)}" if segments else "no speech"
        return f"Timeline({self.file!r}, {self.duration:.4g} s, {told})"

    def _repr_html_(self) -> str:
        """Return a table of the segments."""
        rows = [
            (f"{one.start:.2f}", f"{one.end:.2f}", one.label, f"{one.confidence:.2f}", _unsure(one))
            for one in self.segments
        ]
        columns = ("start in s", "end in s", "label", "confidence", "")
        return presentation.html_table(columns, rows, f"{self.file}, {self.duration:.4g} s")

    def to_dict(self) -> dict[str, object]:
        """Return the timeline as `serkit predict --timeline --format json` writes it."""
        return as_dict(self)

    def to_frame(self) -> pandas.DataFrame:
        """Return a data frame with a row per segment, with the columns of `serkit predict --timeline --format csv`.

        Raises:
            UserError: pandas is not installed.
        """
        names = [f"p_{label}" for label in self.labels]
        rows = [
            {**vars(one), "file": self.file, **{f"p_{label}": value for label, value in one.probabilities.items()}}
            for one in self.segments
        ]
        return presentation.frame(rows, ["file", "start", "end", "label", "sure", "doubt", "confidence", *names])

    def plot(self, path: str | Path | None = None, channel: Channels = None) -> Image:
        """Draw waveform, log-mel, probabilities and segments; the file is read again for the first two.

        >>> serkit.load().timeline("call.wav").plot("call.png")            # doctest: +SKIP
        <PIL.Image.Image image mode=RGB size=1600x748>

        Args:
            path: PNG file to write or replace; None: the picture is returned only. A notebook shows it.
            channel: channel to draw; None and "egg": the mean of all.

        Raises:
            AudioError: the file can no longer be read.
        """
        from serkit.recognition.timeline_picture import picture

        return presentation.saved(picture(self, channel if isinstance(channel, int) else None), path)

    def write(self, path: str | Path, format: str | None = None) -> None:
        """Write the timeline to a file, e.g. `timeline.write("call.srt")`.

        Args:
            path: file to write, or to replace.
            format: `json`, `jsonl`, `csv`, `srt`, `vtt`, `textgrid`, `eaf`, `audacity`, `rttm` or `audformat`; None:
                the first of them with the ending of `path`.

        Raises:
            UserError: the format is unknown, or the file cannot be written.
        """
        path = Path(path)
        endings = {known: one.suffix.lower() for known, one in FORMATS.items()}
        chosen = format or next((known for known, ending in endings.items() if ending == path.suffix.lower()), None)
        if chosen is None:
            raise UserError(
                f"{path}: no format has this ending; give one of {', '.join(sorted(set(endings.values())))}"
            )
        try:
            write_text(path, render(self, chosen))
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None


def _unsure(segment: Segment) -> str:
    return "" if segment.sure else f"unsure: {segment.doubt}"


def of_channels(parts: Mapping[int, Timeline]) -> Timeline:
    """Join the timelines of the channels of a recording."""
    first = next(iter(parts.values()))
    windows = [replace(one, channel=number) for number, part in parts.items() for one in part.windows]
    segments = [replace(one, channel=number) for number, part in parts.items() for one in part.segments]
    several = len(parts) > 1
    texts = [
        of_channel(text, part.file, number) if several else text
        for number, part in parts.items()
        for text in part.warnings
    ]
    return replace(
        first,
        windows=tuple(sorted(windows, key=_order)),
        segments=tuple(sorted(segments, key=_order)),
        warnings=tuple(texts),
        channels=tuple(parts),
        answers=tuple(replace(one, channel=number) for number, part in parts.items() for one in part.answers),
    )


def _order(one: Window | Segment) -> tuple[float, int]:
    return one.start, one.channel or 0


def of_file(
    model: Model, path: audio.Recording, channel: Channels = None, options: TimelineOptions | None = None
) -> Timeline:
    """Make the timeline of a recording, block by block; see `Recognizer.timeline`."""
    check_recording(path)
    if channel == "each":
        return of_channels({one: of_file(model, path, one, options) for one in range(audio.info(path).channels)})
    with audio.collecting_warnings() as texts:
        info = audio.info(path)
        stream = Stream(model, info.rate, options, channel, info.channels, str(path))
        timeline = _collect(stream, str(path), timing.each("decode", audio.frames(path)))
    return _completed(timeline, model.predict_file(path, channel), texts)


def of_signal(
    model: Model,
    signal: np.ndarray,
    rate: int,
    channel: Channels = None,
    options: TimelineOptions | None = None,
) -> Timeline:
    """Make the timeline of samples; see `Recognizer.timeline_signal`."""
    samples = as_samples(signal)
    if channel == "each":
        return of_channels({one: of_signal(model, samples, rate, one, options) for one in range(samples.shape[1])})
    with audio.collecting_warnings() as texts:
        stream = Stream(model, rate, options, channel, samples.shape[1], "signal")
        timeline = _collect(stream, "signal", [samples])
    return _completed(timeline, model.predict_signal(samples, rate, channel), texts)


def _completed(timeline: Timeline, answer: Prediction, texts: Sequence[str]) -> Timeline:
    """Add the answer for the whole recording, and the warnings.

    Answer and segments are decided from different windows (docs/timeline.md). If no segment has the answer's label,
    that is a warning.
    """
    differs = []
    if timeline.segments and answer.label not in {segment.label for segment in timeline.segments}:
        doubt = "" if answer.sure else f" (unsure: {answer.doubt})"
        differs = [f"{timeline.file}: the whole recording is called {answer.label}{doubt}, but none of its segments is"]
    warnings = dict.fromkeys([*texts, *answer.warnings, *differs])
    return replace(timeline, answers=(answer,), warnings=tuple(warnings))


def _collect(stream: Stream, name: str, chunks: Iterable[np.ndarray]) -> Timeline:
    """Process all chunks, and keep the final events."""
    windows: list[Window] = []
    segments: list[Segment] = []
    for event in stream.events(chunks):
        if isinstance(event, Window):
            windows.append(event)
        elif event.final:
            segments.append(event)
    if stream.peak < audio.SILENCE_PEAK:
        audio.warn(f"{name}: silent (no sample above -96 dB of full scale)")
    elif not segments:
        audio.warn(f"{name}: no speech found (detector '{stream.options.detector}')")
    duration = stream.statistics.received
    return Timeline(name, duration, tuple(stream.labels), tuple(windows), tuple(segments))
