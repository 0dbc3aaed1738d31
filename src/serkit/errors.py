"""The exception for a user's mistake, and the wording of its most common kinds."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """A request that cannot be fulfilled. The message states what is wrong, where, and what would work.

    The command line prints it as one line, without a traceback, and exits with code 2.
    """


class Damaged(UserError):
    """A file written by serkit is missing or has changed. The message begins with its path."""


def unknown(kind: str, name: str, available: Iterable[str]) -> UserError:
    """Build the error for a name that does not exist.

    >>> str(unknown("corpus", "emdb", ["emodb", "savee"]))
    "unknown corpus 'emdb'. Did you mean 'emodb'? Available: emodb, savee"
    """
    names = sorted(available)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"unknown {kind} '{name}'.{hint} Available: {', '.join(names) or 'none'}")


def whole_number(name: str, value: Any, lowest: int | None = None, highest: int | None = None) -> int:
    """Return a whole number of any integer type, including NumPy's, as an int; floats and bools are errors.

    >>> whole_number("jobs", 2.0)
    Traceback (most recent call last):
    serkit.errors.UserError: jobs must be a whole number, got 2.0
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise UserError(f"{name} must be a whole number, got {value!r}") from None
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's own bool is an index before 2.1
        raise UserError(f"{name} must be a whole number, got {value!r}")
    if lowest is not None and number < lowest:
        raise UserError(f"{name} must be at least {lowest}, got {number}")
    if highest is not None and number > highest:
        raise UserError(f"{name} must be at most {highest}, got {number}")
    return number
