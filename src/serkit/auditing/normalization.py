"""Find features that were normalized before the split, so that their scaling uses the test part.

A column scaled to mean 0 and deviation 1 (or to 0..1) has exactly these values over the rows it was fitted on, and over
no others. So the table itself shows the fit: over the training part it is clean, over all parts together it is not. A
column with these values over both may be scaled per speaker or per part, and is not reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serkit import sheets
from serkit.auditing.audit import Finding
from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.protocols.splits import Split

#: Tolerance of a column's mean from 0 and deviation from 1. Tables have 4 digits or more, and a part of some hundred
#: utterances does not by chance match the mean of all to a thousandth of their deviation.
TOLERANCE = 1e-3

#: Share of a table's columns whose minimum and maximum must be 0 and 1 (or -1 and 1). A single column may have this
#: range by nature, e.g. a probability.
RANGES = 0.1

# Names of the column that identifies the utterance of a row.
_KEYS = ("id", "file", "path", "filename", "name")


def read(path: Path, utterances: Sequence[Utterance]) -> tuple[list[str], dict[str, np.ndarray], np.ndarray]:
    """Read a table of features: CSV, TSV or Parquet with a column `file` (or `id`, `path`) and one column per feature.

    Args:
        path: path of the table, with one or several rows (frames) per utterance.
        utterances: candidates for the rows. A row belongs to an utterance if it has its id, its file, or its file's
            name, if that is unique.

    Returns:
        Names of the columns with a finite number in every row of the utterances; values (rows, columns) by id; and
        values of all other rows, NaN where they are not numbers.

    Raises:
        UserError: the file is not a table, has no such column, no numbers, or no rows of the utterances.
    """
    sheet = sheets.read(path).sound()
    columns, rows = sheet.columns, sheet.rows
    key = next((name for name in _KEYS if name in columns), None)
    if key is None:
        raise UserError(f"{path}: has no column that identifies the utterances; name one {' or '.join(_KEYS[:3])}")
    owner: dict[str, str | None] = {}
    for utterance in utterances:
        # A name shared by several files (`001.wav` in each folder) identifies none of them.
        file = utterance.path
        for name in {utterance.id, str(file), str(file.resolve()), file.name, file.stem}:
            owner[name] = None if name in owner else utterance.id

    def whose(name: str) -> str | None:
        # A path may be relative to the working folder, as written by `serkit features`, or to the table's folder.
        names = (name, str((path.parent / name).resolve()), Path(name).stem)
        return next((id for called in names if (id := owner.get(called))), None)

    owned = [(whose(row[key]), row) for row in rows.values()]
    known = [(id, row) for id, row in owned if id is not None]
    if not known:
        raise UserError(f"{path}: none of its {len(rows)} rows belongs to one of the {len(utterances)} utterances")
    names = [name for name in columns if name not in (*_KEYS, "time") and all(_finite(row[name]) for _, row in known)]
    if not names:
        raise UserError(f"{path}: has no column of numbers")
    grouped: dict[str, list[list[float]]] = {}
    for id, row in known:
        grouped.setdefault(id, []).append([float(row[name]) for name in names])
    rest = [[float(row[name]) if _finite(row[name]) else np.nan for name in names] for id, row in owned if id is None]
    by_id = {id: np.array(values) for id, values in grouped.items()}
    return names, by_id, np.array(rest).reshape(-1, len(names))


def _finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def check(
    split: Split, names: Sequence[str], values: Mapping[str, np.ndarray], rest: np.ndarray, title: str
) -> Finding | None:
    """Find features of a split whose scaling uses its test part.

    Args:
        split: split whose parts are compared.
        names: names of the columns.
        values: values by id, (rows, columns); utterances without values are skipped.
        rest: values of rows outside the parts, (rows, columns), because a scaler may have used them.
        title: name of the table in the message.
    """
    train, held, test = (
        [values[id] for id in part if id in values] for part in (split.train, split.validation, split.test)
    )
    if not train or not test:
        return None
    parts = {*split.train, *split.validation, *split.test}
    others = [rest, *(rows for id, rows in values.items() if id not in parts)]
    fair = [np.concatenate(rows) for rows in (train, [*train, *held], [*train, *held, *others])]
    wholes = {
        "all parts together": [*train, *held, *test],
        "training and test part together": [*train, *test],
        "the whole table": [*train, *held, *test, *others],
    }
    for scaled, how, least in (
        (_standardised, "mean 0 and deviation 1", 1),
        (_ranged, "a range of 0 to 1 or -1 to 1", max(2, round(RANGES * len(names)))),
    ):
        clean = np.any([scaled(rows) for rows in fair], axis=0)
        for where, whole in wholes.items():
            caught = scaled(np.concatenate(whole)) & ~clean
            if caught.sum() < least:
                continue
            message = (
                f"{caught.sum()} of {len(names)} columns of {title} have {how} over {where}, not over "
                "train: the test part was used to scale them"
            )
            ids = tuple(sorted(id for id in split.test if id in values))
            return Finding("normalisation", ("train", "test"), ids, message, (title,), len(split.test))
    return None


def _standardised(values: np.ndarray) -> np.ndarray:
    """Return which columns of (rows, columns) have mean 0 and deviation 1, with n or n - 1 in the denominator."""
    count = len(values)
    deviation = values.std(axis=0)
    either = np.abs(deviation - 1) < TOLERANCE
    if count > 1:
        either |= np.abs(deviation * np.sqrt(count / (count - 1)) - 1) < TOLERANCE
    result: np.ndarray = (np.abs(values.mean(axis=0)) < TOLERANCE) & either
    return result


def _ranged(values: np.ndarray) -> np.ndarray:
    """Return which columns of (rows, columns) range exactly from 0 or -1 to 1."""
    low, high = values.min(axis=0), values.max(axis=0)
    result: np.ndarray = (np.abs(high - 1) < 1e-6) & ((np.abs(low) < 1e-6) | (np.abs(low + 1) < 1e-6))
    return result
