"""What a run scores: classes or numbers. They differ in what is predicted, kept and measured, not in how it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from serkit.audit import doubts
from serkit.corpora.corpus import Utterance
from serkit.data.items import label
from serkit.evaluation import metrics, number_scores, unsure
from serkit.evaluation.calibration import sharpened, temperature
from serkit.evaluation.nested import calibration, fit_temperature
from serkit.evaluation.number_predictions import NumberPredictions
from serkit.evaluation.predictions import Predictions
from serkit.evaluation.scores import scores
from serkit.flags import Flag
from serkit.protocols.splits import Split
from serkit.runs.experiment import Experiment
from serkit.runs.models import Finished
from serkit.runs.stages import Stages

P = TypeVar("P", Predictions, NumberPredictions)


class Task(Generic[P]):
    """What a run needs to know of what it scores."""

    #: What a sweep chooses by: a key of the scores.
    metric: ClassVar[str]

    #: The system every other has to beat, and the keys of its scores that are shown.
    baseline: ClassVar[str]
    shown: ClassVar[Sequence[str]]

    def targets(self, experiment: Experiment) -> list[str]:
        """Return what is scored, which the baseline has to learn too."""
        raise NotImplementedError

    def predict(
        self, experiment: Experiment, stages: Stages, finished: Finished, ids: Sequence[str], split: Split
    ) -> P:
        """Predict some scored utterances with a finished stage."""
        raise NotImplementedError

    def load(self, paths: Sequence[Path]) -> P:
        """Read the predictions of several folds and join them."""
        raise NotImplementedError

    def value(self, predictions: P) -> float:
        """Return the metric of predictions."""
        raise NotImplementedError

    def in_words(self, value: float) -> str:
        """Put a value of the metric into words."""
        raise NotImplementedError

    def scores(
        self, experiment: Experiment, parts: Sequence[Split], predictions: P, flags: Sequence[Flag]
    ) -> dict[str, Any]:
        """Score the predictions of all folds; beside them what has learned nothing but the training parts' labels."""
        raise NotImplementedError

    def cautions(self, experiment: Experiment, parts: Sequence[Split]) -> list[Flag]:
        """Return what has to be known of the scores, from what is learned in each fold."""
        return []

    def calibrate(self, held: P) -> dict[str, Any]:
        """Return what a fold's note keeps of its validation part: the temperature that suits it, if there is one."""
        return {}

    def judge(self, predictions: P, notes: Mapping[tuple[int, int], Mapping[str, Any]]) -> dict[str, Any]:
        """Score what `calibrate` found, from the notes of all seeds and folds."""
        return {}

    def final(self, experiment: Experiment, predictions: P) -> dict[str, Any]:
        """Return what export has to know of the final model, from what the folds predicted of their test parts."""
        raise NotImplementedError


class Classification(Task[Predictions]):
    """One target whose values are classes: probabilities, scored by UAR, accuracy and macro F1."""

    metric = "uar"
    baseline = "linear-baseline"
    shown = tuple(metrics.METRICS)

    def targets(self, experiment: Experiment) -> list[str]:
        return [experiment.target]

    def predict(
        self, experiment: Experiment, stages: Stages, finished: Finished, ids: Sequence[str], split: Split
    ) -> Predictions:
        utterances, labels = _named(experiment, ids), list(experiment.labels)
        return Predictions(
            ids=tuple(ids),
            speakers=tuple(utterance.speaker for utterance in utterances),
            truth=np.array([labels.index(str(utterance.targets[experiment.target])) for utterance in utterances]),
            probabilities=stages.probabilities(finished, utterances, experiment.target),
            classes=tuple(labels),
            folds=np.full(len(ids), split.fold),
            seeds=np.full(len(ids), split.seed),
        )

    def load(self, paths: Sequence[Path]) -> Predictions:
        return Predictions.concatenate([Predictions.load(path) for path in paths])

    def value(self, predictions: Predictions) -> float:
        return metrics.uar(predictions.truth, predictions.predicted)

    def in_words(self, value: float) -> str:
        return f"UAR {value:.1%}"

    def scores(
        self, experiment: Experiment, parts: Sequence[Split], predictions: Predictions, flags: Sequence[Flag]
    ) -> dict[str, Any]:
        by_id = {utterance.id: str(utterance.targets[experiment.target]) for utterance in experiment.scored}
        learned = [by_id[name] for split in parts for name in split.train]
        held_out = unsure.held_out(predictions.probabilities, predictions.truth, predictions.folds)
        return {**scores(predictions, flags, training_labels=learned), "unsure": held_out}

    def cautions(self, experiment: Experiment, parts: Sequence[Split]) -> list[Flag]:
        """Return a line if a class is in no training utterance of some fold, where it is never predicted."""
        absent: dict[str, list[str]] = {}
        for split in parts:
            learned, _ = experiment.parts(experiment.system.deployed, split)
            known = {str(value) for utterance in learned if (value := label(utterance, experiment.target)) is not None}
            for name in experiment.labels:
                if name not in known:
                    absent.setdefault(name, []).append(split.name)
        if not absent:
            return []
        where = (
            f"{name} in {len(folds)} of {len(parts)} folds ({doubts.listed(folds)})" for name, folds in absent.items()
        )
        return [Flag("absent", "caution", f"classes absent from the training part: {'; '.join(where)}")]

    def calibrate(self, held: Predictions) -> dict[str, Any]:
        return {"temperature": fit_temperature(held)}

    def judge(self, predictions: Predictions, notes: Mapping[tuple[int, int], Mapping[str, Any]]) -> dict[str, Any]:
        if not all("temperature" in note for note in notes.values()):
            return {}
        return {"calibration": calibration(predictions, {key: note["temperature"] for key, note in notes.items()})}

    def final(self, experiment: Experiment, predictions: Predictions) -> dict[str, Any]:
        """Return temperature and threshold, fitted on what the folds predicted of recordings none had learned from."""
        logarithms = np.log(np.maximum(predictions.probabilities, 1e-12))
        scale = temperature(logarithms, predictions.truth)
        confidence = sharpened(predictions.probabilities, scale).max(axis=1)
        below = unsure.threshold(confidence, predictions.predicted == predictions.truth)
        return {"temperature": scale, "unsure_below": below}


