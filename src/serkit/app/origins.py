"""Host names and pages that a server without a token answers.

Without a token, the server trusts every client of its loopback address. Any page on the web can make a browser such a
client: with a name that resolves to 127.0.0.1 (DNS rebinding), or with a WebSocket, which browsers allow to every
origin. The head of the request shows both. With a token, which such pages do not know, this check is unnecessary.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from serkit.app.access import is_loopback
from serkit.app.answers import Problem
from serkit.errors import UserError

_NAME = r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?"

# RFC 9110: a name, an IPv4 address, or an IPv6 address in brackets, and an optional port.
_AUTHORITY = re.compile(rf"(?P<name>{_NAME}\.?|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{{0,5}}))?")

_PORTS = {"http": 80, "https": 443}

# Maximum number of a client's characters that an error repeats.
_SHOWN = 100


def check_name(name: str) -> str:
    """Return a host name in the form that requests are compared with.

    Raises:
        UserError: the name has a scheme or port, or is not a name.
    """
    if not re.fullmatch(_NAME, name.lower()):
        raise UserError(f"--allowed-host must be a name such as ser.example.org, without scheme and port, got '{name}'")
    return name.lower()


class Guard:
    """ASGI middleware that rejects requests for other host names, and requests from other pages.

    Args:
        app: the guarded application.
        allowed: further names, in lower case, besides those of the loopback interface, e.g. of a proxy.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] in ("http", "websocket"):
            headers = HTTPConnection(scope).headers
            host, origin = headers.get("host", ""), headers.get("origin")
            if not self._answers(host):
                advice = "use http://127.0.0.1 or http://localhost, or start the server with --allowed-host NAME"
                app = _refusal(421, f"host {host[:_SHOWN]!r} is not allowed; {advice}")
            elif origin is not None and not self._trusts(origin, host):
                app = _refusal(403, f"pages of {origin[:_SHOWN]!r} are not allowed; open the page of this server")
        await app(scope, receive, send)

    def _answers(self, host: str) -> bool:
        name, _ = _parse(host)
        return is_loopback(name) or name in self._allowed

    def _trusts(self, origin: str, host: str) -> bool:
        """Return whether a page belongs to this server or to an allowed name."""
        scheme, _, authority = origin.partition("://")
        name, port = _parse(authority)
        if scheme not in _PORTS or not name:
            return False  # e.g. `null`: a page from a file, or in a sandboxed frame
        own, own_port = _parse(host)
        default = _PORTS[scheme]
        return name in self._allowed or (name, port or default) == (own, own_port or default)


def _parse(authority: str) -> tuple[str, int | None]:
    """Split a name and a port; the name is empty if it is missing."""
    found = _AUTHORITY.fullmatch(authority.lower())
    if found is None:
        return "", None
    return found["name"].strip("[]").removesuffix("."), int(found["port"]) if found["port"] else None


def _refusal(status: int, text: str) -> ASGIApp:
    """Build an application that gives this answer; a WebSocket is rejected before it opens."""
    return JSONResponse(Problem(error=text).model_dump(), status, {"Connection": "close"})
