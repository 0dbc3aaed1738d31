"""Utterances from rows: the one way in which a user's own data become a corpus, whatever their format."""

from __future__ import annotations

import logging
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from serkit import audio, finding
from serkit.corpora.columns import NAMES, TIMES, Named, Reading, Unit
from serkit.corpora.corpus import Channel, Corpus, Facts, Target, Utterance
from serkit.corpora.durations import seconds
from serkit.corpora.parts import part_of
from serkit.emotions import canonical, is_known
from serkit.errors import UserError
from serkit.finding import count
from serkit.sheets import Place, Row, bad_rows, listed, text_of
from serkit.text import composed, is_missing, is_missing_label

_LOG = logging.getLogger("serkit.corpora")
_SEXES = {"f": "female", "m": "male", "w": "female"}
_REMEDY = "; correct {}, or leave {} out with --on-error skip"
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
# Whole numbers from here on may be milliseconds as well as seconds.
_MAY_BE_MS = 1000
# A warning lists at most this many labels.
_MOST_LABELS = 30


@dataclass(frozen=True)
class Rows:
    """Rows under serkit's names for columns (see `serkit.corpora.columns`), from any format.

    Args:
        path: file or folder, for messages.
        folder: folder that relative paths start in.
        columns: names of the columns; those that serkit does not know are further targets.
        cells: cleaned cells by row.
        faults: reason by row for rows that could not be read.
        cautions: warnings about the file, one line each.
        headers: name in the file for columns that serkit knows, where it differs.
        units: unit of bare numbers by column of times.
        decimal_comma: whether numbers may be written with a comma.
        prefix: prefix of ids, speakers and sentences of rows without a `corpus`.
    """

    path: Path
    folder: Path
    columns: Sequence[str]
    cells: Mapping[Any, Row]
    faults: Mapping[Any, str] = field(default_factory=dict)
    cautions: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    decimal_comma: bool = False
    prefix: str = "table"


