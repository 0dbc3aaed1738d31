"""Many recordings: one bad one stops none of the others; several processes where asked for."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.errors import UserError
from serkit.recognition.bundle import BundleError

if TYPE_CHECKING:
    from serkit.recognition.recognizer import Recognizer


@dataclass(frozen=True)
class Failure:
    """A recording that could not be used, and why."""

    file: str
    error: str


def each(
    recognizer: Recognizer, method: str, paths: Iterable[str | Path], jobs: int, **arguments: Any
) -> Iterator[Any]:
    """Call a method of a recogniser with one recording after the other.

    Args:
        recognizer: what recognises.
        method: name of one that takes a path first.
        paths: recordings; no more are taken than are at work.
        jobs: processes at work; results keep the order of the paths.
        arguments: of every call.

    Returns:
        What the method gives, or a `Failure`, per path.

    Raises:
        BundleError: what every recording would fail on.
    """
    if jobs > 1:
        return _in_processes(recognizer, method, paths, jobs, arguments)
    return (_attempt(recognizer, method, path, arguments) for path in paths)


def _attempt(recognizer: Recognizer, method: str, path: str | Path, arguments: dict[str, Any]) -> Any:
    try:
        return getattr(recognizer, method)(path, **arguments)
    except BundleError:  # every other recording would fail as well
        raise
    except UserError as error:
        return Failure(str(path), str(error))
    except OSError as error:
        return Failure(str(path), f"{path}: {error.strerror or error}")


def _in_processes(
    recognizer: Recognizer, method: str, paths: Iterable[str | Path], jobs: int, arguments: dict[str, Any]
) -> Iterator[Any]:
    """Work in several processes, a few recordings ahead of the one that is asked for."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Spawned on every system: a fork would copy the network's threads in whatever state they are.
    context = multiprocessing.get_context("spawn")
    folder = recognizer.bundle.folder
    pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(folder, recognizer.threads))
    try:
        waiting: deque = deque()
        for path in paths:
            with _interrupts_blocked():  # for the workers it starts, which inherit that
                waiting.append(pool.submit(_attempt_in_worker, method, path, arguments))
            if len(waiting) > 4 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise BundleError(
            f"{folder}: a process that recognises has ended (out of memory?); use one job. In a script, "
            "several jobs need `if __name__ == '__main__':`"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


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


_worker: Recognizer | None = None


def _start_worker(folder: Path, threads: int) -> None:
    from serkit.recognition.recognizer import load

    global _worker
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _worker = load(folder, threads)


def end_with_parent() -> None:
    """End this worker as soon as the process that started it has ended, however that came.

    Otherwise the workers of one that was killed would wait for ever, or train on unseen, beside the run that takes up
    its work.
    """
    import multiprocessing
    import threading

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _attempt_in_worker(method: str, path: str | Path, arguments: dict[str, Any]) -> Any:
    assert _worker is not None
    return _attempt(_worker, method, path, arguments)
