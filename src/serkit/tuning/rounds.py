"""The rounds of a search: the choices of each, given the results of the rounds before it.

A search without rounds is one round. A recipe lists several, each a separate study in one database.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from serkit import documents, systems
from serkit.data.store import digest
from serkit.documents import RawTable
from serkit.errors import UserError, unknown
from serkit.systems.grid import Point, grid
from serkit.systems.schema import Table
from serkit.tuning.space import Space, flatten, full_grid, parse_space

#: Number of trials of a search that does not set it.
DEFAULT_TRIALS = 50

Sampler = Literal["random", "tpe", "grid", "qmc", "gp"]
Pruner = Literal["none", "median", "percentile", "halving", "wilcoxon"]


class Around(Table):
    """How far a number may differ from that of a neighboring vector: `value + n * step`, at most `within`."""

    step: int | float = Field(gt=0)
    within: int | float = Field(gt=0)


class Round(Table):
    """One round of a search.

    Args:
        name: name of the round and of its study.
        sampler: how points are drawn.
        pruner: ends a trial after a fold by comparison with others.
        trials: number of points, for each primary combination if there are any; None: all points of a grid, or each
            of the best vectors once. Of a grid, the first ones.
        search: the search space; empty: the one that the file gives for all rounds.
        primary: tables of lists; each of their combinations gets `trials` points.
        best_primary: number of primary combinations of earlier rounds to keep, in place of `primary`.
        shared: number of first points that are the same for all primary combinations (sampler `random`).
        from_best: number of best vectors of earlier rounds to use as points, each in turn.
        around: keys to vary around the best vectors, and how far; empty: none.
        set: `key=value` overrides of this round, e.g. the thresholds of a stopping rule.
    """

    name: str = "search"
    sampler: Sampler = "random"
    pruner: Pruner = "none"
    trials: int | None = Field(None, ge=1)
    search: RawTable = Field(default_factory=dict)
    primary: list[RawTable] = Field(default_factory=list)
    best_primary: int | None = Field(None, ge=1)
    shared: int = Field(0, ge=0)
    from_best: int | None = Field(None, ge=1)
    around: dict[str, Around] = Field(default_factory=dict)
    set: list[str] = Field(default_factory=list)

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"\w([\w .-]*[\w-])?", name):  # its stages are in a folder of this name
            raise ValueError(f"must be letters, digits and ' _.-', the first a letter or digit, got {name!r}")
        return name

    @field_validator("primary", mode="before")
    @classmethod
    def _lists(cls, tables: Any) -> Any:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ValueError(f"must be tables of keys and lists of their values, got {tables!r}")
        flat = [dict(flatten(table)) for table in tables]
        for key, values in (pair for table in flat for pair in table.items()):
            if not isinstance(values, list) or not values:
                raise ValueError(f"{key} must be a list of values, got {values!r}")
        return flat

    @model_validator(mode="after")
    def _agree(self) -> Round:
        if self.primary and self.best_primary:
            raise ValueError("give either primary or best_primary")
        if self.from_best and (self.primary or self.best_primary or self.search):
            raise ValueError("from_best takes whole vectors; leave out search, primary and best_primary")
        if self.around and not self.from_best:
            raise ValueError("around requires from_best")
        if self.shared and self.sampler != "random":
            raise ValueError("shared requires sampler = 'random'")
        if self.trials is None and (self.around or not (self.from_best or self.sampler == "grid")):
            raise ValueError("trials is missing; give the number of trials")
        return self


@dataclass(frozen=True)
class Recipe:
    """A search space and the rounds that use it; without rounds, the command line defines the search."""

    search: Mapping[str, Any]
    rounds: Sequence[Round]


@dataclass(frozen=True)
class Scored:
    """A finished point and its value; greater is better."""

    point: Point
    value: float


@dataclass(frozen=True)
class Plan:
    """A round with all its inputs: the values given to each slot, and the parameters left to the sampler.

    A slot is the place of one point in the round. Its given values depend on its number alone, so workers, kills and
    a larger number of trials do not change them.

    Args:
        round: the round.
        space: parameters by key, those of the primary combinations first; empty if slots are given vectors that lie on
            no grid.
        primary: the combinations; a single empty one if there are none.
        points: the complete points, if slots are given points.
        total: number of slots.
        seed: source of all random numbers.
    """

    round: Round
    space: Space
    primary: Sequence[Point]
    points: Sequence[Point]
    total: int
    seed: int

    def given(self, slot: int) -> Point:
        """Return the values that a slot does not leave to the sampler."""
        return self.points[slot] if self.points else self.primary[slot % len(self.primary)]

    def left(self, slot: int) -> Space:
        """Return the parameters of a slot, except those that its own choices rule out."""
        given = self.given(slot)
        primary = {key for point in self.primary for key in point}
        fixed = set(self.space) if self.points else primary
        return {key: parameter for key, parameter in self.space.items() if key in given or key not in fixed}

    def stream(self, slot: int, name: str = "") -> int:
        """Return the seed of a slot, or of one of its parameters; shared vectors have the same seed."""
        number, combination = divmod(slot, len(self.primary))
        place = [number] if number < self.round.shared else [number, combination]
        return seed_of([self.seed, self.round.name, place, name])


def seed_of(content: Any) -> int:
    """Hash anything JSON can hold to a seed that every generator accepts."""
    return int(digest(content)[:8], 16)


def read(file: str | Path | None, system: str | Path) -> Recipe:
    """Read the tables `search` and `rounds` of a file, or of the system's own file.

    Raises:
        UserError: no file, invalid TOML, no search space, or an invalid table.
    """
    if file is None:
        where, table = str(system), systems.search_tables(system)
    else:
        where, table = str(file), _read(Path(os.path.expanduser(file)))
    if "search" not in table and not table.get("rounds"):
        raise UserError(f"{where}: has no [search] table; add one, or name a file that has one with --space")
    for key in table:
        if key not in systems.SEARCH_TABLES:
            raise UserError(f"{where}: {unknown('table', key, systems.SEARCH_TABLES)}")
    entries, rounds = table.get("rounds", []), []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{where}: rounds must be tables, each below a line [[rounds]]")
    for number, entry in enumerate(entries, start=1):
        try:
            rounds.append(Round.model_validate({"name": f"round-{number}", **entry}))
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                raise UserError(f"{where}, round {number}: {unknown('key', key, Round.model_fields)}") from None
            message = problem["msg"].removeprefix("Value error, ")
            raise UserError(f"{where}, round {number}: {key + ': ' if key else ''}{message}") from None
    names = [entry.name for entry in rounds]
    if len(set(names)) < len(names):
        raise UserError(f"{where}: names of rounds must be unique, got: {', '.join(names)}")
    recipe = Recipe(table.get("search", {}), rounds)
    for entry in rounds:
        if not entry.from_best and not space_of(recipe, entry, where):
            raise UserError(f"{where}, round '{entry.name}': has nothing to search; add a table [search] or primary")
    if not rounds and not parse_space(recipe.search, where):
        raise UserError(f"{where}: the table [search] is empty")
    return recipe


def _read(path: Path) -> RawTable:
    try:
        return documents.read_toml(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def space_of(recipe: Recipe, entry: Round, where: str) -> Space:
    """Return a round's space without the keys that earlier rounds decide: its primary keys, then its parameters."""
    primary: dict[str, list[Any]] = {}
    for table in (table for other in recipe.rounds for table in other.primary):
        if entry.primary and table not in entry.primary:
            continue
        for key, values in table.items():
            known = primary.setdefault(key, [])
            known += [value for value in values if value not in known]
    above = parse_space(primary, where) if entry.primary or entry.best_primary else {}
    return above | parse_space(entry.search or recipe.search, where, above)


