"""Run the server: the socket, uvicorn, a graceful stop, and SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvicorn
from fastapi import FastAPI

from serkit.app import connections
from serkit.app.limits import Limits
from serkit.app.processes import STOPPING
from serkit.app.service import Service
from serkit.errors import UserError
from serkit.processes import unblock

_LOG = logging.getLogger("serkit.app")

#: Time in s for pending requests to finish after a stop signal.
GRACE = 30

#: Connections that may wait to be accepted.
BACKLOG = 512


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; port 0 is any free port.

    Raises:
        UserError: the address is in use, forbidden, or not of this computer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Not strerror, in which Python repeats the address.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UserError(f"cannot listen on {host}:{port}: {why}; try another --port or --host") from None


def url(listening: socket.socket) -> str:
    """Return the address to open in a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def main_loop(self) -> None:
        # From here on, a signal causes a graceful stop.
        unblock(*STOPPING)
        self._started()
        await super().main_loop()


def run(
    app: FastAPI,
    listening: socket.socket,
    log_requests: bool = False,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish pending requests. SIGHUP loads the models again.

    Args:
        app: the application.
        listening: its socket.
        log_requests: whether to log each request to stderr as text.
        started: called in the event loop once the server answers requests.
    """
    service: Service = app.state.service
    hangup = Hangup()

    def start() -> None:
        hangup.watch(lambda: report(service.reload()))
        started()

    service.workers.start()
    try:
        _Server(configure(app, service.limits, log_requests), start).run([listening])
    finally:
        # uvicorn does not notify the application of the shutdown after a forced stop.
        service.workers.close()


def run_worker(app: FastAPI, listening: socket.socket, log_requests: bool, started: Callable[[], None]) -> None:
    """Serve as one of several processes with one socket; arguments are those of `run`."""
    service: Service = app.state.service

    def start() -> None:
        # It was shortened so that a process accepts only one connection at a time.
        listening.listen(BACKLOG)
        started()

    service.workers.start()
    try:
        _Server(configure(app, service.limits, log_requests, backlog=1), start).run([listening])
    finally:
        service.workers.close()


async def report(reloading: Awaitable[str | None]) -> None:
    """Reload the models, and log in one line what came of it."""
    if problem := await reloading:
        _LOG.error("the models are not reloaded, and stay as they are: %s", problem)
    else:
        _LOG.info("the models are reloaded")


class Hangup:
    """SIGHUP, which tells a server to load its models again, unless its terminal was closed: then it ends."""

    def __init__(self) -> None:
        # A user who starts it with nohup wants it to survive the terminal.
        kept = hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._ends_with_terminal = not kept and _has_terminal()
        self._reloading: set[asyncio.Task[None]] = set()

    def watch(self, reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Call a coroutine whenever the signal arrives in this event loop, on systems that have it."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._arrive, reload)

    def _arrive(self, reload: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._ends_with_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
            return
        task = asyncio.get_running_loop().create_task(reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)


def _has_terminal() -> bool:
    """Return whether this process belongs to a terminal that is open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def configure(app: FastAPI, limits: Limits, log_requests: bool = False, backlog: int = BACKLOG) -> uvicorn.Config:
    """Configure uvicorn.

    Args:
        app: the application.
        limits: limits of connections and messages.
        log_requests: whether to log each request.
        backlog: connections that it accepts at a time.
    """
    return uvicorn.Config(
        app,
        http=connections.http(limits),
        ws=connections.websocket(limits),
        ws_max_size=limits.message,
        # A client that does not read does not see a ping, and has then been silent for `idle` s.
        ws_ping_interval=limits.idle / 2,
        ws_ping_timeout=limits.idle / 2,
        # A compressed message may be a thousand times its size.
        ws_per_message_deflate=False,
        log_config=None,
        log_level=None,
        access_log=log_requests,
        server_header=False,
        backlog=backlog,
        timeout_keep_alive=math.ceil(limits.pause),
        timeout_graceful_shutdown=GRACE,
    )
