"""What can be read, and what is said of it when it is broken or looks wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from serkit.errors import UserError

# Python's own record of warnings belongs to the process: two threads would collect each other's.
_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


class AudioError(UserError):
    """A recording that cannot be used; the message begins with its path."""


class AudioWarning(UserWarning):
    """A recording that can be used but looks wrong: silent or truncated."""


@contextmanager
def collecting_warnings() -> Iterator[list[str]]:
    """Put the texts of this thread's AudioWarnings into a list, each once, instead of showing them."""
    texts: list[str] = []
    token = _collected.set(texts)
    try:
        yield texts
    finally:
        _collected.reset(token)


def warn(text: str, stacklevel: int = 2) -> None:
    """Warn of a recording that looks wrong; `stacklevel` counts from the caller, as in `warnings.warn`."""
    texts = _collected.get()
    if texts is None:
        warnings.warn(text, AudioWarning, stacklevel=stacklevel + 1)
    elif text not in texts:
        texts.append(text)


@dataclass(frozen=True)
class InMemory:
    """A recording that lies in memory, not in a file: one that came over a network, say.

    Args:
        content: what the file would hold, in any format that is read.
        name: what results and errors call it.
        whole: whether a truncated recording is an error; otherwise it is a warning, as for a file.
        longest: what has to be decoded to be measured is measured, and read, no further than a second beyond this many
            s; None: to its end.
    """

    content: bytes = field(repr=False)
    name: str = "recording"
    whole: bool = False
    longest: float | None = None

    def __str__(self) -> str:
        return self.name


#: What can be read: the path of a file, or the content of one.
Recording = str | Path | InMemory


@dataclass(frozen=True)
class Info:
    """What a recording is: `rate` in Hz, number of `channels`, length in `frames` (samples per channel)."""

    rate: int
    channels: int
    frames: int

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.frames / self.rate