def plan(recipe: Recipe, entry: Round, found: Sequence[Scored], seed: int) -> Plan:
    """Prepare a round.

    Args:
        recipe: the recipe it is part of.
        entry: the round.
        found: finished points of earlier rounds.
        seed: source of all random numbers.

    Raises:
        UserError: no finished points to start from, or a grid without countable values.
    """
    ranked = sorted(found, key=lambda scored: -scored.value)
    if (entry.from_best or entry.best_primary) and not ranked:
        raise UserError(f"round '{entry.name}': no trial of an earlier round has finished; this round requires one")
    if entry.from_best:
        return _from_best(entry, _different([scored.point for scored in ranked])[: entry.from_best], seed)
    space = space_of(recipe, entry, entry.name)
    primary: list[Point] = [point for table in entry.primary for point in grid(table)] or [{}]
    if entry.best_primary:
        keys = {key for other in recipe.rounds for table in other.primary for key in table}
        combinations = [{key: scored.point[key] for key in scored.point if key in keys} for scored in ranked]
        primary = _different(combinations)[: entry.best_primary]
    if entry.sampler == "grid":
        fixed = {key for point in primary for key in point}
        rest = {key: parameter for key, parameter in space.items() if key not in fixed}
        points = full_grid(rest, primary)
        return Plan(entry, space, [{}], points, min(len(points), entry.trials or len(points)), seed)
    return Plan(entry, space, primary, [], (entry.trials or 0) * len(primary), seed)


def _different(points: Sequence[Point]) -> list[Point]:
    found: list[Point] = []
    for point in points:
        if point not in found:
            found.append(point)
    return found


def _from_best(entry: Round, best: Sequence[Point], seed: int) -> Plan:
    """Return the best vectors, unchanged or varied."""
    for key in entry.around:
        if not any(key in point for point in best):
            known = {name for point in best for name in point}
            raise UserError(f"round '{entry.name}': {unknown('key in around', key, known)}")
    total = entry.trials or len(best)
    points = [
        {key: _moved(entry, key, value, seed_of([seed, entry.name, slot, key])) for key, value in point.items()}
        for slot, point in ((slot, best[slot % len(best)]) for slot in range(total))
    ]
    return Plan(entry, {}, [{}], points, total, seed)


def _moved(entry: Round, key: str, value: Any, seed: int) -> Any:
    """Move a number, or each number of a list, by some steps."""
    around = entry.around.get(key)
    if around is None:
        return value
    generator = np.random.default_rng(seed)
    reach = int(around.within / around.step + 1e-9)

    def move(number: Any) -> Any:
        moved = number + int(generator.integers(-reach, reach + 1)) * around.step
        return moved if isinstance(moved, int) else round(moved, 12)

    if isinstance(value, list):
        return [move(number) for number in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"round '{entry.name}': around.{key}: must be a number to vary, got {value!r}")
    return move(value)
