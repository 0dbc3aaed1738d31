"""The final test of a search: the best trial, trained anew and scored on the recordings that no trial has seen.

The test is the only trial of a study of its own in the search's database. So of all workers, on one machine or several,
one trains it while the others wait, and another takes it over if that one dies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from serkit.data.store import Store
from serkit.errors import UserError
from serkit.reports import report as page
from serkit.runs import runner
from serkit.runs.check import check
from serkit.runs.request import Request
from serkit.tuning import results
from serkit.tuning.results import HELD_OUT, HeldOut, Search
from serkit.tuning.rounds import Plan, Round
from serkit.tuning.study import Queue
from serkit.tuning.trial import Task

#: Why a search of all recordings has no test.
WHOLE = "--test: --whole holds no recordings out; leave one of the two out"


def want(task: Task) -> None:
    """Raise UserError, before anything is trained, if a search has no held-out part that a training could be tested on.

    Raises:
        UserError: nothing is held out, the protocol cuts items, or a stage requires a validation part.
    """
    experiment = task.base
    if task.whole:
        raise UserError(WHOLE)
    if experiment.protocol.unit == "item":
        raise UserError(
            f"--test: protocol '{task.protocol}' cuts recordings into items, which a list of held-out recordings "
            "cannot name; choose a protocol that cuts utterances, such as clean"
        )
    # Without a validation part, as `best.toml` is trained: a stage that chooses its epoch needs one.
    try:
        check(experiment.system, [replace(task.outer, validation=())], len(experiment.labels), task.accelerator)
    except UserError as error:
        raise UserError(f"--test: {error}") from None


def test(
    task: Task,
    search: Search,
    folder: Path,
    storage: RDBStorage,
    heartbeat: int,
    threads: int,
    report: Callable[[str], None],
) -> None:
    """Train the best trial's settings on all that the search has learned from, and score what it has not seen.

    The run is in `held-out/` and goes on where it was stopped. Its score is in the database, where all machines
    find it.

    Args:
        task: the task of the search.
        search: the search, all of whose trials are finished, with `best.toml` in its folder.
        folder: folder of the search.
        storage: its database.
        heartbeat: seconds between two heartbeats.
        threads: number of threads.
        report: receives a line for each finished step.

    Raises:
        UserError: another trial has been tested before, or the training fails.
    """
    plan = Plan(Round(name=HELD_OUT, trials=1), {}, [{}], [], 1, task.seed)
    queue = Queue(storage, results.test_study(search.definition.study), plan, heartbeat)
    study = queue.study()

    def waits() -> None:
        over = f"takes over if that one is silent for {queue.silence} s"
        report(f"{HELD_OUT}: another command has begun the test; this one waits, and {over}")

    _want_chosen(study, search)
    while (taken := queue.next(waits)) is not None:
        trial, _ = taken
        try:
            with queue.alive(trial):
                # Only the command that has taken the test chooses, so that two cannot choose different trials.
                _want_chosen(study, search)
                study.set_user_attr("chosen", _choice(search))
                found = _score(task, search, folder, threads, report)
                trial.set_user_attr("score", found.to_dict())
                study.tell(trial, found.value)
        except BaseException as error:
            if not queue.lost(trial, error):
                study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
                raise
            report(f"{HELD_OUT}: interrupted for too long; another command may have begun the test")
    _want_chosen(study, search)


def _choice(search: Search) -> list[str | int]:
    assert search.best is not None
    return [search.best.round, search.best.slot]


def _want_chosen(study: optuna.Study, search: Search) -> None:
    """Raise UserError if another trial than the best one was chosen for the test before."""
    chosen = _choice(search)
    before = study.user_attrs.get("chosen", chosen)
    if before != chosen:
        raise UserError(
            f"--test: trial {before[1]} of round '{before[0]}' was chosen for the held-out recordings, but trial "
            f"{chosen[1]} of '{chosen[0]}' is the best by now; a choice among tested trials is not a test. Leave out "
            "--test, or search again with another --seed"
        )


def _score(task: Task, search: Search, folder: Path, threads: int, report: Callable[[str], None]) -> HeldOut:
    best = search.best
    assert best is not None
    asked = Request(
        folder / "best.toml",
        task.corpora,
        HELD_OUT,
        seed=task.seed,
        final=False,
        jobs=1,
        threads=threads,
        accelerator=task.accelerator,
        baseline=True,
        store=Store(task.store),
    )
    _want_unseen(asked, search)
    scores = runner.run(asked, folder / HELD_OUT, resume=True, report=lambda line: report(f"{HELD_OUT}: {line}"))
    page.write(folder / HELD_OUT)
    metric = search.definition.metric
    value = scores.metrics[metric]
    return HeldOut(
        round=best.round,
        trial=best.slot,
        metric=metric,
        value=value.estimate,
        low=value.low,
        high=value.high,
        method=value.method,
        utterances=scores.utterances,
        speakers=len(scores.speakers),
        baseline=None if scores.baseline is None else scores.baseline.metrics[metric].estimate,
        flags=list(scores.flags),
    )


def _want_unseen(asked: Request, search: Search) -> None:
    """Raise UserError if a recording to be tested was learned from, or scored, by a trial."""
    _, parts = runner.plan(asked, asked.systems(), lambda line: None)
    folds = search.definition.folds
    seen = {name for fold in folds for name in (*fold.train, *fold.validation)}
    if known := sorted(seen.intersection(name for part in parts for name in part.test)):
        raise UserError(f"--test: the search has seen {len(known)} of the held-out recordings, e.g. '{known[0]}'")
