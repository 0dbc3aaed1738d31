"""A search as a folder that any number of workers share, and that can be killed and resumed.

search.json      the request
study.db         all trials (SQLite), unless another database is named
stages/          stages of running trials and of the best one
held-out.csv     the recordings that no trial has seen
held-out/        the run that tests the best trial on them, if it was asked for; held-out.json: its score
trials.csv, best.toml, search.html, history.png, importance.png: see `results`
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from serkit import methods
from serkit.errors import UserError
from serkit.evaluation.metrics import CLASSES, named
from serkit.processes import blocked, end_with_parent, unblock
from serkit.records import whole
from serkit.runs.files import NamedProtocol, SystemRow
from serkit.runs.folder import want_folder
from serkit.runs.request import Request as RunRequest
from serkit.systems.grid import overrides
from serkit.training import precision
from serkit.tuning import held_out, pictures, results, trial
from serkit.tuning.results import Definition
from serkit.tuning.rounds import Plan, Recipe, Scored, plan
from serkit.tuning.study import Queue, check_url, current, draw, encoded, open_storage, reachable, sampler
from serkit.tuning.trial import Pruned, Task

Report = Callable[[str], None]

#: Words for what must not change, where its key is not one.
_MARKS = {"resolved": "system", "sets": "--set", "material": "recordings", "rounds": "rounds (or sampler, pruner)"}
#: Number of points to try for one that the networks accept, before any is trained.
_PROBES = 20
#: Number of classes of a network that is built before the recordings are read.
_CLASSES = 7


@dataclass(frozen=True)
class Request:
    """The request for a search.

    Args:
        task: the system to search and the way a point is scored.
        recipe: the space and the rounds; at least one round.
        workers: number of processes that run trials.
        threads: number of threads of each worker.
        storage: URL of a database; None: SQLite in the folder.
        study: name of the search in the database, followed by the rounds' names.
        heartbeat: seconds between two heartbeats of a trial.
        minutes: time after which no trial begins; None: all trials are run.
        test: whether the best trial is scored on the held-out recordings once all trials are finished.
    """

    task: Task
    recipe: Recipe
    workers: int = 1
    threads: int = 1
    storage: str | None = None
    study: str = "search"
    heartbeat: int = 10
    minutes: float | None = None
    test: bool = False


@dataclass(frozen=True)
class _Work:
    """A round, as a worker receives it."""

    task: Task
    plan: Plan
    folder: Path
    url: str
    study: str
    heartbeat: int
    threads: int
    report: Report
    deadline: float  # by time.time(), which all processes share


def silent(line: str) -> None:
    """Report nothing. Unlike a lambda, this function can be sent to workers."""


def run(request: Request, folder: Path, report: Report = silent) -> results.Search:
    """Run all rounds until each has its number of finished trials or the time is used up, or resume them.

    The same call on an existing folder joins the search, or resumes it where it stopped.

    Args:
        request: the search.
        folder: of the search.
        report: receives a line for each finished step; must be a module-level function if there are several workers.

    Returns:
        The outcome, which the files in the folder hold too.

    Raises:
        UserError: an invalid request, another search in the folder or the study, or no feasible point.
    """
    task = request.task
    check(request, folder)
    deadline = math.inf if request.minutes is None else time.time() + 60 * request.minutes
    if request.test:
        held_out.want(task)
    inner = task.inner
    report(f"{len(inner)} folds inside the training part; {len(task.outer.test)} utterances are held out for testing")
    definition = _definition(request)
    _check_file(folder / "search.json", definition)
    _probe(request)
    url = url_of(folder, request.storage)
    made = not folder.exists()
    with reachable(url):
        try:
            storage = _open(request, folder, definition, url)
        except BaseException:
            if made:
                with suppress(OSError):
                    folder.rmdir()  # nothing has begun
            raise
        return _run(request, folder, definition, storage, url, deadline, report)


def check(request: Request, folder: Path) -> None:
    """Look at everything that is known without a recording; the corpora of the task are not looked at.

    Raises:
        UserError: an invalid request, or no feasible point.
    """
    task = request.task
    if request.minutes is not None and not request.minutes > 0:
        raise UserError(f"--minutes must be above 0, got {request.minutes:g}")
    if not request.study:
        raise UserError("--study is empty; give the search a name")
    want_folder(folder)
    if request.storage is not None:
        check_url(request.storage)
    precision.check_device(task.accelerator)
    named(task.metric, CLASSES)
    [system] = RunRequest([task.load(())], (), task.protocol, protocols=task.protocols).check()
    if methods.method_class(system.deployed.method.name).numbers:
        raise UserError("a search maximizes a metric of classes, but the target is a number; use serkit train --sweep")
    if request.test and task.whole:
        raise UserError(held_out.WHOLE)
    _probe(request, _CLASSES)


def _open(request: Request, folder: Path, definition: Definition, url: str) -> RDBStorage:
    """Make the folder, and open the database after a look at whose search it holds."""
    if request.storage is None and (folder / "search.json").exists() and not (folder / "study.db").exists():
        raise UserError(f"{folder}: study.db is missing; name the search's database with --storage, or another --out")
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(url, request.heartbeat)
    _check_study(Queue(storage, request.study, _empty(request), request.heartbeat).study(), definition)
    return storage


def _run(
    request: Request,
    folder: Path,
    definition: Definition,
    storage: RDBStorage,
    url: str,
    deadline: float,
    report: Report,
) -> results.Search:
    task = request.task
    definition.save(folder / "search.json")
    results.write_held_out(folder, task)
    found: list[Scored] = []
    for entry in request.recipe.rounds:
        settled = plan(request.recipe, entry, found, task.seed)
        name = study_name(request.study, entry.name)
        work = _Work(task, settled, folder, url, name, request.heartbeat, request.threads, report, deadline)
        queue = Queue(storage, name, settled, request.heartbeat)
        queue.study().set_user_attr("total", settled.total)
        _work_together(work, request.workers)
        rows = results.rows(queue.study(), entry.name, settled.total)
        done = sum(row.finished for row in rows)
        if done < settled.total and time.time() >= deadline:
            report(f"the time is used up: {done} of {settled.total} trials; the same command continues")
            break
        if done < settled.total:
            raise UserError(f"round '{entry.name}': workers ended before all trials were finished; run again to resume")
        if all(row.state == "infeasible" for row in rows):
            results.write(folder, storage)
            raise UserError(f"round '{entry.name}': no point is feasible; the first: {rows[0].reason}")
        found += [Scored(row.point, row.value) for row in rows if row.state == "done" and row.value is not None]
    else:
        if request.test:
            _test(request, folder, storage, deadline, report)
    return write(folder, storage)


def _test(request: Request, folder: Path, storage: RDBStorage, deadline: float, report: Report) -> None:
    """Score the best trial on the held-out recordings, unless no trial is done or no time is left."""
    search = results.write(folder, storage)
    if search.best is None:
        raise UserError("--test: no trial is done, so there is nothing to test")
    if search.held_out is None and time.time() >= deadline:
        report("the time is used up before the test on the held-out recordings; the same command continues")
        return
    held_out.test(request.task, search, folder, storage, request.heartbeat, request.threads, report)


def write(folder: Path, storage: RDBStorage) -> results.Search:
    """Write table, best system and page of a search, as far as it has progressed."""
    found = results.write(folder, storage)
    pictures.write(folder, found)
    return found


def url_of(folder: Path, storage: str | None) -> str:
    """Return the URL of a search's database."""
    return storage if storage is not None else f"sqlite:///{(folder / 'study.db').absolute().as_posix()}"


