"""What recordings contain, remembered by path, size and time of change: what did not change is not decoded again.

The index is an SQLite file that several processes share and that may be lost at any time. A broken one is set aside and
begun anew; one that cannot be used now, because it is locked or its folder may not be written, is done without.
"""

from __future__ import annotations

import os
import sqlite3
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

#: Size in bytes and time of change in ns of a file.
State = tuple[int, int]

# Beside the table that older versions know, so that they can go on with it. A row without a checksum is theirs.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS recordings (path PRIMARY KEY, size, changed, hash)",
    "CREATE TABLE IF NOT EXISTS checksums (path PRIMARY KEY, checksum)",
)
_KNOWN = """
    SELECT size, changed, hash, checksum FROM recordings LEFT JOIN checksums USING (path) WHERE recordings.path = ?
"""

# What says nothing against the file itself.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
    }
)

# How long another process is waited for, in s.
_PATIENCE = 60.0


class CacheWarning(UserWarning):
    """Something in the cache was broken or out of reach, and is done again."""


class Contents:
    """Content hashes of recordings.

    Args:
        path: of the SQLite file; made when needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, states: Mapping[Path, State]) -> dict[Path, str]:
        """Return the content hash of each recording that is known as it is now."""

        def look(index: sqlite3.Connection) -> dict[Path, str]:
            found = {}
            # One by one: a store may know far more recordings than are asked for.
            for path, state in states.items():
                row = index.execute(_KNOWN, (_name(path),)).fetchone()
                if row and row[:2] == state and row[3] in (None, _checksum(path, state, row[2])):
                    found[path] = row[2]
            return found

        return self._use(look) or {}

    def keep(self, states: Mapping[Path, State], hashes: Mapping[Path, str]) -> None:
        """Remember the content hashes of recordings."""

        def write(index: sqlite3.Connection) -> None:
            rows = [(_name(path), *states[path], content) for path, content in hashes.items()]
            checksums = [(_name(path), _checksum(path, states[path], content)) for path, content in hashes.items()]
            with index:
                index.executemany("INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?)", rows)
                index.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?)", checksums)

        if hashes:
            self._use(write)

    def _use(self, work: Callable[[sqlite3.Connection], dict[Path, str] | None]) -> dict[Path, str] | None:
        """Open the index for a piece of work; None: the index cannot be used."""
        for attempt in (1, 2):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Closed by hand: leaving a connection's `with` block commits but does not close it.
                with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as index:
                    for table in _TABLES:
                        index.execute(table)
                    return work(index)
            except (sqlite3.Error, OSError) as error:
                # Of extended codes the low byte is the kind. Python itself finds text that is no UTF-8, without a code.
                kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
                if attempt == 2 or isinstance(error, OSError) or kind in _PASSING or not self._set_aside(error):
                    _warn(f"{self.path}: cannot be used ({error}); what is not known is read again")
                    return None
        return None

    def _set_aside(self, error: Exception) -> bool:
        """Rename a broken index; tells whether that was possible."""
        broken = self.path.with_suffix(".broken")
        try:
            os.replace(self.path, broken)
            for leftover in ("-journal", "-wal", "-shm"):
                Path(f"{self.path}{leftover}").unlink(missing_ok=True)
        except OSError:
            return False
        _warn(f"{self.path}: broken ({error}); it is now {broken.name}, and recordings are read again")
        return True


def _warn(text: str) -> None:
    warnings.warn(text, CacheWarning, stacklevel=2)


def _name(path: Path) -> str:
    # SQLite's text is UTF-8, which not every file's name is.
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def _checksum(path: Path, state: State, content: str) -> int:
    return zlib.crc32(f"{_name(path)}\0{state}\0{content}".encode())
