"""Listings: the recordings of a request, in an order that is the same for every shard, read in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from serkit import remote
from serkit.errors import UserError
from serkit.shards import Shard

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Listing(Generic[Thing]):
    """Recordings in order.

    Args:
        each: returns them anew on each call.
        name: returns the name of one, a path or URL.

    Raises:
        UserError: there is none.
    """

    each: Callable[[], Iterable[Thing]]
    name: Callable[[Thing], str]
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
        return islice(self.each(), block.start, block.stop)

    def divided(self, count: int) -> Iterator[tuple[Shard, list[Thing]]]:
        """Yield each of `count` shards with its recordings."""
        things = iter(self.each())
        for index in range(1, count + 1):
            shard = Shard(index, count)
            yield shard, list(islice(things, len(shard.block(self.total))))


def lines(path: Path) -> Iterator[str]:
    """Yield the paths and URLs that a file lists, one per line; relative paths start at the current folder.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        # Names of files need not be UTF-8.
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                if line := line.strip("\r\n"):
                    yield line
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
