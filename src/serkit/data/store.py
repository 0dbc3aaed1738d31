"""The store: computed features, each under a hash of everything that determines its values.

Each array is a file of its own, written under a temporary name and then renamed: several processes may share a
store, and a kill at any moment leaves only complete arrays. Each file carries a checksum that is verified on every
read; damaged arrays are computed again. Content hashes of recordings are stored (see `serkit.data.contents`), so that a
second run decodes nothing.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import json
import math
import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from serkit import audio, augment
from serkit.atomic import writing
from serkit.data.contents import CacheWarning, Contents
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.features import Feature, config
from serkit.progress import bar
from serkit.windowing import Windowing

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

# Marks the end of an array file, before a checksum of four bytes. Files from older versions end with their numbers.
_SEAL = b"sum1"
_SEALED = len(_SEAL) + 4
# Row length in 64-bit numbers for the sum of rows: a prime.
_COLUMNS = 521

# Exceptions that a damaged array file raises.
_BROKEN = (ValueError, SyntaxError, KeyError, TypeError)
# Length in bytes that no header of `np.save` reaches here.
_LONGEST_HEADER = 256

# Stores whose damage this process has already reported.
_warned: set[Path] = set()

#: Memory limit of one `Arrays` in bytes; arrays beyond it are read again on each access.
MEMORY = 4 << 30


class StoreError(UserError):
    """The store cannot be used, whatever is computed; the message begins with its location."""


def default_folder() -> Path:
    """Return the location of the store: `SERKIT_CACHE`, or `.cache/serkit` in the home folder.

    Raises:
        StoreError: there is neither, e.g. for a user without a home folder.
    """
    try:
        return Path(os.environ.get("SERKIT_CACHE") or Path.home() / ".cache" / "serkit")
    except RuntimeError:
        raise StoreError("there is no home folder for the cache: set SERKIT_CACHE to a folder") from None


def digest(content: Any) -> str:
    """Hash anything JSON can hold, independent of the order of keys: 32 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Lost(StoreError):
    """The array is missing from the store, or damaged."""


