"""Files that appear whole or not at all: written under a temporary name beside the place, then renamed.

What is renamed has been flushed to the disk before, and the folder is after: neither a kill nor a power cut leaves half
a file, or an old one where a new one was announced. A temporary file is locked while its process lives; one that a kill
has left behind is removed by the next process that writes into the folder.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Short: the file's own name may be as long as the system allows.
_TEMPORARY = re.compile(r"\.serkit-[0-9a-f]{16}\.tmp")

# A list of numbers and words as `json.dumps` indents it. Within its words a line break is never more than `\\n`.
_LIST, _LINE = re.compile(r'\[\n\s*((?:[^][{}"\n]|"(?:[^"\\]|\\.)*"|\n)*?)\n\s*\]'), 100

# Where the system has no locks that end with their process, a temporary file is abandoned after so many s.
_DAY = 24 * 60 * 60

# Folders in which this process has looked for what others left behind.
_tidied: set[str] = set()


@contextmanager
def writing(path: Path, flush: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to; when the block ends well, what is there takes the place of `path`.

    Several processes and threads may write the same file.

    Args:
        path: of the file.
        flush: whether it reaches the disk before it is renamed. It takes milliseconds; what is checked whenever it is
            read, and can be made again, may do without.
    """
    _tidy(path.parent)
    temporary = _beside(path)
    try:
        with _held(temporary, os.O_CREAT):
            yield temporary
            if flush:
                _flush(temporary)
            os.replace(temporary, path)
        if flush:
            _flush_folder(path.parent)
    except OSError as error:
        # Whoever reads the error knows the place only; of a full disk the system names none.
        if error.errno == errno.ENOSPC or error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; when the block ends well, it becomes `path`, which must not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path.parent)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        with _held(temporary):
            yield temporary
            for file in temporary.iterdir():
                _flush(file)
            _flush_folder(temporary)
            os.replace(temporary, path)
        _flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes."""
    with writing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON document; a short list of numbers or words takes one line."""
    write_text(path, _LIST.sub(_on_one_line, json.dumps(content, indent=1)))


def _on_one_line(found: re.Match[str]) -> str:
    line = "[" + re.sub(r",\n\s*", ", ", found[1]) + "]"
    return line if len(line) <= _LINE else found[0]


def _beside(path: Path) -> Path:
    return path.with_name(f".serkit-{secrets.token_hex(8)}.tmp")


@contextmanager
def _held(path: Path, flags: int = 0) -> Iterator[None]:
    """Lock a file or folder, where the system can; the lock ends with the process, however that ends."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY | flags, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _tidy(folder: Path) -> None:
    """Remove what killed processes have left in a folder; this process looks once."""
    place = os.path.abspath(folder)
    if place in _tidied:
        return
    _tidied.add(place)
    with suppress(OSError):  # no such folder: whoever writes there will be told
        for entry in os.scandir(place):
            if _TEMPORARY.fullmatch(entry.name) and _is_abandoned(entry):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)


def _is_abandoned(entry: os.DirEntry) -> bool:
    """Tell whether the process that wrote a temporary file or folder has ended."""
    if fcntl is None:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _flush(file: Path) -> None:
    with open(file, "rb+") as stream:  # Windows flushes only what may be written
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows opens no folders, and some network file systems flush none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
