"""The store: computed features, each under the hash of all that decides its numbers.

Arrays are files of their own, written under a temporary name and renamed: several processes may share a
store, and a kill at any moment leaves only whole arrays. What recordings contain is remembered by path,
size and time of change, so that a second run decodes nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, overload

import numpy as np

from serkit import audio, augment
from serkit.atomic import writing
from serkit.errors import UserError
from serkit.features import Feature, config
from serkit.items import Item, Windowing
from serkit.progress import bar

# What a damaged array file raises.
_BROKEN = (ValueError, SyntaxError, KeyError, TypeError)
# Length in bytes that no header of `np.save` reaches here.
_LONGEST_HEADER = 256

#: Arrays kept in memory by one `Arrays`, in bytes; beyond it they are read again when asked for.
MEMORY = 4 << 30


class StoreError(UserError):
    """A store that cannot be used, whatever is computed; the message begins with its place."""


def default_folder() -> Path:
    """Where the store lies: `SERKIT_CACHE`, or `.cache/serkit` in the home folder.

    Raises:
        StoreError: there is neither, as for a user whom the system does not know.
    """
    try:
        return Path(os.environ.get("SERKIT_CACHE") or Path.home() / ".cache" / "serkit")
    except RuntimeError:
        raise StoreError("there is no home folder for the cache: set SERKIT_CACHE to a folder") from None


def digest(content: Any) -> str:
    """Hash anything JSON can hold, independent of the order of keys: 32 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Store:
    """A folder of arrays by key, and the content hashes of recordings.

    Args:
        folder: where it lies; made when needed. None: `default_folder()`.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()

    def path(self, key: str) -> Path:
        """Return where the array of a key lies, or would lie."""
        return self.folder / "arrays" / key[:2] / f"{key[2:]}.npy"

    def __contains__(self, key: str) -> bool:
        """Tell whether the array of a key is there and whole."""
        try:
            with self.path(key).open("rb") as file:
                begin, kind, shape = _parse_header(file.read(_LONGEST_HEADER))
                # A power cut can leave an empty or cut-off file behind a rename: it is computed again.
                return file.seek(0, os.SEEK_END) == begin + kind.itemsize * math.prod(shape)
        except (FileNotFoundError, *_BROKEN):
            return False

    def save(self, key: str, array: np.ndarray) -> None:
        """Write an array so that no reader ever sees half of it.

        Raises:
            StoreError: the disk is full, or the store cannot be written to.
        """
        path = self.path(key)
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            # `open` is the inner block: it closes the file before the outer one renames it.
            with writing(path) as temporary, open(temporary, "wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raise StoreError where the system refuses to write."""
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(
                f"{self.folder}: the cache cannot be written ({reason}); make room, or set SERKIT_CACHE to another"
            ) from None

    def load(self, key: str) -> np.ndarray:
        """Read an array.

        Raises:
            StoreError: the file is not there, or broken; then it is removed, so that the next run computes it again.
        """
        path = self.path(key)
        try:
            content = path.read_bytes()
            begin, kind, shape = _parse_header(content)
            # `np.load` takes twice as long for arrays this small. A bytearray makes the array writable.
            return np.frombuffer(bytearray(content), kind, offset=begin).reshape(shape)
        except FileNotFoundError:
            raise StoreError(f"{path}: no longer in the store; run again") from None
        except _BROKEN as error:
            path.unlink(missing_ok=True)
            raise StoreError(f"{path}: broken array in the store ({error}). It was removed; run again") from None

    def hashes(self, paths: Iterable[Path], jobs: int = 1) -> tuple[dict[Path, str], dict[Path, str]]:
        """Return the content hash of each recording, decoding only those new or changed since last time.

        Args:
            paths: recordings.
            jobs: threads that decode.

        Returns:
            Hash by path, and error message by path for those that cannot be read.
        """
        paths = list(dict.fromkeys(paths))
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            # Closed by hand: leaving a connection's `with` block commits but does not close it.
            index = sqlite3.connect(self.folder / "recordings.sqlite", timeout=60)
        try:
            with self._writing():
                index.execute("CREATE TABLE IF NOT EXISTS recordings (path PRIMARY KEY, size, changed, hash)")
            # One by one: a store may know far more recordings than are asked for.
            known = "SELECT size, changed, hash FROM recordings WHERE path = ?"
            found, failed, states = {}, {}, {}
            for path in paths:
                try:
                    stat = path.stat()
                except OSError:
                    failed[path] = f"{path}: no such file"
                    continue
                states[path] = (stat.st_size, stat.st_mtime_ns)
                entry = index.execute(known, (str(path.absolute()),)).fetchone()
                if entry and entry[:2] == states[path]:
                    found[path] = entry[2]
            new = {}
            missing = [path for path in states if path not in found]
            for path, result in _in_threads(audio.content_hash, missing, jobs, "reading"):
                if isinstance(result, audio.AudioError):
                    failed[path] = str(result)
                else:
                    new[path] = result
            rows = [(str(path.absolute()), *states[path], value) for path, value in new.items()]
            with self._writing(), index:
                index.executemany("INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?)", rows)
        finally:
            index.close()
        return {path: (found | new)[path] for path in paths if path not in failed}, failed

    @staticmethod
    def identity(
        item: Item, hashes: Mapping[Path, str], windowing: Windowing, channel: str | None = None
    ) -> dict[str, Any]:
        """Return what decides an item's samples, fit for `digest`.

        Raises:
            UserError: no such channel, or a recording whose hash is not among `hashes`.
        """
        utterance = item.utterance

        def heard(path: Path) -> str:
            if path not in hashes:
                raise UserError(f"{utterance.id}: {path} could not be read")
            return hashes[path]

        identity: dict[str, Any] = {
            "audio": heard(utterance.path),
            "source": [utterance.index],
            "interval": [utterance.start, utterance.end, item.start, item.end],
            "fit": [windowing.seconds, windowing.tail],
        }
        if channel is not None:
            # The speech stays in: it sets the length.
            source = item.channel(channel)
            identity["channel"] = [heard(source.path), source.index, source.start]
        if item.copy:
            made = augment.build(item.copy)
            identity["copy"] = [type(made).__name__, asdict(made), item.seed, utterance.id]
        return identity

    def features(
        self,
        feature: Feature,
        items: Sequence[Item],
        hashes: Mapping[Path, str],
        windowing: Windowing,
        channel: str | None = None,
        jobs: int = 1,
        failed: dict[str, str] | None = None,
    ) -> Arrays:
        """Compute a feature of every item, or find it: only what is missing is computed.

        Args:
            feature: the front end.
            items: what to compute it of.
            hashes: content hash by path, for every file the items read; of a further channel's items the speech too.
            windowing: how the items were cut.
            channel: name of a further channel; None: the speech.
            jobs: threads that compute.
            failed: receives the error message by utterance of the items that cannot be read, which then have no array;
                None: the first one is raised.

        Returns:
            One array per item, in their order.
        """
        made = config(feature)
        keys = [digest([made, self.identity(item, hashes, windowing, channel)]) for item in items]
        # Two items of one content have one key, and are computed once.
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in self}

        def compute(group: list[tuple[str, Item]]) -> None:
            for key, item in group:
                self.save(key, feature(item.signal(feature.rate, windowing, channel)))

        groups = [list(group) for _, group in groupby(missing.items(), key=lambda pair: pair[1].utterance.id)]
        unread: dict[str, str] = {}
        for group, result in _in_threads(compute, groups, jobs, feature.name):
            if isinstance(result, audio.AudioError):
                if failed is None:
                    raise result
                unread |= {key: str(result) for key, _ in group}
        if failed is not None:
            failed |= {item.utterance.id: unread[key] for key, item in zip(keys, items, strict=True) if key in unread}
        return Arrays(self, keys)


@dataclass
class Arrays(Sequence[np.ndarray]):
    """Arrays of a store by position, read when first asked for and kept while `MEMORY` lasts."""

    store: Store
    keys: list[str]

    def __post_init__(self) -> None:
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if index not in self._kept:
            array = self.store.load(self.keys[index])
            if self._bytes + array.nbytes > MEMORY:
                return array
            self._kept[index] = array
            self._bytes += array.nbytes
        return self._kept[index]


def _parse_header(content: bytes) -> tuple[int, np.dtype, tuple[int, ...]]:
    """Return where the numbers begin in a file that `np.save` wrote, their type and the array's shape."""
    if content[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("no NumPy array of version 1.0")
    begin = 10 + int.from_bytes(content[8:10], "little")
    header = ast.literal_eval(content[10:begin].decode("latin-1"))
    return begin, np.dtype(header["descr"]), header["shape"]


def _in_threads(work: Callable, tasks: Sequence, jobs: int, description: str):
    """Yield `(task, result or AudioError)` as they are done; NumPy and libsndfile release the GIL."""

    def guarded(task):
        try:
            return work(task)
        except audio.AudioError as error:
            return error

    with bar(description, len(tasks)) as advance, ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = {pool.submit(guarded, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                advance(1)
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
