"""Parameters in a request's address. A misspelled one must not be ignored."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.requests import HTTPConnection

from serkit.errors import UserError, unknown

# Maximum number of a client's characters that an error repeats.
_SHOWN = 40


def check_query(connection: HTTPConnection) -> None:
    """Check for unknown and repeated parameters.

    Raises:
        UserError: a parameter is unknown or repeated.
    """
    check_parameters(connection, _parameters(connection.scope["route"].dependant))


def _parameters(dependant: Any) -> set[str]:
    """Names of the parameters of an endpoint and of all that it depends on."""
    names = {parameter.alias for parameter in dependant.query_params}
    return names.union(*map(_parameters, dependant.dependencies))


def check_parameters(connection: HTTPConnection, known: Collection[str]) -> None:
    """Check the parameters of an endpoint that reads them itself."""
    names = [name for name, _ in connection.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise unknown("parameter", name[:_SHOWN], known)
        if names.count(name) > 1:
            raise UserError(f"parameter '{name}' must appear once, got {names.count(name)} times")


def whole_number(name: str, text: str, lowest: int, highest: int) -> int:
    """Parse a number from a parameter.

    Raises:
        UserError: the value is not a number, or is out of range.
    """
    # `int` also accepts `1_000`, ` 5 `, digits of other scripts, and thousands of digits.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(highest)) and lowest <= int(text) <= highest:
        return int(text)
    raise UserError(f"{name} must be a whole number from {lowest} to {highest}, got {text[:_SHOWN]!r}")
