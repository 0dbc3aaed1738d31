"""Columns of people's tables under serkit's names, and how a user says which is which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from serkit.errors import UserError, unknown
from serkit.sheets import Sheet
from serkit.text import clean

Unit = Literal["s", "ms"]

#: serkit's name -> names in other people's tables. Case, blanks, dashes and underscores do not count.
NAMES: dict[str, tuple[str, ...]] = {
    "path": (
        *("file", "filename", "filepath", "audio", "audiofile", "audiofilename", "audiofilepath", "audiopath"),
        *("wav", "wavfile", "wavfilename", "wavpath", "soundfile"),
    ),
    "emotion": ("label", "class", "emo", "category", "emotionlabel", "emotionclass", "emotioncategory"),
    "speaker": (
        *("speakerid", "speakername", "spk", "spkid", "spkr", "talker", "talkerid"),
        *("actor", "actorid", "subject", "subjectid", "participant", "participantid"),
    ),
    "id": ("key", "utt", "uttid", "utterance", "utteranceid", "segmentid"),
    "sentence": ("sentenceid", "textid", "promptid"),
    "sex": ("gender",),
    "language": ("lang",),
    "session": ("sessionid",),
    "start": ("starttime", "begin", "begintime", "onset", "tmin"),
    "end": ("endtime", "stop", "stoptime", "tmax"),
    # Of an interval; used only with `start`. NeMo's manifests call the start `offset`.
    "duration": ("dur",),
    "offset": (),
    "channel": (),
    "egg": (),
    "egg_channel": (),
    "egg_start": (),
    "corpus": (),
    "part": ("split", "set", "subset", "partition"),
    "fold": (),
}
TIMES = ("start", "end", "duration", "offset", "egg_start")
#: Columns with file names, in which every character counts.
FILES = frozenset({"path", "egg"})

_UNITS: dict[str, Unit] = {
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "seconds"), "s"),
}
_WITH_UNIT = re.compile(rf"(.+?)([\W_]*)({'|'.join(sorted(_UNITS, key=len, reverse=True))})[\W_]*", re.IGNORECASE)
_BY_ALIAS = {alias: name for name, aliases in NAMES.items() for alias in (name.replace("_", ""), *aliases)}
# EmoBox's lists: `channel` is the number of channels, and these describe the file or the list.
_EMOBOX = frozenset({"key", "wav", "emo"})
_EMOBOX_NAMES = {"dataset": "corpus"}
_EMOBOX_OTHERS = frozenset({"channel", "type", "task", "sample_rate", "num_frame", "length"})


@dataclass(frozen=True)
class Reading:
    """How to read a user's own data.

    Args:
        columns: serkit's name of a column -> its name in the table.
        times: unit of times without one in `start` and `end`; None: s, unless they may be ms.
        skip_bad_rows: whether bad rows are left out and listed; otherwise they are an error.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    times: Unit | None = None
    skip_bad_rows: bool = False


def readings(read: Mapping[str, Reading]) -> dict[str, Reading]:
    """Return how corpora were read, by name: those for which the user gave options."""
    return {name: reading for name, reading in read.items() if reading != Reading()}


def parse(entries: Sequence[str]) -> dict[str, str]:
    """Parse `--columns NAME=COLUMN,NAME=COLUMN`. A name of a column may hold commas.

    >>> parse(["path=Datei,emotion=Label, final", "speaker=Wer"])
    {'path': 'Datei', 'emotion': 'Label, final', 'speaker': 'Wer'}

    Raises:
        UserError: an entry is not NAME=COLUMN, or a name is not a column that serkit reads.
    """
    found: dict[str, str] = {}
    for entry in entries:
        for part in re.split(r",(?=\s*\w+\s*=)", entry):
            name, equals, column = part.partition("=")
            name, column = clean(name).lower(), clean(column)
            if not equals or not column:
                raise UserError(f"--columns must be NAME=COLUMN, e.g. path=Datei,emotion=Label, got '{entry}'")
            if name not in NAMES:
                raise unknown("column", name, NAMES)
            if name in found:
                raise UserError(f"--columns names '{name}' twice, as '{found[name]}' and as '{column}'")
            found[name] = column
    return found


