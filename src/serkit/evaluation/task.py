"""The scored task: classes or numbers. Tasks differ in predictions, records and metrics, not in how they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import Field

from serkit.auditing import doubts
from serkit.corpora.corpus import Utterance
from serkit.data.items import label
from serkit.evaluation import metrics, scores, unsure
from serkit.evaluation.calibration import sharpened, temperature
from serkit.evaluation.metrics import Metric
from serkit.evaluation.nested import Calibration, calibration, fit_temperature
from serkit.evaluation.predictions import NumberPredictions, Predictions
from serkit.evaluation.scores import Scores
from serkit.evaluation.spreads import spreads
from serkit.flags import Flag
from serkit.protocols.splits import Split
from serkit.records import Record

P = TypeVar("P", Predictions, NumberPredictions)


class Shipping(Record):
    """Settings of a final model for export.

    Args:
        temperature: divisor of the logits of classes.
        unsure_below: probability below which an answer is unsure; None: of numbers, or a run older than thresholds.
        ranges: lowest and highest label of each target of numbers.
        spreads: of the answers to a speaker, see `serkit.evaluation.spreads`; None: not known.
    """

    temperature: float | None = None
    unsure_below: float | None = None
    ranges: dict[str, tuple[float, float]] = Field({})
    spreads: tuple[float, float] | None = None


class Task(ABC, Generic[P]):
    """The parts of a run that depend on the task."""

    #: Its name in `scores.json`.
    name: ClassVar[str]

    #: Metrics by key; runs are chosen and compared by the first.
    metrics: ClassVar[Mapping[str, Metric]]

    #: The baseline system.
    baseline: ClassVar[str]

    #: Class of its predictions.
    kind: type[P]

    @property
    @abstractmethod
    def targets(self) -> Sequence[str]:
        """The scored targets, which the baseline must learn too."""

    @abstractmethod
    def truth(self, utterances: Sequence[Utterance]) -> np.ndarray:
        """Return the labels of utterances, shape (n, ...), in the form of their predictions."""

    @abstractmethod
    def predictions(self, utterances: Sequence[Utterance], answers: np.ndarray, fold: int = 1, seed: int = 0) -> P:
        """Combine the answers for utterances with their ids, speakers and labels.

        Args:
            utterances: n utterances.
            answers: probabilities of the classes, or numbers of the targets, shape (n, ...).
            fold: fold in which they were tested.
            seed: seed of the training.
        """

    @classmethod
    def load(cls, paths: Sequence[Path]) -> P:
        """Read the predictions of several folds and join them."""
        return cls.kind.concatenate([cls.kind.load(path) for path in paths])

    @classmethod
    def metric(cls) -> Metric:
        """Return the metric by which runs are chosen and compared."""
        return next(iter(cls.metrics.values()))

    @abstractmethod
    def scores(
        self, predictions: P, flags: Sequence[Flag], utterances: Sequence[Utterance], parts: Sequence[Split]
    ) -> Scores:
        """Score the predictions of all folds, and a constant answer learned from the labels of the training parts.

        Args:
            predictions: predictions of all folds and seeds.
            flags: flags stored with the scores.
            utterances: all scored utterances.
            parts: the folds.
        """

    def cautions(self, learned: Mapping[str, Sequence[Utterance]]) -> list[Flag]:
        """Return flags of the scores, given the training utterances of each fold by its name."""
        return []

    def calibrate(self, held: P) -> float | None:
        """Return the temperature fitted on the validation part of a fold; None: the answers have none."""
        return None

    def judge(self, predictions: P, temperatures: Mapping[tuple[int, int], float | None]) -> Calibration | None:
        """Score the results of `calibrate` of all seeds and folds; None: not all folds have one."""
        return None

    @abstractmethod
    def final(self, predictions: P, utterances: Sequence[Utterance]) -> Shipping:
        """Return the settings of the final model for export, from the folds' predictions for their test parts."""