class Store:
    """A folder of arrays by key, and the content hashes of recordings.

    Args:
        folder: its location; created when needed. None: `default_folder()`.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()

    def path(self, key: str) -> Path:
        """Return the path of a key's array, whether it exists or not."""
        return self.folder / "arrays" / key[:2] / f"{key[2:]}.npy"

    def __contains__(self, key: str) -> bool:
        """Return whether the array of a key exists and is complete."""
        try:
            with self.path(key).open("rb") as file:
                begin, kind, shape = _parse_header(file.read(_LONGEST_HEADER))
                end = begin + kind.itemsize * math.prod(shape)
                # A power failure can leave an empty or truncated file after a rename: it is computed again.
                if file.seek(0, os.SEEK_END) in (end, end + _SEALED):
                    return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except _BROKEN:
            pass
        self.warn_of(key)
        return False

    def save(self, key: str, array: np.ndarray) -> None:
        """Write an array and its checksum so that no reader ever sees an incomplete file.

        Raises:
            StoreError: the disk is full, or the store cannot be written to.
        """
        path = self.path(key)
        with self._writing():
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(array), allow_pickle=False)
            content.write(_seal(key, content.getbuffer()))
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed: that takes longer than most features. After a power failure the checksum reveals the damage.
            with writing(path, flush=False) as temporary:
                temporary.write_bytes(content.getbuffer())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raise StoreError if the system refuses to write."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise StoreError(
                f"{self.folder}: the cache cannot be written ({reason}); make room, or set SERKIT_CACHE to another"
            ) from None

    def load(self, key: str) -> np.ndarray:
        """Read an array.

        Raises:
            Lost: the file is missing or damaged; a damaged file is removed, so that the next run computes it again.
        """
        path = self.path(key)
        try:
            # `np.load` takes twice as long for arrays this small. A bytearray makes the array writable.
            with path.open("rb") as file:
                content = bytearray(os.fstat(file.fileno()).st_size)
                file.readinto(content)
            begin, kind, shape = _parse_header(content)
            end = len(content)
            # Detected by the seal, not by the shape: with a flipped bit in the shape, the seal may look like numbers.
            if content[-_SEALED : 4 - _SEALED] == _SEAL:
                end -= _SEALED
                if content[end:] != _seal(key, memoryview(content)[:end]):
                    raise ValueError("its checksum does not match")
            if end != begin + kind.itemsize * math.prod(shape):
                raise ValueError("its length differs from its header")
            return np.frombuffer(content, kind, math.prod(shape), begin).reshape(shape)
        except FileNotFoundError:
            raise Lost(f"{path}: no longer in the store; run again") from None
        except _BROKEN as error:
            path.unlink(missing_ok=True)
            self.warn_of(key)
            raise Lost(f"{path}: broken array in the store ({error}). It was removed; run again") from None

    def warn_of(self, key: str) -> None:
        """Warn about a damaged array, once per store and process."""
        if self.folder not in _warned:
            _warned.add(self.folder)
            text = f"{self.folder}: damaged arrays are computed again; the first: {self.path(key)}"
            warnings.warn(text, CacheWarning, stacklevel=3)

    def hashes(self, paths: Iterable[Path], jobs: int = 1) -> tuple[dict[Path, str], dict[Path, str]]:
        """Return the content hash of each recording; only new and changed recordings are decoded.

        Args:
            paths: recordings.
            jobs: number of decoding threads.

        Returns:
            Hash by path, and error message by path for those that cannot be read.
        """
        failed, states = {}, {}
        for path in dict.fromkeys(paths):
            try:
                stat = path.stat()
            except OSError:
                failed[path] = f"{path}: no such file"
                continue
            states[path] = (stat.st_size, stat.st_mtime_ns)
        contents = Contents(self.folder / "recordings.sqlite")
        found, new = contents.find(states), {}
        missing = [path for path in states if path not in found]
        for path, result in _in_threads(audio.content_hash, missing, jobs, "reading"):
            if isinstance(result, audio.AudioError):
                failed[path] = str(result)
            else:
                new[path] = result
        contents.keep(states, new)
        found |= new
        return {path: found[path] for path in states if path not in failed}, failed

    @staticmethod
    def identity(
        item: Item, hashes: Mapping[Path, str], windowing: Windowing, channel: str | None = None
    ) -> dict[str, Any]:
        """Return everything that determines an item's samples, as input for `digest`.

        Raises:
            UserError: no such channel, or a recording whose hash is not in `hashes`.
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
            # The speech is included because it sets the length.
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
        """Compute a feature of every item; features already in the store are not computed again.

        Args:
            feature: the front end.
            items: the items to compute it for.
            hashes: content hash by path, for every file the items read; for an additional channel, also the speech.
            windowing: windowing of the items.
            channel: name of an additional channel; None: the speech.
            jobs: number of threads.
            failed: receives the error message by utterance of each item that cannot be read; such items have no array.
                None: the first error is raised.

        Returns:
            One array per item, in the order of the items.
        """
        made = config(feature)
        keys = [digest([made, self.identity(item, hashes, windowing, channel)]) for item in items]
        # Items with the same content share one key and are computed once.
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in self}

        def make(key: str, item: Item) -> None:
            self.save(key, feature(item.signal(feature.rate, windowing, channel)))

        def compute(group: list[tuple[str, Item]]) -> None:
            for key, item in group:
                make(key, item)

        groups = [list(group) for _, group in groupby(missing.items(), key=lambda pair: pair[1].utterance.id)]
        unread: dict[str, str] = {}
        for group, result in _in_threads(compute, groups, jobs, feature.name):
            if isinstance(result, audio.AudioError):
                if failed is None:
                    raise result
                unread |= {key: str(result) for key, _ in group}
        if failed is not None:
            failed |= {item.utterance.id: unread[key] for key, item in zip(keys, items, strict=True) if key in unread}
        return Arrays(self, keys, lambda position: make(keys[position], items[position]))


@dataclass
class Arrays(Sequence[np.ndarray]):
    """Arrays of a store by position, read on first access and kept in memory up to `MEMORY`.

    Args:
        store: where the arrays are stored.
        keys: keys of the arrays.
        again: computes and saves the array at a position if it has been lost. None: a lost array is an error.
    """

    store: Store
    keys: list[str]
    again: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only where the arrays are: another process reads them from the store."""
        return Arrays, (self.store, self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if index not in self._kept:
            array = self._load(range(len(self.keys))[index])
            if self._bytes + array.nbytes > MEMORY:
                return array
            self._kept[index] = array
            self._bytes += array.nbytes
        return self._kept[index]

    def _load(self, position: int) -> np.ndarray:
        key = self.keys[position]
        try:
            return self.store.load(key)
        except Lost:
            if self.again is None:
                raise
        self.again(position)
        return self.store.load(key)


def _seal(key: str, content: memoryview) -> bytes:
    """Return the end of an array's file; it depends on the key, so that no array passes for another.

    CRC-32 alone would double the time to read an array. The checksum is the CRC of the column sums, which any change of
    a byte changes, and of the incomplete last row. The length of a row divides no disk block: swapped blocks show.
    """
    checksum = zlib.crc32(key.encode())
    if size := len(content) - len(content) % (8 * _COLUMNS):
        sums = np.add.reduce(np.frombuffer(content[:size], "<u8").reshape(-1, _COLUMNS))
        checksum = zlib.crc32(sums.astype("<u8", copy=False), checksum)
    return _SEAL + zlib.crc32(content[size:], checksum).to_bytes(4, "little")


def _parse_header(content: bytes | bytearray) -> tuple[int, np.dtype, tuple[int, ...]]:
    """Return where the numbers begin in a file that `np.save` wrote, their type and the array's shape."""
    if content[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("not a NumPy array of version 1.0")
    begin = 10 + int.from_bytes(content[8:10], "little")
    return begin, *_parse_description(bytes(content[10:begin]))


@functools.lru_cache(maxsize=1024)
def _parse_description(text: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    header = ast.literal_eval(text.decode("latin-1"))
    return np.dtype(header["descr"]), header["shape"]


def _in_threads(
    work: Callable[[_Task], _Result], tasks: Sequence[_Task], jobs: int, description: str
) -> Iterator[tuple[_Task, _Result | audio.AudioError]]:
    """Yield `(task, result or AudioError)` as tasks finish; NumPy and libsndfile release the GIL."""

    def guarded(task: _Task) -> _Result | audio.AudioError:
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
