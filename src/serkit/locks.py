"""Locks that let one process at a time write to a file or folder."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serkit.errors import UserError

# Time between two looks at a lock that another process holds, in s.
_LOOK = 0.5


@contextmanager
def alone(place: Path, wait: bool = False) -> Iterator[None]:
    """Hold a system lock on a file or folder while the block writes to it.

    The lock ends with its process, even after a crash. If the system has no locks, as on some network drives, nothing
    is locked.

    Args:
        place: the file or folder, which may not exist yet.
        wait: whether to wait for another process that holds the lock; Ctrl-C ends the waiting.

    Raises:
        UserError: another process holds the lock, and `wait` is false.
    """
    # Short, because the name of the place may be as long as the system allows.
    name = hashlib.blake2b(os.fsencode(place.name), digest_size=8).hexdigest()
    lock = place.absolute().with_name(f".serkit-{name}.lock")
    descriptor = None
    try:
        while descriptor is None:
            try:
                descriptor = _hold(lock)
            except BlockingIOError:
                if not wait:
                    raise
                time.sleep(_LOOK)
    except BlockingIOError:
        raise UserError(f"{place}: another process is writing to it; wait for it, or choose another --out") from None
    except OSError:  # no locks, or no such folder: writing there raises the error
        yield
        return
    try:
        yield
    finally:
        _release(lock, descriptor)


def swept(folder: Path) -> bool:
    """Remove the lock files of ended processes from a folder; return whether no process holds another."""
    for lock in folder.glob(".serkit-*.lock"):
        try:
            descriptor = _hold(lock)
        except OSError:
            return False
        _release(lock, descriptor)
    return True


def _release(lock: Path, descriptor: int) -> None:
    # Windows cannot remove an open file; on other systems no second process can get in between.
    if sys.platform == "win32":
        os.close(descriptor)
    with suppress(OSError):
        lock.unlink()
    if sys.platform != "win32":
        os.close(descriptor)


def _hold(lock: Path) -> int:
    """Open and lock a file; returns its descriptor.

    Raises:
        BlockingIOError: another process has locked it.
    """
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
            # The previous holder may have removed the file after it was opened here; its lock then protects nothing.
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from None

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
