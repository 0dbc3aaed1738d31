"""Runs: a system under a protocol on corpora, in a folder from which an interrupted run resumes.

run.json          the request, and the machine
splits.json       the parts of each fold
stages/           trained stages, each under its key
folds/            predictions of each finished fold
predictions.csv   predictions of all folds
baseline/         the same for the linear baseline on the same folds
scores.json       the scores, with their intervals and flags
card.json         the scores and everything they depend on; `serkit evaluate` repeats it
final.json        the stage trained on everything, for `serkit export`
report.html       the results as a page
"""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serkit import systems
from serkit.atomic import write_json
from serkit.auditing.audit import audit, summary
from serkit.corpora.columns import readings
from serkit.corpora.corpus import Utterance
from serkit.data.store import digest
from serkit.engine import Engine
from serkit.errors import UserError
from serkit.evaluation.scores import Baseline, Scores
from serkit.flags import Flag
from serkit.progress import fold
from serkit.protocols import flags
from serkit.protocols.splits import Split, everything, splits
from serkit.runs import sealed
from serkit.runs.card import compose
from serkit.runs.check import check
from serkit.runs.experiment import Experiment
from serkit.runs.files import Description, Final, FoldNote, Machine, NamedProtocol, StageNote, SystemRow
from serkit.runs.folder import RunFolder, want_folder
from serkit.runs.folds import ON_GPU, Folds, most_epochs
from serkit.runs.models import learned_from
from serkit.runs.predict import task_of
from serkit.runs.request import Request
from serkit.runs.stages import Stages
from serkit.runs.watch import Watch
from serkit.runs.withdrawn import withdrawing
from serkit.shards import Shard
from serkit.systems.schema import Data, System
from serkit.training import together
from serkit.training.precision import FLOAT32, automatic, check_device

#: Libraries whose versions may change the numbers.
_LIBRARIES = ("serkit", "torch", "numpy", "scipy", "scikit-learn", "lightning-fabric")


def run(
    request: Request,
    folder: Path,
    resume: bool = False,
    stages: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
    engine: Engine | None = None,
) -> Scores:
    """Train and score a system, or resume an interrupted run.

    Args:
        request: request for the run.
        folder: the run's folder.
        resume: whether an existing folder may be continued.
        stages: folder of stages; runs that share it train a common stage once. None: in the run's folder.
        report: called with a line after each step.
        engine: engine whose machines train the folds; the folder, and the recordings, are on a drive that they share.

    Returns:
        The content of `scores.json`.

    Raises:
        UserError: the folder holds another run, or the request cannot be fulfilled.
    """
    if engine is not None and request.devices * request.nodes > 1:
        raise UserError("folds go to an engine, or each is trained on several devices; choose one of the two")
    want_folder(folder)
    _check_device(request, engine)
    # Before anything is read or written: on several devices, only the first process goes on.
    with together.joined(request.devices, request.nodes, request.accelerator, request.threads):
        if (folder / "run.json").exists() and not resume:
            raise UserError(f"{folder}: already holds a run; continue it with --resume, or choose another --out")
        with withdrawing(folder, stages or folder / "stages"):
            ready = _open(request, folder, stages, report, engine)
            with _keeping(folder, ready.folds.parts, resume):
                return _run(request, folder, ready, report)


