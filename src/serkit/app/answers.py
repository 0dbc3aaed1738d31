"""JSON answers of the server, as described by OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from serkit.recognition import Recognizer, TimelineOptions
from serkit.recognition.bundle import Score, Unsure


class ModelAnswer(BaseModel):
    """One recognizer."""

    name: str = Field(description="Name for `model` in a request.")
    default: bool = Field(description="Whether it answers requests without a model.")
    labels: list[str] = Field(description="Labels in the order of the probabilities.")
    languages: list[str] = Field(description="Languages of the training data (ISO 639-1).")
    licence: str
    trained_on: list[str] = Field(description="Names of the training corpora.")
    parameters: int
    megabytes: float
    scores: list[Score]
    unsure: Unsure | None = Field(description="Confidence below which an answer is unsure; null: no threshold.")
    window: float = Field(description="Maximum window of a timeline, in seconds.")
    hop: float = Field(description="Time between windows of a timeline, in seconds.")
    card: str = Field(description="Model card (Markdown): intended use and limits.")

    @classmethod
    def of(cls, name: str, recognizer: Recognizer, default: bool, card: str) -> ModelAnswer:
        """Describe a recognizer."""
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


class WholeAnswer(BaseModel):
    """Result of one recording, or of one of its channels."""

    file: str = Field(description="Name of the file in the request; `recording` without a name.")
    label: str = Field(description="The most probable label.")
    confidence: float = Field(description="Probability of the label.")
    sure: bool = Field(description="Whether the answer can be relied on: there is no doubt.")
    doubt: str = Field(
        description="Why it is not sure: silent, too short, no speech, unlike the training data, perhaps no "
        "speech, low confidence."
    )
    probabilities: dict[str, float]
    duration: float = Field(description="Of the recording, in seconds.")
    warnings: list[str] = Field(description="Defects of the recording, e.g. silence.")


class PredictionAnswer(WholeAnswer):
    """Result of one recording by a recognizer."""

    model: str


class ChannelAnswer(WholeAnswer):
    """Result of the recording of a timeline."""

    channel: int | None = Field(None, description="Only with `channel=each`: its channel.")


class WindowAnswer(BaseModel):
    """Result of one window."""

    channel: int | None = Field(None, description="Only with `channel=each`: its channel.")
    start: float = Field(description="In seconds.")
    end: float
    speech: float = Field(description="Share of speech, from 0 to 1.")
    probabilities: dict[str, float] | None = Field(description="Probability of each label; null without new speech.")


class SegmentAnswer(BaseModel):
    """A stretch of speech in one emotion."""

    channel: int | None = Field(None, description="Only with `channel=each`: its channel.")
    start: float = Field(description="In seconds.")
    end: float
    label: str
    confidence: float
    sure: bool = Field(description="Whether the segment can be relied on: there is no doubt.")
    doubt: str = Field(description="Why the segment is not sure, as for a prediction.")
    probabilities: dict[str, float]


class GivenSegmentAnswer(BaseModel):
    """A given segment with its answer, or with the error that it has instead."""

    channel: int | None = Field(None, description="Its channel, if the segments name channels.")
    speaker: str | None = Field(None, description="Its speaker, if the segments name speakers.")
    start: float | None = Field(description="In seconds.")
    end: float | None
    columns: dict[str, str] | None = Field(None, description="Its other columns.")
    label: str | None = None
    confidence: float | None = None
    sure: bool | None = None
    doubt: str | None = Field(None, description="Why the segment is not sure, as for a prediction.")
    probabilities: dict[str, float] | None = None
    error: str | None = Field(None, description="Why the segment has no answer.")


class GivenSegmentsAnswer(BaseModel):
    """Result of the given segments of one recording."""

    file: str
    model: str
    duration: float = Field(description="Of the recording, in seconds.")
    labels: list[str]
    channels: list[int] | None = Field(None, description="The channels that the segments name.")
    speakers: list[str] | None = Field(None, description="The speakers that the segments name.")
    segments: list[GivenSegmentAnswer] = Field(description="The given segments, in their order.")
    warnings: list[str]


class TimelineAnswer(BaseModel):
    """Result of one recording over time."""

    file: str
    model: str
    duration: float = Field(description="Of the recording, in seconds.")
    labels: list[str]
    channels: list[int] | None = Field(None, description="Only with `channel=each`: the channels.")
    answers: list[ChannelAnswer] = Field(
        description="What `/v1/predict` answers; one per channel. A warning says if no segment agrees."
    )
    windows: list[WindowAnswer] = Field(description="One window per hop.")
    segments: list[SegmentAnswer] = Field(description="Segments of speech, in order, without overlap within a channel.")
    warnings: list[str] = Field(description="Defects of the recording, e.g. silence or no speech.")


class JobAnswer(BaseModel):
    """How far a job is."""

    id: str = Field(description="Its name in `/v1/jobs/{id}`; who knows it can read the answer.")
    status: Literal["waiting", "running", "done", "failed"]
    file: str = Field(description="Name of the file in the request.")
    model: str
    format: str = Field(description="Format of the answer at `/v1/jobs/{id}/result`.")
    error: str | None = Field(description="Why it failed.")


class Problem(BaseModel):
    """Reason for an error."""

    error: str = Field(description="One line: the error, its place, the received value, and a solution.")
