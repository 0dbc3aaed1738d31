"""What is done with one recording, in a process of its own: see `processes`.

Nothing here needs FastAPI, which would double the time such a process takes to start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serkit import audio
from serkit.app.answers import PredictionAnswer, TimelineAnswer
from serkit.app.limits import Limits
from serkit.errors import UserError
from serkit.recognition import Recognizer
from serkit.recognition.formats import as_dict
from serkit.recognition.model import Channel
from serkit.recognition.timeline_formats import as_dict as timeline_as_dict
from serkit.recognition.timeline_formats import render


class TooLong(UserError):
    """A recording that lasts longer than is allowed."""


@dataclass(frozen=True)
class Recognized:
    """What came of a recording: the text of the answer, and the recording's `duration` in s."""

    text: str
    duration: float


@dataclass(frozen=True)
class Task:
    """A recording, and what to do with it.

    Args:
        model: name of the recognizer.
        recording: as it was received.
        channel: as in `Recognizer`.
        format: of its timeline; None: JSON of a prediction for the whole recording instead.
    """

    model: str
    recording: audio.InMemory
    channel: Channel
    format: str | None = None

    def __call__(self, recognizers: Mapping[str, Recognizer], limits: Limits) -> Recognized:
        """Do it.

        Raises:
            UserError: the recording, or the channel, cannot be used.
            BundleError: what the network gives is not probabilities.
        """
        recognizer = recognizers[self.model]
        try:
            duration = check(self.recording, limits)
            if self.format is None:
                prediction = recognizer.predict_file(self.recording, self.channel)
                text = PredictionAnswer(model=self.model, **as_dict(prediction)).model_dump_json()
                return Recognized(text, duration)
            timeline = recognizer.timeline(self.recording, self.channel)
        except MemoryError:
            raise UserError(f"{self.recording}: needs more than {limits.memory / 1e6:g} MB of memory") from None
        if self.format == "json":
            text = TimelineAnswer(model=self.model, **timeline_as_dict(timeline)).model_dump_json()
        else:
            text = render(timeline, self.format, csv_safe=True)
        return Recognized(text, duration)


def check(recording: audio.InMemory, limits: Limits) -> float:
    """Look at a recording's header and return its duration in s.

    Raises:
        AudioError: not audio, or not a whole file.
        TooLong: what it says.
        UserError: too short, or of a rate or number of channels that is not taken.
    """
    info = audio.info(recording)
    if not limits.lowest_rate <= info.rate <= limits.highest_rate:
        taken = f"{limits.lowest_rate} to {limits.highest_rate} Hz are taken"
        raise UserError(f"{recording}: a sampling rate of {info.rate} Hz; {taken}")
    if info.channels > limits.channels:
        raise UserError(f"{recording}: has {info.channels} channels; at most {limits.channels} are taken")
    if info.duration > limits.longest:
        raise TooLong(f"{recording}: lasts {info.duration:.0f} s; at most {limits.longest:g} s are taken")
    if info.duration < limits.shortest:
        raise UserError(f"{recording}: lasts {info.duration:g} s; at least {limits.shortest:g} s are needed")
    return info.duration
