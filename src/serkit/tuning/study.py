"""A round as an Optuna study, shared by any number of workers that may be killed at any moment.

Each slot of a round is processed by one worker at a time and counted once. A worker takes a slot's trial out of
the queue in one transaction and sends heartbeats while it works. A trial without heartbeats is set to FAIL, and
its slot goes back into the queue with the same parameters. Open slots are derived from the trials themselves, so
that no step depends on two writes that must succeed together.
"""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from serkit.errors import UserError
from serkit.options import first_line
from serkit.systems.grid import Point
from serkit.toml import write_value
from serkit.tuning.rounds import Plan
from serkit.tuning.space import Parameter

# The search itself reports what Optuna would log of every trial; heartbeats have been experimental for years.
optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

#: A trial is considered dead after this number of missed heartbeats.
_MISSED = 3
#: How long a process waits for another's transaction on an SQLite file, in s.
_PATIENCE = 60
#: Packages of drivers whose name is another one.
_PACKAGES = {"psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=5),
    "percentile": lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=5),
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,
}


class Drawn(BaseSampler):
    """Random search whose draws depend only on the seed, the slot and the parameter's name.

    Optuna's own random sampler draws from one stream per process, which would start over after a resume.
    """

    def __init__(self, plan: Plan, slot: int) -> None:
        self.plan, self.slot = plan, slot

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler = optuna.samplers.RandomSampler(seed=self.plan.stream(self.slot, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def sampler(plan: Plan, slot: int) -> BaseSampler:
    """Make a slot's sampler with the slot's seed, so that a worker draws the same whether interrupted or not."""
    kind = plan.round.sampler
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=plan.stream(slot))
    if kind == "gp":
        return optuna.samplers.GPSampler(seed=plan.stream(slot), warn_independent_sampling=False)
    if kind == "qmc":
        # One sequence for all slots; the study knows its position.
        return optuna.samplers.QMCSampler(scramble=True, seed=plan.seed, warn_independent_sampling=False)
    return Drawn(plan, slot)


def check_url(url: str) -> None:
    """Look at a URL without connecting; Optuna's errors do not name it.

    Raises:
        UserError: it is none, its database's driver is not installed, or it names no file that can be.
    """
    try:
        known = sqlalchemy.engine.make_url(url)
        known.get_dialect().import_dbapi()
    except (ValueError, sqlalchemy.exc.ArgumentError) as error:
        example = "sqlite:///study.db or postgresql://me@host/searches"
        kind = f"{_shown(url)!r} is not the URL of a database"
        if isinstance(error, sqlalchemy.exc.NoSuchModuleError):
            kind = f"{_shown(url)!r} is of an unknown kind of database"
        raise UserError(f"--storage: {kind}; give one such as {example}") from None
    except ModuleNotFoundError as error:
        driver = error.name or "its driver"
        package = _PACKAGES.get(driver, driver)
        raise UserError(f"the database needs the driver '{driver}': pip install '{package}'") from None
    if known.get_backend_name() != "sqlite":
        return
    if known.database in (None, "", ":memory:"):
        raise UserError(f"{url}: is a database in memory, which ends with the command; name a file: sqlite:///study.db")
    # A path that SQLite reads as a URI of its own is SQLite's matter.
    if not str(known.database).startswith("file:") and not Path(str(known.database)).absolute().parent.is_dir():
        raise UserError(f"{url}: cannot be opened (its folder does not exist)")


def open_storage(url: str, heartbeat: int, new: bool = True) -> RDBStorage:
    """Open a database and create its tables if they are missing.

    Args:
        url: as SQLAlchemy accepts it: `sqlite:///study.db`, `postgresql://...`.
        heartbeat: seconds between two heartbeats.
        new: whether a file of SQLite is made if it is missing.

    Raises:
        UserError: no such database, or no driver for it.
    """
    end = time.monotonic() + _PATIENCE
    check_url(url)
    lite = url.startswith("sqlite")
    if lite and not new and not Path(sqlalchemy.engine.make_url(url).database or "").exists():
        raise UserError(f"{_shown(url)}: no such file; if the search is in another database, name it with --storage")
    options = {"connect_args": {"timeout": _PATIENCE}} if lite else {"pool_pre_ping": True}
    while True:
        try:
            storage = RDBStorage(url, options, heartbeat_interval=heartbeat, grace_period=_MISSED * heartbeat)
            break
        except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, ImportError) as error:
            # Two processes that open a new database at once may both try to create its tables.
            if time.monotonic() > end or not any(word in str(error) for word in ("exists", "locked", "UNIQUE")):
                raise UserError(f"{_shown(url)}: cannot be opened ({_reason(error)})") from None
            time.sleep(0.5)
    if lite:
        _make_transactions_exclusive(storage.engine)
    return storage


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Raise UserError if the database fails while the block runs: it is gone, full, locked or may not be written."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        again = "the same command continues the search"
        raise UserError(f"{_shown(url)}: the database fails ({_reason(error.__cause__ or error)}); {again}") from None


def _shown(url: str) -> str:
    """Return a URL without its password."""
    return re.sub(r"(://[^/@:]*:).*@", r"\1***@", url)


def _reason(error: BaseException) -> str:
    return first_line(getattr(error, "orig", None) or error)


def _make_transactions_exclusive(engine: sqlalchemy.Engine) -> None:
    """Make SQLite's transactions begin with the write lock.

    Optuna locks the row it is about to change (`SELECT ... FOR UPDATE`), which SQLite ignores: two workers would then
    take the same trial. By default, sqlite3 begins no transaction before the first change.
    """

    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        # Waits for the disk far less often; a power failure can cost the last moments, but damages nothing.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sqlalchemy.event.listen(engine, "connect", prepare)
    sqlalchemy.event.listen(engine, "begin", begin)
    engine.dispose()  # earlier connections do not have these settings


