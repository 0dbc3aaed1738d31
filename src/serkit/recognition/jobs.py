"""Processing of many recordings: a bad recording does not stop the others, and the work may use several processes."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from serkit import audio, remote
from serkit.errors import UserError, whole_number
from serkit.processes import blocked, end_with_parent
from serkit.recognition.bundle import BundleError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnContext

Result = TypeVar("Result")
#: The work on one recording.
Work = Callable[[Any], Result]


@dataclass(frozen=True)
class Failure:
    """A recording that could not be used, with the reason."""

    file: str
    error: str


def each(work: Work[Result], paths: Iterable[str | Path], jobs: int) -> Iterator[Result | Failure]:
    """Do the same work on each recording.

    With several jobs, a recording that ends its process (a library crashes, or memory runs out) is reported as a
    `Failure`. With one job, it ends the caller, because there is no separate process.

    Args:
        work: called with each recording. Several jobs require a picklable callable, such as a method of a `Recognizer`.
        paths: recordings, read from the iterable only as they are needed.
        jobs: number of processes; results keep the order of the paths. A daemonic process cannot start others; it works
            alone and warns.

    Returns:
        The result of the work, or a `Failure`, for each path.

    Raises:
        UserError: `paths` is a single path, `jobs` is not a number from 1, or a process cannot be started.
        BundleError: every recording would fail for the same reason.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise UserError(f"paths must be several recordings, got {paths!r}: write [{paths!r}]")
    jobs = whole_number("jobs", jobs, lowest=1)
    if jobs > 1 and not _may_start_processes():
        warnings.warn(f"jobs={jobs}: a daemonic process cannot start others; one job is used", stacklevel=3)
        jobs = 1
    if jobs > 1:
        return _in_processes(pickle.dumps(work), paths, jobs)
    return (_attempt(work, path) for path in paths)


def _may_start_processes() -> bool:
    import multiprocessing

    return not multiprocessing.current_process().daemon


def _attempt(work: Work[Result], path: str | Path) -> Result | Failure:
    name = remote.name(str(path))
    try:
        return work(_fetched(path))
    except BundleError:  # every other recording would fail as well
        raise
    except UserError as error:
        return Failure(name, str(error))
    except MemoryError:
        return Failure(name, f"{name}: out of memory")
    except OSError as error:
        return Failure(name, f"{name}: {error.strerror or error}")
    except Exception as error:  # a bug in serkit fails this recording only, not the thousands after it
        return Failure(name, f"{name}: unexpected {type(error).__name__} ({error})")


def _fetched(path: str | Path) -> Any:
    """Return a recording to read: the content of a URL, under its name without credentials."""
    if not isinstance(path, str) or not remote.is_url(path):
        return path
    return audio.InMemory(remote.fetch(path), remote.redacted(path))


@dataclass
class _Waiting:
    """A recording submitted to a pool, or still to be submitted."""

    path: str | Path
    future: Future[Any] | None = None


def _in_processes(pickled: bytes, paths: Iterable[str | Path], jobs: int) -> Iterator[Any]:
    """Work in several processes; if one ends, find the recording that ended it, and continue.

    The work stays pickled until a process has started, so that an error while it is unpickled is reported like any
    other.
    """
    upcoming = iter(paths)
    while waiting := (yield from _together(pickled, upcoming, jobs)):
        yield from _one_by_one(pickled, waiting)


def _together(pickled: bytes, upcoming: Iterator[str | Path], jobs: int) -> Generator[Any, None, deque[_Waiting]]:
    """Work in a pool of processes, a few recordings ahead of the requested one.

    Returns:
        The recordings that were pending when a process ended; empty if all are done.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(jobs, _context(), initializer=_start_worker, initargs=(pickled,))
    waiting: deque[_Waiting] = deque()
    try:
        for path in upcoming:
            waiting.append(_Waiting(path))
            with blocked(signal.SIGINT):  # inherited by the workers it starts
                waiting[-1].future = pool.submit(_attempt_in_worker, path)
            if len(waiting) > 4 * jobs:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    except BrokenProcessPool:
        pass
    finally:
        pool.shutdown(cancel_futures=True)
    return waiting


def _first(waiting: deque[_Waiting]) -> Any:
    """Wait for the result of the first recording, and remove it from the queue."""
    assert waiting[0].future is not None
    result = waiting[0].future.result()
    waiting.popleft()
    return result


def _one_by_one(pickled: bytes, waiting: Iterable[_Waiting]) -> Iterator[Any]:
    """Yield the results left by a broken pool, and retry each other recording alone in a process."""
    from concurrent.futures.process import BrokenProcessPool

    worker: _Worker | None = None
    try:
        for one in waiting:
            if one.future is not None and not isinstance(one.future.exception(), BrokenProcessPool):
                yield one.future.result()
                continue
            worker = worker or _Worker(pickled)
            result = worker.attempt(one.path)
            if isinstance(result, _Ended):
                worker = None
                name = remote.name(str(one.path))
                result = Failure(name, f"{name}: the process that decoded it ended ({result})")
            yield result
    finally:
        if worker is not None:
            worker.close()


@dataclass(frozen=True)
class _Ended:
    """How a process ended, from its exit code in `multiprocessing`."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None or self.code >= 0:
            return f"exit code {self.code}"
        return f"signal {-self.code}{'; out of memory?' if self.code == -9 else ''}"


class _Worker:
    """A process that recognizes one recording at a time.

    Raises:
        UserError: it cannot be started.
    """

    def __init__(self, pickled: bytes) -> None:
        self._connection, other = _context().Pipe()
        self._process = _context().Process(target=_serve, args=(other, pickled), daemon=True)
        with blocked(signal.SIGINT):
            self._process.start()
        other.close()  # so that its end closes the connection
        if isinstance(ended := self._answer(), _Ended):
            raise UserError(
                f"a process that recognizes cannot be started ({ended}). In a script, several jobs require "
                "`if __name__ == '__main__':`; or use one job"
            )

    def attempt(self, path: str | Path) -> Any:
        """Return the result of a recording, or `_Ended` if the recording ends the process.

        Raises:
            BundleError: every recording would fail for the same reason.
        """
        return self._answer(path)

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def _answer(self, *sent: Any) -> Any:
        """Send a message, and wait for the answer of the process."""
        try:
            for one in sent:
                self._connection.send(one)
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._connection.close()
            self._process.join()
            return _Ended(self._process.exitcode)
        if isinstance(answer, UserError):
            self.close()
            raise answer
        return answer


def _serve(connection: Connection, pickled: bytes) -> None:
    """Answer with None when ready, then each path with its result, until the other side closes."""
    try:
        _start_worker(pickled)
        connection.send(None)
        while True:
            connection.send(_attempt_in_worker(connection.recv()))
    except UserError as error:
        connection.send(error)
    except EOFError:
        pass


def _context() -> SpawnContext:
    """Processes are spawned on every system, because a fork would copy the network's threads in an undefined state."""
    import multiprocessing

    return multiprocessing.get_context("spawn")


_work: Work[Any] | None = None


def _start_worker(pickled: bytes) -> None:
    global _work
    # Ctrl-C reaches every process of a terminal; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _work = pickle.loads(pickled)


def _attempt_in_worker(path: str | Path) -> Any:
    assert _work is not None
    return _attempt(_work, path)
