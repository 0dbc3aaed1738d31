"""The JSON the server answers: what OpenAPI describes."""

from __future__ import annotations

from pydantic import BaseModel, Field

from serkit.recognition import Prediction, Recognizer
from serkit.recognition.bundle import CARD, Score


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
    window: float | None = Field(description="Seconds it hears at a time; null: the whole recording.")
    hop: float | None = Field(description="Seconds from window to window; null: no overlap.")
    card: str = Field(description="Its model card, Markdown: intended use and limits.")

    @classmethod
    def of(cls, name: str, recognizer: Recognizer, default: bool) -> ModelAnswer:
        """Describe a recogniser."""
        bundle = recognizer.bundle
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
            window=bundle.windowing.seconds,
            hop=bundle.windowing.hop,
            card=(bundle.folder / CARD).read_text(encoding="utf-8"),
        )


class PredictionAnswer(BaseModel):
    """What was recognised in one recording."""

    file: str = Field(description="Name of the file as it was sent; `recording` without one.")
    model: str
    label: str = Field(description="The most probable label.")
    confidence: float = Field(description="Its probability.")
    probabilities: dict[str, float]
    duration: float = Field(description="Of the recording, in seconds.")
    warnings: list[str] = Field(description="What looks wrong with the recording: silent.")

    @classmethod
    def of(cls, model: str, prediction: Prediction) -> PredictionAnswer:
        """Put a prediction into words."""
        return cls(
            file=prediction.file,
            model=model,
            label=prediction.label,
            confidence=prediction.confidence,
            probabilities=prediction.probabilities,
            duration=prediction.duration,
            warnings=list(prediction.warnings),
        )


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One line: what, where, the value received, what would work.")