@dataclass(frozen=True)
class Named:
    """A table under serkit's names.

    Args:
        sheet: the table; columns that serkit does not know keep their names.
        headers: name in the file of each column that serkit knows.
        units: unit that the header of a column of times declares, such as `start_ms`.
    """

    sheet: Sheet
    headers: Mapping[str, str]
    units: Mapping[str, Unit]


def named(sheet: Sheet, columns: Mapping[str, str] | None = None) -> Named:
    """Give the columns of a table serkit's names, and clean the cells, except for file names.

    A column is found by the user's word, then by serkit's own name, then by other usual names.

    Args:
        sheet: the table.
        columns: serkit's name -> name in the table.

    Raises:
        UserError: a column that the user names does not exist, or two columns could be the same one.
    """
    emobox = set(sheet.columns) >= _EMOBOX
    others = _EMOBOX_OTHERS if emobox else frozenset()
    headers = _chosen(sheet, columns or {})
    left = [header for header in sheet.columns if header and header not in {*others, *headers.values()}]
    headers |= _found(sheet, left, headers, _EMOBOX_NAMES if emobox else {})
    units = {name: unit for name, header in headers.items() if name in TIMES and (unit := _unit(header))}
    known = {header: name for name, header in headers.items()}
    # A column that the user has not chosen must not pass for one of serkit's.
    renamed = [(header, known.get(header, header)) for header in sheet.columns if header in known or header in left]
    renamed = [(header, name) for header, name in renamed if header in known or name not in NAMES]
    rows = {
        number: {name: row[header] if name in FILES else clean(row[header]) for header, name in renamed}
        for number, row in sheet.rows.items()
    }
    return Named(replace(sheet, columns=[name for _, name in renamed], rows=rows), headers, units)


def _chosen(sheet: Sheet, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the user has named, by serkit's name."""
    headers = {}
    for name, column in columns.items():
        exact = [header for header in sheet.columns if header == column]
        alike = [header for header in sheet.columns if header.lower() == column.lower()]
        if not alike:
            raise UserError(f"{sheet.path}: {unknown('column', column, filter(None, sheet.columns))} (--columns)")
        headers[name] = (exact or alike)[0]
    return headers


def _found(sheet: Sheet, left: Sequence[str], chosen: Mapping[str, str], further: Mapping[str, str]) -> dict[str, str]:
    """Return the other headers that serkit knows, by its name."""
    candidates: dict[str, list[str]] = {}
    for header in left:
        name = further.get(header) or meaning(header)
        if name is not None and name not in chosen:
            candidates.setdefault(name, []).append(header)
    headers = {}
    for name, found in candidates.items():
        own = [header for header in found if header == name] or [header for header in found if header.lower() == name]
        if len(own or found) > 1:
            first, second = (own or found)[:2]
            raise UserError(
                f"{sheet.path}: columns '{first}' and '{second}' may both be '{name}'; "
                f"choose one with --columns {name}={first}"
            )
        headers[name] = (own or found)[0]
    return headers


def meaning(header: str) -> str | None:
    """Return serkit's name for a header of another table, or None.

    >>> meaning("Speaker ID"), meaning("Start (ms)"), meaning("mood")
    ('speaker', 'start', None)
    """
    name = _BY_ALIAS.get(_letters(header))
    if name is None and (match := _WITH_UNIT.fullmatch(header)):
        name = _BY_ALIAS.get(_letters(match[1]))
        return name if name in TIMES else None
    return name


def _unit(header: str) -> Unit | None:
    """Return the unit that the header of a column of times declares, if it does.

    >>> _unit("start_ms"), _unit("Beginn (ms)"), _unit("startms"), _unit("Programs")
    ('ms', 'ms', 'ms', None)
    """
    match = _WITH_UNIT.fullmatch(header)
    if match is None or not (match[2] or _letters(match[1]) in _BY_ALIAS):
        return None
    return _UNITS[match[3].lower()]


def _letters(header: str) -> str:
    """Return the letters and digits of a header in lower case: `File_Name` and `file name` are one.

    >>> _letters("File_Name")
    'filename'
    """
    return re.sub(r"[\W_]+", "", header.lower())
