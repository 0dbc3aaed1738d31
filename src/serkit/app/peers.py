"""Questions and answers between the processes of one server.

Each process that serves has a socket to the one that started it, which passes questions on. Nothing is written to disk
and nothing listens, so no other program can ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

_LOG = logging.getLogger("serkit.app")

# Longest message in bytes: the answer of a job.
_LONGEST = 1 << 30

#: Time in s for an answer; a process that takes longer hangs.
PATIENCE = 10.0


class Gone(Exception):
    """The other process has ended, or does not answer."""


class Link:
    """A connection to another process: JSON lines, each a question or an answer.

    Args:
        answer: answers the questions of the other process, given what is asked and with what.
    """

    def __init__(self, answer: Callable[[str, Any], Awaitable[Any]]) -> None:
        self._answer = answer
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self, connection: socket.socket) -> None:
        """Take a socket; `run` receives from it."""
        self._reader, self._writer = await asyncio.open_connection(sock=connection, limit=_LONGEST)

    async def run(self) -> None:
        """Receive questions and answers until the other process has ended."""
        try:
            with contextlib.suppress(ConnectionError):
                while line := await self._reader.readline():
                    self._receive(json.loads(line))
        finally:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(Gone())

    def _receive(self, message: dict[str, Any]) -> None:
        if "what" in message:
            task = asyncio.get_running_loop().create_task(self._reply(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (future := self._asked.pop(message["number"], None)) is not None and not future.done():
            future.set_result(message["answer"])

    async def _reply(self, message: dict[str, Any]) -> None:
        try:
            answer = await self._answer(message["what"], message["about"])
        except Exception as error:
            _LOG.error("a question of another process failed", exc_info=error)
            answer = None
        with contextlib.suppress(Gone):
            await self._send({"number": message["number"], "answer": answer})

    async def ask(self, what: str, about: Any = None, patience: float = PATIENCE) -> Any:
        """Ask the other process.

        Raises:
            Gone: it has ended, or does not answer in time.
        """
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"number": number, "what": what, "about": about})
            async with asyncio.timeout(patience):
                return await future
        except TimeoutError:
            raise Gone from None
        finally:
            self._asked.pop(number, None)

    async def _send(self, message: dict[str, Any]) -> None:
        if self._writer is None:
            raise Gone
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
        except ConnectionError:
            raise Gone from None


class Peers:
    """The other processes of a server, as one of them sees them.

    Args:
        number: number of this process; the id of each of its jobs begins with it.
        link: connection to the process that started it.
    """

    def __init__(self, number: int, link: Link) -> None:
        self.number = number
        self._link = link

    def holds(self, job: str) -> bool:
        """Return whether another process may hold a job."""
        return job.partition(".")[0] != str(self.number)

    async def metrics(self) -> str:
        """Return the metrics of all processes together."""
        try:
            text: str = await self._link.ask("metrics")
        except Gone:
            raise HTTPException(503, "the server stops") from None
        return text

    async def job(self, action: str, id: str) -> Response:
        """Do something with a job of another process.

        Raises:
            HTTPException: the other process answers with an error, or has ended, and its jobs with it (404).
        """
        try:
            found = await self._link.ask("job", {"action": action, "id": id}, patience=2 * PATIENCE)
        except Gone:
            found = None
        if found is None:
            raise HTTPException(404, "no such job; if the process that held it has ended, send the recording again")
        if "error" in found:
            raise HTTPException(found["status"], found["error"])
        return Response(found["body"], found["status"], media_type=found["type"])
