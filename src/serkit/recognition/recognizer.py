"""The recognizer of single recordings, many recordings, timelines and streams."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from serkit import audio
from serkit.errors import UserError
from serkit.recognition import given, timeline
from serkit.recognition.adaptation import Voice
from serkit.recognition.bundle import Bundle, available, find
from serkit.recognition.jobs import Failure, each
from serkit.recognition.model import Channel, Channels, Model, Prediction
from serkit.recognition.prediction import of_channel
from serkit.recognition.samples import check_recording
from serkit.recognition.sounds import Samples, resolve
from serkit.recognition.spans import Span, Spans, of_values
from serkit.recognition.stream import Stream
from serkit.recognition.timeline import Timeline
from serkit.recognition.timeline_options import TimelineOptions


def load(name: str | Path = "default", threads: int = 1) -> Recognizer:
    """Load a recognizer.

    Args:
        name: name of a bundle, path of its folder, or `hf:owner/name@revision` for one on the Hugging Face Hub (extra
            `hub`); the revision is the hash of a commit. It is downloaded once.
        threads: number of processor threads for the network.

    Raises:
        UserError: the bundle does not exist or is broken.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise UserError(f"name must be the name or the folder of a bundle, got {name!r}")
    return Recognizer(Bundle.load(find(name)), threads)


def models() -> list[Bundle]:
    """Return the bundles that `load` finds by name, sorted by name.

    >>> [bundle.name for bundle in serkit.models()]                        # doctest: +SKIP
    ['default', 'emodb']

    Warns:
        UserWarning: a bundle is broken; it is left out.
    """
    found = []
    for folder in available():
        try:
            found.append(Bundle.load(folder))
        except UserError as error:
            warnings.warn(str(error), stacklevel=2)
    return found


