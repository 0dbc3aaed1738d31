"""What happens to memory that a training has freed."""

from __future__ import annotations

import ctypes
import functools
import sys

# Options of glibc's `mallopt`, from malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@functools.cache
def keep_freed() -> None:
    """Let the process keep the memory that it frees, where the C library is glibc; otherwise do nothing.

    A training step frees its maps and gradients, and the next one asks for the same amounts. By default, glibc returns
    arrays of more than 32 MB to the system at once, and the system then clears every page of the next one: up to a
    third of the time of a step. The process keeps the largest amount that it has ever used. Results do not change.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_MAX, 0)  # large arrays come from the heap
    mallopt(_TRIM_THRESHOLD, -1)  # which never shrinks
