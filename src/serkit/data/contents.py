"""Content hashes of recordings, stored by path, size and modification time: unchanged files are not decoded again.

The index is an SQLite file that several processes share and that may be lost at any time. A broken index is renamed and
replaced by a new one; without a usable index, because it is locked or its folder is read-only, recordings are decoded.
"""

from __future__ import annotations

import os
import sqlite3
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

#: Size of a file in bytes and its modification time in ns.
State = tuple[int, int]

# The second table is separate so that older versions can still use the first. Rows without a checksum are theirs.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS recordings (path PRIMARY KEY, size, changed, hash)",
    "CREATE TABLE IF NOT EXISTS checksums (path PRIMARY KEY, checksum)",
)
_KNOWN = """
    SELECT size, changed, hash, checksum FROM recordings LEFT JOIN checksums USING (path) WHERE recordings.path = ?
"""

# Errors that do not mean that the file itself is broken.
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

# How long to wait for another process, in s.
_PATIENCE = 60.0


class CacheWarning(UserWarning):
    """Something in the cache was damaged or not accessible, and is computed again."""


class Contents:
    """Content hashes of recordings.

    Args:
        path: path of the SQLite file; created when needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, states: Mapping[Path, State]) -> dict[Path, str]:
        """Return the content hashes of the recordings that have not changed since they were stored."""

        def look(index: sqlite3.Connection) -> dict[Path, str]:
            found = {}
            # One by one: a store may hold far more recordings than requested.
            for path, state in states.items():
                row = index.execute(_KNOWN, (_name(path),)).fetchone()
                if row and row[:2] == state and row[3] in (None, _checksum(path, state, row[2])):
                    found[path] = row[2]
            return found

        return self._use(look) or {}

    def keep(self, states: Mapping[Path, State], hashes: Mapping[Path, str]) -> None:
        """Store the content hashes of recordings."""

        def write(index: sqlite3.Connection) -> None:
            rows = [(_name(path), *states[path], content) for path, content in hashes.items()]
            checksums = [(_name(path), _checksum(path, states[path], content)) for path, content in hashes.items()]
            with index:
                index.executemany("INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?)", rows)
                index.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?)", checksums)

        if hashes:
            self._use(write)

    def _use(self, work: Callable[[sqlite3.Connection], dict[Path, str] | None]) -> dict[Path, str] | None:
        """Open the index and run `work` on it; None: the index cannot be used."""
        for attempt in (1, 2):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Closed explicitly: leaving a connection's `with` block commits but does not close it.
                with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as index:
                    for table in _TABLES:
                        index.execute(table)
                    return work(index)
            except (sqlite3.Error, OSError) as error:
                # The low byte of an extended code is the kind. Python reports text that is not UTF-8 without a code.
                kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
                if attempt == 2 or isinstance(error, OSError) or kind in _PASSING or not self._set_aside(error):
                    _warn(f"{self.path}: cannot be used ({error}); recordings without a stored hash are read again")
                    return None
        return None

    def _set_aside(self, error: Exception) -> bool:
        """Rename a broken index; return whether that was possible."""
        broken = self.path.with_suffix(".broken")
        try:
            os.replace(self.path, broken)
            for leftover in ("-journal", "-wal", "-shm"):
                Path(f"{self.path}{leftover}").unlink(missing_ok=True)
        except OSError:
            return False
        _warn(f"{self.path}: damaged ({error}); renamed to {broken.name}, and recordings are read again")
        return True


def _warn(text: str) -> None:
    warnings.warn(text, CacheWarning, stacklevel=2)


def _name(path: Path) -> str:
    # SQLite stores text as UTF-8, which some file names are not.
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def _checksum(path: Path, state: State, content: str) -> int:
    return zlib.crc32(f"{_name(path)}\0{state}\0{content}".encode())
