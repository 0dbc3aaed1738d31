"""A user's own recordings, listed in a table: CSV, TSV or Parquet.

Names, labels and columns are cleaned (see `serkit.text`); blank rows are skipped.

| column | meaning |
| --- | --- |
| path | sound file, relative to the table's folder |
| emotion | label, in any spelling of `serkit.emotions` |
| id | name of the row; default: the path without its suffix |
| speaker, sentence, sex, language, session | as in `Utterance`; session is an attribute |
| start, end | interval of the file, in s or as `0 days 00:00:01.5` (see `serkit.corpora.durations`) |
| channel | channel of the speech, counted from 0; default: mean of all channels |
| egg, egg_channel | file of the electroglottograph (default: the same) and its channel (default 0) |
| egg_start | time in that file at which the speech begins, in the same formats; default 0 |
| corpus | prefix of id, speaker and sentence; default: table |
| any other | further target: numbers if all values are numbers, otherwise text; empty if unknown |

Empty cells and the words that programs write for them (`NA`, `nan`, ...) are missing values: such a row has no speaker,
no start, or no value of a further target. In a column of labels, a word such as `none` is a class.
"""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from serkit import finding
from serkit.corpora.corpus import Channel, Corpus, Facts, Target, Utterance
from serkit.corpora.durations import seconds
from serkit.emotions import canonical
from serkit.errors import UserError
from serkit.text import clean, composed, is_missing, is_missing_label

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
_FILES = frozenset({"path", "egg"})
_SEXES = {"f": "female", "m": "male"}

Row = Mapping[str, str]
#: Rows by number in the file; the header is row 1.
Rows = dict[int, Row]


def read(path: Path) -> Corpus:
    """Read a table; the module docstring lists its columns.

    Raises:
        UserError: the file is not a table, a column or value is missing, a number is malformed, two rows have one id,
            or recordings do not exist (all are counted, three are named).
    """
    columns, rows = read_rows(path)
    # A column without a name is the row number that pandas writes.
    others = [name for name in columns if name and name not in _KNOWN]
    if "emotion" not in columns and not others and "path" in columns:
        raise UserError(f"{path}: has no column 'emotion' and no other label. Columns: {', '.join(columns)}")
    numeric = {name for name in others if _is_numeric(row[name] for row in rows.values())}
    labels = {number: _label(path, number, row, others, numeric) for number, row in rows.items()}
    found = utterances(path, columns, rows)
    labelled = [replace(utterance, targets=labels[number]) for number, utterance in found.items()]
    target = "emotion" if "emotion" in columns else next((n for n in others if n not in numeric), others[0])
    return Corpus(replace(FACTS, target=target), path, tuple(sorted(labelled, key=lambda utterance: utterance.id)))


def utterances(path: Path, columns: Sequence[str], rows: Rows) -> dict[int, Utterance]:
    """Build the utterances of a table, without labels.

    Args:
        path: path of the table; sound files are relative to its folder.
        columns: header of the table.
        rows: cells of the table, see `read_rows`.

    Returns:
        Utterances by row number.

    Raises:
        UserError: as in `read`, except for labels.
    """
    if "path" not in columns:
        raise UserError(f"{path}: has no column 'path'. Columns: {', '.join(columns) or 'none'}")
    found = {}
    for number, row in rows.items():
        try:
            found[number] = _utterance(path.parent, row)
        except ValueError as error:
            raise UserError(f"{path}, row {number}: {error}") from None
    return _on_disk(path, _unique(path, found))


