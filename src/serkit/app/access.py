"""Access control: the server answers local clients, or clients with the token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.errors import UserError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

#: Environment variable of the token. It is not an option, because command lines are visible to all users.
TOKEN_VARIABLE = "SERKIT_TOKEN"

#: A browser cannot set headers of a WebSocket, so the token is a subprotocol with this prefix.
SUBPROTOCOL = "bearer."

_HOW_TO_MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe())" makes a good one'


def read_token(file: Path | None = None) -> str | None:
    """Return the token from a file, or from the environment, or None.

    Raises:
        UserError: the token is too short to be a secret, or not valid in a header.
    """
    text = file.read_text(encoding="utf-8") if file else os.environ.get(TOKEN_VARIABLE)
    if text is None:
        return None
    token, place = text.strip(), str(file or TOKEN_VARIABLE)
    # Characters that are valid both in an Authorization header and in the name of a subprotocol.
    if not re.fullmatch(r"[A-Za-z0-9._~-]{16,}", token):
        raise UserError(f"{place}: a token must have at least 16 characters of A-Z a-z 0-9 . _ ~ -; {_HOW_TO_MAKE_ONE}")
    return token


def check_address(host: str, token: str | None) -> None:
    """Check that a server on a public address has a token.

    Raises:
        UserError: the address is public and there is no token.
    """
    if token is None and not is_loopback(host):
        raise UserError(
            f"--host {host}: the address is public; set a token in {TOKEN_VARIABLE} or with --token-file, "
            f"or listen on 127.0.0.1 ({_HOW_TO_MAKE_ONE})"
        )


def is_allowed(connection: HTTPConnection, token: str | None) -> bool:
    """Return whether a request or WebSocket carries the token, if there is one."""
    if token is None:
        return True
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _equal(given.strip(), token):
        return True
    offered = connection.scope.get("subprotocols", [])
    return any(_equal(name, SUBPROTOCOL + token) for name in offered)


def offered_subprotocol(connection: HTTPConnection) -> str | None:
    """Return the subprotocol that carries a token, because a browser requires it in the answer."""
    offered = connection.scope.get("subprotocols", [])
    return next((name for name in offered if name.startswith(SUBPROTOCOL)), None)


def _equal(given: str, wanted: str) -> bool:
    # In constant time, independent of the first difference.
    return hmac.compare_digest(given.encode(), wanted.encode())


def is_loopback(host: str) -> bool:
    """Return whether a name or address belongs to the loopback interface, which no other computer can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