def current(trials: list[FrozenTrial], total: int) -> dict[int, FrozenTrial]:
    """Return the trial that counts for each slot: the first that has not failed."""
    found: dict[int, FrozenTrial] = {}
    for trial in trials:
        slot = trial.user_attrs.get("slot")
        if slot is not None and slot < total and trial.state != TrialState.FAIL:
            found.setdefault(slot, trial)
    return found


@dataclass(frozen=True)
class Queue:
    """The slots of a round, as seen by one worker.

    Args:
        storage: the database.
        name: name of the study.
        plan: plan of the round.
        heartbeat: seconds between two heartbeats.
    """

    storage: RDBStorage
    name: str
    plan: Plan
    heartbeat: int

    @property
    def silence(self) -> int:
        """Seconds without a heartbeat after which a trial is considered dead."""
        return _MISSED * self.heartbeat

    @cached_property
    def _shared(self) -> BaseStorage:
        """The database for all study objects of this worker, which share its memory of finished trials."""
        return optuna.storages.get_storage(self.storage)

    def study(self, slot: int = 0) -> optuna.Study:
        """Open the study with a slot's sampler; create it if it does not exist."""
        return optuna.create_study(
            study_name=self.name,
            storage=self._shared,
            sampler=sampler(self.plan, slot),
            pruner=PRUNERS[self.plan.round.pruner](),
            direction="maximize",
            load_if_exists=True,
        )

    def next(self, waits: Callable[[], None] = lambda: None) -> tuple[Trial, int] | None:
        """Take the next slot; wait while other workers process the last ones, since they may die.

        Args:
            waits: called once if it waits for longer than a moment.

        Returns:
            A running trial and its slot, or None when all are finished.
        """
        study, pauses = self.study(), 0
        while True:
            optuna.storages.fail_stale_trials(study)
            trials = study.get_trials(deepcopy=False)
            found = current(trials, self.plan.total)
            for slot, trial in sorted(found.items()):
                if trial.state == TrialState.WAITING and self._take(trial):
                    return Trial(self.study(slot), trial._trial_id), slot
            missing = next((slot for slot in range(self.plan.total) if slot not in found), None)
            if missing is not None:
                known = encoded(self.plan, missing)
                for trial in trials:
                    if trial.user_attrs.get("slot") == missing:
                        known |= trial.params  # its worker died: the same point again
                study.enqueue_trial(known, user_attrs={"slot": missing})
            elif any(trial.state == TrialState.RUNNING for trial in found.values()):
                if (pauses := pauses + 1) == 2:
                    waits()
                time.sleep(self.heartbeat / 2)
            elif len(found) == self.plan.total and all(trial.state.is_finished() for trial in found.values()):
                return None

    def _take(self, trial: FrozenTrial) -> bool:
        # The first heartbeat precedes the running state: if the worker is killed in between, nobody would notice.
        self.storage.record_heartbeat(trial._trial_id)
        try:
            return self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def lost(self, trial: Trial, error: BaseException) -> bool:
        """Return whether an error means that the trial was considered dead; its slot then belongs to another worker."""
        if not isinstance(error, (optuna.exceptions.UpdateFinishedTrialError, ValueError)):
            return False
        return trial.study.get_trials(deepcopy=False)[trial.number].state == TrialState.FAIL

    @contextmanager
    def alive(self, trial: Trial) -> Iterator[None]:
        """Send heartbeats while the block runs."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self.heartbeat):
                # A moment without the database must not end the heartbeats; if it stays away, the worker sees it.
                with suppress(optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError):
                    self.storage.record_heartbeat(trial._trial_id)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def encoded(plan: Plan, slot: int) -> dict[str, Any]:
    """Return a slot's given values as Optuna's parameters."""
    given = plan.given(slot)
    found: dict[str, Any] = {}
    for key, parameter in plan.space.items():
        if key in given:
            entries = given[key] if parameter.each else [given[key]]
            found |= {name: _encode(entry) for name, entry in zip(_names(key, parameter), entries, strict=True)}
    return found


def draw(trial: Trial, plan: Plan, slot: int) -> Point:
    """Draw a slot's point: its given values, and the rest from its sampler."""
    point = {key: value for key, value in plan.given(slot).items() if key not in plan.space}
    for key, parameter in plan.left(slot).items():
        if parameter.applies(point):
            entries = [_suggest(trial, name, parameter) for name in _names(key, parameter)]
            point[key] = entries if parameter.each else entries[0]
    return point


def _names(key: str, parameter: Parameter) -> list[str]:
    return [f"{key}[{entry}]" for entry in range(parameter.each)] if parameter.each else [key]


def _encode(value: Any) -> Any:
    """Return a value's representation in the database, which holds only numbers and texts."""
    return value if isinstance(value, (bool, int, float, str)) else write_value(value)


def _suggest(trial: Trial, name: str, parameter: Parameter) -> Any:
    if parameter.values is not None:
        shown = [_encode(value) for value in parameter.values]
        return parameter.values[shown.index(trial.suggest_categorical(name, shown))]
    low, high, log = parameter.low or 0, parameter.high or 0, parameter.log
    if parameter.choices is not None and not log:
        high = parameter.choices[-1]  # Optuna warns if no step leads to the end
    if parameter.whole:
        return trial.suggest_int(name, int(low), int(high), step=int(parameter.step or 1), log=log)
    value = trial.suggest_float(name, low, high, step=parameter.step, log=log)
    return round(value, 12) if parameter.step else value
