"""Holding the server's work up, and waiting for what it does meanwhile."""

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def held(client):
    """Hold the one process of a server, so that what it is given is not done meanwhile; yields its number."""
    if os.name == "nt":
        pytest.skip("holds a process by a signal")
    [process] = client.app.state.service.workers.processes
    process.start()
    pid = process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        # A server that has ended it learns of its end a moment later.
        if process.pid == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def in_thread(call):
    """Call in a thread; returns it, and the list its result will be in."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    return thread, found


def wait_until(condition, seconds=20.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
