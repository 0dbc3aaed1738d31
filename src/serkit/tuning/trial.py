"""One trial: a point of the space, trained and scored on the folds inside the training part."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from serkit import audio, systems
from serkit.corpora.corpus import Corpus
from serkit.data.store import Store, StoreError
from serkit.errors import UserError
from serkit.evaluation.metrics import CLASSES
from serkit.options import first_line
from serkit.protocols import Protocol
from serkit.protocols.splits import Split, everything, splits
from serkit.runs.experiment import Experiment
from serkit.runs.models import assemble
from serkit.runs.predict import predict
from serkit.runs.request import Request
from serkit.runs.stages import Stages
from serkit.systems.schema import Stage, System
from serkit.training import stopping
from serkit.training.history import read_history

if TYPE_CHECKING:
    from optuna.trial import Trial

#: Protocols that draw folds inside the training part at random, as they draw the test part.
_AT_RANDOM = frozenset({"random", "kfold"})


class Pruned(Exception):
    """A trial that is given up: its `outcome` is `abandoned` (by a rule), `pruned` or `infeasible`."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass(frozen=True)
class Task:
    """The system to search, and the way a point is scored. Picklable, since workers are separate processes.

    The first fold of the protocol gives the test part, which no trial sees. The folds inside its training part are
    cut by the same rule; each in turn is scored, and the others are learned from.

    Args:
        system: name of a system or path of its TOML file.
        corpora: corpora to learn from.
        sets: `key=value` overrides for all points.
        protocol: name of a protocol.
        whole: whether to use all utterances and hold none out for testing.
        folds: number of folds inside the training part; None: 5, or the number of groups if that is smaller.
        metric: key of a metric of classes; its mean over the folds is maximized.
        seed: seed of the split and the trainings.
        accelerator: passed to Lightning Fabric.
        protocols: definitions by name, in addition to the standard ones and the system's own.
        store: folder of stored features; None: the default store.
    """

    system: str | Path
    corpora: Sequence[Corpus]
    sets: Sequence[str] = ()
    protocol: str = "clean"
    whole: bool = False
    folds: int | None = None
    metric: str = "uar"
    seed: int = 0
    accelerator: str = "auto"
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    store: Path | None = None

    def load(self, sets: Sequence[str]) -> System:
        """Return the system of a point."""
        return systems.load(self.system, [*self.sets, *sets])

    def prepare(self, system: System) -> Experiment:
        """Select the utterances for a point's system."""
        store = Store(self.store)
        request = Request([system], self.corpora, self.protocol, protocols=self.protocols, store=store)
        return request.prepare(system)

    @cached_property
    def base(self) -> Experiment:
        """The experiment without any choices."""
        return self.prepare(self.load(()))

    @cached_property
    def outer(self) -> Split:
        """The split whose test part no trial sees; its test part is empty under `whole`."""
        experiment = self.base
        if self.whole:
            protocol = experiment.protocol.model_copy(update={"validation": 0.0})
            return everything(protocol, experiment.scored, experiment.target, self.seed, self.protocol)
        return splits(experiment.protocol, experiment.scored, experiment.target, self.seed, self.protocol)[0]

    @cached_property
    def inner(self) -> list[Split]:
        """The folds inside the training part; their validation parts are scored."""
        outer, experiment = self.outer, self.base
        # A protocol may validate on its test part, as a paper did; a search does not.
        learned = {*outer.train, *outer.validation} - {*outer.test}
        utterances = [utterance for utterance in experiment.scored if utterance.id in learned]
        kind = "kfold" if experiment.protocol.kind in _AT_RANDOM else "group_kfold"
        protocol = Protocol(
            kind=kind,
            group=experiment.protocol.group,
            folds=self.folds,
            stratify=experiment.protocol.stratify,
            unit=experiment.protocol.unit,
        )
        cut = splits(protocol, utterances, experiment.target, self.seed, f"{self.protocol}, inside its training part")
        # The test part is named so that no stage mistakes the validation part for it.
        return [replace(split, validation=split.test, test=outer.test) for split in cut]


