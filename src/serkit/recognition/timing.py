"""Time that a recognition spends on decoding, features and the network; it is only noted where someone asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeVar

Name = Literal["decode", "features", "network"]

Item = TypeVar("Item")


@dataclass
class Spent:
    """Time of one part of a recognition, which takes turns with the others.

    Args:
        began: start of the first piece, in ns since 1970.
        ended: end of the last piece, in ns since 1970.
        seconds: duration of all pieces, in s.
        pieces: their number, e.g. of batches of windows.
    """

    began: int
    ended: int
    seconds: float = 0.0
    pieces: int = 0


#: The time by part, in the order in which the parts began.
Times = dict[Name, Spent]

_TIMES: ContextVar[Times | None] = ContextVar("serkit_times", default=None)


@contextmanager
def measuring() -> Iterator[Times]:
    """Note the time of every `part` in the block."""
    times: Times = {}
    token = _TIMES.set(times)
    try:
        yield times
    finally:
        _TIMES.reset(token)


@contextmanager
def part(name: Name) -> Iterator[None]:
    """Add the time of the block to a part, inside of `measuring`; elsewhere do nothing."""
    if (times := _TIMES.get()) is None:
        yield
        return
    began, clock = time.time_ns(), time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - clock
        spent = times.setdefault(name, Spent(began, began))
        spent.ended = began + round(seconds * 1e9)
        spent.seconds += seconds
        spent.pieces += 1


def each(name: Name, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, and add the time that each takes to arrive to a part."""
    iterator = iter(items)
    while True:
        with part(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item
