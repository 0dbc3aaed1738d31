"""Recordings, and the error and warning for recordings that are broken or look wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from serkit.errors import UserError

# Python records warnings per process, so that two threads would collect each other's.
_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


class AudioError(UserError):
    """A recording is unusable. The message begins with its path."""


class AudioWarning(UserWarning):
    """A recording is usable but looks wrong: it is silent or truncated."""


@contextmanager
def collecting_warnings() -> Iterator[list[str]]:
    """Collect the texts of this thread's AudioWarnings in a list, each once, instead of showing them."""
    texts: list[str] = []
    token = _collected.set(texts)
    try:
        yield texts
    finally:
        _collected.reset(token)


def warn(text: str, stacklevel: int = 2) -> None:
    """Warn about a recording that looks wrong; `stacklevel` counts from the caller, as in `warnings.warn`."""
    texts = _collected.get()
    if texts is None:
        warnings.warn(text, AudioWarning, stacklevel=stacklevel + 1)
    elif text not in texts:
        texts.append(text)


@dataclass(frozen=True)
class InMemory:
    """A recording in memory instead of a file, e.g. one received over a network.

    Args:
        content: content of the file, in any supported format.
        name: name in results and errors.
        whole: whether a truncated recording is an error; otherwise it is a warning, as for a file.
        longest: maximum length in s. A recording whose length is only known after decoding is decoded up to a second
            beyond it; None: to its end.
    """

    content: bytes = field(repr=False)
    name: str = "recording"
    whole: bool = False
    longest: float | None = None

    def __str__(self) -> str:
        return self.name


#: A recording to read: the path of a file, or the content of one.
Recording = str | Path | InMemory


@dataclass(frozen=True)
class Info:
    """Properties of a recording: `rate` in Hz, number of `channels`, length in `frames` (samples per channel)."""

    rate: int
    channels: int
    frames: int

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.frames / self.rate
