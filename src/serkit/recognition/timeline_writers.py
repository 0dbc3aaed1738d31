"""Writers of timelines: to one file for all recordings, or to a folder with one file each."""

from __future__ import annotations

import csv
import errno
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

from serkit.atomic import write_text, writing_folder
from serkit.errors import UserError, unknown
from serkit.recognition.annotation_formats import clock as caption_clock
from serkit.recognition.annotation_formats import rttm, rttm_names
from serkit.recognition.formats import Json
from serkit.recognition.jobs import Failure
from serkit.recognition.segments import Layout
from serkit.recognition.table import Table
from serkit.recognition.timeline import Timeline
from serkit.recognition.timeline_format_names import FormatName, PluggedFormat, TimelineFormat
from serkit.recognition.timeline_formats import DIGITS, FORMATS, Result, as_dict
from serkit.text import composed
from serkit.writing import clock


def parse_format(name: str) -> FormatName:
    """Return a format of timelines by its name.

    Raises:
        UserError: no format has this name.
    """
    try:
        return TimelineFormat(name)
    except ValueError:
        pass
    if not FORMATS.knows(name):
        raise unknown("format", name, {*map(str, TimelineFormat), *FORMATS.names()})
    return PluggedFormat(name)


def by_recording(format: FormatName) -> bool:
    """Return whether each recording requires a separate file."""
    return _has_text(format) and format is not TimelineFormat.json and not FORMATS.find(format).joined


def by_line(format: FormatName) -> bool:
    """Return whether each recording is written at once."""
    return _has_text(format) and bool(FORMATS.find(format).joined)


def _has_text(format: FormatName) -> bool:
    return format not in (TimelineFormat.table, TimelineFormat.audformat_db)


def endings(format: FormatName | None = None) -> dict[FormatName, str]:
    """Return the file ending of each format of serkit, in lower case, and of one further format."""
    known: list[FormatName] = [one for one in TimelineFormat if one is not TimelineFormat.audformat_db]
    if format is not None and format not in known:
        known.append(format)
    return {one: FORMATS.find(one).suffix.lower() if _has_text(one) else ".txt" for one in known}


class UnwritableError(UserError):
    """The file of one recording cannot be written, but those of others can."""


class Text:
    """Writes each recording at once.

    Args:
        stream: opened with newline="".
        format: one of `FORMATS`.
        layout: what the segments hold.
        begun: whether the stream already has its first lines.
        files: the recordings to come, for unique names in RTTM.
    """

    def __init__(
        self,
        stream: TextIO,
        format: str,
        layout: Layout,
        begun: bool = False,
        files: Sequence[str] = (),
    ) -> None:
        self._names = rttm_names(files) if format == TimelineFormat.rttm else {}
        self._stream = stream
        self._format = FORMATS.find(format)
        self._layout = layout
        if not begun:
            stream.write(self._format.head(layout))

    def write(self, result: Result) -> None:
        if isinstance(result, Failure):
            self._stream.write(self._format.failure(result, self._layout))
        elif result.file in self._names:
            self._stream.write(rttm(result, self._names[result.file]))
        else:
            # Recordings may lack what others have.
            self._stream.write(self._format.body(result.laid_out(self._layout)))
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class SegmentTable(Table):
    """Table for people: a row for each segment."""

    def __init__(self, stream: TextIO, layout: Layout) -> None:
        self._layout = layout
        place = {"channel": True} if layout.each else {}
        place |= {"speaker": False} if layout.speakers else {}
        super().__init__(stream, {**place, "start": True, "end": True, "label": False, "confidence": True})

    def rows(self, result: Timeline) -> Iterator[Sequence[str]]:
        for one in result.segments:
            label = one.error or (one.label if one.sure else f"{one.label}? (unsure: {one.doubt})")
            place = ["" if one.channel is None else str(one.channel)] if self._layout.each else []
            place += [one.speaker] if self._layout.speakers else []
            yield *place, clock(one.start), clock(one.end), label, "" if one.error else f"{one.confidence:.2f}"


class Folder:
    """Writes one file per recording, named after it.

    Args:
        folder: output folder; created if it does not exist.
        format: one of `FORMATS`.
        files: the recordings to come.

    Raises:
        UserError: two recordings would have the same file, or one exists already.
    """

    def __init__(self, folder: Path, format: str, files: Sequence[str]) -> None:
        self._format = FORMATS.find(format)
        self._places = places(folder, files, self._format.suffix)

    def write(self, result: Result) -> None:
        if not isinstance(result, Failure):
            text = self._format.head(result.layout) + self._format.body(result)
            with naming(result.file):
                write_text(self._places[result.file], text)

    def finish(self) -> None:
        pass


