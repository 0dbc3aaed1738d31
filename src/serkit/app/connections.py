"""Close connections whose clients keep the server waiting. uvicorn itself waits forever.

A client can be slow in three ways: in sending the head of a request, in sending its body (see `uploads`), and in
reading answers. Unread answers must not accumulate, and slow clients must not block connections for others.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from serkit.app.limits import Limits

# Time in s that the server waits for a client to close its side.
_GOODBYE = 2.0


def http(limits: Limits) -> Any:
    """Return uvicorn's class of HTTP connections."""
    return partial(_Http, limits=limits)


def websocket(limits: Limits) -> Any:
    """Return uvicorn's class of WebSockets."""
    return partial(_WebSocket, limits=limits)


class _Read(asyncio.Protocol):
    """Ends a connection if its client stops reading answers, or reads too slowly."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # Report as soon as the system accepts no more data to send, and until it accepts data again.
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
    """An HTTP connection. Their number is limited: a further one replaces the one that has waited longest."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = limits
        # Start of the current wait or work.
        self.since = self.loop.time()
        self._head: asyncio.TimerHandle | None = None
        # Whether nothing of the next request has arrived after an answer.
        self._between = False

    @property
    def waits_for_client(self) -> bool:
        """Whether the server waits for the client to send a head or a body, or to read the answer."""
        return self.cycle is None or self.cycle.more_body or self.cycle.response_started

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._make_room()
        self._expect_head(self.limits.head)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look_for_head()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self.since = self.loop.time()
            if not self.cycle.response_complete:
                self._stop_expecting_head()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        self._between = True
        super().on_response_complete()  # starts the next request if it has arrived
        self._look_for_head()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._stop_expecting_head()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_expecting_head()

    def _look_for_head(self) -> None:
        """Give a client time after an answer: long before it sends again, short once it has begun."""
        if self.cycle is None or not self.cycle.response_complete or self not in self.connections:
            return  # no answer yet, or a WebSocket by now
        # Otherwise a part of a head is there, or the rest of a body that nobody reads.
        between = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        if between or self._between:  # further pieces do not give a head more time
            self._expect_head(self.limits.pause if between else self.limits.head)
        self._between = between

    def _expect_head(self, seconds: float) -> None:
        self._stop_expecting_head()
        self._head = self.loop.call_later(seconds, self.transport.close)

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
    """A WebSocket; `Limits.streams` limits their number."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = limits
        self.since = self.loop.time()
        # Time for the client's closing frame. uvicorn's default would let a silent client stay for 10 s more.
        self.close_timeout = _GOODBYE

    @property
    def waits_for_client(self) -> bool:
        """Whether only the client's closing frame is missing."""
        return self.close_sent

    def handle_ping(self) -> None:
        pong = b"".join(self.conn.data_to_send())
        # A client that does not read pongs gets no more of them; they would accumulate.
        if self.writable.is_set():
            self.transport.write(pong)
