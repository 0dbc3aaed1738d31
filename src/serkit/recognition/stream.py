"""Timeline of a sound while it arrives: each window and segment is returned as soon as it is known."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import soxr

from serkit import audio
from serkit.errors import UserError, whole_number
from serkit.recognition import activity, speechlike
from serkit.recognition.model import Channel, Model
from serkit.recognition.samples import HIGHEST_RATE, INTEGERS, as_array, full_scale, warn_of_integers
from serkit.recognition.segments import Segment, Segmenter, Window
from serkit.recognition.timeline_options import TimelineOptions

Event = Window | Segment


# Minimum length of a window in s, even if speech has just begun; the network requires that much.
_SHORTEST_WINDOW = 1.0

# A last window shorter than this is due to rounding.
_NO_TAIL = 1e-4

#: Number of latencies kept for the percentiles.
_LATENCIES = 4096


@dataclass
class Statistics:
    """Counters of a stream.

    Args:
        received: duration of the received sound in s.
        dropped: duration of the lost sound in s; silence replaces it.
        windows: number of returned windows.
        latencies: latencies of the last windows in s.
    """

    received: float = 0.0
    dropped: float = 0.0
    windows: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))

    def latency(self, percent: float) -> float | None:
        """Return a percentile of the latencies in s; None before the first window."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else None


@dataclass(frozen=True)
class Chunk:
    """Received samples.

    Args:
        samples: (samples,) or (samples, channels), as in `Stream.push`.
        arrived: time of arrival by `time.perf_counter()`; None: the time at which they are processed.
        lost: number of samples lost before these.
    """

    samples: np.ndarray
    arrived: float | None = None
    lost: int = 0


class _Heard:
    """The latest samples of one source, with their time since the start of the stream."""

    def __init__(self, rate: int, wanted: int, channel: int | None) -> None:
        self._wanted = wanted
        self._channel = channel
        # Its output does not depend on how the input is cut.
        self._resampler = soxr.ResampleStream(rate, wanted, 1, dtype="float32") if rate != wanted else None
        self._samples = np.empty(0, dtype=np.float32)
        self._begin = 0

    def hear(self, frames: np.ndarray, last: bool = False) -> None:
        mono = audio.mix(frames, self._channel)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=last)
        self._samples = np.concatenate([self._samples, mono])

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self._begin + len(self._samples)

    def reaches(self, end: float) -> bool:
        return self.end >= round(end * self._wanted)

    def between(self, start: float, end: float) -> np.ndarray:
        first, last = (max(0, round(second * self._wanted) - self._begin) for second in (start, end))
        return self._samples[first:last]

    def forget(self, before: float) -> None:
        cut = max(0, min(round(before * self._wanted) - self._begin, len(self._samples)))
        self._samples = self._samples[cut:]
        self._begin += cut


