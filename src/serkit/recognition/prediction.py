"""The answer for one recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.recognition import presentation

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image

#: Decimal places: more than any model's precision, few enough to read.
DIGITS = 6


class Doubt(StrEnum):
    """Why an answer is not sure. Of several reasons, an answer names the first in this order."""

    silent = "silent"
    short = "too short"
    no_speech = "no speech"
    unlike = "unlike the training data"
    perhaps_no_speech = "perhaps no speech"
    confidence = "low confidence"


def of_channel(warning: str, file: str, number: int) -> str:
    """Name the channel in a warning about a file of several channels.

    >>> of_channel("call.wav: silent", "call.wav", 1)
    'call.wav: channel 1: silent'
    """
    return warning.replace(f"{file}: ", f"{file}: channel {number}: ", 1)


@dataclass(frozen=True)
class Prediction:
    """The answer for one recording.

    Args:
        file: its path as given; `signal` for samples.
        label: the most probable label; empty if the bundle predicts numbers.
        confidence: its probability; 0 if the bundle predicts numbers.
        probabilities: label -> probability, in the bundle's order; empty if it predicts numbers.
        duration: of the recording in s.
        warnings: problems of the recording: silent, too short for a syllable, truncated.
        sure: whether the confidence reaches the bundle's threshold, if there is one, and there is no other `Doubt`: the
            recording is silent or shorter than `audio.SHORTEST`, holds no speech, perhaps or for certain
            (`recognition.speechlike`), or is unlike the training data (`recognition.bundle.Familiar`).
        doubt: why the answer is not sure; empty if it is.
        values: name -> number, in the bundle's order and the units of the training labels; empty if the bundle predicts
            probabilities.
        channel: its channel, if each channel has an answer; otherwise None.
    """

    file: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    duration: float
    warnings: tuple[str, ...] = ()
    sure: bool = True
    values: dict[str, float] = field(default_factory=dict)
    channel: int | None = None
    doubt: str = ""

    def __repr__(self) -> str:
        if self.values:
            answer = ", ".join(f"{name} {value:.3g}" for name, value in self.values.items())
        else:
            answer = f"{self.label} {self.confidence:.2f}{'' if self.sure else f', unsure: {self.doubt}'}"
        return f"Prediction({self.file!r}, {self.duration:.4g} s: {answer})"

    def _repr_html_(self) -> str:
        """Return a table of the numbers, or of the probabilities, the highest first."""
        if self.values:
            return presentation.html_table(
                ("name", "value"), [(k, f"{v:.3g}") for k, v in self.values.items()], repr(self)
            )
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        rows = [(name, f"{value:.3f}") for name, value in ranked]
        return presentation.html_table(("label", "probability"), rows, repr(self))

    def plot(self, path: str | Path | None = None) -> Image:
        """Draw the probabilities, or the numbers, as bars.

        >>> Prediction("call.wav", "anger", 0.9, {"anger": 0.9, "fear": 0.1}, 2.3).plot().size
        (800, 166)

        Args:
            path: PNG file to write or replace; None: the picture is returned only. A notebook shows it.
        """
        from serkit.recognition.prediction_picture import picture

        kind, unsure = "values" if self.values else "probability", "" if self.sure else ", unsure"
        remark = f"{kind}, {self.duration:.4g} s{unsure}"
        answers = self.values or self.probabilities
        return presentation.saved(picture(Path(self.file).name, remark, answers, bool(self.values)), path)

    def to_dict(self) -> dict[str, object]:
        """Return the answer in its JSON form, as `serkit predict --format json` writes it."""
        place: dict[str, object] = {"file": self.file}
        if self.channel is not None:
            place["channel"] = self.channel
        if self.values:
            return {
                **place,
                "values": {name: round(value, DIGITS) for name, value in self.values.items()},
                "duration": round(self.duration, DIGITS),
                "warnings": list(self.warnings),
            }
        return {
            **place,
            "label": self.label,
            "sure": self.sure,
            "doubt": self.doubt,
            "confidence": round(self.confidence, DIGITS),
            "probabilities": {label: round(value, DIGITS) for label, value in self.probabilities.items()},
            "duration": round(self.duration, DIGITS),
            "warnings": list(self.warnings),
        }

    def to_frame(self) -> pandas.DataFrame:
        """Return the answer as a data frame of one row, with the columns of `serkit predict --format csv`.

        Raises:
            UserError: pandas is not installed.
        """
        answers = self.values or {f"p_{name}": value for name, value in self.probabilities.items()}
        columns = csv_columns(self.values or self.probabilities, bool(self.values))
        return presentation.frame([{**vars(self), **answers}], [name for name in columns if name != "error"])


def csv_columns(names: Iterable[str], numbers: bool = False, each: bool = False) -> list[str]:
    """Return the columns of CSV: one for each number, or one `p_LABEL` for the probability of each label.

    Args:
        names: names of the numbers, or labels.
        numbers: whether the answers are numbers.
        each: whether each channel has a row.
    """
    file = ["file", *(["channel"] if each else [])]
    if numbers:
        return [*file, "duration", *names, "error"]
    return [*file, "label", "sure", "doubt", "confidence", "duration", *(f"p_{name}" for name in names), "error"]
