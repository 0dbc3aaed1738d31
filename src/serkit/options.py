"""Parts made of options that a file or a command line gives."""

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
    str: "a text",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True)
class Between:
    """Which numbers an option may be, or a list of them: `Annotated[int, Between(1, 1024)]`; both ends may be."""

    low: float
    high: float


def make(part: str, kind: Callable[..., Any], options: Mapping[str, Any], *arguments: Any) -> Any:
    """Call a class or function, and tell the user what it cannot take.

    What it refuses by `ValueError` is told in its own words; else, what is of a wrong type (see `check`), or out of the
    range that stands beside the type (see `Between`).

    Args:
        part: what is made, for the error: `feature 'log_mel'`.
        kind: class or function.
        options: by name; it knows all of them.
        arguments: what it is given before them.

    Raises:
        UserError: a value that cannot be.
    """
    for name, value in options.items():
        # Those of thousands of digits cannot even be written into an error.
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
        check(part, kind, options)  # It may be about a part of this part, which nobody has named.
        raise
    check(part, kind, options)
    _check_ranges(part, kind, options)
    return made


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name where it says nothing; torch writes pages."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def check(part: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Compare options with the types that a class or function says it takes.

    What lists and tables hold is not looked at.

    Args:
        part: what is made, for the error: `feature 'log_mel'`.
        kind: class or function that will be called with the options.
        options: by name; names it does not know are passed over.

    Raises:
        UserError: an option is of another type, or no finite number.
    """
    hints = _hints(kind)
    for name, value in options.items():
        wanted = hints.get(name, ((Any, None),))
        if not any(_fits(value, one) for one, _ in wanted):
            words = " or ".join(_WANTED[one] for one, _ in wanted if one in _WANTED)
            raise UserError(f"{part}: {name} = {value!r}; {words} is wanted")


def _check_ranges(part: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Compare options, which are of the types they should be, with their ranges."""
    hints = _hints(kind)
    for name, value in options.items():
        between = next((between for one, between in hints.get(name, ()) if _fits(value, one)), None)
        if between is not None and not _lies(value, between):
            raise UserError(f"{part}: {name} must be from {between.low:g} to {between.high:g}, got {value!r}")


@functools.cache
def _hints(kind: Callable[..., Any]) -> dict[str, Sequence[tuple[Any, Between | None]]]:
    """Return by option the types it may have, each with its range."""
    # A dataclass inherits fields whose types its own module need not know.
    source = kind.__init__ if inspect.isclass(kind) and not dataclasses.is_dataclass(kind) else kind
    hints = typing.get_type_hints(source, include_extras=True)
    return {name: [_plain(one) for one in _alternatives(hint)] for name, hint in hints.items()}


def _alternatives(hint: Any) -> Sequence[Any]:
    """Return the types of a union, or the one."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _plain(hint: Any) -> tuple[Any, Between | None]:
    """Return `list` for all sequences, `dict` for all mappings, what is neither as it is; and its range."""
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
    """Tell whether a number, or each of a list, lies in a range."""
    numbers = value if isinstance(value, Sequence) else [value]
    return all(_fits(number, float) and between.low <= number <= between.high for number in numbers)
