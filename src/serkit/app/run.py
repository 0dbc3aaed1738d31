"""Listening: the socket, uvicorn, and a graceful stop."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from serkit.app import connections
from serkit.app.limits import Limits
from serkit.app.processes import Processes
from serkit.errors import UserError

#: Once told to stop, requests in flight have so many s to finish.
GRACE = 30


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; port 0 is any that is free.

    Raises:
        UserError: the address is taken, not allowed, or none of this computer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        # Not strerror: Python puts the address into it once more.
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
        # From here on a signal leads to a graceful stop.
        self._started()
        await super().main_loop()


def run(
    app: FastAPI,
    listening: socket.socket,
    limits: Limits,
    workers: Processes,
    log_requests: bool = False,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM; what is in flight is then finished.

    Args:
        app: what to serve.
        listening: where.
        limits: of connections and messages.
        workers: the application's, started now.
        log_requests: whether to write a line per request to stderr.
        started: called once requests are answered.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if log_requests else logging.WARNING)
    # Requests and forms are the client's: what is wrong with one, the client is told.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    workers.start()
    try:
        _Server(configure(app, limits, log_requests), started).run([listening])
    finally:
        # uvicorn does not tell the application of its end when it was told to hurry.
        workers.close()


def configure(app: FastAPI, limits: Limits, log_requests: bool = False) -> uvicorn.Config:
    """Configure uvicorn; arguments as in `run`."""
    return uvicorn.Config(
        app,
        http=connections.http(limits),
        ws=connections.websocket(limits),
        ws_max_size=limits.message,
        # Who does not read does not see a ping either, and has then been silent for `idle` s.
        ws_ping_interval=limits.idle / 2,
        ws_ping_timeout=limits.idle / 2,
        # A compressed message may be a thousand times its size.
        ws_per_message_deflate=False,
        log_config=None,
        log_level=None,
        access_log=log_requests,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
