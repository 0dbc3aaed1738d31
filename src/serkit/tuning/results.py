"""The outcome of a search: a ranked table, its page, and the best point as a system."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from pydantic import Field

from serkit import systems
from serkit.atomic import write_text
from serkit.data.store import digest
from serkit.documents import RawTable
from serkit.errors import UserError
from serkit.protocols.splits import Split
from serkit.records import Flags, Record
from serkit.runs.files import NamedProtocol, SystemRow
from serkit.systems.grid import Point, overrides
from serkit.systems.schema import System
from serkit.toml import write_entries, write_value
from serkit.tuning.rounds import Round
from serkit.tuning.study import current
from serkit.tuning.trial import Task

#: Protocol of `best.toml` whose test part no trial has seen.
HELD_OUT = "held-out"
#: Minimum number of finished trials for an estimate of importance.
_ENOUGH = 10
_STATES = {TrialState.WAITING: "waiting", TrialState.RUNNING: "running"}


@dataclass(frozen=True)
class Row:
    """One slot of a round.

    Args:
        round: name of the round.
        slot: number within the round.
        state: `done`, `abandoned` (by a stopping rule), `pruned` (by comparison), `infeasible`, `running`, `waiting`.
        value: mean of the metric over the scored folds.
        folds: scores of each fold.
        point: the choices.
        seconds: duration.
        reason: reason for an early end.
        ended: time of the end.
    """

    round: str
    slot: int
    state: str
    value: float | None
    folds: Sequence[Mapping[str, float]]
    point: Point
    seconds: float | None
    reason: str
    ended: datetime | None

    @property
    def finished(self) -> bool:
        """Whether the slot is finished."""
        return self.state not in _STATES.values()


class Definition(Record):
    """The content of `search.json`: everything that decides what a trial is and how it is scored.

    Args:
        system: name or file of the system.
        study: name of the search in the database.
        resolved: the resolved system.
        sets: overrides of the system.
        search: the space.
        rounds: the rounds; their number of trials may grow.
        protocol: the protocol of the held-out test.
        folds: the folds inside the training part.
        whole: whether the folds cover all recordings.
        metric: key of the metric.
        seed: seed of the search.
        material: hash of all training material.
    """

    system: str = ""
    study: str
    resolved: SystemRow | None = None
    sets: list[str] = Field([])
    search: RawTable = Field({})
    rounds: list[Round]
    protocol: NamedProtocol | None = None
    folds: list[Split]
    whole: bool = False
    metric: str
    seed: int = 0
    material: str = ""

    def marks(self) -> dict[str, str]:
        """Hash each part that must not change."""
        content = self.to_dict()
        rounds = [{key: value for key, value in entry.items() if key != "trials"} for entry in content["rounds"]]
        fixed = {**content, "rounds": rounds, "folds": [fold["validation"] for fold in content["folds"]]}
        return {key: digest(value) for key, value in fixed.items() if key not in ("system", "study")}


class HeldOut(Record):
    """The content of `held-out.json`: the score of a trial on the recordings that no trial has seen.

    Args:
        round: round of the trial.
        trial: its number within the round.
        metric: key of the metric.
        value: the score.
        low: lower end of its 95 % interval.
        high: upper end.
        method: method of the interval.
        utterances: number of held-out utterances.
        speakers: number of their speakers.
        baseline: the linear baseline's value on the same recordings; None: the system is the baseline.
        flags: what is wrong with the test, e.g. a speaker of both parts.
    """

    round: str
    trial: int
    metric: str
    value: float
    low: float
    high: float
    method: str
    utterances: int
    speakers: int
    baseline: float | None = None
    flags: Flags = Field([])


@dataclass(frozen=True)
class Search:
    """A search, as read from its folder and its database.

    Args:
        definition: the content of `search.json`.
        studies: studies of the rounds begun, by round name.
        rows: rows of all rounds: the latest round first and, within a round, the best first.
        total: number of trials of each round begun.
        held_out: the score of the final test; None: there was none yet.
    """

    definition: Definition
    studies: Mapping[str, optuna.Study]
    rows: Sequence[Row]
    total: Mapping[str, int]
    held_out: HeldOut | None = None

    @property
    def best(self) -> Row | None:
        """The best row of the latest round that has one: rounds may train for different times."""
        return next((row for row in self.rows if row.state == "done"), None)

    @property
    def best_is_tested(self) -> bool:
        """Whether the final test was of the best row, and not of one that was the best before."""
        tested, best = self.held_out, self.best
        return tested is not None and best is not None and (tested.round, tested.trial) == (best.round, best.slot)


def rows(study: optuna.Study, name: str, total: int) -> list[Row]:
    """Return a round's slots, the best first and unfinished ones last."""
    found = []
    for slot, trial in current(study.get_trials(deepcopy=False), total).items():
        notes = trial.user_attrs
        state = _STATES.get(trial.state) or notes["outcome"]
        value = trial.value if trial.state.is_finished() else None
        point, folds = notes.get("point", {}), notes.get("folds", [])
        row = Row(
            name, slot, state, value, folds, point, notes.get("seconds"), notes.get("reason", ""),
            trial.datetime_complete,
        )  # fmt: skip
        found.append(row)
    order = ["done", "pruned", "abandoned", "infeasible", "running", "waiting"]
    return sorted(found, key=lambda row: (order.index(row.state), -(row.value or 0.0), row.slot))


