"""The folds of a run: each is trained and predicted separately, several at the same time, none twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from serkit.data.store import Store
from serkit.engine import Engine, Lost
from serkit.errors import Damaged, UserError
from serkit.methods import METHODS
from serkit.processes import blocked, end_with_parent
from serkit.progress import fold, listen
from serkit.protocols.splits import Split
from serkit.runs import sealed
from serkit.runs.experiment import Experiment
from serkit.runs.files import FoldNote
from serkit.runs.predict import predict, task_of
from serkit.runs.stages import Stages
from serkit.runs.watch import Watch, teller
from serkit.terminal import show_own_warnings

#: Values of --accelerator with which folds may be trained on GPUs.
ON_GPU = frozenset({"auto", "cuda", "gpu"})

# How long to wait for a terminated worker, in s.
_GOODBYE = 10.0


@dataclass(frozen=True)
class _Task:
    """The task of a worker process: one fold."""

    experiments: Sequence[Experiment]
    split: Split
    folder: Path
    stages: Path
    threads: int
    jobs: int
    accelerator: str


@dataclass(frozen=True)
class Folds:
    """The folds of a protocol, and how they are run.

    Args:
        parts: splits of the folds.
        stages: folder of the stages.
        threads: threads of each fold.
        jobs: number of folds at the same time in this process.
        accelerator: accelerator for Lightning Fabric.
        engine: engine whose machines train the folds; None: this machine.
    """

    parts: Sequence[Split]
    stages: Path
    threads: int
    jobs: int
    accelerator: str
    engine: Engine | None = None

    def predict(self, candidates: Sequence[Experiment], folder: Path, report: Callable[[str], None]) -> Any:
        """Train and predict each fold that the folder lacks; return the predictions of all folds."""
        self.train(self.parts, candidates, folder, report)
        return task_of(candidates[0]).load([folder / "folds" / f"{split.name}.csv" for split in self.parts])

    def train(
        self, parts: Sequence[Split], candidates: Sequence[Experiment], folder: Path, report: Callable[[str], None]
    ) -> None:
        """Train and predict each of some folds that the folder lacks."""
        readers = max(1, (os.cpu_count() or 1) // self.jobs) if self.engine is None else self.threads
        tasks = [
            _Task(candidates, split, folder.absolute(), self.stages, self.threads, readers, self.accelerator)
            for split in parts
            if not _is_done(folder / "folds", split.name)
        ]
        if len(tasks) < len(parts):
            report(f"{len(parts) - len(tasks)} of {len(parts)} folds are already done")
        task = task_of(candidates[0])
        epochs = most_epochs(candidates)
        watch = Watch([split.split.name for split in tasks], epochs, self.jobs, report)
        with watch.shown():
            for name, value in (
                _work(tasks, self.jobs, watch) if self.engine is None else _elsewhere(self.engine, tasks)
            ):
                watch.finish(name)
                report(f"{name}: {task.metric().in_words(value)}")


def _is_done(folds: Path, name: str) -> bool:
    """Return whether a fold has been predicted, and its predictions are unchanged."""
    if not (folds / f"{name}.json").exists():
        return False
    try:
        sealed.check(folds / f"{name}.csv", sealed.read(folds / f"{name}.json", FoldNote).table)
    except Damaged as error:
        warnings.warn(f"{error}; the fold is trained again", stacklevel=2)
        return False
    return True


def most_epochs(candidates: Sequence[Experiment]) -> dict[str, int]:
    """Return the most epochs of each stage in a fold, over all rows of a grid."""
    found: dict[str, int] = {}
    for stage in (stage for experiment in candidates for stage in experiment.system.stages):
        if METHODS.find(stage.method.name).by_epochs:
            found[stage.name] = found.get(stage.name, 0) + stage.trainer.epochs
    return found


def _work(tasks: Sequence[_Task], jobs: int, watch: Watch) -> Iterator[tuple[str, float]]:
    """Yield name and score of each fold as it ends."""
    # A daemonic process cannot start others.
    if jobs == 1 or len(tasks) < 2 or multiprocessing.current_process().daemon:
        for task in tasks:
            yield _fold(task)
        return
    with watch.elsewhere() as news:
        lost = yield from _together(tasks, jobs, news)
        # Folds that exceed the memory together may fit alone.
        for task in lost:
            if (yield from _together([task], 1, news)):
                raise _ended(task, "out of memory?")


def _elsewhere(engine: Engine, tasks: Sequence[_Task]) -> Iterator[tuple[str, float]]:
    """Yield name and score of each fold as it ends on a machine of the engine; each has a GPU of its own, if any."""
    if not tasks:
        return
    gpus = 1 if tasks[0].accelerator in ON_GPU and engine.resources("GPU") else 0
    for task, found in engine.map(_fold_there, tasks, tasks[0].threads, gpus):
        if isinstance(found, Lost):
            raise _ended(task, found.reason)
        yield found


def _fold_there(task: _Task) -> tuple[str, float]:
    """Train a fold with the store of the machine on which this runs."""
    show_own_warnings()
    return _fold(replace(task, experiments=[replace(one, store=Store()) for one in task.experiments]))


def _ended(task: _Task, reason: str) -> UserError:
    return UserError(
        f"fold {task.split.name}: the process that trained it ended ({reason}). Finished folds are kept: run again "
        "with --resume, and fewer --jobs or a smaller batch_size"
    )


def _together(tasks: Sequence[_Task], jobs: int, news: Path) -> Generator[tuple[str, float], None, Sequence[_Task]]:
    """Work in a pool of processes; return the folds that were lost because a process ended."""
    # Spawned, because torch's threads do not survive a fork, which Windows and macOS do not support anyway.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    devices = context.SimpleQueue()
    accelerators = {getattr(task, "accelerator", "cpu") for task in tasks}
    for name in islice(cycle(gpus() if accelerators & ON_GPU else []), jobs):
        devices.put(name)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(news, devices)) as pool:
        with blocked(signal.SIGINT):  # inherited by the workers it starts
            left = {pool.submit(_fold, task): task for task in tasks}
        try:
            for future in as_completed(list(left)):
                yield future.result()
                del left[future]
        except BrokenProcessPool:
            # Some may have ended at that moment.
            done = [future for future in left if future.exception() is None]
            for future in done:
                yield future.result()
            return [task for future, task in left.items() if future not in done]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            workers = set(multiprocessing.active_children()) - others
            for worker in workers:
                worker.terminate()
            for worker in workers:  # which hold locks until they have ended
                worker.join(_GOODBYE)
            raise
    return []


def gpus() -> list[str]:
    """Return the GPUs that this process sees, as `CUDA_VISIBLE_DEVICES` names them; none if there is only one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    names = [name.strip() for name in visible.split(",")][:count] if visible else [str(one) for one in range(count)]
    return names if len(names) > 1 else []


