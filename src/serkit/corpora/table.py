"""A user's own recordings, listed in a table: CSV, TSV or Parquet.

| column | meaning |
| --- | --- |
| path | the sound file; relative to the table's folder |
| emotion | the label; any spelling of `serkit.emotions` |
| id | name of the row; default: the path without its suffix |
| speaker, sentence, sex, language, session | as in `Utterance`; session is an attribute |
| start, end | interval of the file in s |
| channel | channel that holds the speech, from 0; default: all mixed down |
| egg, egg_channel | file of the electroglottograph (default: the same) and its channel (default 0) |
| egg_start | where in that file the speech begins, in s; default 0 |
| corpus | prefix of id, speaker and sentence; default: table |
| any other | a further target: numbers if every value is one, else text; empty where unknown |
"""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from serkit.corpora.corpus import Channel, Corpus, Facts, Target, Utterance
from serkit.emotions import canonical
from serkit.errors import UserError

FACTS = Facts(
    name="table",
    title="A table of recordings",
    language=None,
    licence="the user's own",
    citation="",
    url="",
)
LAYOUT = "It should be a CSV, TSV or Parquet file with columns path and emotion, and a row per recording."

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_MARKS = {",": "commas", "\t": "tabs", ";": "semicolons"}
_PLACE = {"path", "start", "end", "channel", "egg", "egg_channel", "egg_start"}
_KNOWN = _PLACE | {"emotion", "id", "speaker", "sentence", "sex", "language", "session", "corpus"}
_SEXES = {"f": "female", "m": "male"}

Row = Mapping[str, str]
#: Rows by their number in the file; the header is row 1.
Rows = dict[int, Row]


def read(path: Path) -> Corpus:
    """Read a table; see the module for its columns.

    Raises:
        UserError: no table, a missing column or value, a number that is none, two rows with one id, or
            recordings that do not exist (all counted, three named).
    """
    columns, rows = read_rows(path)
    # A column without a name is the number of the row, as pandas writes it.
    others = [name for name in columns if name and name not in _KNOWN]
    if "emotion" not in columns and not others and "path" in columns:
        raise UserError(f"{path}: no column 'emotion' and no other label. Found: {', '.join(columns)}")
    numeric = {name for name in others if all(_is_number(row[name]) for row in rows.values() if row[name])}
    labels = {number: _label(path, number, row, others, numeric) for number, row in rows.items()}
    found = utterances(path, columns, rows)
    labelled = [replace(utterance, targets=labels[number]) for number, utterance in found.items()]
    target = "emotion" if "emotion" in columns else next((n for n in others if n not in numeric), others[0])
    return Corpus(replace(FACTS, target=target), path, tuple(sorted(labelled, key=lambda utterance: utterance.id)))


def utterances(path: Path, columns: Sequence[str], rows: Rows) -> dict[int, Utterance]:
    """Make the utterances of a table, without their labels.

    Args:
        path: the table; files are seen from its folder.
        columns: its header.
        rows: its cells, see `read_rows`.

    Returns:
        Utterance by number of its row.

    Raises:
        UserError: as `read`, but for labels.
    """
    if "path" not in columns:
        raise UserError(f"{path}: no column 'path'. Found: {', '.join(columns) or 'none'}")
    found = {}
    for number, row in rows.items():
        try:
            found[number] = _utterance(path.parent, row)
        except ValueError as error:
            raise UserError(f"{path}, row {number}: {error}") from None
    unique = _unique(path, found)
    _check_files(path, list(unique.values()))
    return unique


def read_rows(path: Path) -> tuple[list[str], Rows]:
    """Read the header and the cells as text; an empty cell is an empty string.

    Raises:
        UserError: not a table, or one that cannot be read.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in {*_DELIMITERS, ".parquet"}:
        raise UserError(f"{path}: not a table; one of {', '.join(sorted(_DELIMITERS))}, .parquet is needed")
    if suffix == ".parquet":
        return _parquet_rows(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Strict: a quote that is never closed would swallow all rows behind it.
            reader = csv.reader(file, delimiter=_DELIMITERS[suffix], strict=True)
            lines = list(reader)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save the table as UTF-8") from None
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: quotes do not match ({error}); close each, double those inside a cell"
        ) from None
    columns = [name.strip() for name in lines[0]] if lines else []
    _check_columns(path, columns, _DELIMITERS[suffix])
    rows: Rows = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) > len(columns):
            raise UserError(f"{path}, row {number}: {len(line)} values for {len(columns)} columns")
        if line:
            padded = [cell.strip() for cell in line] + [""] * (len(columns) - len(line))
            rows[number] = dict(zip(columns, padded, strict=True))
    return columns, rows


def _check_columns(path: Path, columns: Sequence[str], delimiter: str) -> None:
    if len(columns) == 1 and (other := next((mark for mark in ";\t," if mark in columns[0]), None)):
        raise UserError(
            f"{path}: a single column '{columns[0]}'; cells are separated by {_MARKS[delimiter]} here, not by "
            f"{_MARKS[other]}"
        )
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise UserError(f"{path}: column '{twice[0]}' is there twice; rename or remove one")


def _parquet_rows(path: Path) -> tuple[list[str], Rows]:
    try:
        import pandas
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pandas: pip install serkit[lab]") from None
    try:
        frame = pandas.read_parquet(path)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({error})") from None
    columns = [str(name) for name in frame.columns]
    known = frame.notna().to_numpy()
    return columns, {
        number: {name: _text(value) if there else "" for name, value, there in zip(columns, line, mask, strict=True)}
        for number, (line, mask) in enumerate(zip(frame.itertuples(index=False), known, strict=True), start=2)
    }


def _text(value: object) -> str:
    """Write a cell of Parquet as CSV would; whole numbers become 3.0 where another row is empty."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _utterance(folder: Path, row: Row) -> Utterance:
    """Make an utterance of a row; a `ValueError` says what is wrong with it."""
    if not row["path"]:
        raise ValueError("empty path")
    prefix = row.get("corpus") or "table"
    path = _file(folder, row["path"])
    sex = row.get("sex", "").lower()
    return Utterance(
        id=f"{prefix}/{row.get('id') or _name(row['path'])}",
        path=path,
        speaker=f"{prefix}/{row['speaker']}" if row.get("speaker") else None,
        sentence=f"{prefix}/{row['sentence']}" if row.get("sentence") else None,
        sex=_SEXES.get(sex, sex) or None,
        language=row.get("language") or None,
        start=_number(row, "start"),
        end=_number(row, "end"),
        channels=_channels(folder, row, path),
        attributes={"session": row["session"]} if row.get("session") else {},
        index=_channel(row, "channel"),
    )


