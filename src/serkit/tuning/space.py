"""The values that a search may choose for each key of a system. Nothing here needs Optuna."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StrictInt, ValidationError, field_validator, model_validator

from serkit.errors import UserError, unknown
from serkit.systems.grid import Point
from serkit.systems.schema import Table

#: Words that make a table a parameter; Optuna's `choices` is reported as unknown.
_MARKS = frozenset({"values", "low", "high", "choices"})
#: Keys of a data table that a search must not change, since scores would no longer be comparable.
_FIXED = frozenset({"target", "classes", "map", "where", "sample", "sample_seed"})


#: A finite number; a text or a truth value is none, although Python could make one of it.
Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Parameter(Table):
    """The choices for one key: one of several values, or a number in a range.

    Whole `low`, `high` and `step` give whole numbers.

    Args:
        values: the values to choose from.
        low: smallest number.
        high: largest number, reached if `step` leads to it.
        step: distance between numbers, counted from `low`; None: 1 for whole numbers, otherwise continuous.
        log: whether the logarithm is drawn uniformly.
        each: for a key that holds a list: its length; every entry is drawn separately.
        when: the parameter applies only if these keys have one of these values:
            `{ "stages.main.network" = ["squirtle", "charma"] }`.
    """

    values: list[Any] | None = None
    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    log: bool = False
    each: int | None = None
    when: dict[str, list[Any]] = Field(default_factory=dict)

    @field_validator("when", mode="before")
    @classmethod
    def _quoted_or_not(cls, when: Any) -> Any:
        return dict(flatten(when)) if isinstance(when, dict) else when

    @model_validator(mode="after")
    def _agree(self) -> Parameter:
        if (self.values is None) == (self.low is None and self.high is None):
            raise ValueError("give either values, or low and high")
        if self.each is not None and self.each < 1:
            raise ValueError(f"each must be 1 or more, got {self.each}")
        if self.values is not None:
            if not self.values:
                raise ValueError("values is empty")
            if self.log or self.step is not None:
                raise ValueError("log and step apply to low and high, not to values")
            return self
        if self.low is None or self.high is None or self.low > self.high:
            raise ValueError(f"low must be at most high, got low = {self.low}, high = {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log requires low > 0 and does not combine with step")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, got {self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step) if value is not None)

    @property
    def choices(self) -> list[Any] | None:
        """All values of one entry, or None if they are not countable."""
        if self.values is not None:
            return self.values
        if self.low is None or self.high is None or not (self.whole or self.step):
            return None
        step = self.step or 1
        count = int((self.high - self.low) / step + 1e-9) + 1
        # Rounded: 0.25 + 3 * 0.05 should be 0.4.
        return [self.low + row * step if self.whole else round(self.low + row * step, 12) for row in range(count)]

    def applies(self, point: Mapping[str, Any]) -> bool:
        """Return whether the parameter applies, given the earlier choices."""
        return all(key in point and point[key] in values for key, values in self.when.items())


Space = dict[str, Parameter]


def parse_space(table: Any, where: str, above: Iterable[str] = ()) -> Space:
    """Read a search space: each key a list of values, or a table as `Parameter`.

    Keys are quoted (`"stages.main.trainer.epochs" = [1, 2]`) or not.

    Args:
        table: as read from a file.
        where: location of the table, for errors.
        above: additional keys that `when` may name.

    Raises:
        UserError: an invalid parameter, or a key that a search must not change.
    """
    if not isinstance(table, dict):
        raise UserError(f"{where}: a search space must be a table of keys, each a list of values or {{ low, high }}")
    space = {}
    for key, value in flatten(table):
        path = key.split(".")
        if path[0] in ("system", "protocols") or ("data" in path and _FIXED & set(path)):
            raise UserError(f"{where}: {key}: a search cannot change what is scored")
        try:
            space[key] = Parameter.model_validate({"values": value} if isinstance(value, list) else value)
        except ValidationError as error:
            problem = error.errors()[0]
            if problem["type"] == "extra_forbidden":
                wrong = unknown("key", str(problem["loc"][-1]), Parameter.model_fields)
                raise UserError(f"{where}: {key}: {wrong}") from None
            raise UserError(f"{where}: {key}: {_problem(problem, value)}") from None
    before = list(above)
    for key, parameter in space.items():
        for other in parameter.when:
            if other not in before:
                raise UserError(f"{where}: {key}: when names '{other}', which is not a key above it")
            possible = space[other].values if other in space else None
            for value in parameter.when[other]:
                if possible is not None and value not in possible:
                    raise UserError(f"{where}: {key}: when: '{other}' never has the value {value!r}")
        before.append(key)
    return space


def _problem(problem: Mapping[str, Any], value: Any) -> str:
    """Return what is wrong with the value of a key, in words."""
    if not isinstance(value, (dict, list)):
        return f"write a list of values, or {{ low, high }} (received {value!r})"
    name, *below = map(str, problem["loc"] or ("",))
    if name in ("low", "high", "step"):
        return f"{name} must be a finite number, got {problem['input']!r}"
    if name == "when":
        what = f"a list of values for '{below[0]}'" if below else "a table of keys and lists of their values"
        return f"when must be {what}, got {problem['input']!r}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield dotted keys and their values; a table without the words of a parameter leads to further keys."""
    for part, value in table.items():
        key = f"{prefix}{part}"
        if isinstance(value, dict) and not _MARKS & set(value):
            yield from flatten(value, f"{key}.")
        else:
            yield key, value


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the shortest unambiguous endings of dotted keys.

    >>> short_names(["stages.a.trainer.epochs", "stages.b.trainer.epochs", "stages.b.network"])
    {'stages.a.trainer.epochs': 'a.trainer.epochs', 'stages.b.trainer.epochs': 'b.trainer.epochs', \
'stages.b.network': 'network'}
    """

    def end(key: str, parts: int) -> str:
        return ".".join(key.split(".")[-parts:])

    found = {}
    for key in keys:
        others = [other for other in keys if other != key]
        length = len(key.split("."))
        parts = next((n for n in range(1, length) if all(end(other, n) != end(key, n) for other in others)), length)
        found[key] = end(key, parts)
    return found


def full_grid(space: Space, begin: Sequence[Point] = ({},)) -> list[Point]:
    """Return all points of a space, without parameters that do not apply; `begin` are points to extend.

    Raises:
        UserError: a parameter without countable values.
    """
    points = list(begin)
    for key, parameter in space.items():
        values = parameter.choices
        if values is None:
            raise UserError(f"{key}: a grid requires values, or low and high with a step")
        rows = [list(row) for row in itertools.product(values, repeat=parameter.each)] if parameter.each else values
        points = [
            extended
            for point in points
            for extended in ([{**point, key: row} for row in rows] if parameter.applies(point) else [point])
        ]
    return points