class Regression(Task[NumberPredictions]):
    """One or several targets that are numbers, scored by CCC, Pearson's correlation, RMSE and MAE."""

    metric = "ccc"
    baseline = "linear-regression"
    shown = ("ccc", "targets")

    def targets(self, experiment: Experiment) -> list[str]:
        return list(experiment.numbers)

    def predict(
        self, experiment: Experiment, stages: Stages, finished: Finished, ids: Sequence[str], split: Split
    ) -> NumberPredictions:
        utterances, targets = _named(experiment, ids), experiment.numbers
        return NumberPredictions(
            ids=tuple(ids),
            speakers=tuple(utterance.speaker for utterance in utterances),
            truth=_labels(utterances, targets),
            values=stages.values(finished, utterances, targets),
            targets=tuple(targets),
            folds=np.full(len(ids), split.fold),
            seeds=np.full(len(ids), split.seed),
        )

    def load(self, paths: Sequence[Path]) -> NumberPredictions:
        return NumberPredictions.concatenate([NumberPredictions.load(path) for path in paths])

    def value(self, predictions: NumberPredictions) -> float:
        return number_scores.mean_ccc(predictions)

    def in_words(self, value: float) -> str:
        return f"CCC {value:.3f}"

    def scores(
        self, experiment: Experiment, parts: Sequence[Split], predictions: NumberPredictions, flags: Sequence[Flag]
    ) -> dict[str, Any]:
        means = {
            (split.fold, split.seed): np.nanmean(_labels(_named(experiment, split.train), predictions.targets), 0)
            for split in parts
        }
        places = zip(predictions.folds.tolist(), predictions.seeds.tolist(), strict=True)
        return number_scores.scores(predictions, flags, np.stack([means[place] for place in places]))

    def final(self, experiment: Experiment, predictions: NumberPredictions) -> dict[str, Any]:
        """Return the lowest and highest label of each target."""
        labels = _labels(experiment.scored, predictions.targets)
        ranges = zip(np.nanmin(labels, axis=0).tolist(), np.nanmax(labels, axis=0).tolist(), strict=True)
        return {"ranges": dict(zip(predictions.targets, map(list, ranges), strict=True))}


def task_of(experiment: Experiment) -> Task[Any]:
    """Return what the experiment's scored target is."""
    return Regression() if experiment.numbers else Classification()


def _named(experiment: Experiment, ids: Sequence[str]) -> list[Utterance]:
    by_id: Mapping[str, Utterance] = {utterance.id: utterance for utterance in experiment.scored}
    return [by_id[name] for name in ids]


def _labels(utterances: Sequence[Utterance], targets: Sequence[str]) -> np.ndarray:
    """Return the numbers of utterances, float64 (utterances, targets); not a number where there is none."""
    rows = [[label(utterance, target) for target in targets] for utterance in utterances]
    return np.array([[np.nan if value is None else float(value) for value in row] for row in rows])