def study_name(study: str, entry: str) -> str:
    """Return the name of a round's study."""
    return f"{study}/{entry}"


def _empty(request: Request) -> Plan:
    return Plan(request.recipe.rounds[0], {}, [{}], [{}], 0, request.task.seed)


def _definition(request: Request) -> Definition:
    task, experiment = request.task, request.task.base
    return Definition(
        system=str(task.system),
        study=request.study,
        resolved=SystemRow.of(experiment.system),
        sets=list(task.sets),
        search=request.recipe.search,
        rounds=[whole(entry) for entry in request.recipe.rounds],
        protocol=NamedProtocol.of(task.protocol, experiment.protocol),
        folds=list(task.inner),
        whole=task.whole,
        metric=task.metric,
        seed=task.seed,
        material=experiment.material,
    )


def _check_file(path: Path, definition: Definition) -> None:
    if path.exists():
        _compare(Definition.load(path).marks(), definition, f"{path.parent}: holds")


def _check_study(study: optuna.Study, definition: Definition) -> None:
    """Refuse to extend the study of another search; the first worker defines it."""
    if "marks" in study.user_attrs:
        _compare(study.user_attrs["marks"], definition, f"study '{study.study_name}' is")
    study.set_user_attr("marks", definition.marks())


def _compare(old: Mapping[str, str], definition: Definition, what: str) -> None:
    new = definition.marks()
    differing = [key for key in new if new[key] != old.get(key)]
    if differing:
        named = ", ".join(_MARKS.get(key, key) for key in differing)
        raise UserError(f"{what} a search that differs in: {named}; choose another --out or --study")


