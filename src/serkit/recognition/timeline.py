"""The timeline of a recording: its emotions over time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from serkit import audio
from serkit.recognition.model import Channel, Model
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
        windows: a window for each hop.
        segments: segments of speech in order, without overlap.
        warnings: problems of the recording: silent, truncated, without speech.
    """

    file: str
    duration: float
    labels: tuple[str, ...]
    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = ()


def of_file(
    model: Model, path: audio.Recording, channel: Channel = None, options: TimelineOptions | None = None
) -> Timeline:
    """Make the timeline of a recording, block by block; see `Recognizer.timeline`."""
    check_recording(path)
    with audio.collecting_warnings() as texts:
        info = audio.info(path)
        stream = Stream(model, info.rate, options, channel, info.channels, str(path))
        timeline = _collect(stream, str(path), audio.frames(path))
    return replace(timeline, warnings=tuple(texts))


def of_signal(
    model: Model,
    signal: np.ndarray,
    rate: int,
    channel: Channel = None,
    options: TimelineOptions | None = None,
) -> Timeline:
    """Make the timeline of samples; see `Recognizer.timeline_signal`."""
    samples = as_samples(signal)
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
