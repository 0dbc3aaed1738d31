"""JSON records of a run with a checksum, which reveals damage when a record is read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

from serkit.atomic import write_json
from serkit.data.store import digest
from serkit.documents import read_json
from serkit.errors import Damaged, UserError
from serkit.records import Record

R = TypeVar("R", bound=Record)

_KEY = "checksum"


def write(path: Path, record: Record) -> None:
    """Write a record completely or not at all."""
    content = record.to_dict()
    write_json(path, {**content, _KEY: digest(content)})


def read(path: Path, kind: type[R]) -> R:
    """Read a record of a kind; files older than checksums are not compared.

    Raises:
        Damaged: the file is missing, is not such a record, or has changed.
    """
    try:
        content = read_json(path)
        if isinstance(content, dict) and content.pop(_KEY, None) not in (None, digest(content)):
            raise Damaged(f"{path}: damaged; it is not as it was written")
        return kind.parse(content, path)
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None
    except UserError as error:
        raise Damaged(str(error)) from None


def hash_of(path: Path) -> str:
    """Hash a file that a record names: 32 hexadecimal digits.

    Raises:
        Damaged: the file is missing.
    """
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None


def check(path: Path, hashed: str | None) -> None:
    """Compare a file with its hash in a record; None: the record is older than hashes.

    Raises:
        Damaged: the file is missing or has changed.
    """
    found = hash_of(path)
    if found != (hashed or found):
        raise Damaged(f"{path}: damaged; it is not as it was written")
