"""Parts listed in a file, e.g. the published training, validation and test lists of a corpus."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from serkit.corpora import Utterance
from serkit.corpora.table import text_of
from serkit.documents import parse_json
from serkit.errors import UserError
from serkit.text import clean

#: `unused` marks utterances that are left out on purpose.
PARTS = ("train", "validation", "test", "unused")

#: Suffixes of files with one JSON object per line.
JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})


def folds(
    path: Path, utterances: Sequence[Utterance], carved: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the positions in `utterances` of the training, validation and test part for each fold of the list.

    Every utterance must be listed in every fold. Rows without an utterance are ignored, because utterances of
    classes that are not learned have been removed.

    Args:
        path: the list, see `read`.
        utterances: utterances to cut.
        carved: whether a validation part will be taken out of the training part; then the list must not name
            one.

    Raises:
        UserError: the list is broken, utterances are missing or in two parts, or a fold lacks a training or test part.
    """
    files = [clean(str(utterance.path.resolve())) for utterance in utterances]
    for fold, part_of in read(path).items():
        where = f"{path}: fold '{fold}'" if fold else str(path)
        found = []
        for utterance, file in zip(utterances, files, strict=True):
            said = [part_of[name] for name in (clean(utterance.id), file) if name in part_of]
            if len(set(said)) > 1:
                raise UserError(f"{where}: '{utterance.id}' is in {said[0]} by its id but in {said[1]} by its path")
            found.append(said[0] if said else None)
        missing = [utterance.id for utterance, part in zip(utterances, found, strict=True) if part is None]
        if missing:
            raise UserError(
                f"{where}: {len(missing)} of {len(utterances)} utterances are missing "
                f"(first: '{missing[0]}'); list each with part = {', '.join(PARTS[:-1])} or {PARTS[-1]}"
            )
        parts = np.array(found)
        train, validation, test = (np.flatnonzero(parts == part) for part in PARTS[:-1])
        if not len(train) or not len(test):
            raise UserError(f"{where}: none of the utterances is in the {'test' if len(train) else 'train'} part")
        if carved and len(validation):
            raise UserError(f"{where}: lists a validation part; set validation = 0, or list those rows as train")
        yield train, validation, test


def read(path: Path) -> dict[str, dict[str, str]]:
    """Read a list: CSV with a header, or one JSON object per line (`.json`, `.jsonl`, `.ndjson`).

    Columns: `id` of an utterance or `path` of its sound file, relative to the list's folder; `part` (train,
    validation, test or unused); and `fold` if there are several.

    Returns:
        For each fold (`""` without that column), in file order: id or absolute path -> part.

    Raises:
        UserError: the file is missing or broken, a column is missing, a part is unknown, or an utterance is listed
        twice.
    """
    found: dict[str, dict[str, str]] = {}
    for number, row in rows(path):
        where = f"{path}, line {number}"
        # CSV values after the last column have no name and are not text.
        row = {clean(name): clean(text_of(value)) for name, value in row.items() if name is not None}
        if not any(row.values()):
            continue
        if "part" not in row:
            raise UserError(f"{where}: has no column 'part'. Columns: {', '.join(str(name) for name in row)}")
        part = row["part"].lower()
        if part not in PARTS:
            raise UserError(f"{where}: part must be one of {', '.join(PARTS)}, got '{part}'")
        name = row.get("id") or (row.get("path") and clean(str((path.parent / row["path"]).resolve())))
        if not name:
            raise UserError(f"{where}: has neither 'id' nor 'path'")
        fold = found.setdefault(row.get("fold", ""), {})
        if name in fold:
            raise UserError(f"{where}: '{row.get('id') or row.get('path')}' is listed twice in one fold")
        fold[name] = part
    if not found:
        raise UserError(f"{path}: is empty; the columns id (or path) and part are required")
    return found


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and content of each row.

    Raises:
        UserError: the file is missing or broken.
    """
    is_json = path.suffix.lower() in JSON_SUFFIXES
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if is_json:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        row = parse_json(line, f"{path}, line {number}: is not in JSON lines format")
                        if not isinstance(row, dict):
                            raise UserError(f"{path}, line {number}: is not a JSON object")
                        yield number, row
            else:
                reader = csv.DictReader(file)
                for row in reader:
                    yield reader.line_num, row
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (list of a fixed protocol)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not in {'JSON lines' if is_json else 'CSV'} format ({error})") from None
