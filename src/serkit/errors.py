"""The one exception for a user's mistake, and the wording of its commonest kind."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user asked for cannot be done; the message says what, where, and what would work.

    The command line prints it as one line, without a traceback, and exits with code 2.
    """


class Damaged(UserError):
    """A file that serkit has written is missing, or no longer what was written; the message begins with its path."""


def unknown(kind: str, name: str, available: Iterable[str]) -> UserError:
    """Build the error for a name that does not exist.

    >>> str(unknown("corpus", "emdb", ["emodb", "savee"]))
    "unknown corpus 'emdb'. Did you mean 'emodb'? Available: emodb, savee"
    """
    names = sorted(available)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"unknown {kind} '{name}'.{hint} Available: {', '.join(names) or 'none'}")
