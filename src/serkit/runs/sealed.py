"""JSON records of a run that carry a checksum: what a disk has damaged is noticed when the record is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serkit.atomic import write_json
from serkit.data.store import digest
from serkit.documents import read_json
from serkit.errors import Damaged, UserError

_KEY = "checksum"


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all."""
    written = json.loads(json.dumps(content))
    write_json(path, {**written, _KEY: digest(written)})


def read(path: Path) -> dict[str, Any]:
    """Read a record; one of before there were checksums has none to compare.

    Raises:
        Damaged: it is not there, no JSON, or not as it was written.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None
    except UserError as error:
        raise Damaged(str(error)) from None
    if not isinstance(content, dict) or content.pop(_KEY, None) not in (None, digest(content)):
        raise Damaged(f"{path}: damaged; it is not as it was written")
    return content


def hash_of(path: Path) -> str:
    """Hash a file that a record names: 32 hexadecimal digits.

    Raises:
        Damaged: it is not there.
    """
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None


def check(path: Path, hashed: str | None) -> None:
    """Compare a file with its hash in a record; None: the record is older than such hashes.

    Raises:
        Damaged: it is not there, or another.
    """
    found = hash_of(path)
    if found != (hashed or found):
        raise Damaged(f"{path}: damaged; it is not as it was written")
