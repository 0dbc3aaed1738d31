"""The timeline of a recording: its emotions over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from serkit import audio
from serkit.errors import UserError
from serkit.recognition.model import Channels, Model
from serkit.recognition.samples import as_samples, check_recording
from serkit.recognition.segments import Segment, Window
from serkit.recognition.stream import Stream, TimelineOptions


@dataclass(frozen=True)
class Timeline:
    """The answer for one recording over time.

    Args:
        file: its path as given; `signal` for samples.
        duration: duration of the recording in s.
        labels: labels of the recognizer.
        windows: a window for each hop, and for each channel if `channels` are given.
        segments: segments of speech in order, without overlap within a channel.
        warnings: problems of the recording: silent, truncated, without speech.
        channels: the channels that have a timeline of their own; None: the timeline is of the recording.
    """

    file: str
    duration: float
    labels: tuple[str, ...]
    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None

    def of_channel(self, channel: int) -> Timeline:
        """Return the timeline of one of the `channels`.

        Raises:
            UserError: there is none of this channel.
        """
        if channel not in (self.channels or ()):
            raise UserError(f"{self.file}: there is no timeline of channel {channel!r}; make it with channel='each'")
        return replace(
            self,
            windows=tuple(replace(one, channel=None) for one in self.windows if one.channel == channel),
            segments=tuple(replace(one, channel=None) for one in self.segments if one.channel == channel),
            channels=None,
        )


def of_channels(parts: Mapping[int, Timeline]) -> Timeline:
    """Join the timelines of the channels of a recording."""
    first = next(iter(parts.values()))
    windows = [replace(one, channel=number) for number, part in parts.items() for one in part.windows]
    segments = [replace(one, channel=number) for number, part in parts.items() for one in part.segments]
    several = len(parts) > 1
    texts = [
        text.replace(f"{part.file}: ", f"{part.file}: channel {number}: ", 1) if several else text
        for number, part in parts.items()
        for text in part.warnings
    ]
    return replace(
        first,
        windows=tuple(sorted(windows, key=_order)),
        segments=tuple(sorted(segments, key=_order)),
        warnings=tuple(texts),
        channels=tuple(parts),
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
        timeline = _collect(stream, str(path), audio.frames(path))
    return replace(timeline, warnings=tuple(texts))


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
    return replace(timeline, warnings=tuple(texts))


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
