"""Processes that others have started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def end_with_parent() -> None:
    """End this worker as soon as the process that started it has ended, however that came.

    Otherwise the workers of one that was killed would wait for ever, or train on unseen, beside the run that takes up
    its work.
    """
    # Here, because `serkit predict` starts no process and imports this file.
    import multiprocessing
    import threading

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def blocked(*signals: signal.Signals) -> Iterator[None]:
    """Postpone signals while a process starts, if the system can.

    The new process inherits the block until it says what it does with them. Otherwise Ctrl-C, which reaches every
    process of a terminal, would end it with a traceback while it still imports.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock(*signals: signal.Signals) -> None:
    """End the block of signals in a process that was started under it."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
