"""Results of many recordings in parts: a Parquet file for each shard, in one folder on a disk or at a URL.

A part appears complete or not at all, and one that exists is not made again: shards may run anywhere, in any order and
more than once. Each part says what was asked for, so that parts of two requests are never joined.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serkit.errors import Damaged, UserError
from serkit.remote import Folder
from serkit.shards import Shard

_NAME = re.compile(r"part-(\d{6,9})-of-(\d{6,9})\.parquet")
_KEY = b"serkit"


@dataclass(frozen=True)
class About:
    """What a part says of itself.

    Args:
        kind: command that wrote it: `predict` or `features`.
        request: what was asked for, by name: the same in all parts of a folder.
        recordings: number of recordings in the part.
        failed: number of those that could not be used.
    """

    kind: str
    request: Mapping[str, Any]
    recordings: int = 0
    failed: int = 0

    def metadata(self) -> dict[bytes, bytes]:
        """Return this as the metadata of a Parquet file."""
        return {_KEY: json.dumps(vars(self)).encode()}


#: Returns the columns of a part, as pyarrow's `Schema`.
Columns = Callable[[About], Any]


@dataclass(frozen=True)
class Parts:
    """A folder of parts.

    Args:
        place: path or URL of the folder.
    """

    place: str
    folder: Folder = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Folder(self.place))

    def done(self) -> tuple[set[int], int]:
        """Return the indices of the shards whose part exists, and how many shards there are; 0: no part exists.

        Raises:
            UserError: the folder holds parts of two divisions.
        """
        found = [match for file in self.folder.names() if (match := _NAME.fullmatch(file))]
        counts = {int(match[2]) for match in found}
        if len(counts) > 1:
            raise UserError(f"{self.folder}: holds parts of {' and of '.join(map(str, sorted(counts)))} shards")
        return {int(match[1]) for match in found}, next(iter(counts), 0)

    def begin(self, count: int, wanted: About) -> set[int]:
        """Return the indices of the shards that are done.

        Args:
            count: number of shards of this request.
            wanted: what the parts hold.

        Raises:
            UserError: the folder holds parts of another request.
        """
        done, before = self.done()
        if before not in (0, count):
            raise UserError(f"{self.folder}: holds parts of {before} shards, not {count}; choose another --out")
        if done:
            self.check(self.about(Shard(min(done), count)), wanted)
        return done

    def check(self, found: About, wanted: About) -> None:
        """Raise UserError if a part is of another request."""
        if differing := _differing(found, wanted):
            raise UserError(
                f"{self.folder}: holds parts of a request that differs in: {', '.join(differing)}; choose another --out"
            )

    def about(self, shard: Shard, columns: Columns | None = None) -> About:
        """Return what a part says of itself.

        Args:
            shard: the shard of the part.
            columns: returns the columns that a part must have; raises KeyError or TypeError if this serkit does not
                know such a part. None: they are not looked at.

        Raises:
            UserError: it is not a part that serkit wrote, or another serkit wrote it.
        """
        with self.opened(shard) as part:
            try:
                told = json.loads(part.metadata.metadata[_KEY])
            except (KeyError, TypeError, ValueError):
                raise self._broken(shard) from None
            try:
                about = About(**told)
                fits = isinstance(about.request, dict)
                fits = fits and (columns is None or part.schema_arrow.equals(columns(about)))
            except (KeyError, TypeError):
                fits = False
            if not fits:
                raise UserError(
                    f"{self.folder}/{name(shard)}: was written by another version of serkit, which this one cannot "
                    "read; use that version, or make all parts again in another folder"
                )
            return about

    def all(self) -> list[Shard]:
        """Return the shards, whose parts all exist and are of one request.

        Raises:
            UserError: there is no part, shards are missing, or parts are of two requests.
        """
        done, count = self.done()
        if not done:
            raise UserError(f"{self.folder}: holds no part; `serkit predict ... --shard I/N --out FOLDER` writes one")
        shards = [Shard(index, count) for index in range(1, count + 1)]
        lacking = [shard for shard in shards if shard.index not in done]
        if lacking:
            named = ", ".join(str(shard.index) for shard in lacking[:20]) + (", ..." if len(lacking) > 20 else "")
            raise UserError(
                f"{self.folder}: {len(lacking)} of {count} shards are missing: {named}; run them again, "
                f"e.g. with --shard {lacking[0]}"
            )
        return shards

    def agreed(self, columns: Columns | None = None) -> About:
        """Return what the parts say of themselves, which all exist and are of one request.

        Args:
            columns: as in `about`.

        Raises:
            UserError: there is no part, shards are missing, one is not a part, or parts are of two requests.
        """
        first, *others = self.all()
        about = self.about(first, columns)
        for shard in others:
            if differing := _differing(self.about(shard, columns), about):
                raise UserError(
                    f"{self.folder}: {name(shard)} is of another request than {name(first)}; they differ in: "
                    f"{', '.join(differing)}; remove the one that does not belong here, and run its shard again"
                )
        return about

    def verify(self) -> None:
        """Read all parts, which all exist.

        Raises:
            UserError: some are damaged.
        """
        damaged: list[Shard] = []
        for shard in self.all():
            try:
                with self.opened(shard) as part:
                    for _ in part.iter_batches():
                        pass
            except Damaged:
                damaged.append(shard)
        if len(damaged) == 1:
            raise self._broken(damaged[0])
        if damaged:
            named = ", ".join(map(name, damaged[:20])) + (", ..." if len(damaged) > 20 else "")
            raise UserError(
                f"{self.folder}: {len(damaged)} parts are damaged: {named}; remove them and run their shards again, "
                f"e.g. with --shard {damaged[0]}"
            )

    @contextmanager
    def writing(self, shard: Shard) -> Iterator[Path]:
        """Yield a path to write a part to; it appears in the folder if the block succeeds."""
        with self.folder.writing(name(shard)) as path:
            yield path

    @contextmanager
    def opened(self, shard: Shard) -> Iterator[Any]:
        """Open a part: yields pyarrow's `ParquetFile`.

        Raises:
            UserError: it is damaged, or no Parquet file. The block may find this out as it reads.
        """
        import pyarrow as pa
        import pyarrow.parquet as parquet

        with self.folder.opened(name(shard)) as stream:
            try:
                yield parquet.ParquetFile(stream, page_checksum_verification=True)
            except (pa.ArrowException, UnicodeDecodeError):
                raise self._broken(shard) from None
            except OSError as error:
                if error.errno is not None:
                    raise
                # Arrow's own, about the content.
                raise self._broken(shard) from None

    def _broken(self, shard: Shard) -> Damaged:
        return Damaged(
            f"{self.folder}/{name(shard)}: is damaged, or is not a part; remove it and run shard {shard} again"
        )


def _differing(found: About, wanted: About) -> list[str]:
    """Return the names of what differs between two requests."""
    one, other = ({"command": about.kind, **about.request} for about in (found, wanted))
    return [key for key in {**other, **one} if one.get(key) != other.get(key)]


def name(shard: Shard) -> str:
    """Return the name of a shard's part.

    >>> name(Shard(3, 10))
    'part-000003-of-000010.parquet'
    """
    return f"part-{shard.index:06d}-of-{shard.count:06d}.parquet"
