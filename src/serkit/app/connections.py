"""Connections whose clients keep the server waiting, and how they end. uvicorn itself waits for ever.

A client can be slow in three ways: with the head of a request, with its body (see `uploads`), and in reading what it
is sent. What it does not read must not pile up, and none may keep a connection from those who would use it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from serkit.app.limits import Limits

# How long the server waits, in s, for a client to close its side.
_GOODBYE = 2.0


def http(limits: Limits) -> Any:
    """Return what uvicorn makes HTTP connections with."""
    return partial(_Http, limits=limits)


def websocket(limits: Limits) -> Any:
    """Return what uvicorn makes WebSockets with."""
    return partial(_WebSocket, limits=limits)


class _Read(asyncio.Protocol):
    """Ends a connection once its client does not read what it is sent, or hardly."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # To be told as soon as, and for as long as, the system takes no more to send.
        self.transport.set_write_buffer_limits(0)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_expecting()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_expecting()

    def _expect_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.limits.idle, self._check_reading, unread)

    def _check_reading(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < self.limits.idle * self.limits.slowest:
            self.transport.abort()
        else:
            self._expect_reading()

    def _stop_expecting(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


class _Http(_Read, H11Protocol):
    """An HTTP connection. There are so many at most: another takes the place of the one that waits longest."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = limits
        # When what it waits for, or works on, began.
        self.since = self.loop.time()
        self._head: asyncio.TimerHandle | None = None

    @property
    def waits_for_client(self) -> bool:
        """Whether it is the client that has to do something: send a head, a body, or read the answer."""
        return self.cycle is None or self.cycle.more_body or self.cycle.response_started

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._make_room()
        self._expect_head()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self.since = self.loop.time()
            if not self.cycle.response_complete:
                self._stop_expecting_head()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        self._expect_head()
        super().on_response_complete()  # which begins the next request, if that has come already

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._stop_expecting_head()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_expecting_head()

    def _expect_head(self) -> None:
        self._stop_expecting_head()
        self._head = self.loop.call_later(self.limits.head, self.transport.close)

    def _stop_expecting_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _make_room(self) -> None:
        if len(self.connections) <= self.limits.connections:
            return
        connections: list[Any] = [one for one in self.connections if not one.transport.is_closing()]
        if len(connections) > self.limits.connections:
            waiting = [one for one in connections if one.waits_for_client]
            min(waiting, key=lambda one: one.since, default=self).transport.abort()


class _WebSocket(_Read, WebSocketsSansIOProtocol):
    """A WebSocket, whose number `Limits.streams` bounds."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = limits
        self.since = self.loop.time()
        # For the client's goodbye. uvicorn's own 10 s would let one that is silent stay as much longer.
        self.close_timeout = _GOODBYE

    @property
    def waits_for_client(self) -> bool:
        """Whether it is closed but for the client's goodbye."""
        return self.close_sent

    def handle_ping(self) -> None:
        pong = b"".join(self.conn.data_to_send())
        # Who does not read pongs gets no more of them: they would pile up without end.
        if self.writable.is_set():
            self.transport.write(pong)