def _start_worker(news: Path, devices: Any) -> None:
    end_with_parent()
    if not devices.empty():
        # Before anything asks for the GPUs: this process sees one, and its neighbors see the others.
        os.environ["CUDA_VISIBLE_DEVICES"] = devices.get()
    # Ctrl-C on a terminal reaches every process; the one that started this worker ends it, and says what is kept.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    show_own_warnings()
    listen(teller(news))


def _fold(task: _Task) -> tuple[str, float]:
    """Train a fold, choose the grid's row and fit a temperature on the validation part, and predict the test part."""
    with fold(task.split.name):
        return _train_and_test(task)


def _train_and_test(task: _Task) -> tuple[str, float]:
    torch.set_num_threads(task.threads)
    split, kind = task.split, task_of(task.experiments[0])
    candidates = []
    for experiment in task.experiments:
        stages = Stages(experiment, split, task.stages, split.seed, task.jobs, task.accelerator)
        finished = stages.train()
        held = predict(experiment, stages, finished, split.validation, split) if split.validation else None
        candidates.append((experiment, stages, finished, held))
    validation = [held.value() if held else 0.0 for *_, held in candidates]
    # The first of equals wins, because the user chose the order of the grid.
    chosen = max(range(len(candidates)), key=lambda row: validation[row])
    experiment, stages, finished, held = candidates[chosen]
    predictions = predict(experiment, stages, finished, split.test, split)
    folds = task.folder / "folds"
    folds.mkdir(parents=True, exist_ok=True)
    predictions.save(folds / f"{split.name}.csv")
    value = predictions.value()
    # If a protocol validates on its test part, a temperature would be fitted on the data that measures it.
    fitted = kind.calibrate(held) if held and not set(held.ids) & set(split.test) else None
    note = FoldNote(
        table=sealed.hash_of(folds / f"{split.name}.csv"),
        stage=finished.folder.name,
        stages={name: stage.folder.name for name, stage in stages.finished.items()},
        chosen=chosen,
        validation=validation,
        **{kind.metric().key: value},
        **({} if fitted is None else {"temperature": fitted}),
    )
    sealed.write(folds / f"{split.name}.json", note)
    return split.name, value