def _probe(request: Request, classes: int | None = None) -> None:
    """Find a point that system and networks accept before any is trained: an unknown key fails for all points.

    Args:
        request: the search.
        classes: number of classes of every target; None: as in the recordings.
    """
    first: Pruned | None = None
    sampled = request.recipe.rounds[0]
    settled = plan(request.recipe, sampled, [], request.task.seed)
    for slot in range(min(_PROBES, settled.total)):
        probe = optuna.create_study(sampler=sampler(settled, slot))
        probe.enqueue_trial(encoded(settled, slot))
        point = draw(probe.ask(), settled, slot)
        try:
            trial.check(request.task, [*sampled.set, *overrides(point)], classes)
            return
        except Pruned as error:
            first = first or error
    raise UserError(f"none of the {min(_PROBES, settled.total)} points tried is feasible; the first: {first}")


def _work_together(work: _Work, workers: int) -> None:
    """Run processes that work on a round until it is finished; one of them is this process."""
    if workers == 1:
        _worker(work)
        return
    # Spawned, not forked: torch's threads do not survive a fork, Windows has no fork, and macOS's is unsafe.
    context = multiprocessing.get_context("spawn")
    errors = context.SimpleQueue()
    processes = [context.Process(target=_guarded, args=(work, errors, number == 0)) for number in range(workers)]
    with blocked(signal.SIGINT):  # inherited by the workers
        for process in processes:
            process.start()
    try:
        for process in processes:
            process.join()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    if not errors.empty():
        raise UserError(errors.get())


def _guarded(work: _Work, errors: Any, first: bool) -> None:
    """Work in a separate process; the parent process reports user errors."""
    end_with_parent()
    try:
        unblock(signal.SIGINT)
        _worker(work, first)
    except UserError as error:
        errors.put(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _worker(work: _Work, first: bool = True) -> None:
    """Run trials until all are finished; of several workers, only the first says that it waits."""
    torch.set_num_threads(work.threads)

    def waits() -> None:
        if first:
            again = f"one that is silent for {queue.silence} s is repeated"
            work.report(f"{work.plan.round.name}: waiting for trials that other workers have begun; {again}")

    with reachable(work.url):
        queue = Queue(open_storage(work.url, work.heartbeat), work.study, work.plan, work.heartbeat)
        while time.time() < work.deadline and (taken := queue.next(waits)) is not None:
            with queue.alive(taken[0]):
                _try(work, queue, *taken)


def _try(work: _Work, queue: Queue, running: optuna.trial.Trial, slot: int) -> None:
    """Score one point and record the outcome."""
    stages = work.folder / "stages" / work.plan.round.name
    study = running.study
    try:
        point = draw(running, work.plan, slot)
        running.set_user_attr("point", point)
        try:
            value = trial.run(running, work.task, [*work.plan.round.set, *overrides(point)], stages / str(slot))
        except Pruned as pruned:
            running.set_user_attr("outcome", pruned.outcome)
            running.set_user_attr("reason", str(pruned))
            study.tell(running, state=TrialState.PRUNED)
            work.report(f"{work.plan.round.name} {slot}: {pruned.outcome} ({pruned})")
        else:
            running.set_user_attr("outcome", "done")
            study.tell(running, value)
            work.report(f"{work.plan.round.name} {slot}: {work.task.metric} {value:.1%}")
    except BaseException as error:
        if not queue.lost(running, error):
            study.tell(running, state=TrialState.FAIL, skip_if_finished=True)
            raise
        work.report(f"{work.plan.round.name} {slot}: interrupted for too long; started again")
        return
    found = current(study.get_trials(deepcopy=False), work.plan.total)
    trial.tidy(stages, [other for other, made in found.items() if made.state.is_finished()], _best(found))


def _best(found: dict[int, optuna.trial.FrozenTrial]) -> int | None:
    done = [slot for slot, made in found.items() if made.state == TrialState.COMPLETE]
    return max(done, key=lambda slot: (found[slot].value or 0.0, -slot), default=None)