def share(
    request: Request,
    folder: Path,
    shard: Shard,
    stages: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[int, int]:
    """Train the folds of a shard: every N-th fold, over all seeds, and of the baseline the same.

    Shards may run at the same time, on machines that share the folder. `run` with `resume` then trains what is missing,
    the final model, and writes the scores.

    Args:
        request: as for `run`.
        folder: as for `run`; an existing one is continued.
        shard: the shard.
        stages: as for `run`.
        report: as for `run`.

    Returns:
        How many folds of the run are done, and how many it has.

    Raises:
        UserError: as `run`.
    """
    want_folder(folder)
    _check_device(request, None)
    with withdrawing(folder, stages or folder / "stages"):
        ready = _open(request, folder, stages, report, None)
        folds, first = ready.folds, ready.experiments[0]
        mine = shard.share(folds.parts)
        with _keeping(folder, folds.parts, True):
            folds.train(mine, ready.experiments, folder, report)
            if _has_baseline(request, first):
                folds.train(mine, [_prepare_baseline(request, first)], folder / "baseline", lambda line: None)
    done = sum((folder / "folds" / f"{part.name}.json").exists() for part in folds.parts)
    return done, len(folds.parts)


def _check_device(request: Request, engine: Engine | None) -> None:
    """Raise UserError if what trains the folds lacks the requested devices."""
    if engine is None:
        check_device(request.accelerator, request.devices)
    elif request.accelerator in ON_GPU - {"auto"} and not engine.resources("GPU"):
        raise UserError(f"--accelerator {request.accelerator}: no machine of the cluster has a GPU")


@dataclass(frozen=True)
class _Ready:
    """A run that has begun: its grid and experiments, the folder of stages, and its folds."""

    grid: Sequence[System]
    experiments: Sequence[Experiment]
    shared: Path
    folds: Folds


def _open(
    request: Request, folder: Path, stages: Path | None, report: Callable[[str], None], engine: Engine | None
) -> _Ready:
    """Begin a run, or continue it: write the request and the splits."""
    grid = request.systems()
    experiments, parts = plan(request, grid, report)
    first = experiments[0]
    if any(stage.trainer.precision == "auto" for experiment in experiments for stage in experiment.system.stages):
        choice = automatic(request.accelerator)
        if choice.precision == FLOAT32:
            report(f"precision: float32, because {choice.reason}")
    for caution in task_of(first).cautions(_learned(first, parts)):
        report(caution.text)
    shared = (stages or folder / "stages").absolute()
    jobs, threads = shares(request, len(parts))
    threads = _begin(folder, shared, request, experiments, parts, threads)
    write_json(folder / "splits.json", [asdict(split) for split in parts])
    return _Ready(grid, experiments, shared, Folds(parts, shared, threads, jobs, request.accelerator, engine))


@contextmanager
def _keeping(folder: Path, parts: Sequence[Split], resume: bool) -> Iterator[None]:
    """Add to an interruption what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        done = sum((folder / "folds" / f"{part.name}.json").exists() for part in parts)
        again = "again" if resume else "with --resume (in Python: resume=True)"
        stop.add_note(
            f"interrupted; {folder} keeps {done} of {len(parts)} folds, and every stage up to its last checkpoint. "
            f"To go on, give the same command {again}"
        )
        raise


def _run(request: Request, folder: Path, ready: _Ready, report: Callable[[str], None]) -> Scores:
    grid, experiments, shared, folds = ready.grid, ready.experiments, ready.shared, ready.folds
    first, parts = experiments[0], folds.parts
    predictions = folds.predict(experiments, folder, report)
    predictions.save(folder / "predictions.csv")
    result = _score(folder, shared, request, first, parts, predictions, len(grid))
    task = task_of(first)
    if _has_baseline(request, first):
        baseline = _score_baseline(request, first, folds, folder / "baseline")
        result = result.model_copy(update={"baseline": baseline})
        value = baseline.metrics[task.metric().key].estimate
        report(f"linear baseline on the same folds: {task.metric().in_words(value)}")
    if request.final:
        watch = Watch(["final model"], most_epochs(experiments[:1]), 1, report)
        with watch.shown(), fold("final model"):
            _train_final(folder, shared, request, experiments, predictions, folds.threads)
        report("final model trained on everything")
    result.save(folder / "scores.json")
    rows = [SystemRow.of(system) for system in grid]
    compose(RunFolder.load(folder), rows, first.recordings).save(folder / "card.json")
    return result


def plan(
    request: Request, grid: Sequence[System], report: Callable[[str], None]
) -> tuple[list[Experiment], list[Split]]:
    """Prepare each row of a request's grid, and split the scored utterances.

    Raises:
        UserError: the request cannot be fulfilled.
    """
    experiments = _prepare_all(request, grid, report)
    first = experiments[0]
    parts = splits(first.protocol, first.scored, first.target, request.seed, request.protocol)
    if len(experiments) > 1 and not all(split.validation for split in parts):
        raise UserError("a sweep requires a validation part, but the protocol has none; set its validation share")
    for experiment in experiments:
        check(experiment.system, parts, len(experiment.labels), request.accelerator)
    return experiments, parts


def shares(request: Request, folds: int) -> tuple[int, int]:
    """Return how many folds are trained at the same time, and the number of threads of each."""
    cores = os.cpu_count() or 1
    if not together.group().alone:
        if request.jobs > 1:
            raise UserError(f"--jobs {request.jobs}: several devices train one fold after the other; leave it out")
        return 1, request.threads or torch.get_num_threads()
    jobs = min(request.jobs or cores, folds)
    return jobs, request.threads or max(1, cores // jobs)


def _prepare_all(request: Request, grid: Sequence[System], report: Callable[[str], None]) -> list[Experiment]:
    """Prepare each row of the grid; all rows must score the same utterances and classes."""
    experiments = [request.prepare(system) for system in grid]
    first = experiments[0]
    if any((e.scored, e.labels, e.numbers) != (first.scored, first.labels, first.numbers) for e in experiments):
        raise UserError("a sweep cannot change what is scored: one of its rows has other utterances or classes")
    for flag in first.flags:
        report(flag.text)
    if first.skipped:
        reason = next(iter(first.skipped.values()))
        report(f"{len(first.skipped)} unreadable recordings are left out; the first: {reason}")
    return experiments


def _score_baseline(request: Request, experiment: Experiment, folds: Folds, folder: Path) -> Baseline:
    """Train the linear baseline on the same folds and return its metrics with their intervals."""
    baseline = _prepare_baseline(request, experiment)
    task = task_of(experiment)
    predictions = folds.predict([baseline], folder, lambda line: None)
    found = task.scores(predictions, (), baseline.scored, folds.parts)
    return Baseline(system=task.baseline, targets=found.targets, **found.metrics)


def _has_baseline(request: Request, experiment: Experiment) -> bool:
    return request.baseline and experiment.system.system.name != task_of(experiment).baseline


def _prepare_baseline(request: Request, experiment: Experiment) -> Experiment:
    protocols = {**request.protocols, request.protocol: experiment.protocol}
    return dataclasses.replace(request, protocols=protocols, also=()).prepare(_baseline(experiment))


def _baseline(experiment: Experiment) -> System:
    """Return the linear baseline of an experiment, with the same target, classes and utterances."""
    data = experiment.system.stage_data(experiment.system.deployed)
    task = task_of(experiment)
    same: dict[str, Any] = {"target": list(task.targets), "classes": data.classes, "map": data.map}
    same |= {"where": data.where, "sample": data.sample, "sample_seed": data.sample_seed}
    if experiment.protocol.unit == "item":
        same |= {"items": data.items, "copies": data.copies}
    return systems.load(task.baseline).model_copy(update={"data": Data(**same)})


def _train_final(
    folder: Path,
    shared: Path,
    request: Request,
    experiments: Sequence[Experiment],
    predictions: Any,
    threads: int,
) -> None:
    """Train on everything with the configuration that scored best on the folds' validation parts."""
    torch.set_num_threads(threads)
    notes = [sealed.read(path, FoldNote) for path in sorted((folder / "folds").glob("*.json"))]
    row = int(np.mean([note.validation for note in notes], axis=0).argmax())
    experiment = experiments[row]
    split = everything(experiment.protocol, experiment.scored, experiment.target, request.seed, request.protocol)
    stages = Stages(experiment, split, shared, split.seed, threads, request.accelerator)
    finished = stages.train()
    recordings = {experiment.hash_of(u) for chosen in experiment.utterances.values() for u in chosen}
    before = [learned_from(place) or set() for place in _origins(experiment.system).values()]
    final = Final(
        stage=os.path.relpath(finished.folder, folder),
        key=finished.key,
        row=row,
        **task_of(experiment).final(predictions, experiment.scored).to_dict(),
        recordings=sorted(recordings.union(*before)),
    )
    sealed.write(folder / "final.json", final)


def _score(
    folder: Path,
    shared: Path,
    request: Request,
    experiment: Experiment,
    parts: Sequence[Split],
    predictions: Any,
    configurations: int,
) -> Scores:
    everyone = {utterance.id: utterance for chosen in experiment.utterances.values() for utterance in chosen}
    hashes = {name: experiment.hash_of(utterance) for name, utterance in everyone.items()}
    findings = [audit(_of_all_stages(experiment, split), everyone.values(), hashes) for split in parts]
    task = task_of(experiment)
    cautions = [*experiment.flags, *task.cautions(_learned(experiment, parts))]
    found = [*flags(experiment.protocol), *cautions, *_inherited(experiment), *summary(findings)]
    notes = [sealed.read(folder / "folds" / f"{part.name}.json", FoldNote) for part in parts]
    calibration = task.judge(
        predictions, {(part.seed, part.fold): note.temperature for part, note in zip(parts, notes, strict=True)}
    )
    about = {
        "system": experiment.system.system.name,
        "protocol": request.protocol,
        "content": {corpus.name: experiment.content(corpus) for corpus in request.corpora},
        "folds": len(parts),
        "configurations": configurations,
        "chosen_on": _chosen_on(experiment.system, configurations),
        "recipe": experiment.system.system.chosen,
        "precision": _precisions(shared, notes),
        **({"calibration": calibration} if calibration else {}),
    }
    return task.scores(predictions, found, experiment.scored, parts).model_copy(update=about)


def _learned(experiment: Experiment, parts: Sequence[Split]) -> dict[str, Sequence[Utterance]]:
    """Return the scored stage's training utterances by fold name."""
    return {split.name: experiment.parts(experiment.system.deployed, split)[0] for split in parts}


def _precisions(shared: Path, notes: Sequence[FoldNote]) -> list[str]:
    """Return the precisions of the folds' stages; several if a run was resumed on another machine."""
    names = {name for note in notes for name in note.stages.values()}
    stages = [sealed.read(shared / name / "stage.json", StageNote) for name in sorted(names)]
    # Stages of older runs have no entry; their trainer names the precision.
    return sorted({stage.precision or stage.stage.trainer.precision for stage in stages})


def _chosen_on(system: System, configurations: int) -> str:
    """Return how the row of a sweep, and the epoch of each stage that does not keep its last, were chosen."""
    rules = [f"{s.name} by {s.trainer.select}" for s in system.stages if s.trainer.select != "last"]
    found = ["validation part of each fold"] if configurations > 1 else []
    found += [f"epochs on a validation part: {', '.join(rules)}"] if rules else []
    return "; ".join(found) or "nothing to choose"


def _inherited(experiment: Experiment) -> list[Flag]:
    """Return flags of stages that start from weights trained elsewhere, perhaps on scored recordings."""
    found = []
    scored = {experiment.hash_of(utterance)[:16] for utterance in experiment.scored}
    for name, place in _origins(experiment.system).items():
        learned = learned_from(place)
        if learned is None:
            text = f"stage '{name}' starts from {Path(place).name}: what that was trained on is not known"
            found.append(Flag("unknown training", "caution", text))
        elif scored & learned:
            text = (
                f"recording leak: stage '{name}' starts from {Path(place).name}, which was trained on "
                f"{len(scored & learned)} of the {len(scored)} recordings that are scored"
            )
            found.append(Flag("recording", "leak", text))
    return found


def _origins(system: System) -> dict[str, str]:
    """Return, by stage, the folder of its first weights, without the stages that start from an earlier stage."""
    names = [stage.name for stage in system.stages]
    return {s.name: s.start_from for s in system.stages if s.start_from and s.start_from not in names}


def _of_all_stages(experiment: Experiment, split: Split) -> Split:
    """Return a split whose training part is everything that stages learn from."""
    learned = {utterance.id for stage in experiment.system.stages for utterance in experiment.parts(stage, split)[0]}
    return dataclasses.replace(split, train=tuple(sorted(learned)))


def folds_hash(parts: Sequence[Split]) -> str:
    """Hash the parts of all folds."""
    return digest([asdict(split) for split in parts])


def versions() -> dict[str, str]:
    """Return the versions of libraries that may change the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def _begin(
    folder: Path,
    stages: Path,
    request: Request,
    experiments: Sequence[Experiment],
    parts: Sequence[Split],
    threads: int,
) -> int:
    """Write the request, or compare it with that of the resumed run.

    Returns:
        Number of threads of each fold. A resumed run keeps its number, which affects the last bits of the results.
    """
    experiment = experiments[0]
    path = folder / "run.json"
    old = Description.load(path) if path.exists() else None
    description = Description(
        system=[SystemRow.of(row.system) for row in experiments],
        protocol=NamedProtocol.of(request.protocol, experiment.protocol),
        content={corpus.name: experiment.content(corpus) for corpus in request.corpora},
        material=experiment.material,
        splits=folds_hash(parts),
        classes=list(experiment.labels),
        seed=request.seed,
        threads=old.threads if old and not request.threads else threads,
        folders={corpus.name: str(corpus.folder.absolute()) for corpus in request.corpora},
        also={corpus.name: str(corpus.folder.absolute()) for corpus in request.also},
        readings=readings({corpus.name: corpus.reading for corpus in (*request.corpora, *request.also)}),
        skipped=dict(experiment.skipped),
        stages=os.path.relpath(stages, folder),
        command=request.command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=Machine(system=platform.platform(), processor=platform.machine(), cores=os.cpu_count()),
        versions=versions(),
    )
    if old is None:
        folder.mkdir(parents=True, exist_ok=True)
        description.save(path)
    elif differing := description.differences(old):
        raise UserError(f"{folder}: holds a run that differs in: {', '.join(differing)}; choose another --out")
    return description.threads
