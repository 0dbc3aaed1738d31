"""Processes that recognize recordings, so that a recording that crashes or blocks one costs only its request.

Recordings come from strangers, and C libraries decode them. A fault there ends the process. The server's own process
never decodes recordings.
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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.app.limits import Limits
from serkit.app.tasks import Task
from serkit.app.workers import Workers
from serkit.errors import UserError
from serkit.processes import blocked, end_with_parent, unblock

if TYPE_CHECKING:
    from serkit.recognition import Recognizer

_LOG = logging.getLogger("serkit.app")

# Spawned on every system, because a fork would copy the network's threads in an arbitrary state.
_CONTEXT = multiprocessing.get_context("spawn")

#: Signals that end a server.
STOPPING = (signal.SIGINT, signal.SIGTERM)

# Signals for the server, which a process manager may send to all its processes.
_OF_THE_SERVER = (*STOPPING, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

# Signals with which a system ends a process for a fault.
_CRASHES = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT") if hasattr(signal, name)
}


class Ended(Exception):
    """A process ended instead of answering; `code` is its exit code in `multiprocessing`."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code

    @property
    def crashed(self) -> bool:
        """Whether the process crashed; otherwise it was ended from outside, e.g. for lack of memory."""
        return self.code is not None and -self.code in _CRASHES

    def __str__(self) -> str:
        if self.code is None or self.code >= 0:
            return f"exit code {self.code}"
        return signal.Signals(-self.code).name


class Process:
    """A process with all recognizers. It does one task at a time and restarts if it has ended.

    Args:
        folders: folders of the recognizers' bundles, by name.
        limits: limits of recordings and memory.
    """

    def __init__(self, folders: Mapping[str, Path], limits: Limits) -> None:
        self._arguments = (dict(folders), limits)
        # Of the thread that waits for it.
        self._asking = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None: not running."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, unless it runs, and wait until it is ready.

        Raises:
            BundleError: it cannot load the recognizers.
            RuntimeError: the process cannot be started.
        """
        with self._asking:
            self._start()

    def ask(self, task: Callable[..., Any]) -> Any:
        """Call a task with the recognizers and the limits in the process; return its result or raise its error.

        Raises:
            Ended: the process has ended.
        """
        with self._asking:
            self._start()
            return self._answer(task)

    def end(self) -> None:
        """End the process and its children at once, from any thread; a waiting caller gets `Ended`."""
        if (process := self._process) is None or process.pid is None:
            return
        if hasattr(os, "killpg"):
            # The group does not exist until the process creates it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()

    def close(self) -> None:
        """End the process, and wait for its end."""
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
        with blocked(*STOPPING):
            self._process.start()
        theirs.close()  # so that the end of the process is noticed
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
        """Drop a process that has ended, and return its exit code."""
        assert self._process is not None and self._connection is not None
        self._connection.close()
        self._process.join()
        code = self._process.exitcode
        self._process = self._connection = None
        return code


class Processes(Workers):
    """Processes for tasks. Each starts on first use, and is replaced if it ends or is stopped.

    Args:
        count: at work at the same time.
        places: requests that may be there, at work or waiting.
        folders: of the recognizers' bundles, by name.
        limits: limits of every recording.
        lost: called with the reason whenever a process is lost: `crashed`, `killed` or `timeout`.
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
        self._limits = limits
        self.processes = [Process(folders, limits) for _ in range(count)]
        self._lost = lost
        self._idle: asyncio.Queue[Process] = asyncio.Queue()
        #: Those at work; after a change of models also some that are not in `processes`.
        self._busy: set[Process] = set()
        for process in self.processes:
            self._idle.put_nowait(process)
        # One thread waits for each process while another restarts it, or ends it after a change of models.
        self._threads = ThreadPoolExecutor(3 * count, thread_name_prefix="serkit")
        # Before `multiprocessing`, which at exit would ask them to terminate and wait, although they ignore it.
        atexit.register(self.close)

    def start(self) -> None:
        """Start all processes in the background, so that no request waits for them."""
        for process in self.processes:
            self._start(process)

    async def prepare(self, folders: Mapping[str, Path]) -> list[Process]:
        """Return processes with other bundles for `exchange`. As many are started as run now.

        Raises:
            BundleError: a bundle is broken.
            RuntimeError: a process cannot be started.
        """
        fresh = [Process(folders, self._limits) for _ in self.processes]
        loop = asyncio.get_running_loop()
        try:
            for new, old in zip(fresh, self.processes, strict=True):
                if old.pid is not None:
                    await loop.run_in_executor(self._threads, new.start)
        except BaseException:
            self.drop(fresh)
            raise
        return fresh

    def exchange(self, fresh: Sequence[Process]) -> None:
        """Do all further tasks in other processes; tasks in progress end in the process that they are in."""
        self.processes = list(fresh)
        while not self._idle.empty():
            self.drop([self._idle.get_nowait()])
        for process in fresh:
            self._idle.put_nowait(process)

    def drop(self, processes: Sequence[Process]) -> None:
        """End processes that are not, or no longer, used, in the background."""
        for process in processes:
            with contextlib.suppress(RuntimeError):  # closed in the meantime
                self._threads.submit(process.close)

    async def _run(self, work: Callable[..., Any]) -> Any:
        process = await self._idle.get()
        self._busy.add(process)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, process.ask, work)
        except Ended as ended:
            self._replace(process, "crashed" if ended.crashed else "killed")
            _LOG.warning("a process that recognizes ended over a recording (%s); another takes its place", ended)
            raise _loss(work, ended) from None
        except asyncio.CancelledError:  # timeout, or the server stops
            process.end()
            self._replace(process, "timeout")
            raise
        finally:
            self._busy.discard(process)
            if process in self.processes:
                self._idle.put_nowait(process)
            else:  # exchanged
                self.drop([process])

    def _replace(self, process: Process, reason: str) -> None:
        self._lost(reason)
        if process in self.processes:
            self._start(process)

    def _start(self, process: Process) -> None:
        # The next request that needs the process reports the error.
        with contextlib.suppress(RuntimeError):  # closed in the meantime
            self._threads.submit(process.start)

    def close(self) -> None:
        """End all processes."""
        atexit.unregister(self.close)
        self._threads.shutdown(wait=False, cancel_futures=True)
        everyone = {*self.processes, *self._busy}
        for process in everyone:
            process.end()  # so that no thread waits for it
        self._threads.shutdown(wait=True)
        for process in everyone:
            process.close()


