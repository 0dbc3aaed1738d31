"""The store: computed features, each under the hash of all that decides its numbers.

Arrays are files of their own, written under a temporary name and renamed: several processes may share a
store, and a kill at any moment leaves only whole arrays. Each carries a checksum, which is compared whenever it is
read: what a disk has damaged is computed again. What recordings contain is remembered (see
`serkit.data.contents`), so that a second run decodes nothing.
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

# Ends an array's file, before four bytes of checksum. Files of before there were checksums end with their numbers.
_SEAL = b"sum1"
_SEALED = len(_SEAL) + 4
# Numbers of 64 bits in a row that is added to the others: a prime.
_COLUMNS = 521

# What a damaged array file raises.
_BROKEN = (ValueError, SyntaxError, KeyError, TypeError)
# Length in bytes that no header of `np.save` reaches here.
_LONGEST_HEADER = 256

# Stores of whose damage this process has warned.
_warned: set[Path] = set()

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


class Lost(StoreError):
    """An array that is not in the store, or no longer whole."""


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
        """Return whether the array of a key exists and is complete."""
        try:
            with self.path(key).open("rb") as file:
                begin, kind, shape = _parse_header(file.read(_LONGEST_HEADER))
                end = begin + kind.itemsize * math.prod(shape)
                # A power cut can leave an empty or cut-off file behind a rename: it is computed again.
                if file.seek(0, os.SEEK_END) in (end, end + _SEALED):
                    return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except _BROKEN:
            pass
        self.warn_of(key)
        return False

    def save(self, key: str, array: np.ndarray) -> None:
        """Write an array and its checksum so that no reader ever sees half of it.

        Raises:
            StoreError: the disk is full, or the store cannot be written to.
        """
        path = self.path(key)
        with self._writing():
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(array), allow_pickle=False)
            content.write(_seal(key, content.getbuffer()))
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed to the disk, which takes longer than most features: what a power cut leaves has no checksum.
            with writing(path, flush=False) as temporary:
                temporary.write_bytes(content.getbuffer())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raise StoreError where the system refuses to write."""
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
            Lost: the file is not there, or broken; then it is removed, so that the next run computes it again.
        """
        path = self.path(key)
        try:
            # `np.load` takes twice as long for arrays this small. A bytearray makes the array writable.
            with path.open("rb") as file:
                content = bytearray(os.fstat(file.fileno()).st_size)
                file.readinto(content)
            begin, kind, shape = _parse_header(content)
            end = len(content)
            # Told by the seal, not by the shape: a flipped bit of the shape may make the seal look like numbers.
            if content[-_SEALED : 4 - _SEALED] == _SEAL:
                end -= _SEALED
                if content[end:] != _seal(key, memoryview(content)[:end]):
                    raise ValueError("its checksum is another")
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
        """Warn of a damaged array; a process warns once of a store."""
        if self.folder not in _warned:
            _warned.add(self.folder)
            text = f"{self.folder}: damaged arrays are computed again; the first: {self.path(key)}"
            warnings.warn(text, CacheWarning, stacklevel=3)

    def hashes(self, paths: Iterable[Path], jobs: int = 1) -> tuple[dict[Path, str], dict[Path, str]]:
        """Return the content hash of each recording, decoding only those new or changed since last time.

        Args:
            paths: recordings.
            jobs: threads that decode.

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
    """Arrays of a store by position, read when first asked for and kept while `MEMORY` lasts.

    Args:
        store: where they lie.
        keys: of the arrays.
        again: computes the one at a position, and saves it; called for what is lost meanwhile. None: that is an error.
    """

    store: Store
    keys: list[str]
    again: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

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
    """Return what ends an array's file; of its key too, so that no array passes for another.

    CRC-32 alone would double the time it takes to read an array: it is that of the sums of columns, which any change
    of a byte changes, and of what fills no row. Columns do not divide a disk's blocks, so that none can change places.
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
    """Yield `(task, result or AudioError)` as they are done; NumPy and libsndfile release the GIL."""

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
