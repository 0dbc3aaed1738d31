"""The worst errors of a run, with their sound, their predictions and the model's attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serkit.corpora.corpus import Utterance
from serkit.evaluation.predictions import Predictions
from serkit.runs.folder import RunFolder
from serkit.runs.models import rebuild
from serkit.runs.tested import Tested, experiments, hear


@dataclass(frozen=True, eq=False)
class Error:
    """A wrong prediction.

    Args:
        utterance: the utterance.
        fold: name of the fold that tested it.
        truth: its class.
        predicted: the predicted class.
        probabilities: probabilities by class, the highest first.
        signal: float32 samples of speech, (samples,).
        rate: sampling rate in Hz.
        attention: result of `Tested.attention`; empty if the model has no attention or is missing.
    """

    utterance: Utterance
    fold: str
    truth: str
    predicted: str
    probabilities: Mapping[str, float]
    signal: np.ndarray
    rate: int
    attention: Sequence[tuple[np.ndarray, np.ndarray]]


def worst(predictions: Predictions, count: int) -> list[int]:
    """Return the positions of the most confident wrong predictions, the worst first, with each utterance once."""
    wrong = np.flatnonzero(predictions.predicted != predictions.truth)
    confidence = predictions.probabilities.max(axis=1)[wrong]
    found: dict[str, int] = {}
    for position in wrong[np.argsort(-confidence, kind="stable")].tolist():
        found.setdefault(predictions.ids[position], position)
    return list(found.values())[:count]


def collect(run: RunFolder, places: Mapping[str, str], count: int) -> list[Error]:
    """Read the worst errors of a run, with the attention of their models.

    Args:
        run: a finished run.
        places: folders from `run.places`.
        count: number of errors.

    Raises:
        UserError: a corpus has moved or changed.
    """
    predictions = run.predictions
    positions = worst(predictions, count)
    found: dict[int, Error] = {}
    for split, experiment in experiments(run, places):
        own = (predictions.folds == split.fold) & (predictions.seeds == split.seed)
        chosen = [position for position in positions if own[position]]
        by_id = {utterance.id: utterance for utterance in experiment.scored}
        stage, tested = run.stages / run.notes[split.name].stage, None
        if chosen and (stage / "stage.json").exists():
            tested = Tested(experiment, split, rebuild(stage, experiment.system))
        for position in chosen:
            utterance = by_id[predictions.ids[position]]
            probabilities = predictions.probabilities[position]
            found[position] = Error(
                utterance,
                split.name,
                predictions.classes[predictions.truth[position]],
                predictions.classes[predictions.predicted[position]],
                {predictions.classes[place]: float(probabilities[place]) for place in np.argsort(-probabilities)},
                *hear(experiment, utterance),
                tested.attention(utterance.id) if tested else (),
            )
    return [found[position] for position in positions]
