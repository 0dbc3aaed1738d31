"""Databases of audformat: `db.yaml` and its tables, filewise or segmented, as CSV or Parquet.

Labels come from the tables with a column of emotions; speakers, their sex and further properties from any table, and
from the labels of the scheme `speaker`. Tables with a split give the part of their rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serkit import sheets
from serkit.corpora import rows
from serkit.corpora.columns import Reading, meaning
from serkit.corpora.corpus import Corpus, Facts
from serkit.corpora.parts import part_of
from serkit.errors import UserError
from serkit.sheets import Row
from serkit.text import clean, is_missing

FACTS = Facts(
    name="audformat",
    title="A database of audformat",
    language=None,
    licence="the user's own",
    citation="",
    url="https://audeering.github.io/audformat/",
)
LAYOUT = "It should hold db.yaml and the tables that it names, such as db.emotion.csv; or be one of these tables."

# As pandas writes it to CSV and Parquet.
_ZERO = re.compile(r"0 days( 00:00:00(\.0+)?)?|0(\.0+)?")
_PROPERTIES = frozenset({"speaker", "sex", "language", "sentence", "session"})
# File, start and end.
_Segment = tuple[str, str, str]


@dataclass(frozen=True)
class _Table:
    path: Path
    part: str | None
    columns: Mapping[str, str]  # what serkit reads of it: name of the column by serkit's name
    rows: Mapping[int, Row]


def read(path: Path, reading: Reading) -> Corpus:
    """Read all tables of a database, or labels from one of them.

    Raises:
        UserError: the header or a table is missing or malformed, no table has emotions, or rows are bad; see
            `serkit.corpora.rows.corpus`.
    """
    folder = path if path.is_dir() else path.parent
    header = _header(folder)
    tables = list(_tables(folder, header, reading))
    labelled = [table for table in tables if "emotion" in table.columns and (path.is_dir() or table.path == path)]
    if not labelled:
        told = ", ".join(sorted(name for table in header["tables"].values() for name in table.get("columns") or {}))
        raise UserError(
            f"{path}: no table has a column of emotions; name it with --columns emotion=COLUMN. Columns: {told}"
        )
    known = _properties(tables)
    of_speaker = _speakers(folder, header)
    entries: dict[Any, dict[str, object]] = {}
    first: dict[_Segment, tuple[str, str]] = {}
    faults: dict[Any, str] = {}
    for table in labelled:
        for number, row in table.rows.items():
            place, segment, label = (
                f"{table.path.name} row {number}",
                _segment(row),
                clean(row[table.columns["emotion"]]),
            )
            if segment in first:
                other, said = first[segment]
                if label != said and not is_missing(label):
                    faults[place] = (
                        f"is '{label}', but {other} is '{said}'; choose one table, or --columns emotion=COLUMN"
                    )
                continue
            first[segment] = place, label
            entry = known.get((segment[0], "", ""), {}) | known.get(segment, {})
            entry = of_speaker.get(entry.get("speaker", ""), {}) | entry
            name, start, end = segment
            entries[place] = {**entry, "path": name, "emotion": label, "start": start, "end": end, "part": table.part}
    return rows.corpus(FACTS, rows.of_entries(path, folder, entries, FACTS.name, faults), reading)


def _header(folder: Path) -> dict[str, Any]:
    path = folder / "db.yaml"
    if not path.is_file():
        raise UserError(f"{folder}: has no db.yaml. {LAYOUT}")
    try:
        import yaml
    except ImportError:
        raise UserError(f"{path}: audformat requires pyyaml: pip install 'serkit[tables]'") from None
    text, _ = sheets.decode(path, sheets.content(path))
    try:
        header = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(header, dict) or not isinstance(header.get("tables"), dict):
        raise UserError(f"{path}: lists no tables")
    return header


def _tables(folder: Path, header: Mapping[str, Any], reading: Reading) -> Iterator[_Table]:
    splits = header.get("splits") or {}
    chosen = reading.columns.get("emotion")
    for name, about in header["tables"].items():
        columns: dict[str, str] = {}
        for column, described in (about.get("columns") or {}).items():
            means = meaning(column) or meaning(str((described or {}).get("scheme_id", "")))
            if chosen:
                means = "emotion" if chosen in (column, f"{name}.{column}") else means if means != "emotion" else None
            if means == "emotion" or means in _PROPERTIES:
                columns.setdefault(means, column)
        if not columns:
            continue
        path = _file(folder, name)
        sheet = sheets.read(path).sound()
        lacking = [column for column in ("file", *columns.values()) if column not in sheet.columns]
        if lacking:
            raise UserError(f"{path}: has no column '{lacking[0]}', which db.yaml names")
        split = splits.get(about.get("split_id"), {}).get("type") or about.get("split_id") or ""
        yield _Table(path, part_of(split), columns, sheet.rows)


def _file(folder: Path, table: str) -> Path:
    """Return the file of a table. Those in Python's pickle format are not read, because they can run programs."""
    for suffix in ("parquet", "csv"):
        if (path := folder / f"db.{table}.{suffix}").is_file():
            return path
    if (folder / f"db.{table}.pkl").is_file():
        raise UserError(f"{folder}: table '{table}' is stored as pickle; save the database with storage_format='csv'")
    raise UserError(f"{folder}: table '{table}' is missing (db.{table}.csv or db.{table}.parquet)")


def _segment(row: Row) -> _Segment:
    """Return file, start and end; the last two are empty if the segment is the whole file."""
    start, end = (clean(row.get(name, "")) for name in ("start", "end"))
    start, end = ("" if is_missing(text) else text for text in (start, end))
    # Whole files have a start, too, in segmented tables.
    return row["file"], "" if not end and _ZERO.fullmatch(start) else start, end


def _properties(tables: list[_Table]) -> dict[_Segment, dict[str, str]]:
    """Return speakers and the like by segment."""
    known: dict[_Segment, dict[str, str]] = {}
    for table in tables:
        names = [(name, column) for name, column in table.columns.items() if name in _PROPERTIES]
        for row in table.rows.values() if names else ():
            said = {name: clean(row[column]) for name, column in names if not is_missing(row[column])}
            known[_segment(row)] = said | known.get(_segment(row), {})
    return known


def _speakers(folder: Path, header: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the properties of speakers, from the labels of their scheme or from the table that it names."""
    found: dict[str, dict[str, str]] = {}
    for name, scheme in (header.get("schemes") or {}).items():
        labels = scheme.get("labels") if meaning(name) == "speaker" else None
        if isinstance(labels, dict):
            described = labels
        elif isinstance(labels, str) and labels in (header.get("misc_tables") or {}):
            sheet = sheets.read(_file(folder, labels)).sound()
            described = {row[sheet.columns[0]]: row for row in sheet.rows.values()}
        else:
            continue
        for speaker, properties in described.items():
            said = {
                str(meaning(key)): clean(str(value)) for key, value in (properties or {}).items() if value is not None
            }
            found[str(speaker)] = {key: value for key, value in said.items() if key in _PROPERTIES and key != "speaker"}
    return found