@dataclass(frozen=True)
class Classes(Task[Predictions]):
    """One target whose values are classes: probabilities, scored by UAR, accuracy and macro F1.

    Args:
        target: name of the target.
        labels: classes in the order of their probabilities.
    """

    name = "classes"
    metrics = metrics.CLASSES
    baseline = "linear-baseline"
    kind = Predictions

    target: str
    labels: Sequence[str]

    @property
    def targets(self) -> Sequence[str]:
        return [self.target]

    def truth(self, utterances: Sequence[Utterance]) -> np.ndarray:
        labels = list(self.labels)
        return np.array([labels.index(str(utterance.targets[self.target])) for utterance in utterances])

    def predictions(
        self, utterances: Sequence[Utterance], answers: np.ndarray, fold: int = 1, seed: int = 0
    ) -> Predictions:
        return Predictions(
            **_about(utterances, fold, seed),
            truth=self.truth(utterances),
            probabilities=answers,
            classes=tuple(self.labels),
        )

    def scores(
        self, predictions: Predictions, flags: Sequence[Flag], utterances: Sequence[Utterance], parts: Sequence[Split]
    ) -> Scores:
        by_id = {utterance.id: str(utterance.targets[self.target]) for utterance in utterances}
        learned = [by_id[name] for split in parts for name in split.train]
        corpora = np.array(predictions.corpora)
        held_out = unsure.held_out(predictions.probabilities, predictions.truth, predictions.folds, corpora)
        return scores.scores(predictions, flags, learned).model_copy(update={"unsure": held_out})

    def cautions(self, learned: Mapping[str, Sequence[Utterance]]) -> list[Flag]:
        """Return a flag if a fold's training part lacks a class, which is then never predicted."""
        absent: dict[str, list[str]] = {}
        for fold, utterances in learned.items():
            known = {str(value) for utterance in utterances if (value := label(utterance, self.target)) is not None}
            for name in self.labels:
                if name not in known:
                    absent.setdefault(name, []).append(fold)
        if not absent:
            return []
        where = (
            f"{name} in {len(folds)} of {len(learned)} folds ({doubts.listed(folds)})" for name, folds in absent.items()
        )
        return [Flag("absent", "caution", f"classes absent from the training part: {'; '.join(where)}")]

    def calibrate(self, held: Predictions) -> float:
        return fit_temperature(held)

    def judge(
        self, predictions: Predictions, temperatures: Mapping[tuple[int, int], float | None]
    ) -> Calibration | None:
        known = {place: value for place, value in temperatures.items() if value is not None}
        return calibration(predictions, known) if len(known) == len(temperatures) else None

    def final(self, predictions: Predictions, utterances: Sequence[Utterance]) -> Shipping:
        """Return temperature, threshold and spreads, from the folds' predictions for held-out recordings."""
        logarithms = np.log(np.maximum(predictions.probabilities, 1e-12))
        scale = temperature(logarithms, predictions.truth)
        confidence = sharpened(predictions.probabilities, scale).max(axis=1)
        right = predictions.predicted == predictions.truth
        below = unsure.fitted(confidence, right, predictions.folds, np.array(predictions.corpora))
        return Shipping(temperature=scale, unsure_below=below, spreads=spreads(predictions, scale))


@dataclass(frozen=True)
class Numbers(Task[NumberPredictions]):
    """One or several targets that are numbers, scored by CCC, Pearson's correlation, RMSE and MAE.

    Args:
        numbers: names of the targets.
    """

    name = "numbers"
    metrics = metrics.NUMBERS
    baseline = "linear-regression"
    kind = NumberPredictions

    numbers: Sequence[str]

    @property
    def targets(self) -> Sequence[str]:
        return self.numbers

    def truth(self, utterances: Sequence[Utterance]) -> np.ndarray:
        """Return the numbers of utterances, float64 (utterances, targets); NaN without a label."""
        rows = [[label(utterance, target) for target in self.targets] for utterance in utterances]
        return np.array([[np.nan if value is None else float(value) for value in row] for row in rows])

    def predictions(
        self, utterances: Sequence[Utterance], answers: np.ndarray, fold: int = 1, seed: int = 0
    ) -> NumberPredictions:
        return NumberPredictions(
            **_about(utterances, fold, seed),
            truth=self.truth(utterances),
            values=answers,
            targets=tuple(self.targets),
        )

    def scores(
        self,
        predictions: NumberPredictions,
        flags: Sequence[Flag],
        utterances: Sequence[Utterance],
        parts: Sequence[Split],
    ) -> Scores:
        by_id = {utterance.id: utterance for utterance in utterances}
        means = {
            (split.fold, split.seed): np.nanmean(self.truth([by_id[name] for name in split.train]), 0)
            for split in parts
        }
        places = zip(predictions.folds.tolist(), predictions.seeds.tolist(), strict=True)
        return scores.scores(predictions, flags, np.stack([means[place] for place in places]))

    def final(self, predictions: NumberPredictions, utterances: Sequence[Utterance]) -> Shipping:
        """Return the lowest and highest label of each target."""
        labels = self.truth(utterances)
        ranges = zip(np.nanmin(labels, axis=0).tolist(), np.nanmax(labels, axis=0).tolist(), strict=True)
        return Shipping(ranges=dict(zip(self.targets, ranges, strict=True)))


#: By their name in `scores.json`.
TASKS: Mapping[str, type[Task[Any]]] = {task.name: task for task in (Classes, Numbers)}


def _about(utterances: Sequence[Utterance], fold: int, seed: int) -> Mapping[str, Any]:
    return {
        "ids": tuple(utterance.id for utterance in utterances),
        "speakers": tuple(utterance.speaker for utterance in utterances),
        "folds": np.full(len(utterances), fold),
        "seeds": np.full(len(utterances), seed),
    }