def read_rows(path: Path) -> tuple[list[str], Rows]:
    """Read the header and the cells as cleaned text. An empty cell is an empty string; blank rows are skipped.

    Raises:
        UserError: the file is not a table, or cannot be read.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in {*_DELIMITERS, ".parquet"}:
        raise UserError(f"{path}: is not a table; supported are {', '.join(sorted(_DELIMITERS))}, .parquet")
    if suffix == ".parquet":
        return _parquet_rows(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Strict, because an unclosed quote would swallow all following rows.
            reader = csv.reader(file, delimiter=_DELIMITERS[suffix], strict=True)
            lines = list(reader)
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save the table as UTF-8") from None
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: quotes do not match ({error}); close each, and double those inside a cell"
        ) from None
    filled = {number: line for number, line in enumerate(lines, start=1) if not all(map(is_missing, line))}
    header = next(iter(filled), 0)
    columns = list(map(clean, filled.pop(header, [])))
    _check_delimiter(path, columns, _DELIMITERS[suffix])
    _check_columns(path, columns)
    rows: Rows = {}
    for number, line in filled.items():
        if any(map(clean, line[len(columns) :])):
            raise UserError(f"{path}, row {number}: {len(line)} values for {len(columns)} columns")
        padded = [*line, *[""] * (len(columns) - len(line))]
        rows[number] = {name: cell(name, text) for name, text in zip(columns, padded, strict=False)}
    return columns, rows


def cell(column: str, text: str) -> str:
    """Return the text of a cell, cleaned unless it is a file name, in which every character counts."""
    return text.strip() if column in _FILES else clean(text)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise UserError(f"{path}: column '{twice[0]}' appears twice; rename or remove one")


def _check_delimiter(path: Path, columns: Sequence[str], delimiter: str) -> None:
    if len(columns) == 1 and (other := next((mark for mark in ";\t," if mark in columns[0]), None)):
        raise UserError(
            f"{path}: has a single column '{columns[0]}'; separate cells by {_MARKS[delimiter]}, not by {_MARKS[other]}"
        )


def _parquet_rows(path: Path) -> tuple[list[str], Rows]:
    try:
        import pandas
    except ImportError:
        raise UserError(f"{path}: Parquet requires pandas: pip install 'serkit[lab]'") from None
    try:
        frame = pandas.read_parquet(path)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: is not a Parquet file ({error})") from None
    if any(name is not None for name in frame.index.names):  # audformat keeps file, start and end in the index
        frame = frame.reset_index()
    columns = [clean(str(name)) for name in frame.columns]
    _check_columns(path, columns)
    known = frame.notna().to_numpy()
    rows: Rows = {}
    for number, (line, mask) in enumerate(zip(frame.itertuples(index=False), known, strict=True), start=2):
        values = {name: value if there else None for name, value, there in zip(columns, line, mask, strict=True)}
        row = {name: cell(name, text_of(value)) for name, value in values.items()}
        if not all(map(is_missing, row.values())):
            rows[number] = row
    return columns, rows


def text_of(value: object) -> str:
    """Return a value of Parquet or JSON in its CSV form; whole numbers become 3.0 if another row is empty."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _utterance(folder: Path, row: Row) -> Utterance:
    """Build the utterance of a row; raise ValueError for a malformed row."""
    if not row["path"]:
        raise ValueError("path is empty")
    said = {name: text for name, text in row.items() if not is_missing(text)}
    prefix = said.get("corpus", "table")
    path = _file(folder, row["path"])
    sex = said.get("sex", "").lower()
    return Utterance(
        id=f"{prefix}/{said.get('id') or _name(row['path'])}",
        path=path,
        speaker=f"{prefix}/{said['speaker']}" if "speaker" in said else None,
        sentence=f"{prefix}/{said['sentence']}" if "sentence" in said else None,
        sex=_SEXES.get(sex, sex) or None,
        language=said.get("language"),
        start=_time(said, "start"),
        end=_time(said, "end"),
        channels=_channels(folder, said, path),
        attributes={"session": said["session"]} if "session" in said else {},
        index=_channel(said, "channel"),
    )


def _file(folder: Path, name: str) -> Path:
    try:
        return folder / Path(name).expanduser()
    except RuntimeError:  # no such user: the file itself is named `~x.wav`
        return folder / name


def _label(path: Path, number: int, row: Row, others: Sequence[str], numeric: set[str]) -> dict[str, Target]:
    try:
        return _targets(row, others, numeric)
    except ValueError as error:
        raise UserError(f"{path}, row {number}: {error}") from None


def _targets(row: Row, others: Sequence[str], numeric: set[str]) -> dict[str, Target]:
    """Return the labels of a row; raise ValueError for missing labels."""
    targets: dict[str, Target] = {}
    if "emotion" in row:
        if is_missing_label(row["emotion"]):
            raise ValueError(f"emotion '{row['emotion']}' is a missing value" if row["emotion"] else "emotion is empty")
        targets["emotion"] = canonical(row["emotion"])
    for name in others:
        if name in numeric and not is_missing(row[name]):
            targets[name] = float(row[name])
        elif name not in numeric and not is_missing_label(row[name]):
            targets[name] = row[name]
    if not targets:
        raise ValueError(f"has no label; all of {', '.join(others)} are empty")
    return targets