class Stream:
    """Recognizes a sound while it arrives.

    A window ends every `hop`. It holds the latest speech, up to the length of a window. Results do not depend on how
    the samples are cut into chunks; the same code makes the timeline of a file.

    Args:
        model: the model that recognizes the windows.
        rate: sampling rate in Hz.
        options: options of the timeline.
        channel: channel to read, as in `Recognizer`.
        channels: number of channels of the samples.
        name: name of the sound, for messages.

    Raises:
        UserError: the bundle does not support the options or the channel.
    """

    def __init__(
        self,
        model: Model,
        rate: int,
        options: TimelineOptions | None = None,
        channel: Channel = None,
        channels: int = 1,
        name: str = "stream",
    ) -> None:
        rate = whole_number("rate", rate, lowest=audio.LOWEST_RATE, highest=HIGHEST_RATE)
        channels = whole_number("channels", channels, lowest=1)
        model.bundle.want_classes()
        self.options = options or TimelineOptions()
        self.labels = model.bundle.labels
        self.window = self.options.window_for(model.bundle)
        self.statistics = Statistics()
        #: Peak of the channels that are read, so far; full scale is 1.0.
        self.peak = 0.0
        self._model = model
        self._voice = (model.new_voice() if model.voice is None else model.voice.copy()) if self.options.adapt else None
        self._rate = rate
        self._channels = channels
        self._name = name
        self._received = 0
        self._end = 0.0  # of the last window
        self._windows = 0
        self._sources = model.sources(name, channels, channel)
        read = [index for _, index in self._sources.values() if index is not None]
        self._read = sorted(set(read)) if len(read) == len(self._sources) else list(range(channels))
        speech = [self._sources[entry.name] for entry in model.bundle.inputs if entry.channel is None]
        self._spoken = (activity.RATE, speech[0][1] if speech else next(iter(self._sources.values()))[1])
        self._heard = {source: _Heard(rate, *source) for source in {*self._sources.values(), self._spoken}}
        detector = activity.build(self.options.detector)
        self._activity = activity.Activity(detector, self.options.pause, self.window)
        lookahead = round(self.options.lookahead / self.options.hop)
        change = self.options.change_for(model.bundle)
        self._segmenter = Segmenter(self.labels, lookahead, change, partial(model.doubt, window=True))
        self._examined = -math.inf  # end of the last window that was examined for speech
        self._speech = 1.0  # its probability of speech
        self._segmented: activity.Region | None = None

    def push(self, samples: np.ndarray, arrived: float | None = None) -> list[Event]:
        """Process the next samples.

        Args:
            samples: (samples,), or (samples, channels) with the stream's number of channels; floats with full scale
                1.0, or integers.
            arrived: time of arrival by `time.perf_counter()`; None: now.

        Returns:
            New events in order: windows, final segments, and open segments, which replace the earlier open segments.

        Raises:
            UserError: the samples are non-finite, or have a wrong shape or type.
        """
        arrived = time.perf_counter() if arrived is None else arrived
        frames = full_scale(self._name, self._as_frames(as_array(self._name, samples)))
        if not len(frames):
            return []
        read = frames[:, self._read]
        before, self.peak = self.peak, max(self.peak, float(read.max()), -float(read.min()))
        if before <= INTEGERS < self.peak:
            warn_of_integers(self._name)
        self._received += len(frames)
        self.statistics.received = self._received / self._rate
        for heard in self._heard.values():
            heard.hear(frames)
        return self._advance(arrived)

    def skip(self, samples: int) -> list[Event]:
        """Replace lost samples with silence, and count them as dropped."""
        self.statistics.dropped += samples / self._rate
        return self.push(np.zeros((samples, self._channels), dtype=np.float32))

    def finish(self) -> list[Event]:
        """End the stream; return its last windows and segments."""
        arrived = time.perf_counter()
        nothing = np.empty((0, self._channels), dtype=np.float32)
        for heard in self._heard.values():
            heard.hear(nothing, last=True)
        events = self._advance(arrived)
        duration = self._received / self._rate
        if duration - self._end > _NO_TAIL:
            events += self._step(duration, arrived)
        for ended in self._activity.finish():
            events += self._segmenter.finish(ended.end)
        return events

    def events(self, chunks: Iterable[np.ndarray | Chunk]) -> Iterator[Event]:
        """Push all chunks and finish; yield each event as soon as it is known.

        Raises:
            UserError: as in `push`.
        """
        for chunk in chunks:
            one = chunk if isinstance(chunk, Chunk) else Chunk(chunk)
            if one.lost:
                yield from self.skip(one.lost)
            yield from self.push(one.samples, one.arrived)
        yield from self.finish()

    def _as_frames(self, samples: np.ndarray) -> np.ndarray:
        """Return samples as (samples, channels)."""
        frames = samples[:, None] if samples.ndim == 1 else samples
        if frames.ndim != 2 or frames.shape[1] != self._channels:
            raise UserError(f"{self._name}: samples must have shape (samples, {self._channels}), got {samples.shape}")
        return frames

    def _advance(self, arrived: float) -> list[Event]:
        """Process every window that is complete."""
        events: list[Event] = []
        while all(heard.reaches(end := (self._windows + 1) * self.options.hop) for heard in self._heard.values()):
            events += self._step(end, arrived)
        for heard in self._heard.values():
            heard.forget(self._end - self.window - _SHORTEST_WINDOW)
        return events

    def _step(self, end: float, arrived: float) -> list[Event]:
        """Advance to the window that ends at `end` s."""
        begin, self._end = self._end, end
        self._windows += 1
        events: list[Event] = []
        for ended in self._activity.hear(self._heard[self._spoken].between(begin, end)):
            events += self._segmenter.finish(ended.end)
        start, probabilities, distance = self._recognize(begin, end)
        window = self._window(start, end, probabilities, arrived)
        events.append(window)
        if probabilities is not None and (region := self._activity.region) is not None:
            first = region is not self._segmented
            self._segmented = region
            start = region.start if first else begin
            events += self._segmenter.add(start, end, probabilities, self._speech, distance)
            events += self._segmenter.preview(region.end)
        return events

    def _recognize(self, begin: float, end: float) -> tuple[float, np.ndarray | None, float]:
        """Recognize the window that ends at `end`, if there is speech after `begin`.

        Returns:
            The window's start, its probabilities, and its distance from the training recordings.
        """
        start = max(0.0, end - self.window)
        region = self._activity.region
        if region is None or region.end <= begin:
            return start, None, 0.0
        start = max(start, min(region.start, end - _SHORTEST_WINDOW))
        windowing = self._model.bundle.windowing
        heard = {
            source: windowing.fit(self._heard[source].between(start, end), source[0])
            for source in self._sources.values()
        }
        # Each moment is examined once, not by all windows that contain it.
        if region is not self._segmented or end - self._examined >= self.window - 1e-9:
            self._examined, self._speech = end, self._model.speech(self._sources, heard)
        # Only what earlier windows have not heard is new to the voice; music and noise are not of it.
        new = end - max(begin, start) if self._speech >= speechlike.THRESHOLD else 0.0
        probabilities, far = self._model.recognize_window(self._name, self._sources, heard, self._voice, new)
        return start, probabilities, far

    def _window(self, start: float, end: float, probabilities: np.ndarray | None, arrived: float) -> Window:
        latency = time.perf_counter() - arrived
        self.statistics.windows += 1
        self.statistics.latencies.append(latency)
        named = None if probabilities is None else dict(zip(self.labels, probabilities.tolist(), strict=True))
        return Window(start, end, self._activity.share(start, end), named, latency)
