"""Who may use the server: this computer, or whoever has the token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
from pathlib import Path

from starlette.requests import HTTPConnection

from serkit.errors import UserError

#: The environment variable that holds the token. There is no option for it: command lines are seen by everybody.
TOKEN_VARIABLE = "SERKIT_TOKEN"

#: A browser cannot set headers of a WebSocket: there the token is a subprotocol of this beginning.
SUBPROTOCOL = "bearer."

_HOW_TO_MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe())" makes a good one'


def read_token(file: Path | None = None) -> str | None:
    """Return the token of a file, else that of the environment, else None.

    Raises:
        UserError: it is too short to be a secret, or cannot stand in a header.
    """
    text = file.read_text(encoding="utf-8") if file else os.environ.get(TOKEN_VARIABLE)
    if text is None:
        return None
    token, place = text.strip(), str(file or TOKEN_VARIABLE)
    # What may stand both in an Authorization header and in the name of a subprotocol.
    if not re.fullmatch(r"[A-Za-z0-9._~-]{16,}", token):
        raise UserError(f"{place}: a token has 16 or more characters of A-Z a-z 0-9 . _ ~ -; {_HOW_TO_MAKE_ONE}")
    return token


def check_address(host: str, token: str | None) -> None:
    """Refuse to listen where others can reach the server, unless there is a token.

    Raises:
        UserError: a public address, and no token.
    """
    if token is None and not is_loopback(host):
        raise UserError(
            f"--host {host}: others could use the server; give them a token in {TOKEN_VARIABLE} or by --token-file, "
            f"or listen on 127.0.0.1 ({_HOW_TO_MAKE_ONE})"
        )


def is_allowed(connection: HTTPConnection, token: str | None) -> bool:
    """Whether a request or WebSocket carries the token, where there is one."""
    if token is None:
        return True
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _equal(given.strip(), token):
        return True
    offered = connection.scope.get("subprotocols", [])
    return any(_equal(name, SUBPROTOCOL + token) for name in offered)


def offered_subprotocol(connection: HTTPConnection) -> str | None:
    """Return the subprotocol that carries a token: a browser wants to hear it again."""
    offered = connection.scope.get("subprotocols", [])
    return next((name for name in offered if name.startswith(SUBPROTOCOL)), None)


def _equal(given: str, wanted: str) -> bool:
    # Takes the same time wherever they differ.
    return hmac.compare_digest(given.encode(), wanted.encode())


def is_loopback(host: str) -> bool:
    """Whether a name or an address is of the loopback interface, which no other computer reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
