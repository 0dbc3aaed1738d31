"""Processes that recognize recordings, so that one a recording ends, or keeps for ever, costs that request only.

Recordings come from strangers, and libraries in C decode them: a fault there ends the process it happens in. The
server's own never decodes one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import multiprocessing
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from serkit.app.limits import Limits
from serkit.app.tasks import Task
from serkit.app.workers import Workers
from serkit.errors import UserError
from serkit.processes import end_with_parent

_LOG = logging.getLogger("serkit.app")

# Spawned on every system: a fork would copy the network's threads in whatever state they are.
_CONTEXT = multiprocessing.get_context("spawn")

# Signals by which a system ends a process for a fault of its own.
_CRASHES = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT") if hasattr(signal, name)
}


class Ended(Exception):
    """A process that ended instead of answering; `code` is what `multiprocessing` calls its exit code."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code

    @property
    def crashed(self) -> bool:
        """Whether it was a fault in the process itself; otherwise something ended it, for want of memory, say."""
        return self.code is not None and -self.code in _CRASHES

    def __str__(self) -> str:
        if self.code is None or self.code >= 0:
            return f"exit code {self.code}"
        return signal.Signals(-self.code).name


class Process:
    """A process with all recognizers, which does one task at a time and is started anew where it ended.

    Args:
        folders: of the recognizers' bundles, by name.
        limits: what it checks, and the memory it may take.
    """

    def __init__(self, folders: Mapping[str, Path], limits: Limits) -> None:
        self._arguments = (dict(folders), limits)
        # Of the thread that waits for it.
        self._asking = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Its number; None: it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it is ready.

        Raises:
            BundleError: it cannot load the recognizers.
            RuntimeError: it cannot be started.
        """
        with self._asking:
            self._start()

    def ask(self, task: Callable[..., Any]) -> Any:
        """Return what a task, called with the recognizers and the limits, returns or raises there.

        Raises:
            Ended: the process ended over it.
        """
        with self._asking:
            self._start()
            return self._answer(task)

    def end(self) -> None:
        """End it at once, from any thread, with whatever it has started; who waits for its answer gets `Ended`."""
        if (process := self._process) is None or process.pid is None:
            return
        if hasattr(os, "killpg"):
            # Until it leads a group of its own there is none of this number.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self.end()
        with self._asking:
            if self._process is not None:
                self._bury()

    def _start(self) -> None:
        if self._process is not None:
            if self._process.is_alive():
                return
            self._bury()
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        with _signals_blocked():
            self._process.start()
        theirs.close()  # so that the end of the process is heard
        try:
            self._answer()
        except UserError:
            self._bury()
            raise
        except Ended as ended:
            raise RuntimeError(f"a process that recognizes cannot be started ({ended})") from None

    def _answer(self, *sent: Any) -> Any:
        assert self._connection is not None
        try:
            for one in sent:
                self._connection.send(one)
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise Ended(self._bury()) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _bury(self) -> int | None:
        """Forget a process that has ended, and return its exit code."""
        assert self._process is not None and self._connection is not None
        self._connection.close()
        self._process.join()
        code = self._process.exitcode
        self._process = self._connection = None
        return code


class Processes(Workers):
    """Processes that do tasks, each replaced when it ends or is given up. They start when they are first needed.

    Args:
        count: at work at the same time.
        places: requests that may be there, at work or waiting.
        folders: of the recognizers' bundles, by name.
        limits: of every recording.
        lost: told why, each time a process is lost: `crashed`, `killed` or `timeout`.
    """

    def __init__(
        self,
        count: int,
        places: int,
        folders: Mapping[str, Path],
        limits: Limits,
        lost: Callable[[str], None] = lambda reason: None,
    ) -> None:
        super().__init__(count, places)
        self.processes = [Process(folders, limits) for _ in range(count)]
        self._lost = lost
        self._idle: asyncio.Queue[Process] = asyncio.Queue()
        for process in self.processes:
            self._idle.put_nowait(process)
        # One waits for each process while another starts it anew.
        self._threads = ThreadPoolExecutor(2 * count, thread_name_prefix="serkit")
        # Before `multiprocessing`, which at its own end would ask them to terminate, and wait: they do not listen.
        atexit.register(self.close)

    def start(self) -> None:
        """Start all in the background, so that no request has to wait for that."""
        for process in self.processes:
            self._start(process)

    async def _run(self, work: Callable[..., Any]) -> Any:
        process = await self._idle.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, process.ask, work)
        except Ended as ended:
            self._replace(process, "crashed" if ended.crashed else "killed")
            _LOG.warning("a process that recognizes ended over a recording (%s); another takes its place", ended)
            raise _loss(work, ended) from None
        except asyncio.CancelledError:  # its time is over, or the server stops
            process.end()
            self._replace(process, "timeout")
            raise
        finally:
            self._idle.put_nowait(process)

    def _replace(self, process: Process, reason: str) -> None:
        self._lost(reason)
        self._start(process)

    def _start(self, process: Process) -> None:
        # What goes wrong with it, the next request that needs it is told.
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._threads.submit(process.start)

    def close(self) -> None:
        """End them all."""
        atexit.unregister(self.close)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            process.end()  # so that no thread waits for it any more
        self._threads.shutdown(wait=True)
        for process in self.processes:
            process.close()


def _loss(work: Callable[..., Any], ended: Ended) -> Exception:
    """Build the error for the request that a process was lost over."""
    if not ended.crashed:
        return RuntimeError(f"a process that recognizes ended: {ended}")
    name = work.recording if isinstance(work, Task) else "recording"
    return UserError(f"{name}: the process that decoded it crashed ({ended}); the recording is probably broken")


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Put off what ends a server, for the process it starts, which inherits that until it has decided for itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, folders: Mapping[str, Path], limits: Limits) -> None:
    """Do tasks until the server has gone: in a process of its own."""
    _leave_the_server()
    from serkit.recognition import load

    try:
        recognizers = {name: load(folder) for name, folder in folders.items()}
    except UserError as error:
        connection.send(error)
        return
    # A body is here twice while it is received.
    _bound_memory(limits.memory + 2 * limits.body)
    connection.send(None)
    with contextlib.suppress(EOFError):
        while True:
            connection.send(_attempt(connection.recv(), recognizers, limits))


def _attempt(task: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return task(*arguments)
    except UserError as error:
        return error
    except Exception:
        # Its traceback, which the log wants, cannot be sent as it is.
        return RuntimeError(f"in a process that recognizes:\n{traceback.format_exc()}")


def _leave_the_server() -> None:
    """Outlive the signals that stop the server, which finishes what is in flight, but not the server itself."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, with whatever it starts
    end_with_parent()
    # What libraries write about broken recordings belongs neither into results nor into the log.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _bound_memory(more: int) -> None:
    """Let this process take so many bytes more than it has now, where the system can say and hold it (Linux)."""
    try:
        import resource

        [taken] = re.findall(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except (ImportError, OSError, ValueError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if (most := 1024 * int(taken) + more) < sys.maxsize and (hard == resource.RLIM_INFINITY or most < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
