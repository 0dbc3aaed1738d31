"""Run the server: the socket, uvicorn, and a graceful stop."""

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

#: Time in s for pending requests to finish after a stop signal.
GRACE = 30


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; port 0 is any free port.

    Raises:
        UserError: the address is in use, forbidden, or not of this computer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
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
    """Serve until SIGINT or SIGTERM, then finish pending requests.

    Args:
        app: the application.
        listening: its socket.
        limits: limits of connections and messages.
        workers: workers of the application, which are started now.
        log_requests: whether to log each request to stderr.
        started: called once the server answers requests.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if log_requests else logging.WARNING)
    # Errors in requests and forms are reported to the client.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    workers.start()
    try:
        _Server(configure(app, limits, log_requests), started).run([listening])
    finally:
        # uvicorn does not notify the application of the shutdown after a forced stop.
        workers.close()


def configure(app: FastAPI, limits: Limits, log_requests: bool = False) -> uvicorn.Config:
    """Configure uvicorn; arguments are those of `run`."""
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
        timeout_graceful_shutdown=GRACE,
    )
