"""Many recordings: one bad one stops none of the others; several processes where asked for."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from serkit.errors import UserError, whole_number
from serkit.processes import end_with_parent
from serkit.recognition.bundle import BundleError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnContext

Result = TypeVar("Result")
#: What is done with a recording.
Work = Callable[[str | Path], Result]


@dataclass(frozen=True)
class Failure:
    """A recording that could not be used, and why."""

    file: str
    error: str


def each(work: Work[Result], paths: Iterable[str | Path], jobs: int) -> Iterator[Result | Failure]:
    """Do the same work with one recording after the other.

    With several jobs a recording that ends the process it is decoded in, by a crash of a library or for want of
    memory, is a failure like any other. With one job it ends the caller: there is no process of its own.

    Args:
        work: called with each recording. For several jobs it must be picklable, as a method of a `Recognizer` is.
        paths: recordings; no more are taken than are at work.
        jobs: processes at work; results keep the order of the paths. A daemonic process, which may not start
            others, works alone and warns.

    Returns:
        What the work gives, or a `Failure`, per path.

    Raises:
        UserError: `paths` is a single path, `jobs` is not a number from 1, or a process cannot be started.
        BundleError: what every recording would fail on.
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
    try:
        return work(path)
    except BundleError:  # every other recording would fail as well
        raise
    except UserError as error:
        return Failure(str(path), str(error))
    except MemoryError:
        return Failure(str(path), f"{path}: out of memory")
    except OSError as error:
        return Failure(str(path), f"{path}: {error.strerror or error}")
    except Exception as error:  # a fault of serkit: it costs this recording, not the thousands after it
        return Failure(str(path), f"{path}: unexpected {type(error).__name__} ({error})")


@dataclass
class _Waiting:
    """A recording that a pool has, or was to have."""

    path: str | Path
    future: Future[Any] | None = None


def _in_processes(pickled: bytes, paths: Iterable[str | Path], jobs: int) -> Iterator[Any]:
    """Work in several processes; where one ends, find out by which recording, and go on.

    The work stays pickled until a process has answered for itself: what it raises there is then an error as any other.
    """
    upcoming = iter(paths)
    while waiting := (yield from _together(pickled, upcoming, jobs)):
        yield from _one_by_one(pickled, waiting)


def _together(pickled: bytes, upcoming: Iterator[str | Path], jobs: int) -> Generator[Any, None, deque[_Waiting]]:
    """Work in a pool of processes, a few recordings ahead of the one that is asked for.

    Returns:
        The recordings that were waited for when a process ended; none where all are done.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pool = ProcessPoolExecutor(jobs, _context(), initializer=_start_worker, initargs=(pickled,))
    waiting: deque[_Waiting] = deque()
    try:
        for path in upcoming:
            waiting.append(_Waiting(path))
            with _interrupts_blocked():  # for the workers it starts, which inherit that
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
    """Wait for the result of the first recording, and take it off the queue once it is there."""
    assert waiting[0].future is not None
    result = waiting[0].future.result()
    waiting.popleft()
    return result


def _one_by_one(pickled: bytes, waiting: Iterable[_Waiting]) -> Iterator[Any]:
    """Give the results that a broken pool has left, and try the other recordings in a process that has only one."""
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
                result = Failure(str(one.path), f"{one.path}: the process that decoded it ended ({result})")
            yield result
    finally:
        if worker is not None:
            worker.close()


@dataclass(frozen=True)
class _Ended:
    """How a process ended, by what `multiprocessing` calls its exit code."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None or self.code >= 0:
            return f"exit code {self.code}"
        return f"signal {-self.code}{'; out of memory?' if self.code == -9 else ''}"


class _Worker:
    """A process that recognises one recording at a time.

    Raises:
        UserError: it cannot be started.
    """

    def __init__(self, pickled: bytes) -> None:
        self._connection, other = _context().Pipe()
        self._process = _context().Process(target=_serve, args=(other, pickled), daemon=True)
        with _interrupts_blocked():
            self._process.start()
        other.close()  # so that its end is heard
        if isinstance(ended := self._answer(), _Ended):
            raise UserError(
                f"a process that recognizes cannot be started ({ended}). In a script, several jobs need "
                "`if __name__ == '__main__':`; or use one job"
            )

    def attempt(self, path: str | Path) -> Any:
        """Return the result of a recording, or `_Ended` if it ends the process.

        Raises:
            BundleError: what every recording would fail on.
        """
        return self._answer(path)

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def _answer(self, *sent: Any) -> Any:
        """Send what there is to send, and wait for what the process says to it."""
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
    """Spawned on every system: a fork would copy the network's threads in whatever state they are."""
    import multiprocessing

    return multiprocessing.get_context("spawn")


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Put off Ctrl-C, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_work: Work[Any] | None = None


def _start_worker(pickled: bytes) -> None:
    global _work
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _work = pickle.loads(pickled)


def _attempt_in_worker(path: str | Path) -> Any:
    assert _work is not None
    return _attempt(_work, path)
