"""Listings: the recordings of a request, in an order that is the same for every shard, read in constant memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from typing import Generic, TypeVar

from serkit import remote
from serkit.errors import UserError
from serkit.shards import Shard

Thing = TypeVar("Thing")

# Characters of the longest line of a list; systems allow paths of 4096 bytes, and signatures make URLs longer.
_LONGEST = 2**16


@dataclass(frozen=True)
class Listing(Generic[Thing]):
    """Recordings in order.

    Args:
        each: returns them anew on each call.
        name: returns the name of one, a path or URL.
        there: returns one with its name as it is on disk; applied to those of a shard only.

    Raises:
        UserError: there is none, or the list cannot be read.
    """

    each: Callable[[], Iterable[Thing]]
    name: Callable[[Thing], str]
    there: Callable[[Thing], Thing] = lambda thing: thing
    #: Number of recordings.
    total: int = field(init=False)
    #: Hash of the names. URLs count without their signatures, which change.
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        hashed, total = hashlib.blake2b(digest_size=16), 0
        for total, thing in enumerate(self.each(), 1):  # noqa: B007  # the last is the total
            hashed.update(remote.name(self.name(thing)).encode(errors="surrogateescape") + b"\0")
        if not total:
            raise UserError("there is no recording in the listing")
        object.__setattr__(self, "total", total)
        object.__setattr__(self, "digest", hashed.hexdigest())

    def of(self, shard: Shard) -> Iterator[Thing]:
        """Yield the recordings of a shard."""
        block = shard.block(self.total)
        return map(self.there, islice(self.each(), block.start, block.stop))

    def divided(self, count: int) -> Iterator[tuple[Shard, list[Thing]]]:
        """Yield each of `count` shards with its recordings."""
        things = iter(self.each())
        for index in range(1, count + 1):
            shard = Shard(index, count)
            yield shard, [self.there(thing) for thing in islice(things, len(shard.block(self.total)))]


def lines(path: str) -> Iterator[str]:
    """Yield the paths and URLs that a file lists, one per line; relative paths start at the current folder.

    Raises:
        UserError: the file cannot be read, is no text, or lists nothing.
    """
    if remote.is_url(path):
        raise UserError(
            f"{remote.name(path)}: --list takes a file of this machine; download the list, and give its path"
        )
    found = False
    try:
        # Names of files need not be UTF-8. Windows begins UTF-8 with a byte order mark.
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            for number in count(1):
                if not (line := file.readline(_LONGEST + 1)):
                    break
                if "\0" in line or len(line) > _LONGEST:
                    raise UserError(
                        f"{path}: line {number} is no path or URL; --list takes UTF-8 text with one per line"
                    )
                if not line.isspace():
                    found = True
                    yield line.rstrip("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not found:
        raise UserError(f"{path}: lists no recording; write a path or URL per line")


def repeatable(path: str) -> Callable[[], Iterator[str]]:
    """Return what yields the lines of a file, as often as it is called.

    Raises:
        UserError: it is a pipe, which can be read once.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise UserError(f"{path}: is a pipe or device, but parts require a list that can be read again; write a file")
    return partial(lines, path)
