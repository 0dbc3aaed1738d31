"""Files that appear whole or not at all: written under a temporary name in the same folder, then renamed.

A file is flushed to disk before it is renamed, and the folder after. So neither a kill nor a power cut leaves half a
file, or an old file where a new one was announced. A temporary file is locked while its process lives. If a kill leaves
one behind, the next process that writes into the folder removes it.
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

# Short, because the name of the file itself may be as long as the system allows.
_TEMPORARY = re.compile(r"\.serkit-[0-9a-f]{16}\.tmp")

# A list of numbers and words in the indented form of `json.dumps`, in which words hold line breaks only as `\\n`.
_LIST, _LINE = re.compile(r'\[\n\s*((?:[^][{}"\n]|"(?:[^"\\]|\\.)*"|\n)*?)\n\s*\]'), 100

# Age in s after which a temporary file counts as abandoned, on systems without locks that end with their process.
_DAY = 24 * 60 * 60

# Folders in which this process has already looked for abandoned files.
_tidied: set[str] = set()


@contextmanager
def writing(path: Path, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to; if the block succeeds, the file there replaces `path`.

    Several processes and threads may write the same file at once.

    Args:
        path: path of the file.
        flush: whether to flush the file to disk before it is renamed. This takes milliseconds; files that are checked
            on reading, and can be made again, do not need it.
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
        # Users know only the final path, and the system's error for a full disk names no path at all.
        if error.errno == errno.ENOSPC or error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        # A disk that is read-only refuses this, too, and would name the temporary file.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; if the block succeeds, it becomes `path`, which must not exist."""
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
    """Write bytes to a file."""
    with writing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a file."""
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
    """Lock a file or folder if the system can. The lock ends with the process, even after a crash."""
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
    """Remove files of killed processes from a folder; each process looks once per folder."""
    place = os.path.abspath(folder)
    if place in _tidied:
        return
    _tidied.add(place)
    with suppress(OSError):  # no such folder: writing there raises the error
        for entry in os.scandir(place):
            if _TEMPORARY.fullmatch(entry.name) and _is_abandoned(entry):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    """Return whether the process that wrote a temporary file or folder has ended."""
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
    with open(file, "rb+") as stream:  # Windows flushes only files opened for writing
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows cannot open folders, and some network file systems cannot flush them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