def _channels(folder: Path, row: Row, path: Path) -> dict[str, Channel]:
    if not row.get("egg") and not row.get("egg_channel"):
        return {}
    egg = _file(folder, row["egg"]) if row.get("egg") else path
    return {"egg": Channel(egg, _channel(row, "egg_channel") or 0, _time(row, "egg_start") or 0.0)}


def _time(row: Row, column: str) -> float | None:
    if column not in row:
        return None
    try:
        return seconds(row[column])
    except ValueError:
        raise ValueError(f"{column} must be a time in s or as 0 days 00:00:01.5, got '{row[column]}'") from None


def _channel(row: Row, column: str) -> int | None:
    if column not in row:
        return None
    text = row[column]
    if not _is_number(text) or float(text) < 0 or not float(text).is_integer():
        raise ValueError(f"{column} must be the number of a channel, from 0, got '{text}'")
    return int(float(text))


def _is_numeric(texts: Iterable[str]) -> bool:
    """Return whether a column holds only numbers and empty cells."""
    present = [text for text in texts if not is_missing_label(text)]
    numbers = [text for text in present if _is_number(text)]
    return all(map(is_missing, set(present) - set(numbers))) if numbers else not present


def _is_number(text: str) -> bool:
    try:
        # Python reads 1_2 as 12, but in a table it is a name.
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _name(path: str) -> str:
    """Return the name of a row: the path of its file without suffix.

    >>> _name("clips/a.wav")
    'clips/a'
    """
    plain = Path(path).with_suffix("")
    return composed(plain.relative_to(plain.anchor).as_posix())


def _unique(path: Path, utterances: Mapping[int, Utterance]) -> dict[int, Utterance]:
    """Add the start to the ids of several intervals of one recording: `call@1.200`."""
    uses = Counter(utterance.id for utterance in utterances.values())
    rows: dict[str, int] = {}
    unique = {}
    for number, utterance in utterances.items():
        if uses[utterance.id] > 1:
            utterance = replace(utterance, id=f"{utterance.id}@{utterance.start or 0.0:.3f}")
        if utterance.id in rows:
            raise UserError(
                f"{path}: rows {rows[utterance.id]} and {number} have the same id '{utterance.id}'; "
                "remove one, or distinguish them in a column 'id'"
            )
        rows[utterance.id] = number
        unique[number] = utterance
    return unique


def _on_disk(path: Path, utterances: Mapping[int, Utterance]) -> dict[int, Utterance]:
    """Return the utterances with file names as they are on disk, where they may have another Unicode form.

    Raises:
        UserError: files do not exist, or are not readable.
    """
    listed = [
        file for u in utterances.values() for file in (u.path, *(channel.path for channel in u.channels.values()))
    ]
    # Names that are too long count as missing, too.
    missing = [file for file in dict.fromkeys(listed) if not os.path.isfile(file)]
    listings: dict[str, dict[str, str]] = {}
    names = {file: Path(name) for file in missing if (name := finding.on_disk(str(file), listings))}
    _check_files(path, [file for file in missing if not os.path.isfile(names.get(file, file))])
    if not names:
        return dict(utterances)
    return {number: _renamed(utterance, names) for number, utterance in utterances.items()}


def _renamed(utterance: Utterance, names: Mapping[Path, Path]) -> Utterance:
    channels = {
        name: replace(channel, path=names.get(channel.path, channel.path))
        for name, channel in utterance.channels.items()
    }
    return replace(utterance, path=names.get(utterance.path, utterance.path), channels=channels)


def _check_files(path: Path, missing: Sequence[Path]) -> None:
    reasons = {file: reason for file in missing if (reason := finding.problem(str(file))) not in (None, finding.NONE)}
    for reason in reasons.values():
        alike = [file for file in reasons if reasons[file] == reason]
        raise UserError(f"{path}: {len(alike)} of its files: {reason}: {_listed(alike)}")
    if missing:
        # A Windows path; on other systems, a backslash is part of the name.
        hint = "; use / instead of \\ between folders" if os.sep == "/" and "\\" in str(missing[0]) else ""
        raise UserError(f"{path}: {len(missing)} of its files do not exist: {_listed(missing)}{hint}")


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files[:3])) + ", ..." * (len(files) > 3)