def load(folder: Path, storage: RDBStorage) -> Search:
    """Read a search.

    Raises:
        UserError: the folder holds no search.
    """
    path = folder / "search.json"
    if not path.exists():
        raise UserError(f"{folder}: no search in it (search.json is missing)")
    definition = Definition.load(path)
    known = set(optuna.get_all_study_names(storage))
    if not any(name == definition.study or name.startswith(f"{definition.study}/") for name in known):
        raise UserError(f"{folder}: no study '{definition.study}' in its database; name the right one with --storage")
    studies, total, found = {}, {}, []
    for entry in reversed(definition.rounds):
        name = f"{definition.study}/{entry.name}"
        if name in known:
            study = optuna.load_study(study_name=name, storage=storage)
            total[entry.name] = study.user_attrs.get("total", 0)
            studies[entry.name] = study
            found += rows(study, entry.name, total[entry.name])
    return Search(definition, studies, found, total, _held_out(storage, test_study(definition.study)))


def test_study(study: str) -> str:
    """Return the name of the study of a search's final test, which no round can have."""
    return f"{study} ({HELD_OUT})"


def _held_out(storage: RDBStorage, name: str) -> HeldOut | None:
    if name not in optuna.get_all_study_names(storage):
        return None
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(states=[TrialState.COMPLETE])
    return HeldOut.parse(trials[0].user_attrs["score"], name) if trials else None


def write(folder: Path, storage: RDBStorage) -> Search:
    """Write table and best system of a search, as far as it has progressed."""
    search = load(folder, storage)
    _write_table(folder / "trials.csv", search)
    if search.best is not None:
        _write_best(folder, search, search.best)
    if search.held_out is not None:
        search.held_out.save(folder / "held-out.json")
    return search


def write_held_out(folder: Path, task: Task) -> None:
    """Write the parts of the search: `train`, which it learned from and scored, and `test`, which no trial saw."""
    if task.outer.test:
        parts = {"train": [*task.outer.train, *task.outer.validation], "test": task.outer.test}
        lines = [_line([name, part]) for part, names in parts.items() for name in names]
        write_text(folder / "held-out.csv", "id,part\n" + "".join(lines))


def _line(cells: Sequence[Any]) -> str:
    with io.StringIO() as file:
        csv.writer(file, lineterminator="\n").writerow(cells)
        return file.getvalue()


def _write_table(path: Path, search: Search) -> None:
    keys = list(dict.fromkeys(key for row in search.rows for key in row.point))
    metric = search.definition.metric
    count = len(search.definition.folds)
    header = ["round", "trial", "state", metric, *[f"{metric}_fold_{n + 1}" for n in range(count)], "seconds", "reason"]
    lines = [_line([*header, *keys])]
    for row in search.rows:
        folds = [fold[metric] for fold in row.folds] + [""] * (count - len(row.folds))
        value = "" if row.value is None else row.value
        chosen = [_cell(row.point[key]) if key in row.point else "" for key in keys]
        lines.append(_line([row.round, row.slot, row.state, value, *folds, row.seconds, row.reason, *chosen]))
    write_text(path, "".join(lines))


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else write_value(value)


# --- the best point as a system


