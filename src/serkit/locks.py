"""Places that one process at a time writes to."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serkit.errors import UserError


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold a file or folder while it is written, by a lock of the system's.

    The lock ends with its process, however that ends. Where the system has no locks, as on some network drives,
    nothing is held.

    Args:
        place: need not exist.

    Raises:
        UserError: another process holds it.
    """
    # Short: the name of the place may be as long as the system allows.
    name = hashlib.blake2b(os.fsencode(place.name), digest_size=8).hexdigest()
    lock = place.absolute().with_name(f".serkit-{name}.lock")
    try:
        descriptor = _hold(lock)
    except BlockingIOError:
        raise UserError(f"{place}: another process is writing to it; wait for it, or choose another --out") from None
    except OSError:  # no locks, or no such folder, which whoever writes there says
        yield
        return
    try:
        yield
    finally:
        # Windows removes no open file, others let no second process in between.
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
            # Whoever held it before may have removed it after it was opened here: then it keeps nobody out.
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