class Database:
    """Writes a database of audformat: a folder with `db.yaml` and the table `emotion`, once all recordings are done.

    Source: https://audeering.github.io/audformat/data-format.html. YAML includes JSON, which has no traps of quoting.

    Args:
        folder: new folder.
        layout: what the segments hold.
        name: name of the recognizer.

    Raises:
        UserError: the folder exists.
    """

    def __init__(self, folder: Path, layout: Layout, name: str) -> None:
        if folder.exists():
            raise UserError(f"{folder}: already exists; remove it or choose another --out")
        self._folder, self._layout, self._name = folder, layout, name
        self._rows = StringIO(newline="")
        self._csv = csv.writer(self._rows, lineterminator="\n")
        taken = {"file", "start", "end", *self._schemes()}
        self._given = {name: f"given_{name}" if name in taken else name for name in layout.columns}
        self._csv.writerow(["file", "start", "end", *self._schemes(), *self._given.values()])

    def _schemes(self) -> dict[str, object]:
        """Return the schemes of the columns by name."""
        share = {"dtype": "float", "minimum": 0, "maximum": 1}
        return {
            "emotion": {"dtype": "str", "labels": list(self._layout.labels)},
            "confidence": share,
            "sure": {"dtype": "bool"},
            "doubt": {"dtype": "str"},
            **{f"p_{label}": share for label in self._layout.labels},
            **({"channel": {"dtype": "int", "minimum": 0}} if self._layout.each else {}),
            **({"speaker": {"dtype": "str"}} if self._layout.speakers else {}),
        }

    def write(self, result: Result) -> None:
        if isinstance(result, Failure):
            return
        for one in result.answered:
            more: list[object] = [one.channel] if self._layout.each else []
            more += [one.speaker] if self._layout.speakers else []
            times = (f"0 days {caption_clock(time)}" for time in (one.start, one.end))
            answers = [one.label, round(one.confidence, DIGITS), one.sure, one.doubt]
            shares = (round(one.probabilities[label], DIGITS) for label in self._layout.labels)
            given = (one.columns.get(name, "") for name in self._given)
            self._csv.writerow([result.file, *times, *answers, *shares, *more, *given])

    def finish(self) -> None:
        columns = {name: {"scheme_id": name} for name in self._schemes()} | {
            name: {"description": "column of the given segments"} for name in self._given.values()
        }
        header = {
            "name": f"answers of {self._name}",
            "source": "serkit",
            "usage": "unrestricted",
            "languages": [],
            "description": f"Emotions that the recognizer '{self._name}' of serkit found.",
            "schemes": self._schemes(),
            "tables": {"emotion": {"type": "segmented", "columns": columns}},
        }
        with writing_folder(self._folder) as folder:
            text = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in header.items())
            (folder / "db.yaml").write_text(f"{text}\n", "utf-8")
            (folder / "db.emotion.csv").write_text(self._rows.getvalue(), "utf-8", newline="")


def writer(
    stream: TextIO,
    format: FormatName,
    layout: Layout,
    begun: bool = False,
    files: Sequence[str] = (),
) -> Text | Json | Table:
    """Build the writer of a format for one file; the arguments are those of `Text`."""
    if format is TimelineFormat.table:
        return SegmentTable(stream, layout)
    return Json(stream, as_dict) if format is TimelineFormat.json else Text(stream, format, layout, begun, files)


def places(folder: Path, files: Sequence[str], suffix: str) -> dict[str, Path]:
    """Return the file in a folder for each recording, and create the folder.

    Raises:
        UserError: two recordings would have the same file, or one exists already.
    """
    found = {file: folder / f"{Path(file).stem}{suffix}" for file in files}
    # Some systems do not distinguish these names.
    folded = {file: composed(place.name).casefold() for file, place in found.items()}
    for name, count in Counter(folded.values()).items():
        if count > 1:
            first, second, *_ = (file for file in files if folded[file] == name)
            place = found[first]
            raise UserError(f"{place}: would be the file of both {first} and {second}; recognize them separately")
    for place in found.values():
        if place.exists():
            raise UserError(f"{place}: already exists; remove it or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Raise UnwritableError if the name of an output file is longer than the system allows."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UnwritableError(f"{file}: its name is too long for an output file; shorten it") from None
