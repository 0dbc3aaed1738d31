"""A user's own recordings, listed in a table: CSV, TSV or Parquet.

Names, labels and columns are cleaned (see `serkit.text`), blank rows skipped.

| column | meaning |
| --- | --- |
| path | the sound file; relative to the table's folder |
| emotion | the label; any spelling of `serkit.emotions` |
| id | name of the row; default: the path without its suffix |
| speaker, sentence, sex, language, session | as in `Utterance`; session is an attribute |
| start, end | interval of the file, in s or as `0 days 00:00:01.5` (see `serkit.corpora.durations`) |
| channel | channel that holds the speech, from 0; default: all mixed down |
| egg, egg_channel | file of the electroglottograph (default: the same) and its channel (default 0) |
| egg_start | where in that file the speech begins, likewise; default 0 |
| corpus | prefix of id, speaker and sentence; default: table |
| any other | a further target: numbers if every value is one, else text; empty where unknown |

Missing are an empty cell and what programs write for one (`NA`, `nan`, ...): such a row has no speaker, no start, no
value of a further target. In a column of labels a word such as `none` is a class.
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
    numeric = {name for name in others if _is_numeric(row[name] for row in rows.values())}
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
    return _on_disk(path, _unique(path, found))


def read_rows(path: Path) -> tuple[list[str], Rows]:
    """Read the header and the cells as cleaned text; an empty cell is an empty string, a blank row is left out.

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
    """Return the text of a cell, cleaned but for the names of files, in which every letter counts."""
    return text.strip() if column in _FILES else clean(text)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise UserError(f"{path}: column '{twice[0]}' is there twice; rename or remove one")


def _check_delimiter(path: Path, columns: Sequence[str], delimiter: str) -> None:
    if len(columns) == 1 and (other := next((mark for mark in ";\t," if mark in columns[0]), None)):
        raise UserError(
            f"{path}: a single column '{columns[0]}'; cells are separated by {_MARKS[delimiter]} here, not by "
            f"{_MARKS[other]}"
        )


def _parquet_rows(path: Path) -> tuple[list[str], Rows]:
    try:
        import pandas
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pandas: pip install serkit[lab]") from None
    try:
        frame = pandas.read_parquet(path)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({error})") from None
    if any(name is not None for name in frame.index.names):  # as audformat keeps file, start and end
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
    """Write a value of Parquet or JSON as CSV would; whole numbers become 3.0 where another row is empty."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _utterance(folder: Path, row: Row) -> Utterance:
    """Make an utterance of a row; a `ValueError` says what is wrong with it."""
    if not row["path"]:
        raise ValueError("empty path")
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
        if is_missing_label(row["emotion"]):
            raise ValueError(f"emotion '{row['emotion']}' is a missing value" if row["emotion"] else "empty emotion")
        targets["emotion"] = canonical(row["emotion"])
    for name in others:
        if name in numeric and not is_missing(row[name]):
            targets[name] = float(row[name])
        elif name not in numeric and not is_missing_label(row[name]):
            targets[name] = row[name]
    if not targets:
        raise ValueError(f"no label; all of {', '.join(others)} are empty")
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
        raise ValueError(f"{column} '{row[column]}' is not a time; write seconds, or 0 days 00:00:01.5") from None


def _channel(row: Row, column: str) -> int | None:
    if column not in row:
        return None
    text = row[column]
    if not _is_number(text) or float(text) < 0 or not float(text).is_integer():
        raise ValueError(f"{column} '{text}' is not a channel; they are counted 0, 1, ...")
    return int(float(text))


def _is_numeric(texts: Iterable[str]) -> bool:
    """Return whether a column holds numbers, or nothing at all."""
    present = [text for text in texts if not is_missing_label(text)]
    numbers = [text for text in present if _is_number(text)]
    return all(map(is_missing, set(present) - set(numbers))) if numbers else not present


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
    return composed(plain.relative_to(plain.anchor).as_posix())


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


def _on_disk(path: Path, utterances: Mapping[int, Utterance]) -> dict[int, Utterance]:
    """Return the utterances with their files' names as they are on disk, which may have another Unicode form.

    Raises:
        UserError: files do not exist, or may not be read.
    """
    listed = [
        file for u in utterances.values() for file in (u.path, *(channel.path for channel in u.channels.values()))
    ]
    missing = [file for file in dict.fromkeys(listed) if not os.path.isfile(file)]  # false also for names too long
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
        # As Windows writes them; elsewhere a backslash is a letter of the name.
        hint = "; write / instead of \\ between folders" if os.sep == "/" and "\\" in str(missing[0]) else ""
        raise UserError(f"{path}: {len(missing)} of its files do not exist: {_listed(missing)}{hint}")


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files[:3])) + ", ..." * (len(files) > 3)