def of_entries(
    path: Path,
    folder: Path,
    entries: Mapping[Any, Mapping[str, object]],
    prefix: str,
    faults: Mapping[Any, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Rows:
    """Return rows from entries of a format whose times are in s; an entry may lack columns."""
    columns = list(dict.fromkeys(["path", *(name for entry in entries.values() for name in entry)]))
    cells = {place: {name: text_of(entry.get(name)).strip() for name in columns} for place, entry in entries.items()}
    units: dict[str, Unit] = dict.fromkeys(TIMES, "s")
    return Rows(path, folder, columns, cells, faults or {}, headers=headers or {}, units=units, prefix=prefix)


def of_sheet(found: Named, folder: Path | None = None) -> Rows:
    """Return the rows of a table whose paths start in its folder, or in another one."""
    sheet = found.sheet
    return Rows(
        sheet.path,
        folder or sheet.path.parent,
        sheet.columns,
        dict(sheet.rows),
        dict(sheet.faults),
        sheet.cautions,
        found.headers,
        found.units,
        sheet.decimal_comma,
    )


def upwards(folder: Path) -> Callable[[str], str]:
    """Return a function that looks for a file relative to a folder and to those above it.

    Lists of corpora and manifests hold paths from the folder in which their authors worked. The function returns names
    that no folder has unchanged.
    """
    places = [folder, *folder.absolute().parents]
    listings: dict[str, dict[str, str]] = {}

    def found(name: str) -> str:
        for place in places:
            there = finding.on_disk(str((place / name).absolute()), listings)
            if there and os.path.isfile(there):
                # The other files of a list start in the same folder.
                places.sort(key=lambda other: other != place)
                return there
        return name

    return found


def corpus(facts: Facts, rows: Rows, reading: Reading) -> Corpus:
    """Build a corpus from rows.

    Args:
        facts: facts of the format; the target that the rows label is added.
        rows: the rows.
        reading: the user's choices.

    Raises:
        UserError: columns are missing, the unit of times is unclear, or rows are bad: malformed, without a label, with
            the id of another row, or with a file that does not exist. All bad rows are listed.
    """
    further = _further(rows)
    if rows.cells or not rows.faults:
        _check_columns(rows, further)
    faults = dict(rows.faults)
    numeric = {name for name in further if _is_numeric((row[name] for row in rows.cells.values()), rows.decimal_comma)}
    targets: dict[Place, dict[str, Target]] = {}
    for place, row in rows.cells.items():
        try:
            targets[place] = _targets(row, further, numeric, rows.decimal_comma)
        except ValueError as error:
            faults[place] = str(error)
    found = _built(rows, reading, faults)
    labelled = {place: replace(one, targets=targets[place]) for place, one in found.items() if place in targets}
    unique = _unique(labelled, faults)
    there = _on_disk(unique, faults)
    _check_unit(rows, reading, there)
    if faults and not reading.skip_bad_rows:
        raise bad_rows(rows.path, _sorted(faults), len(rows.cells) + len(rows.faults), _remedy(faults))
    if renamed := [f"'{header}' as {name}" for name, header in rows.headers.items() if name not in (header, *further)]:
        _LOG.info("%s: columns read: %s", rows.path.name, ", ".join(renamed))
    texts = [target for name, target in further.items() if name not in numeric]
    target = "emotion" if "emotion" in rows.columns else next(iter(texts), next(iter(further.values()), "emotion"))
    spelled = (row["emotion"] for place, row in rows.cells.items() if place in there and "emotion" in row)
    cautions = [*rows.cautions, *_skipped(faults), *label_cautions(rows.path, Counter(spelled))]
    utterances = sorted(there.values(), key=lambda utterance: utterance.id)
    skipped = {f"row {place}" if isinstance(place, int) else place: why for place, why in _sorted(faults).items()}
    named = replace(facts, target=target)
    return Corpus(named, rows.path, tuple(utterances), skipped=skipped, cautions=tuple(cautions))


def utterances(rows: Rows) -> dict[Any, Utterance]:
    """Build the utterances of rows, without labels.

    Returns:
        Utterances by row.

    Raises:
        UserError: as in `corpus`, except for labels.
    """
    _check_path(rows)
    faults = dict(rows.faults)
    found = _on_disk(_unique(_built(rows, Reading(), faults), faults), faults)
    _check_unit(rows, Reading(), found)
    if faults:
        raise bad_rows(rows.path, _sorted(faults), len(rows.cells) + len(rows.faults))
    return found


def _further(rows: Rows) -> dict[str, str]:
    """Return the columns with further targets, and the targets' names.

    Some columns with names that serkit knows are among them: a column `set` that holds other things than the names of
    parts, folds, and a duration that describes the file instead of an interval.
    """
    there = set(rows.columns)
    unused = {"fold"}
    if not all(map(part_of, filter(None, (row.get("part", "") for row in rows.cells.values())))):
        unused.add("part")
    if "end" in there or not there & {"start", "offset"}:
        unused.add("duration")
    if "start" in there:
        unused.add("offset")
    return {
        name: rows.headers.get(name, name) for name in rows.columns if name and (name not in NAMES or name in unused)
    }


def _check_path(rows: Rows) -> None:
    if "path" not in rows.columns:
        raise UserError(
            f"{rows.path}: has no column 'path'. Columns: {', '.join(rows.columns) or 'none'}"
            + ("; name the one with the files: --columns path=COLUMN" if rows.columns else "")
        )


def _check_columns(rows: Rows, further: Mapping[str, str]) -> None:
    _check_path(rows)
    if "emotion" not in rows.columns and not further:
        raise UserError(
            f"{rows.path}: has no column 'emotion' and no other label. Columns: {', '.join(filter(None, rows.columns))}"
        )


def _built(rows: Rows, reading: Reading, faults: dict[Place, str]) -> dict[Place, Utterance]:
    """Build the utterance of each row; add rows that are malformed to the faults."""
    units = {name: rows.units.get(name, reading.times) for name in TIMES}
    unused = _further(rows).keys()
    found = {}
    for place, row in rows.cells.items():
        said = {name: text for name, text in row.items() if name not in unused and not is_missing(text)}
        if rows.decimal_comma:
            said |= {name: _dotted(said[name]) for name in TIMES if name in said}
        try:
            found[place] = _utterance(rows.folder, row["path"], said, units, rows.prefix)
        except ValueError as error:
            faults[place] = str(error)
    return found


def _utterance(folder: Path, name: str, row: Row, units: Mapping[str, Unit | None], default_prefix: str) -> Utterance:
    """Build the utterance of a row; raise ValueError for a malformed row."""
    if not name:
        raise ValueError("path is empty")
    prefix = row.get("corpus", default_prefix)
    path = _file(folder, name)
    sex = row.get("sex", "").lower()
    start, end = _interval(row, units)
    attributes = {"session": row["session"]} if "session" in row else {}
    if "part" in row:
        attributes["part"] = str(part_of(row["part"]))
    return Utterance(
        id=f"{prefix}/{row.get('id') or _name(name)}",
        path=path,
        speaker=f"{prefix}/{row['speaker']}" if "speaker" in row else None,
        sentence=f"{prefix}/{row['sentence']}" if "sentence" in row else None,
        sex=_SEXES.get(sex, sex) or None,
        language=row.get("language"),
        start=start,
        end=end,
        channels=_channels(folder, row, path, units),
        attributes=attributes,
        index=_channel(row, "channel"),
    )


def _file(folder: Path, name: str) -> Path:
    try:
        return folder / Path(name).expanduser()
    except RuntimeError:  # no such user: the file itself is named `~x.wav`
        return folder / name


def _interval(row: Row, units: Mapping[str, Unit | None]) -> tuple[float | None, float | None]:
    first = "start" if "start" in row else "offset"
    start, end, duration = (_time(row, column, units) for column in (first, "end", "duration"))
    if start is not None and start < 0:
        raise ValueError(f"{first} must not be negative: {row[first]}")
    if end is None and duration is not None:
        end = (start or 0.0) + duration
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"the end is not after the start: {row.get('end') or row['duration']}")
    return (None, None) if end is None and not start else (start, end)  # from 0 on is the whole file


def _targets(row: Row, further: Mapping[str, str], numeric: set[str], decimal_comma: bool) -> dict[str, Target]:
    """Return the labels of a row; raise ValueError for missing labels."""
    targets: dict[str, Target] = {}
    if "emotion" in row:
        if is_missing_label(row["emotion"]):
            raise ValueError(f"emotion '{row['emotion']}' is a missing value" if row["emotion"] else "emotion is empty")
        targets["emotion"] = canonical(row["emotion"])
    for name, target in further.items():
        if name in numeric and (number := _number(row[name], decimal_comma)) is not None:
            targets[target] = number
        elif name not in numeric and not is_missing_label(row[name]):
            targets[target] = row[name]
    if not targets:
        raise ValueError(f"has no label; all of {', '.join(further.values())} are empty")
    return targets


def _channels(folder: Path, row: Row, path: Path, units: Mapping[str, Unit | None]) -> dict[str, Channel]:
    if not row.get("egg") and not row.get("egg_channel"):
        return {}
    egg = _file(folder, row["egg"]) if row.get("egg") else path
    return {"egg": Channel(egg, _channel(row, "egg_channel") or 0, _time(row, "egg_start", units) or 0.0)}


def _time(row: Row, column: str, units: Mapping[str, Unit | None]) -> float | None:
    if column not in row:
        return None
    try:
        return seconds(row[column], units[column] or "s")
    except ValueError:
        raise ValueError(f"{column} must be a time in s or as 0 days 00:00:01.5, got '{row[column]}'") from None


def _channel(row: Row, column: str) -> int | None:
    if column not in row:
        return None
    number = _number(row[column])
    if number is None or number < 0 or not number.is_integer():
        raise ValueError(f"{column} must be the number of a channel, from 0, got '{row[column]}'")
    return int(number)


def _check_unit(rows: Rows, reading: Reading, found: Mapping[Place, Utterance]) -> None:
    """Ask for the unit of bare numbers that may be milliseconds.

    They may if all are whole and one is large, or if the largest is far beyond its recording in seconds, but not in
    milliseconds.
    """
    unused = {*_further(rows), *rows.units, "egg_start"}
    columns = [] if reading.times else [name for name in TIMES if name in rows.columns and name not in unused]
    bare: dict[Place, float] = {}
    for place in found if columns else ():
        numbers = [_number(rows.cells[place][name], rows.decimal_comma) for name in columns]
        if any(number is not None for number in numbers):
            bare[place] = max(number for number in numbers if number is not None)
    if not bare:
        return
    place = max(bare, key=bare.__getitem__)
    largest = bare[place]
    if not (largest >= _MAY_BE_MS and all(number.is_integer() for number in bare.values())):
        try:
            duration = audio.info(found[place].path).duration
        except audio.AudioError:
            return
        # A row that is only a little too long is wrong in itself.
        if not largest / 1000 <= duration < largest / 10:
            return
    raise UserError(
        f"{rows.path}: {' and '.join(rows.headers.get(name, name) for name in columns)} "
        f"{'are numbers' if len(columns) > 1 else 'is a number'} up to {largest:g} without a unit, "
        "which may be seconds or milliseconds; add --times s or --times ms"
    )


def _is_numeric(texts: Iterable[str], decimal_comma: bool) -> bool:
    """Return whether a column holds only numbers and empty cells."""
    present = {text for text in texts if not is_missing_label(text)}
    numbers = {text for text in present if _number(text, decimal_comma) is not None}
    return all(map(is_missing, present - numbers)) if numbers else not present


def _number(text: str, decimal_comma: bool = False) -> float | None:
    """Return a finite number, or None."""
    try:
        number = float(_dotted(text) if decimal_comma else text)
    except ValueError:
        return None
    # Python reads 1_2 as 12, but in a table it is a name.
    return number if math.isfinite(number) and "_" not in text else None


def _dotted(text: str) -> str:
    """Return a number with a decimal comma with a point instead; other texts are unchanged.

    >>> _dotted("1,5"), _dotted("1,500.2")
    ('1.5', '1,500.2')
    """
    return text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text


def _name(path: str) -> str:
    """Return the name of a row: the path of its file without suffix.

    >>> _name("clips/a.wav"), _name("clips\\\\a.wav")
    ('clips/a', 'clips/a')
    """
    plain = Path(path.replace("\\", "/")).with_suffix("")
    return composed(plain.relative_to(plain.anchor).as_posix())


def _unique(found: Mapping[Place, Utterance], faults: dict[Place, str]) -> dict[Place, Utterance]:
    """Add the start to the ids of several intervals of one recording: `call@1.200`.

    Rows whose ids are still equal are bad: all of them if they differ, otherwise the repetitions.
    """
    uses = Counter(utterance.id for utterance in found.values())
    by_id: dict[str, list[Place]] = {}
    unique = {}
    for place, utterance in found.items():
        if uses[utterance.id] > 1:
            utterance = replace(utterance, id=f"{utterance.id}@{utterance.start or 0.0:.3f}")
        unique[place] = utterance
        by_id.setdefault(utterance.id, []).append(place)
    for id, (first, *others) in by_id.items():
        if not others:
            continue
        repeated = all(unique[place] == unique[first] for place in others)
        for place in others if repeated else [first, *others]:
            other = first if place != first else others[0]
            same = "repeats" if repeated else "has the same id as"
            what = f"row {other}" if isinstance(other, int) else other
            faults[place] = f"{same} {what}, '{id}'" + ("" if repeated else "; distinguish them in a column 'id'")
            del unique[place]
    return unique


def _on_disk(found: Mapping[Place, Utterance], faults: dict[Place, str]) -> dict[Place, Utterance]:
    """Return the utterances with file names as they are on disk; add rows without their files to the faults.

    Names on disk may have another Unicode form, tables written on Windows have backslashes between folders, and some
    tables leave out the suffixes.
    """
    listed = {
        file for one in found.values() for file in (one.path, *(channel.path for channel in one.channels.values()))
    }
    # Names that are too long count as missing, too.
    missing = [file for file in listed if not os.path.isfile(file)]
    listings: dict[str, dict[str, str]] = {}
    names: dict[Path, Path] = {}
    for file in missing:
        plain = str(file).replace("\\", "/") if os.sep == "/" else str(file)
        name = finding.on_disk(str(file), listings) or finding.on_disk(plain, listings) or _with_suffix(plain)
        if name and os.path.isfile(name):
            names[file] = Path(name)
    lost = {file: _reason(file) for file in missing if file not in names}
    there = {}
    for place, utterance in found.items():
        files = (utterance.path, *(channel.path for channel in utterance.channels.values()))
        if gone := [file for file in files if file in lost]:
            faults[place] = f"{lost[gone[0]]}: {gone[0]}"
        else:
            there[place] = _renamed(utterance, names) if names else utterance
    return there


def _with_suffix(path: str) -> str | None:
    """Return the only recording with this name and a suffix, if there is exactly one."""
    there = [name for suffix in audio.SUFFIXES if os.path.isfile(name := f"{path}{suffix}")]
    return there[0] if len(there) == 1 else None


def _reason(file: Path) -> str:
    reason = finding.problem(str(file))
    return "its file does not exist" if reason in (None, finding.NONE) else f"its file {reason}"


def _renamed(utterance: Utterance, names: Mapping[Path, Path]) -> Utterance:
    channels = {
        name: replace(channel, path=names.get(channel.path, channel.path))
        for name, channel in utterance.channels.items()
    }
    return replace(utterance, path=names.get(utterance.path, utterance.path), channels=channels)


def _sorted(faults: Mapping[Place, str]) -> dict[Place, str]:
    """Return faults in the order of rows; other places follow, in the order in which they were found."""
    return dict(sorted(faults.items(), key=lambda item: item[0] if isinstance(item[0], int) else math.inf))


def _remedy(faults: Mapping[Place, str]) -> str:
    return _REMEDY.format(*(("it", "it") if len(faults) == 1 else ("them", "them")))


def _skipped(faults: Mapping[Place, str]) -> list[str]:
    return [f"{count(faults, 'bad row')} left out: {listed(_sorted(faults))}"] if faults else []


def label_cautions(path: Path, spelled: Mapping[str, int]) -> list[str]:
    """Log which labels were mapped to which emotions, and return a caution about those that serkit does not know."""
    mapped: dict[str, list[str]] = {}
    for label in sorted(spelled):
        if is_known(label) and canonical(label) != label:
            mapped.setdefault(canonical(label), []).append(label)
    if mapped:
        told = "; ".join(f"{', '.join(map(repr, labels))} to {name}" for name, labels in sorted(mapped.items()))
        _LOG.info("%s: labels mapped: %s", path.name, told)
    unknown = {label: number for label, number in sorted(spelled.items()) if not is_known(label)}
    if not unknown:
        return []
    named = [f"'{label}' ({number})" for label, number in unknown.items()]
    more = f" and {len(named) - _MOST_LABELS} more" if len(named) > _MOST_LABELS else ""
    return [
        f"{count(named, 'label')} not known as emotions and kept as they are: {', '.join(named[:_MOST_LABELS])}{more}"
    ]