def check(task: Task, sets: Sequence[str], classes: int | None = None) -> None:
    """Build the networks of a point, without training them.

    Args:
        task: the task of the search.
        sets: the point as `key=value` overrides.
        classes: number of classes of every target; None: as in the recordings.

    Raises:
        Pruned: the system or one of its networks rejects a key or a value.
    """
    found = task.base.classes if classes is None else {}
    with _feasible():
        system = task.load(sets)
        for stage in system.stages:
            target = system.stage_data(stage).target[0]
            assemble(system, stage.name, classes or len(found[stage.name][target]))


@contextmanager
def _feasible() -> Iterator[None]:
    """Raise Pruned for errors that a point's parameters cause; errors that any point would meet are passed on.

    The latter are unreadable recordings, an unusable store or database, and a full disk.
    """
    try:
        yield
    except (audio.AudioError, StoreError, OSError, sqlite3.Error):
        raise
    except UserError as error:
        raise Pruned("infeasible", str(error)) from error
    except Exception as error:  # from any library that a network or a method uses
        raise Pruned("infeasible", f"{type(error).__name__}: {first_line(error)}") from error


def run(trial: Trial, task: Task, sets: Sequence[str], folder: Path) -> float:
    """Train and score a point on all inner folds; return the mean of the metric.

    Scores are recorded with the trial after each fold. The folder holds the stages; finished stages are not trained
    again when the trial is resumed.

    Raises:
        Pruned: the point is infeasible, or is given up.
    """
    began = time.monotonic()
    try:
        check(task, sets)
        with _feasible():
            experiment = task.prepare(task.load(sets))
        return _folds(trial, task, experiment, folder)
    finally:
        trial.set_user_attr("seconds", round(time.monotonic() - began, 2))


def _folds(trial: Trial, task: Task, experiment: Experiment, folder: Path) -> float:
    found: list[dict[str, float]] = []
    mean = 0.0
    for number, split in enumerate(task.inner, start=1):
        stages = Stages(experiment, split, folder, split.seed, 1, task.accelerator)
        with _feasible():
            finished = stages.train()
        experiment = _shortened(experiment, stages, number)
        with _feasible():
            predictions = predict(experiment, stages, finished, split.validation, split)
        found.append({metric: predictions.value(metric) for metric in CLASSES})
        trial.set_user_attr("folds", found)
        mean = sum(fold[task.metric] for fold in found) / len(found)
        # The mean so far: trials are compared over the same folds.
        trial.report(mean, number)
        rule = _rule(finished.stage)
        if rule is not None and rule.after_fold(found) == "abandon":
            raise Pruned("abandoned", f"after fold {number}")
        if number < len(task.inner) and trial.should_prune():
            raise Pruned("pruned", f"after fold {number}")
    return mean


def _rule(stage: Stage) -> stopping.Stopping | None:
    named = stage.trainer.stopping
    return stopping.build(named.name, **named.options) if named else None


def _shortened(experiment: Experiment, stages: Stages, number: int) -> Experiment:
    """Ask the stages' rules for their last verdicts, and shorten later folds accordingly.

    Raises:
        Pruned: a rule abandons the point.
    """
    limits: dict[str, int] = {}
    for name, finished in stages.finished.items():
        rule = _rule(finished.stage)
        history = read_history(finished.folder)
        if rule is None or not history:
            continue
        verdict = rule.after_epoch(history)
        if verdict == "abandon":
            raise Pruned("abandoned", f"stage '{name}', epoch {history[-1]['epoch']} of fold {number}")
        if verdict == "stop" and (limit := rule.later_epochs(history)) is not None:
            limits[name] = min(max(1, limit), finished.stage.trainer.epochs)

    def shorten(stage: Stage) -> Stage:
        trainer = stage.trainer.model_copy(update={"epochs": limits.get(stage.name, stage.trainer.epochs)})
        return stage.model_copy(update={"trainer": trainer})

    system = experiment.system.model_copy(update={"stages": [shorten(stage) for stage in experiment.system.stages]})
    return replace(experiment, system=system)


def tidy(folder: Path, finished: Sequence[int], best: int | None) -> None:
    """Remove the stages of finished slots except those of the best. Each slot has its own folder."""
    for slot in finished:
        if slot != best and (folder / str(slot)).exists():
            shutil.rmtree(folder / str(slot), ignore_errors=True)
