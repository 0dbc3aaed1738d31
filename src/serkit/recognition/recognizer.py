"""The recogniser: one recording or many, whole or over time, or a sound as it comes; probabilities out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from serkit import audio
from serkit.errors import UserError
from serkit.recognition import timeline
from serkit.recognition.bundle import Bundle, find
from serkit.recognition.jobs import Failure, each
from serkit.recognition.model import Channel, Model, Prediction
from serkit.recognition.stream import Stream, TimelineOptions
from serkit.recognition.timeline import Timeline


def load(name: str | Path = "default", threads: int = 1) -> Recognizer:
    """Make a recogniser.

    Args:
        name: of a bundle, or the path of its folder.
        threads: processor threads the network may use.

    Raises:
        UserError: no such bundle, or a broken one.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise UserError(f"name must be the name or the folder of a bundle, got {name!r}")
    return Recognizer(Bundle.load(find(name)), threads)


class Recognizer(Model):
    """A `Model` with all that can be done with it: many recordings, timelines and streams besides single recordings.

    Arguments and errors are those of `Model`.
    """

    def __call__(self, path: audio.Recording, channel: Channel = None) -> Prediction:
        return self.predict_file(path, channel)

    def predict_files(
        self, paths: Iterable[str | Path], channel: Channel = None, jobs: int = 1
    ) -> Iterator[Prediction | Failure]:
        """Recognise many recordings, one after the other, in memory that does not grow with their number.

        Args:
            paths: recordings.
            channel: of every recording.
            jobs: processes at work; results keep the order of the paths.

        Returns:
            One `Prediction` or, where a recording cannot be used, `Failure` per path.

        Raises:
            UserError: at once, if the bundle does not listen to such a channel.
            BundleError: what the network gives is not probabilities, or a process has ended.
        """
        self.check_channel(channel)
        return each(partial(self.predict_file, channel=channel), paths, jobs)

    def timeline(
        self, path: audio.Recording, channel: Channel = None, options: TimelineOptions | None = None
    ) -> Timeline:
        """Recognise a recording over time, reading it block by block.

        >>> for segment in serkit.load().timeline("call.wav").segments:    # doctest: +SKIP
        ...     print(segment.start, segment.end, segment.label, segment.confidence)

        Args:
            path: the recording.
            channel: as in `predict_file`.
            options: windows, voice activity, smoothing; None: the defaults of `TimelineOptions`.

        Raises:
            AudioError: it cannot be read, has no such channel, or the network fails on it.
            UserError: options or a channel that the bundle cannot do.
            BundleError: what the network gives is not probabilities.
        """
        return timeline.of_file(self, path, channel, options)

    def timeline_signal(
        self, signal: np.ndarray, rate: int, channel: Channel = None, options: TimelineOptions | None = None
    ) -> Timeline:
        """Recognise samples over time; arguments and errors as in `predict_signal` and `timeline`."""
        return timeline.of_signal(self, signal, rate, channel, options)

    def timelines(
        self,
        paths: Iterable[str | Path],
        channel: Channel = None,
        options: TimelineOptions | None = None,
        jobs: int = 1,
    ) -> Iterator[Timeline | Failure]:
        """Recognise many recordings over time; arguments and errors as in `predict_files` and `timeline`."""
        self.check_channel(channel)
        (options or TimelineOptions()).check(self.bundle)
        return each(partial(self.timeline, channel=channel, options=options), paths, jobs)

    def stream(self, rate: int, channel: Channel = None, options: TimelineOptions | None = None) -> Stream:
        """Begin to recognise a sound that arrives bit by bit.

        >>> stream = serkit.load().stream(rate=16000)                      # doctest: +SKIP
        >>> for samples in microphone:                                     # doctest: +SKIP
        ...     for event in stream.push(samples):
        ...         print(event)

        Args:
            rate: of the samples that will come, in Hz.
            channel: as in `predict_file`.
            options: as in `timeline`.

        Raises:
            UserError: options or a channel that the bundle cannot do.
        """
        return Stream(self, rate, options, channel)