def _write_best(folder: Path, search: Search, best: Row) -> None:
    definition, protocol = search.definition, search.definition.protocol
    assert protocol is not None
    entry = next(entry for entry in definition.rounds if entry.name == best.round)
    sets = [*definition.sets, *entry.set, *overrides(best.point)]
    source = definition.system
    # Without the folder's lists, the system's own protocols apply.
    wanted = systems.load(source, sets)
    changes = _changes(wanted, sets)
    base = source
    if source.endswith(".toml"):
        base = Path(os.path.relpath(Path(os.path.expanduser(source)).resolve(), folder.resolve())).as_posix()
    done = sum(row.finished for row in search.rows)
    about = {
        "name": f"{wanted.system.name}-tuned",
        "chosen": f"{_sentence(wanted.system.chosen)}Best of {done} trials of a search ({entry.sampler}): "
        f"{definition.metric} {best.value:.1%} over {len(best.folds)} folds inside the training part of fold 1 of "
        f"protocol '{protocol.name}'. Only protocol '{HELD_OUT}' tests on recordings the search has "
        "not seen."
        if not definition.whole
        else f"{_sentence(wanted.system.chosen)}Best of {done} trials of a search ({entry.sampler}) that saw all "
        f"recordings: {definition.metric} {best.value:.1%} over {len(best.folds)} folds.",
    }
    held_out = {}
    # Items have their own ids, which a list of recordings does not contain.
    if (folder / "held-out.csv").exists() and protocol.definition().unit == "utterance":
        held_out = {HELD_OUT: {"kind": "fixed", "lists": str((folder / "held-out.csv").absolute())}}
    path = folder / "best.toml"
    text = _document({"extends": base}, about, changes, held_out)
    # Another command may read the file at any moment, e.g. for the final test: it never holds another system.
    if not _same(systems.read(text, path), wanted):
        # A change cannot express, e.g., that options of the base are gone: then the system is written in full.
        table = wanted.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude={"system"})
        own = table.pop("protocols", {})
        about = {**wanted.system.model_dump(exclude_unset=True, exclude_none=True), **about}
        table["stages"] = {stage.pop("name"): stage for stage in table["stages"]}
        text = _document({}, about, table, {**own, **held_out})
    write_text(path, text)


def _sentence(text: str) -> str:
    return f"{text.strip()} " if text.strip() else ""


def _same(one: System, other: System) -> bool:
    return one.model_copy(update={"system": None, "protocols": None}) == other.model_copy(
        update={"system": None, "protocols": None}
    )


def _changes(system: System, sets: Sequence[str]) -> RawTable:
    """Return overrides as nested tables; stages by name."""
    table: RawTable = {}
    for override in sets:
        key, _, text = override.partition("=")
        first, *path = key.strip().split(".")
        value = systems.parse_value(text)
        if first == "stages" and path[0] == "*":
            for stage in system.stages:
                _place(table, [first, stage.name, *path[1:]], value)
        else:
            _place(table, [first, *path], value)
    return table


def _place(table: RawTable, path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        inner = table.get(part, {})
        # A part chosen by name alone that now gets options.
        table[part] = inner if isinstance(inner, dict) else {"name": inner}
        table = table[part]
    table[path[-1]] = value


def _document(
    head: Mapping[str, Any], about: Mapping[str, Any], table: Mapping[str, Any], protocols: Mapping[str, Any]
) -> str:
    """Write a system's file; `table` has its stages by name."""
    lines = write_entries(head)
    sections = {"system": about, **{key: value for key, value in table.items() if key != "stages"}}
    if protocols:
        sections["protocols"] = {**sections.get("protocols", {}), **protocols}
    for section, values in sections.items():
        lines += ["", f"[{section}]", *write_entries(values)]
    for name, stage in table.get("stages", {}).items():
        lines += ["", "[[stages]]", f"name = {write_value(name)}"]
        lines += write_entries(stage)
    return "\n".join(lines).lstrip("\n") + "\n"


# --- what the pictures show


def importances(search: Search) -> dict[str, float]:
    """Return how much each parameter decides whether a point is among the best, by Optuna's PED-ANOVA.

    Based on the round with the most finished trials; the entries of a list count together. Empty if there are too few.
    """
    done = {name: sum(row.state == "done" and row.round == name for row in search.rows) for name in search.studies}
    name = max(done, key=lambda name: done[name])
    if done[name] < _ENOUGH:
        return {}
    try:
        found = optuna.importance.get_param_importances(search.studies[name])
    except (ValueError, RuntimeError):
        return {}
    if len(found) < 2 or not np.isfinite(list(found.values())).all():
        return {}
    summed: dict[str, float] = {}
    for key, value in found.items():
        summed[key.partition("[")[0]] = summed.get(key.partition("[")[0], 0.0) + value
    return dict(sorted(summed.items(), key=lambda pair: -pair[1]))


def best_over_time(search: Search) -> dict[str, list[tuple[int, float, float, str]]]:
    """Return each round's finished trials in the order of their ends: number, value, best so far, state."""
    found: dict[str, list[tuple[int, float, float, str]]] = {}
    for name in search.studies:
        best = -np.inf
        ended = [row for row in search.rows if row.round == name and row.finished and row.value is not None]
        for number, row in enumerate(sorted(ended, key=lambda row: row.ended or datetime.min), start=1):
            value = float(row.value or 0.0)
            best = max(best, value) if row.state == "done" else best
            found.setdefault(name, []).append((number, value, best, row.state))
    return found
