"""Parts listed in a file, e.g. the published training, validation and test lists of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from serkit import sheets
from serkit.corpora import Utterance
from serkit.corpora.columns import named
from serkit.corpora.parts import part_of
from serkit.errors import UserError
from serkit.text import clean

#: `unused` marks utterances that are left out on purpose.
PARTS = ("train", "validation", "test", "unused")


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
    for fold, listed in read(path).items():
        where = f"{path}: fold '{fold}'" if fold else str(path)
        found = []
        for utterance, file in zip(utterances, files, strict=True):
            said = [listed[name] for name in (clean(utterance.id), file) if name in listed]
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
    """Read a list: a table (see `serkit.sheets`), e.g. CSV with a header or one JSON object per line.

    Columns: `id` of an utterance or `path` of its sound file, relative to the list's folder; `part` (train,
    validation, test or unused); and `fold` if there are several. Their usual other names are found, too.

    Returns:
        For each fold (`""` without that column), in file order: id or absolute path -> part.

    Raises:
        UserError: the file is missing or broken, a column is missing, a part is unknown, or an utterance is listed
        twice.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file (list of a fixed protocol)")
    sheet = named(sheets.read(path).sound()).sheet
    found: dict[str, dict[str, str]] = {}
    for number, row in sheet.rows.items():
        where = f"{path}, row {number}"
        if "part" not in row:
            raise UserError(f"{where}: has no column 'part'. Columns: {', '.join(row)}")
        part = part_of(row["part"])
        if part is None:
            raise UserError(f"{where}: part must be one of {', '.join(PARTS)}, got '{row['part']}'")
        name = clean(row.get("id", "")) or (row.get("path") and clean(str((path.parent / row["path"]).resolve())))
        if not name:
            raise UserError(f"{where}: has neither 'id' nor 'path'")
        fold = found.setdefault(row.get("fold", ""), {})
        if name in fold:
            raise UserError(f"{where}: '{row.get('id') or row.get('path')}' is listed twice in one fold")
        fold[name] = part
    if not found:
        raise UserError(f"{path}: is empty; the columns id (or path) and part are required")
    return found