def _loss(work: Callable[..., Any], ended: Ended) -> Exception:
    """Build the error for the request whose process was lost."""
    if not ended.crashed:
        return RuntimeError(f"a process that recognizes ended: {ended}")
    name = work.recording if isinstance(work, Task) else "recording"
    return UserError(f"{name}: the process that decoded it crashed ({ended}); the recording is probably broken")


def _serve(connection: Connection, folders: Mapping[str, Path], limits: Limits) -> None:
    """Main function of a process: do tasks until the server has gone."""
    _leave_the_server()
    from serkit.recognition import load

    try:
        recognizers = {name: load(folder) for name, folder in folders.items()}
    except UserError as error:
        connection.send(error)
        return
    for recognizer in recognizers.values():
        _warm_up(recognizer)
    # A body is in memory twice while it is received.
    _bound_memory(limits.memory + 2 * limits.body)
    connection.send(None)
    with contextlib.suppress(EOFError):
        while True:
            connection.send(_attempt(connection.recv(), recognizers, limits))


def _warm_up(recognizer: Recognizer) -> None:
    """Recognize a second of noise, so that no recording pays in time and memory for what is loaded only once."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=16000)
    with contextlib.suppress(Exception):  # the first recording will show it again, with its name
        recognizer.predict_signal(noise.astype(np.float32), 16000)


def _attempt(task: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return task(*arguments)
    except UserError as error:
        return error
    except Exception:
        # The log needs the traceback, which cannot be sent as an object.
        return RuntimeError(f"in a process that recognizes:\n{traceback.format_exc()}")


def _leave_the_server() -> None:
    """Ignore the signals for the server, which finishes pending requests, but end with the server."""
    for number in _OF_THE_SERVER:
        signal.signal(number, signal.SIG_IGN)
    unblock(*STOPPING)
    if hasattr(os, "setsid"):
        os.setsid()  # a new group, with all child processes
    end_with_parent()
    # Messages of libraries about broken recordings belong neither in results nor in the log.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _bound_memory(more: int) -> None:
    """Limit the additional memory of this process in bytes, if the system supports it (Linux)."""
    try:
        import resource

        [taken] = re.findall(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except (ImportError, OSError, ValueError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if (most := 1024 * int(taken) + more) < sys.maxsize and (hard == resource.RLIM_INFINITY or most < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
