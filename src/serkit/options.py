"""Parts made of options that a file or a command line gives."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from serkit.errors import UserError

_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


def make(part: str, kind: Callable[..., Any], options: Mapping[str, Any], *arguments: Any) -> Any:
    """Call a class or function, and tell the user what it cannot take.

    What it refuses by `ValueError` is told in its own words; else, what is of a wrong type (see `check`).

    Args:
        part: what is made, for the error: `feature 'log_mel'`.
        kind: class or function.
        options: by name; it knows all of them.
        arguments: what it is given before them.

    Raises:
        UserError: a value that cannot be.
    """
    try:
        made = kind(*arguments, **options)
    except ValueError as error:
        raise UserError(f"{part}: {error}") from None
    except (TypeError, AttributeError, ArithmeticError, LookupError, MemoryError, RuntimeError) as error:
        check(part, kind, options)
        raise UserError(f"{part}: {first_line(error)}") from None
    except UserError:
        check(part, kind, options)  # It may be about a part of this part, which nobody has named.
        raise
    check(part, kind, options)
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
    hints = typing.get_type_hints(kind.__init__ if inspect.isclass(kind) else kind)
    for name, value in options.items():
        wanted = [_plain(hint) for hint in _alternatives(hints.get(name, Any))]
        if not any(_fits(value, one) for one in wanted):
            words = " or ".join(_WANTED[one] for one in wanted if one in _WANTED)
            raise UserError(f"{part}: {name} = {value!r}; {words} is wanted")


def _alternatives(hint: Any) -> Sequence[Any]:
    """Return the types of a union, or the one."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _plain(hint: Any) -> Any:
    """Return `list` for all sequences, `dict` for all mappings, and what is neither as it is."""
    origin = typing.get_origin(hint)
    if not inspect.isclass(origin):
        return hint
    return dict if issubclass(origin, Mapping) else list if issubclass(origin, Sequence) else hint


def _fits(value: Any, wanted: Any) -> bool:
    if wanted in (int, float):
        number = Integral if wanted is int else Real
        return isinstance(value, number) and not isinstance(value, bool) and math.isfinite(value)
    if wanted is list:
        return isinstance(value, Sequence) and not isinstance(value, str)
    if wanted is dict:
        return isinstance(value, Mapping)
    return isinstance(value, wanted) if wanted in (bool, str, types.NoneType) else True
