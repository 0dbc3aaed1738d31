"""An account of each request: what is counted, logged and traced of it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serkit.app import logs
from serkit.app.metrics import Metrics
from serkit.app.telemetry import Span, Tracing
from serkit.recognition.timing import Times

#: Header of a request's id, in requests (from a proxy) and answers.
ID_HEADER = "X-Request-ID"

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_KEY = "serkit.account"

# Close codes: of a client that has gone without a word, and of a refusal before the WebSocket is open.
_ABNORMAL, _FORBIDDEN = 1006, 403


@dataclass
class Account:
    """What is known of a request while it is answered.

    Args:
        id: its id, of the proxy or made up.
        model: name of the model that answers.
        audio: recognized sound, in s.
        times: time of its decoding, features and network.
        span: its open span.
    """

    id: str
    model: str | None = None
    audio: float = 0.0
    times: Times = field(default_factory=dict)
    span: Span = field(default_factory=Span)


def account_of(connection: HTTPConnection) -> Account:
    """Return the account of a request or WebSocket."""
    account: Account = connection.scope[_KEY]
    return account


class Accounts:
    """ASGI middleware that counts, logs and traces every request and WebSocket when it has ended."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(ID_HEADER, "")
        account = Account(given if _ID.fullmatch(given) else secrets.token_hex(8))
        scope[_KEY] = account
        status = _Status(scope["type"], account.id)
        began = time.perf_counter()
        with self._tracing.span(scope["type"], headers) as account.span:
            try:
                await self._app(scope, status.receiving(receive), status.sending(send))
            finally:
                self._close(scope, account, status.code, time.perf_counter() - began)

    def _close(self, scope: MutableMapping[str, Any], account: Account, status: int, seconds: float) -> None:
        # Not the requested path, because invented paths must not create new series.
        route = getattr(scope.get("route"), "path", "other")
        http = scope["type"] == "http"
        if http:
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
        logs.ended(
            "request" if http else "stream",
            id=account.id,
            **({"method": scope["method"]} if http else {}),
            route=route,
            status=status,
            seconds=round(seconds, 4),
            audio_seconds=round(account.audio, 3),
            model=account.model,
        )
        account.span.end(
            f"{scope['method'] if http else 'WebSocket'} {route}",
            {
                "http.request.method": scope["method"] if http else "GET",
                "http.route": route,
                "http.response.status_code" if http else "serkit.close_code": status,
                "serkit.request_id": account.id,
                "serkit.model": account.model,
                "serkit.audio_seconds": account.audio,
            },
            account.times,
            failed=500 <= status < 600 or status == 1011,
        )


class _Status:
    """The status of an answer: of HTTP, or the close code of a WebSocket."""

    def __init__(self, kind: str, id: str) -> None:
        self.code = 500 if kind == "http" else _ABNORMAL
        self._id = id
        self._accepted = False

    def receiving(self, receive: Receive) -> Receive:
        async def receive_and_note() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.code = message.get("code") or _ABNORMAL
            return message

        return receive_and_note

    def sending(self, send: Send) -> Send:
        async def send_and_note(message: Message) -> None:
            match message["type"]:
                case "http.response.start" | "websocket.http.response.start":
                    self.code = message["status"]
                    MutableHeaders(scope=message)[ID_HEADER] = self._id
                case "websocket.accept":
                    self._accepted = True
                case "websocket.close":
                    self.code = message.get("code", 1000) if self._accepted else _FORBIDDEN
            await send(message)

        return send_and_note
