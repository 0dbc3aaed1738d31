"""Forecasts: how long a run will take, from a few real steps of each stage. Nothing is left behind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from serkit import methods
from serkit.data.items import Item, label
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.methods.method import Context, Method
from serkit.runs import memory
from serkit.runs.models import Finished, read_stage, resolve
from serkit.runs.request import Request
from serkit.runs.runner import plan, shares
from serkit.runs.stages import Stages
from serkit.systems.schema import Named
from serkit.training.history import read_history
from serkit.training.loop import steps_of
from serkit.training.trackers import untracked

#: Batches of a stage that are trained on, twice; the second time counts.
BATCHES = 2


@dataclass(frozen=True)
class StageForecast:
    """What one stage of one fold will take.

    Args:
        stage: name of the stage.
        items: number of training items, including copies.
        held: number of validation items.
        batch_size: items of a step.
        epochs: number of epochs without early stopping; 0 if the stage is not trained by epochs.
        steps: number of steps of an epoch.
        step: measured time of a step in s.
        once: time in s before the first epoch: features, outputs of frozen stages, normalization; for a stage without
            epochs, the whole time.
        validation: time in s after each epoch.
        shared: whether an earlier run of the same forecast trains this stage already.
        memory: what the tensors of a step take, in bytes (see `serkit.runs.memory`); None: unknown.
    """

    stage: str
    items: int
    held: int
    batch_size: int
    epochs: int
    steps: int
    step: float
    once: float
    validation: float
    shared: bool = False
    memory: int | None = None

    @property
    def alone(self) -> float:
        """Time of the stage in s if no other run trains it."""
        return self.once + self.epochs * (self.steps * self.step + self.validation)

    @property
    def seconds(self) -> float:
        """Time of the stage in s, 0 if another run trains it."""
        return 0.0 if self.shared else self.alone


@dataclass(frozen=True)
class RunForecast:
    """What a run will take.

    Args:
        system: name of the system.
        protocol: name of the protocol.
        folds: number of folds.
        jobs: number of folds trained at the same time.
        threads: number of threads of each.
        final: time of the final model relative to a fold; 0 without one.
        stages: stages of the first fold, of each configuration in turn.
    """

    system: str
    protocol: str
    folds: int
    jobs: int
    threads: int
    final: float
    stages: Sequence[StageForecast]

    @property
    def fold(self) -> float:
        """Time of one fold in s."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Time of the run in s, without scoring and the linear baseline."""
        return self.fold * (math.ceil(self.folds / self.jobs) + self.final)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and the times computed from them."""
        stages = [{**asdict(stage), "seconds": stage.seconds} for stage in self.stages]
        return {**asdict(self), "stages": stages, "fold_seconds": self.fold, "seconds": self.seconds}


@dataclass
class Forecaster:
    """Forecasts of one run or several, which share their common stages.

    Args:
        folder: temporary folder of features and of the stages tried; see `forecaster`.
        report: called with a line on each prepared run.
    """

    folder: Path
    report: Callable[[str], None]
    tried: dict[str, tuple[StageForecast, Finished]] = field(default_factory=dict)

    def forecast(self, request: Request) -> RunForecast:
        """Try each stage of a run on its first fold.

        Raises:
            UserError: the request cannot be fulfilled.
        """
        # Another store, so that nothing remains; features of other runs are therefore computed again.
        request = replace(request, store=Store(self.folder / "store"))
        experiments, parts = plan(request, request.systems(), self.report)
        jobs, threads = shares(request, len(parts))
        split, found = parts[0], []
        with _threads(threads), untracked():
            for experiment in experiments:
                trial = _Trial(experiment, split, self.folder, split.seed, threads, request.accelerator)
                found += [trial.stage(stage.name, self.tried) for stage in experiment.system.stages]
        first = experiments[0]
        run = RunForecast(first.system.system.name, request.protocol, len(parts), jobs, threads, 0.0, found)
        if not request.final or not run.fold:
            return run
        # One configuration, with the stages that it shares with others, on all items.
        configuration = sum(stage.alone for stage in found) / len(experiments)
        return replace(run, final=configuration / run.fold * len(first.scored) / max(1, len(split.train)))


@contextmanager
def forecaster(report: Callable[[str], None] = lambda line: None) -> Iterator[Forecaster]:
    """Make a forecaster whose files are removed after the block."""
    with TemporaryDirectory(prefix="serkit-", ignore_cleanup_errors=True) as folder:
        yield Forecaster(Path(folder), report)


class _Trial(Stages):
    """The stages of one split, each trained on a few items only."""

    def stage(self, name: str, tried: dict[str, tuple[StageForecast, Finished]]) -> StageForecast:
        """Try a stage whose earlier stages were tried; a stage in `tried` is not tried again."""
        stage = resolve(self.experiment.system, name)
        items, held = self._cut(stage)
        method = methods.build(stage.method.name, **stage.method.options)
        context = Context(stage, [*items, *held], items, self.experiment.classes[name], self.seed, {}, self._outputs)
        model, shapes = self._new_model(context)
        key = self._key(method, context, model)
        if key in tried:
            found, self.finished[name] = tried[key]
            return replace(found, stage=name, shared=True)
        count = method.kept(len(items))
        size = min(stage.trainer.batch_size, count)
        if why := memory.misfit_of(self.experiment.system, name, size):  # a trial takes as much as a training
            raise UserError(why)
        targets = self.experiment.system.stage_data(stage).target
        few, few_held = _draw(items, BATCHES * size, targets), _draw(held, size, targets)
        began = time.monotonic()
        self.finished[name] = finished = self._try(
            Finished(stage, key, self.folder / key, model, context.classes, shapes), few, few_held
        )
        took = time.monotonic() - began
        file, history = read_stage(finished.folder), read_history(finished.folder)
        scale = (count + len(held)) / (len(few) + len(few_held))
        once = (took - file.seconds) * scale
        forecast = StageForecast(name, count, len(held), stage.trainer.batch_size, 0, 0, 0.0, once, 0.0)
        if not history:
            forecast = replace(forecast, once=took * scale)
        else:
            step = history[-1]["seconds"] / steps_of(len(few), size)
            validation = history[-1]["validation_seconds"] / len(few_held) * len(held) if held else 0.0
            epochs, steps = stage.trainer.epochs, steps_of(count, size)
            held_by = memory.step(self.experiment.system, name, size)
            forecast = replace(forecast, epochs=epochs, steps=steps, step=step, validation=validation, memory=held_by)
        tried[key] = forecast, finished
        return forecast

    def _try(self, finished: Finished, items: Sequence[Item], held: Sequence[Item]) -> Finished:
        """Train the new model of a stage for two epochs on some items."""
        stage = finished.stage
        method = methods.build(stage.method.name, **stage.method.options)
        if type(method).select is not Method.select:
            # Its choice needs the record of a whole training; cross-entropy takes as long as its loss.
            stage = stage.model_copy(update={"method": Named(name="supervised")})
            method = methods.build("supervised")
        trainer = stage.trainer.model_copy(update={"epochs": 2, "stopping": None, "select": "last"})
        stage = stage.model_copy(update={"trainer": trainer})
        finished = replace(finished, stage=stage)
        earlier = dict(self.finished)
        context = Context(stage, [*items, *held], items, finished.classes, self.seed, earlier, self._outputs)
        finished.folder.mkdir()
        self._fit(finished, method, context)
        return finished


def _draw(items: Sequence[Item], count: int, targets: Sequence[str]) -> list[Item]:
    """Draw some items, in their order; all if there are no more.

    One of each class comes first: some methods require two classes.
    """
    order = np.random.default_rng(0).permutation(len(items)).tolist()
    first = {tuple(label(items[row].utterance, target) for target in targets): row for row in reversed(order)}
    chosen = list(dict.fromkeys([*reversed(first.values()), *order]))[:count]
    return [items[row] for row in sorted(chosen)]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use a number of threads while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
