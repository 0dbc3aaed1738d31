"""Parts listed in a file: the published training, validation and test lists of a corpus."""

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

#: `unused` is for utterances that the list leaves out on purpose.
PARTS = ("train", "validation", "test", "unused")

#: Suffixes of files with one JSON object per line.
JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})


def folds(
    path: Path, utterances: Sequence[Utterance], carved: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield positions in `utterances` of training, validation and test part for each fold of the list.

    Every utterance must be listed in every fold. Rows of the list without an utterance are passed over:
    a class that is not learned takes its utterances away before they are cut.

    Args:
        path: the list, see `read`.
        utterances: what is cut.
        carved: whether a validation part will be taken out of the training part, so that the list may
            not name one.

    Raises:
        UserError: broken list; utterances not in it, or in two parts; a fold without training or test part.
    """
    files = [clean(str(utterance.path.resolve())) for utterance in utterances]
    for fold, part_of in read(path).items():
        where = f"{path}: fold '{fold}'" if fold else str(path)
        found = []
        for utterance, file in zip(utterances, files, strict=True):
            said = [part_of[name] for name in (clean(utterance.id), file) if name in part_of]
            if len(set(said)) > 1:
                raise UserError(f"{where}: '{utterance.id}' is in {said[0]} by its id, in {said[1]} by its path")
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

    Columns: `id` (an utterance's) or `path` (its sound file, seen from the list's folder), `part`
    (train, validation, test or unused), and `fold` where there are several.

    Returns:
        For each fold (`""` without that column), in the order of the file: id or absolute path -> part.

    Raises:
        UserError: missing or broken file, missing column, unknown part, or an utterance listed twice.
    """
    found: dict[str, dict[str, str]] = {}
    for number, row in rows(path):
        where = f"{path}, line {number}"
        # What is behind the last column of CSV has no name, and is no text.
        row = {clean(name): clean(text_of(value)) for name, value in row.items() if name is not None}
        if not any(row.values()):
            continue
        if "part" not in row:
            raise UserError(f"{where}: no column 'part'. Found: {', '.join(str(name) for name in row)}")
        part = row["part"].lower()
        if part not in PARTS:
            raise UserError(f"{where}: part '{part}' is not one of {', '.join(PARTS)}")
        name = row.get("id") or (row.get("path") and clean(str((path.parent / row["path"]).resolve())))
        if not name:
            raise UserError(f"{where}: neither 'id' nor 'path' is given")
        fold = found.setdefault(row.get("fold", ""), {})
        if name in fold:
            raise UserError(f"{where}: '{row.get('id') or row.get('path')}' is listed twice in one fold")
        fold[name] = part
    if not found:
        raise UserError(f"{path}: lists nothing; needed are the columns id (or path) and part")
    return found


def rows(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield line number and row.

    Raises:
        UserError: missing or broken file.
    """
    is_json = path.suffix.lower() in JSON_SUFFIXES
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if is_json:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        row = parse_json(line, f"{path}, line {number}: cannot be read as JSON lines")
                        if not isinstance(row, dict):
                            raise UserError(f"{path}, line {number}: not a JSON object")
                        yield number, row
            else:
                reader = csv.DictReader(file)
                for row in reader:
                    yield reader.line_num, row
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (lists of a fixed protocol)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as {'JSON lines' if is_json else 'CSV'} ({error})") from None
