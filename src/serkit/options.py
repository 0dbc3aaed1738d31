"""Build parts from options in a file or on a command line."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any

from serkit.documents import BITS
from serkit.errors import UserError

_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True)
class Between:
    """Range of a number, or of the numbers in a list, with both ends: `Annotated[int, Between(1, 1024)]`."""

    low: float
    high: float


def make(part: str, kind: Callable[..., Any], options: Mapping[str, Any], *arguments: Any) -> Any:
    """Call a class or function, and report wrong options as the user's mistake.

    The error quotes a `ValueError` of the class or function. Otherwise it names the option with a wrong type (see
    `check`) or outside the range in its annotation (see `Between`).

    Args:
        part: name of the part, for the error: `feature 'log_mel'`.
        kind: class or function.
        options: values by name; it accepts all of these names.
        arguments: positional arguments.

    Raises:
        UserError: a value is invalid.
    """
    for name, value in options.items():
        # Python refuses to write numbers of thousands of digits, so the error gives their size.
        if isinstance(value, int) and value.bit_length() > BITS:
            raise UserError(f"{part}: {name} must have at most {BITS} bits, got {value.bit_length()} of them")
    try:
        made = kind(*arguments, **options)
    except ValueError as error:
        raise UserError(f"{part}: {error}") from None
    except (TypeError, AttributeError, ArithmeticError, LookupError, MemoryError, RuntimeError) as error:
        check(part, kind, options)
        _check_ranges(part, kind, options)
        raise UserError(f"{part}: {first_line(error)}") from None
    except UserError:
        check(part, kind, options)  # The error may concern a nested part, whose name it lacks.
        raise
    check(part, kind, options)
    _check_ranges(part, kind, options)
    return made


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class name without one; torch writes pages."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def check(part: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check options against the annotated types of a class or function.

    The contents of lists and tables are not checked.

    Args:
        part: name of the part, for the error: `feature 'log_mel'`.
        kind: class or function that will be called with the options.
        options: values by name; unknown names are ignored.

    Raises:
        UserError: an option has another type, or is not a finite number.
    """
    hints = _hints(kind)
    for name, value in options.items():
        wanted = hints.get(name, ((Any, None),))
        if not any(_fits(value, one) for one, _ in wanted):
            words = " or ".join(_WANTED[one] for one, _ in wanted if one in _WANTED)
            raise UserError(f"{part}: {name} must be {words}, got {value!r}")


def _check_ranges(part: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check options of the right types against their ranges."""
    hints = _hints(kind)
    for name, value in options.items():
        between = next((between for one, between in hints.get(name, ()) if _fits(value, one)), None)
        if between is not None and not _lies(value, between):
            raise UserError(f"{part}: {name} must be from {between.low:g} to {between.high:g}, got {value!r}")


@functools.cache
def _hints(kind: Callable[..., Any]) -> dict[str, Sequence[tuple[Any, Between | None]]]:
    """Return the accepted types of each option, with their ranges."""
    # A dataclass may inherit fields whose types are not imported in its own module.
    source = kind.__init__ if inspect.isclass(kind) and not dataclasses.is_dataclass(kind) else kind
    hints = typing.get_type_hints(source, include_extras=True)
    return {name: [_plain(one) for one in _alternatives(hint)] for name, hint in hints.items()}


def _alternatives(hint: Any) -> Sequence[Any]:
    """Return the types of a union, or the single type."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _plain(hint: Any) -> tuple[Any, Between | None]:
    """Return a type and its range; sequences become `list`, mappings become `dict`."""
    between = None
    if typing.get_origin(hint) is Annotated:
        hint, *notes = typing.get_args(hint)
        between = next((note for note in notes if isinstance(note, Between)), None)
    origin = typing.get_origin(hint)
    if inspect.isclass(origin):
        hint = dict if issubclass(origin, Mapping) else list if issubclass(origin, Sequence) else hint
    return hint, between


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool):
        return wanted in (bool, Any)
    if wanted is int:
        return isinstance(value, Integral)
    if wanted is float:
        return isinstance(value, Real) and _is_finite(value)
    if wanted is list:
        return isinstance(value, Sequence) and not isinstance(value, str)
    if wanted is dict:
        return isinstance(value, Mapping)
    return isinstance(value, wanted) if wanted in (bool, str, types.NoneType) else True


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _lies(value: Any, between: Between) -> bool:
    """Return whether a number, or each number of a list, lies in a range."""
    numbers = value if isinstance(value, Sequence) else [value]
    return all(_fits(number, float) and between.low <= number <= between.high for number in numbers)
