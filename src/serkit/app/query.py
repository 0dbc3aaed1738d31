"""The parameters of a request's address: one that is misspelt must not be ignored."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection

from serkit.errors import UserError, unknown

# So much of what a client sent is repeated to it.
_SHOWN = 40


def check_query(connection: HTTPConnection) -> None:
    """Refuse parameters that the endpoint does not have, or has once.

    Raises:
        UserError: one of them.
    """
    check_parameters(connection, {parameter.alias for parameter in connection.scope["route"].dependant.query_params})


def check_parameters(connection: HTTPConnection, known: Collection[str]) -> None:
    """Do the same where the endpoint reads them itself."""
    names = [name for name, _ in connection.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise unknown("parameter", name[:_SHOWN], known)
        if names.count(name) > 1:
            raise UserError(f"parameter '{name}' is there {names.count(name)} times; once is right")


def whole_number(name: str, text: str, lowest: int, highest: int) -> int:
    """Read a number from a parameter.

    Raises:
        UserError: it is none, or out of range.
    """
    # Not all that `int` takes: `1_000`, ` 5 `, digits of other scripts, or thousands of digits.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(highest)) and lowest <= int(text) <= highest:
        return int(text)
    raise UserError(f"{name} must be a whole number from {lowest} to {highest}, got {text[:_SHOWN]!r}")
