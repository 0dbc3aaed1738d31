"""Predict scored utterances with a finished stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serkit.evaluation.task import Classes, Numbers, Task
from serkit.protocols.splits import Split
from serkit.runs.experiment import Experiment
from serkit.runs.models import Finished
from serkit.runs.stages import Stages


def task_of(experiment: Experiment) -> Task[Any]:
    """Return the task that an experiment scores."""
    return Numbers(experiment.numbers) if experiment.numbers else Classes(experiment.target, experiment.labels)


def predict(experiment: Experiment, stages: Stages, finished: Finished, ids: Sequence[str], split: Split) -> Any:
    """Return the predictions for some scored utterances.

    Args:
        experiment: experiment with the utterances.
        stages: stages of the fold.
        finished: stage that predicts.
        ids: ids of the utterances.
        split: the fold.
    """
    by_id = {utterance.id: utterance for utterance in experiment.scored}
    utterances = [by_id[id] for id in ids]
    if experiment.numbers:
        answers = stages.values(finished, utterances, experiment.numbers)
    else:
        answers = stages.probabilities(finished, utterances, experiment.target)
    return task_of(experiment).predictions(utterances, answers, split.fold, split.seed)
