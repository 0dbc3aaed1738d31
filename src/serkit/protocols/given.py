"""Splits given as files: one table per part, or one table with the part or fold of each row.

The formats and columns are those of `serkit.corpora.table`, but labels are optional. Paths in JSON, such as those of
EmoBox's lists, may start in a folder above the list. Rows may also refer to utterances of given corpora. Then their
files may be elsewhere, and speakers and sentences come from the corpus.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from serkit import finding, sheets
from serkit.corpora import Corpus, Utterance
from serkit.corpora.columns import named
from serkit.corpora.parts import part_of
from serkit.corpora.rows import Rows, upwards, utterances
from serkit.emotions import canonical
from serkit.errors import UserError
from serkit.protocols.splits import Split
from serkit.sheets import Row
from serkit.text import clean, is_missing_label

#: Rows by number.
Table = Mapping[int, Row]

_PLACE = ("id", "path", "corpus", "start", "end", "channel")
_READ = frozenset({*_PLACE, "speaker", "sentence", "session", "emotion", "part", "fold"})
# Columns in which rows of one utterance may differ.
_VARYING = frozenset({"emotion", "part", "fold"})


@dataclass(frozen=True)
class Given:
    """Splits and their utterances.

    Args:
        splits: the divisions.
        utterances: utterances of all splits.
        labels: emotions in the rows, by id; without any, those of the given corpora.
    """

    splits: Sequence[Split]
    utterances: Sequence[Utterance]
    labels: Mapping[str, Collection[str]]


def read_parts(paths: Mapping[str, Path], corpora: Sequence[Corpus] = ()) -> Given:
    """Read one table per part. Rows of two parts with equal id, file, interval and channel are one utterance.

    Args:
        paths: tables by part: `train`, `test` and optionally `validation`.
        corpora: corpora in which rows are looked up; empty: their files are read.

    Raises:
        UserError: a file is not a table, or has rows whose files do not exist or which the corpora lack.
    """
    found: dict[str, Utterance] = {}
    ids: dict[str, tuple[str, ...]] = {"validation": ()}
    labels: dict[str, set[str]] = {}
    for part, path in paths.items():
        of_part = []
        columns, rows = _rows(path)
        # A list may repeat a row to balance the classes; this is not a leak.
        leader = _leaders(rows)
        leading = {number: rows[number] for number in leader.values()}
        said = _said(rows, leader)
        for number, utterance in _utterances(path, columns, leading, corpora).items():
            if utterance.id in found and _place(found[utterance.id]) != _place(utterance):
                # Tables in several folders may all be named `list.csv` and list a file `1.wav`.
                utterance = replace(utterance, id=f"{utterance.id} ({part})")
            found[utterance.id] = utterance
            of_part.append(utterance.id)
            labels.setdefault(utterance.id, set()).update(said[number])
        ids[part] = tuple(sorted(of_part))
    name = f"{paths['train'].name} and {paths['test'].name}"
    split = Split(name, ids["train"], ids["validation"], ids["test"])
    return Given([split], list(found.values()), _or_known(labels, found.values()))


def read_table(path: Path, corpora: Sequence[Corpus] = ()) -> Given:
    """Read one table with a column `part`, or `fold`, or both.

    With both, a row gives an utterance's part in one fold; with `fold` alone, each fold is the test part once.

    Args:
        path: the table.
        corpora: as in `read_parts`.

    Raises:
        UserError: as in `read_parts`; both columns are missing, a cell is empty or not a part, or a fold lacks a
            training or test part.
    """
    columns, rows = _rows(path)
    if "part" not in columns and "fold" not in columns:
        raise UserError(f"{path}: has no column 'part' or 'fold'; add one, or give two tables with --train and --test")
    # An utterance has a row for its part in each fold; its rows agree in everything else.
    leader = _leaders(rows)
    utterances = _utterances(path, columns, {number: rows[number] for number in leader.values()}, corpora)
    splits = []
    for fold, parts in _folds(path, rows).items():
        ids = {part: [utterances[leader[number]].id for number in numbers] for part, numbers in parts.items()}
        splits.append(_split(path, fold, ids))
    said = _said(rows, leader)
    labels = {utterance.id: said[number] for number, utterance in utterances.items()}
    return Given(splits, list(utterances.values()), _or_known(labels, utterances.values()))


def _said(rows: Table, leader: Mapping[int, int]) -> dict[int, set[str]]:
    """Return the emotions in the rows of each utterance, by its first row."""
    said: dict[int, set[str]] = {number: set() for number in leader.values()}
    for number, row in rows.items():
        if not is_missing_label(row.get("emotion", "")):
            said[leader[number]].add(canonical(row["emotion"]))
    return said


def _or_known(said: Mapping[str, set[str]], utterances: Iterable[Utterance]) -> dict[str, set[str]]:
    """Return the labels of the rows, or those of the corpora if no row has any."""
    if any(said.values()):
        return {id: labels for id, labels in said.items() if labels}
    known = {utterance.id: utterance.targets.get("emotion") for utterance in utterances}
    return {id: {label} for id, label in known.items() if isinstance(label, str)}


def _leaders(rows: Table) -> dict[int, int]:
    """Return for each row the first row that is equal except for part, fold and label."""
    first: dict[tuple[str, ...], int] = {}
    return {number: first.setdefault(_identity(row), number) for number, row in rows.items()}


def _identity(row: Row) -> tuple[str, ...]:
    return tuple(value for name, value in row.items() if name not in _VARYING)


def _folds(path: Path, rows: Table) -> dict[str, dict[str, list[int]]]:
    """Return the rows of each part of each fold; without a fold column, the name of the fold is empty."""
    folds: dict[str, dict[str, list[int]]] = {row.get("fold", ""): {} for row in rows.values()}
    for number, row in rows.items():
        if "part" in row:
            folds[row.get("fold", "")].setdefault(_part(path, number, row["part"]), []).append(number)
        else:
            for fold, parts in folds.items():
                parts.setdefault("test" if row["fold"] == fold else "train", []).append(number)
    return folds


def _part(path: Path, number: int, text: str) -> str:
    part = part_of(text)
    if part is None:
        raise UserError(f"{path}, row {number}: part must be train, validation, test or unused, got '{text}'")
    return part


def _split(path: Path, fold: str, parts: Mapping[str, Sequence[str]]) -> Split:
    where = f"{path}: fold '{fold}'" if fold else str(path)
    for part in ("train", "test"):
        if not parts.get(part):
            raise UserError(f"{where} has no {part} part")
    train, validation, test = (tuple(sorted(parts.get(part, ()))) for part in ("train", "validation", "test"))
    return Split(f"fold {fold}" if fold else path.name, train, validation, test)


def _rows(path: Path) -> tuple[list[str], Table]:
    """Read the columns for the audit, under serkit's names."""
    path = Path(finding.on_disk(str(path)) or path)
    if (reason := finding.problem(str(path))) is not None:
        raise UserError(f"{path}: {reason}")
    sheet = named(sheets.read(path).sound()).sheet
    known = [name for name in sheet.columns if name in _READ]
    if not sheet.rows:
        raise UserError(f"{path}: contains no row")
    found = upwards(path.parent) if path.suffix.lower() in sheets.JSON_SUFFIXES else str
    return known, {
        number: {name: found(row[name]) if name == "path" else row[name] for name in known}
        for number, row in sheet.rows.items()
    }


