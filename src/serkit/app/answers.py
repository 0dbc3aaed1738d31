"""The JSON the server answers: what OpenAPI describes."""

from __future__ import annotations

from pydantic import BaseModel, Field

from serkit.recognition import Recognizer, TimelineOptions
from serkit.recognition.bundle import Score, Unsure


class ModelAnswer(BaseModel):
    """One recogniser."""

    name: str = Field(description="What `model` of a request calls it.")
    default: bool = Field(description="Whether it answers where no model is named.")
    labels: list[str] = Field(description="What it tells apart, in the order of its probabilities.")
    languages: list[str] = Field(description="ISO 639-1, of its training.")
    licence: str
    trained_on: list[str] = Field(description="Names of corpora.")
    parameters: int
    megabytes: float
    scores: list[Score]
    unsure: Unsure | None = Field(description="Below which confidence an answer is not sure; null: no threshold.")
    window: float = Field(description="Longest window of a timeline, in seconds.")
    hop: float = Field(description="Seconds from window to window of a timeline.")
    card: str = Field(description="Its model card, Markdown: intended use and limits.")

    @classmethod
    def of(cls, name: str, recognizer: Recognizer, default: bool, card: str) -> ModelAnswer:
        """Describe a recogniser."""
        bundle, options = recognizer.bundle, TimelineOptions()
        return cls(
            name=name,
            default=default,
            labels=bundle.labels,
            languages=bundle.languages,
            licence=bundle.licence,
            trained_on=bundle.trained_on.corpora,
            parameters=bundle.size.parameters,
            megabytes=bundle.model_path.stat().st_size / 1e6,
            scores=bundle.scores,
            unsure=bundle.unsure,
            window=options.window_for(bundle),
            hop=options.hop,
            card=card,
        )


class PredictionAnswer(BaseModel):
    """What was recognised in one recording."""

    file: str = Field(description="Name of the file as it was sent; `recording` without one.")
    model: str
    label: str = Field(description="The most probable label.")
    confidence: float = Field(description="Its probability.")
    sure: bool = Field(description="Whether the confidence reaches the model's threshold; not of silence.")
    probabilities: dict[str, float]
    duration: float = Field(description="Of the recording, in seconds.")
    warnings: list[str] = Field(description="What looks wrong with the recording: silent.")


class WindowAnswer(BaseModel):
    """What was recognised in one window."""

    start: float = Field(description="In seconds.")
    end: float
    speech: float = Field(description="Which part of it is speech, from 0 to 1.")
    probabilities: dict[str, float] | None = Field(description="null: nothing new was said.")


class SegmentAnswer(BaseModel):
    """A stretch of speech in one emotion."""

    start: float = Field(description="In seconds.")
    end: float
    label: str
    confidence: float
    sure: bool = Field(description="Whether the confidence reaches the model's threshold, where it has one.")
    probabilities: dict[str, float]


class TimelineAnswer(BaseModel):
    """What was recognised in one recording over time."""

    file: str
    model: str
    duration: float = Field(description="Of the recording, in seconds.")
    labels: list[str]
    windows: list[WindowAnswer] = Field(description="One every hop.")
    segments: list[SegmentAnswer] = Field(description="Of speech only, in order, without overlap.")
    warnings: list[str] = Field(description="What looks wrong with the recording: silent, without speech.")


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One line: what, where, the value received, what would work.")