class Recognizer(Model):
    """A `Model` that also recognizes many recordings, timelines and streams.

    Arguments and errors are those of `Model`.
    """

    @overload
    def __call__(
        self, sound: list[Any], channel: Channel = None, *, rate: int | None = None
    ) -> list[Prediction | Failure]: ...

    @overload
    def __call__(self, sound: Any, channel: Channel = None, *, rate: int | None = None) -> Prediction: ...

    def __call__(self, sound: Any, channel: Channel = None, *, rate: int | None = None) -> Any:
        """Recognize a sound in any form, or a list of sounds.

        >>> recognizer = serkit.load()                                     # doctest: +SKIP
        >>> recognizer("call.wav")                                         # doctest: +SKIP
        Prediction('call.wav', 2.31 s: anger 0.91)
        >>> recognizer(samples, rate=16000).label                          # doctest: +SKIP
        'anger'

        Args:
            sound: path of a file, open binary file, content of a file as bytes, samples with `rate` or as
                `(samples, rate)`, entry of a Hugging Face data set, or a list of these; see
                `serkit.recognition.sounds.resolve`.
            channel: as in `predict_file`.
            rate: rate of samples in Hz.

        Returns:
            A `Prediction`; for a list, a list with a `Prediction` for each sound, or a `Failure` if it is unusable.

        Raises:
            AudioError, UserError, BundleError: as in `predict_file` and `predict_signal`.
        """
        if isinstance(sound, list):
            self.check_channel(channel)
            return [self._predict_or_fail(resolve(one, rate), channel) for one in sound]
        return self._predict_resolved(resolve(sound, rate), channel)

    def _predict_resolved(self, sound: audio.Recording | Samples, channel: Channel) -> Prediction:
        return self.predict_signal(*sound, channel) if isinstance(sound, tuple) else self.predict_file(sound, channel)

    def _predict_or_fail(self, sound: audio.Recording | Samples, channel: Channel) -> Prediction | Failure:
        try:
            return self._predict_resolved(sound, channel)
        except audio.AudioError as error:
            return Failure("signal" if isinstance(sound, tuple) else str(sound), str(error))

    def adapt(self, recordings: audio.Recording | Iterable[audio.Recording], channel: Channel = None) -> Recognizer:
        """Return a recognizer that is adapted to a voice or a recording channel; this one stays as it is.

        No labels are used. Some seconds of the voice help, more help more, best in several moods. Do not adapt to the
        recordings in question if they are all of one mood: part of it would be taken for the voice. An adapted
        recognizer adds the recordings to earlier ones.

        >>> recognizer = serkit.load().adapt(["agent-1.wav", "agent-2.wav"])    # doctest: +SKIP
        >>> recognizer("call.wav").label                                        # doctest: +SKIP

        Args:
            recordings: recordings of one voice (paths or `audio.InMemory`).
            channel: as in `predict_file`, for every recording.

        Raises:
            AudioError: a recording cannot be used.
            UserError: the bundle cannot adapt, or there is no recording, or none with speech.
        """
        if isinstance(recordings, (str, os.PathLike, audio.InMemory)):
            recordings = [recordings]

        def hear(voice: Voice) -> None:
            for recording in recordings:
                self.hear(recording, voice, channel)

        return self._adapt(hear)

    def adapt_signal(self, signal: np.ndarray, rate: int, channel: Channel = None) -> Recognizer:
        """Return a recognizer that is adapted to samples of a voice, as by `adapt`.

        Arguments are those of `predict_signal`; errors are those of both.
        """
        return self._adapt(lambda voice: self.hear_signal(signal, rate, voice, channel))

    def _adapt(self, hear: Callable[[Voice], None]) -> Recognizer:
        voice = self.new_voice() if self.voice is None else self.voice.copy()
        before = voice.seconds
        hear(voice)
        if voice.seconds == before:
            raise UserError("nothing to adapt to: no recording was given, or none holds speech")
        return self.adapted(voice)

    def predict_files(
        self, paths: Iterable[str | Path], channel: Channels = None, jobs: int = 1
    ) -> Iterator[Prediction | Failure]:
        """Recognize many recordings in constant memory.

        Args:
            paths: recordings.
            channel: channel of every recording; `"each"` for a prediction of each channel, channel by channel.
            jobs: number of processes; results keep the order of the paths.

        Returns:
            A `Prediction` for each path, or a `Failure` if the recording cannot be used.

        Raises:
            UserError: raised at once if the bundle does not read such a channel.
            BundleError: the network's output is not probabilities, or a process has ended.
        """
        if channel == "each":
            return _flat(each(self.predict_channels, paths, jobs))
        self.check_channel(channel)
        return each(partial(self.predict_file, channel=channel), paths, jobs)

    def predict_channels(self, path: audio.Recording) -> list[Prediction]:
        """Recognize each channel of a recording, e.g. the two voices of a call; errors as in `predict_file`."""
        check_recording(path)
        count = audio.info(path).channels
        found = [replace(self.predict_file(path, number), channel=number) for number in range(count)]
        if count == 1:
            return found
        return [
            replace(one, warnings=tuple(of_channel(text, one.file, number) for text in one.warnings))
            for number, one in enumerate(found)
        ]

    def predict_speakers(
        self, speakers: Iterable[Sequence[str | Path]], channel: Channel = None
    ) -> Iterator[Prediction | Failure]:
        """Recognize the recordings of several speakers, each adapted to all recordings of its speaker.

        Every recording is read twice. An unusable one does not count.

        Args:
            speakers: the recordings of each speaker.
            channel: channel of every recording.

        Returns:
            As `predict_files`, speaker by speaker.

        Raises:
            UserError: as `adapt` and `predict_files`.
            BundleError: the network's output is not probabilities.
        """
        self.check_channel(channel)
        self.new_voice()
        return itertools.chain.from_iterable(self._predict_speaker(paths, channel) for paths in speakers)

    def _predict_speaker(self, paths: Sequence[str | Path], channel: Channel) -> Iterator[Prediction | Failure]:
        voice = self.new_voice()
        # What cannot be heard is reported when it is recognized.
        for _ in each(partial(self.hear, voice=voice, channel=channel), paths, jobs=1):
            pass
        return self.adapted(voice).predict_files(paths, channel)

    def timeline(
        self, path: audio.Recording, channel: Channels = None, options: TimelineOptions | None = None
    ) -> Timeline:
        """Recognize a recording over time, block by block.

        >>> for segment in serkit.load().timeline("call.wav").segments:    # doctest: +SKIP
        ...     print(segment.start, segment.end, segment.label, segment.confidence)

        Args:
            path: the recording.
            channel: as in `predict_file`; `"each"` for a timeline of each channel (see `Timeline.channels`).
            options: windows, voice activity, smoothing; None: the defaults of `TimelineOptions`.

        Raises:
            AudioError: the recording cannot be read, has no such channel, or the network fails on it.
            UserError: the bundle does not support the options or the channel.
            BundleError: the network's output is not probabilities.
        """
        return timeline.of_file(self, path, channel, options)

    def timeline_signal(
        self, signal: np.ndarray, rate: int, channel: Channels = None, options: TimelineOptions | None = None
    ) -> Timeline:
        """Recognize samples over time; arguments and errors as in `predict_signal` and `timeline`."""
        return timeline.of_signal(self, signal, rate, channel, options)

    def timelines(
        self,
        paths: Iterable[str | Path],
        channel: Channels = None,
        options: TimelineOptions | None = None,
        jobs: int = 1,
    ) -> Iterator[Timeline | Failure]:
        """Recognize many recordings over time; arguments and errors as in `predict_files` and `timeline`."""
        if channel != "each":
            self.check_channel(channel)
        (options or TimelineOptions()).check(self.bundle)
        return each(partial(self.timeline, channel=channel, options=options), paths, jobs)

    def predict_segments(
        self,
        path: audio.Recording,
        segments: str | Path | Spans | Iterable[Any],
        channel: Channel = None,
        *,
        adapt_speakers: bool = False,
    ) -> Timeline:
        """Recognize each given segment of a recording, e.g. each turn of a diarization or a transcript.

        >>> recognizer.predict_segments("call.wav", "call.rttm", adapt_speakers=True)         # doctest: +SKIP
        >>> recognizer.predict_segments("call.wav", [(0.5, 2.0), (2.5, 4.0, "agent")])        # doctest: +SKIP

        Segments may overlap and have any order. One that cannot be recognized has an `error` instead of a label. One
        that ends after the recording is recognized up to its end, with a warning.

        Args:
            path: the recording.
            segments: file of segments, see `span_readers.read`; or its content as `Spans`; or segments, see
                `spans.of_values`.
            channel: as in `predict_file`, for segments that name no channel.
            adapt_speakers: whether to adapt to each speaker of the segments, from all segments of the speaker; the
                recording is then read twice.

        Returns:
            A timeline without windows, with a segment for each given one, in their order; `Timeline.of_speaker` is the
            timeline of one speaker.

        Raises:
            AudioError: the recording cannot be read.
            UserError: the segments are unusable, the bundle predicts numbers, or it cannot adapt.
            BundleError: the network's output is not probabilities.
        """
        if isinstance(segments, (str, os.PathLike)):
            from serkit.recognition.span_readers import read

            segments = read(segments)
        if not isinstance(segments, Spans):
            return given.of_file(self, path, of_values(segments), channel, adapt_speakers)
        found, told = segments.by_recording([str(path)])
        for text in (*segments.cautions, *told):
            warnings.warn(text, stacklevel=2)
        return given.of_file(self, path, found[str(path)], channel, adapt_speakers)

    def predict_segments_of(
        self,
        recordings: Mapping[str, Sequence[Span]],
        channel: Channel = None,
        jobs: int = 1,
        *,
        adapt_speakers: bool = False,
    ) -> Iterator[Timeline | Failure]:
        """Recognize the given segments of many recordings.

        Args:
            recordings: segments by recording.
            channel: as in `predict_segments`.
            jobs: as in `predict_files`.
            adapt_speakers: as in `predict_segments`; speakers of two recordings are never the same.

        Returns:
            A timeline for each recording, or a `Failure`; errors as in `predict_files`.
        """
        self.check_channel(channel)
        self.bundle.want_classes()
        if adapt_speakers:
            self.new_voice()
        return each(partial(self._predict_given, recordings, channel, adapt_speakers), list(recordings), jobs)

    def _predict_given(
        self, recordings: Mapping[str, Sequence[Span]], channel: Channel, adapt: bool, path: str | Path
    ) -> Timeline:
        return given.of_file(self, path, recordings[str(path)], channel, adapt)

    def stream(self, rate: int, channel: Channel = None, options: TimelineOptions | None = None) -> Stream:
        """Start to recognize a sound while it arrives.

        >>> stream = serkit.load().stream(rate=16000)                      # doctest: +SKIP
        >>> for samples in microphone:                                     # doctest: +SKIP
        ...     for event in stream.push(samples):
        ...         print(event)

        Args:
            rate: sampling rate in Hz.
            channel: as in `predict_file`.
            options: as in `timeline`.

        Raises:
            UserError: the bundle does not support the options or the channel.
        """
        return Stream(self, rate, options, channel)


def _flat(results: Iterable[list[Prediction] | Failure]) -> Iterator[Prediction | Failure]:
    """Yield the predictions of all channels."""
    for result in results:
        yield from [result] if isinstance(result, Failure) else result