def _file(folder: Path, name: str) -> Path:
    try:
        return folder / Path(name).expanduser()
    except RuntimeError:  # there is no such user: the file itself is called `~x.wav`
        return folder / name


def _label(path: Path, number: int, row: Row, others: Sequence[str], numeric: set[str]) -> dict[str, Target]:
    try:
        return _targets(row, others, numeric)
    except ValueError as error:
        raise UserError(f"{path}, row {number}: {error}") from None


def _targets(row: Row, others: Sequence[str], numeric: set[str]) -> dict[str, Target]:
    """Return the labels of a row; a `ValueError` says what is wrong with them."""
    targets: dict[str, Target] = {}
    if "emotion" in row:
        if not row["emotion"]:
            raise ValueError("empty emotion")
        targets["emotion"] = canonical(row["emotion"])
    for name in others:
        if row[name]:
            targets[name] = float(row[name]) if name in numeric else row[name]
    if not targets:
        raise ValueError(f"no label; all of {', '.join(others)} are empty")
    return targets


def _channels(folder: Path, row: Row, path: Path) -> dict[str, Channel]:
    if not row.get("egg") and not row.get("egg_channel"):
        return {}
    egg = _file(folder, row["egg"]) if row.get("egg") else path
    return {"egg": Channel(egg, _channel(row, "egg_channel") or 0, _number(row, "egg_start") or 0.0)}


def _number(row: Row, column: str) -> float | None:
    text = row.get(column, "")
    if text and not _is_number(text):
        raise ValueError(f"{column} '{text}' is not a number")
    return float(text) if text else None


def _channel(row: Row, column: str) -> int | None:
    number = _number(row, column)
    if number is not None and (number < 0 or not number.is_integer()):
        raise ValueError(f"{column} '{row[column]}' is not a channel; they are counted 0, 1, ...")
    return None if number is None else int(number)


def _is_number(text: str) -> bool:
    try:
        # Python reads 1_2 as 12; in a table it is a name.
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _name(path: str) -> str:
    """Name a row after its file.

    >>> _name("clips/a.wav")
    'clips/a'
    """
    plain = Path(path).with_suffix("")
    return plain.relative_to(plain.anchor).as_posix()


def _unique(path: Path, utterances: Mapping[int, Utterance]) -> dict[int, Utterance]:
    """Tell several intervals of one recording apart by their beginning: `call@1.200`."""
    uses = Counter(utterance.id for utterance in utterances.values())
    rows: dict[str, int] = {}
    unique = {}
    for number, utterance in utterances.items():
        if uses[utterance.id] > 1:
            utterance = replace(utterance, id=f"{utterance.id}@{utterance.start or 0.0:.3f}")
        if utterance.id in rows:
            raise UserError(
                f"{path}: rows {rows[utterance.id]} and {number} have the same id '{utterance.id}'; "
                "remove one, or tell them apart with a column 'id'"
            )
        rows[utterance.id] = number
        unique[number] = utterance
    return unique


def _check_files(path: Path, utterances: Sequence[Utterance]) -> None:
    listed = [file for u in utterances for file in (u.path, *(channel.path for channel in u.channels.values()))]
    missing = [file for file in dict.fromkeys(listed) if not os.path.isfile(file)]  # false also for names too long
    if missing:
        names = ", ".join(str(file) for file in missing[:3]) + ", ..." * (len(missing) > 3)
        # As Windows writes them; elsewhere a backslash is a letter of the name.
        hint = "; write / instead of \\ between folders" if os.sep == "/" and "\\" in str(missing[0]) else ""
        raise UserError(f"{path}: {len(missing)} of its files do not exist: {names}{hint}")