def _utterances(path: Path, columns: Sequence[str], rows: Table, corpora: Sequence[Corpus]) -> dict[int, Utterance]:
    if not corpora:
        try:
            named_only = [name for name in columns if name not in _VARYING]
            cells = {number: {name: row[name] for name in named_only} for number, row in rows.items()}
            return utterances(Rows(path, path.parent, named_only, cells))
        except UserError as error:
            # Paths in lists of a corpus, such as EmoBox's, start in a folder that exists only on the author's machine.
            name = next((row["corpus"] for row in rows.values() if row.get("corpus")), "NAME")
            raise UserError(f"{error}; if the rows name recordings of a corpus, add --corpus {name}=FOLDER") from None
    by_name: dict[str, list[Utterance]] = {}
    for corpus in corpora:
        for utterance in corpus.utterances:
            for name in {clean(utterance.id), clean(utterance.path.stem)}:
                by_name.setdefault(name, []).append(utterance)
    found = {}
    for number, row in rows.items():
        names = _names(row)
        candidates = next((by_name[name] for name in names if name in by_name), [])
        if len(candidates) > 1:
            candidates = [u for u in candidates if u.corpus == row.get("corpus")] or candidates
        if len(candidates) != 1:
            missing = "several recordings" if candidates else "no recording"
            raise UserError(
                f"{path}, row {number}: '{row.get('path') or row.get('id')}' matches {missing} of "
                f"{', '.join(corpus.name for corpus in corpora)}"
            )
        found[number] = candidates[0]
    return found


def _names(row: Row) -> list[str]:
    """Return possible names of a row's utterance, most certain first: id, file, file with its folder."""
    names = [row.get("id", "")]
    if row.get("path"):
        path = Path(row["path"])
        names += [path.stem, f"{path.parent.name}_{path.stem}"]
    return [clean(name) for name in names if name]


def _place(utterance: Utterance) -> tuple[Path, float | None, float | None, int | None]:
    return utterance.path.resolve(), utterance.start, utterance.end, utterance.index
