"""Which names, and which pages, a server without a token answers.

Without a token it trusts whoever reaches its loopback address, and any page on the web can make a browser do that:
under a name of its own that it lets point to 127.0.0.1 (DNS rebinding), or by a WebSocket, which browsers let through
to every origin. Both show in the head of the request. A token, which no such page knows, makes this unnecessary.
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

# RFC 9110: a name, an IPv4 address, or an IPv6 address in brackets, and perhaps a port.
_AUTHORITY = re.compile(rf"(?P<name>{_NAME}\.?|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{{0,5}}))?")

_PORTS = {"http": 80, "https": 443}

# So much of what a client sent is repeated to it.
_SHOWN = 100


def check_name(name: str) -> str:
    """Return the name of a host as requests are compared with it.

    Raises:
        UserError: it is an address with scheme or port, or no name at all.
    """
    if not re.fullmatch(_NAME, name.lower()):
        raise UserError(f"--allowed-host {name}: must be a name such as ser.example.org, without scheme and port")
    return name.lower()


class Guard:
    """ASGI middleware: refuses requests under a name that is not this computer's, and those of other pages.

    Args:
        app: what it guards.
        allowed: names besides those of the loopback interface, in lower case: of a proxy, say.
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
                app = _refusal(421, f"host {host[:_SHOWN]!r} is not answered: {advice}")
            elif origin is not None and not self._trusts(origin, host):
                app = _refusal(403, f"pages of {origin[:_SHOWN]!r} are not answered: open the page of this server")
        await app(scope, receive, send)

    def _answers(self, host: str) -> bool:
        name, _ = _parse(host)
        return is_loopback(name) or name in self._allowed

    def _trusts(self, origin: str, host: str) -> bool:
        """Whether a page is this server's own, or that of a name it was told of."""
        scheme, _, authority = origin.partition("://")
        name, port = _parse(authority)
        if scheme not in _PORTS or not name:
            return False  # `null`, say: a page from a file, or in a frame that may do nothing
        own, own_port = _parse(host)
        default = _PORTS[scheme]
        return name in self._allowed or (name, port or default) == (own, own_port or default)


def _parse(authority: str) -> tuple[str, int | None]:
    """Take a name and a port apart; the name is empty where there is none."""
    found = _AUTHORITY.fullmatch(authority.lower())
    if found is None:
        return "", None
    return found["name"].strip("[]").removesuffix("."), int(found["port"]) if found["port"] else None


def _refusal(status: int, text: str) -> ASGIApp:
    """Build what answers so; a WebSocket is then not even begun."""
    return JSONResponse(Problem(error=text).model_dump(), status, {"Connection": "close"})
