"""Writers of timelines: to one file for all recordings, or to a folder with one file each."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from serkit.atomic import write_text
from serkit.errors import UserError
from serkit.recognition.annotation_formats import rttm, rttm_names
from serkit.recognition.formats import Json
from serkit.recognition.jobs import Failure
from serkit.recognition.table import Table
from serkit.recognition.timeline import Timeline
from serkit.recognition.timeline_formats import FORMATS, Result, as_dict
from serkit.text import composed


class TimelineFormat(StrEnum):
    """Format of timelines: `table`, or one of `timeline_formats.FORMATS`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    textgrid = "textgrid"
    eaf = "eaf"
    audacity = "audacity"
    rttm = "rttm"
    audformat = "audformat"

    @property
    def by_recording(self) -> bool:
        """Whether each recording requires a separate file."""
        return self not in (TimelineFormat.table, TimelineFormat.json) and not FORMATS[self].joined

    @property
    def by_line(self) -> bool:
        """Whether each recording is written at once."""
        return self is not TimelineFormat.table and FORMATS[self].joined


#: File endings of each format, in lower case.
ENDINGS = {
    format: ".txt" if format is TimelineFormat.table else FORMATS[format].suffix.lower() for format in TimelineFormat
}


class UnwritableError(UserError):
    """The file of one recording cannot be written, but those of others can."""


class Text:
    """Writes each recording at once.

    Args:
        stream: opened with newline="".
        format: one of `FORMATS`.
        labels: labels of the bundle.
        begun: whether the stream already has its first lines.
        files: the recordings to come, for unique names in RTTM.
        each: whether each channel has a timeline.
    """

    def __init__(
        self,
        stream: TextIO,
        format: str,
        labels: Sequence[str],
        begun: bool = False,
        files: Sequence[str] = (),
        each: bool = False,
    ) -> None:
        self._names = rttm_names(files) if format == TimelineFormat.rttm else {}
        self._stream = stream
        self._format = FORMATS[format]
        self._labels = labels
        self._each = each
        if not begun:
            stream.write(self._format.head(labels, each))

    def write(self, result: Result) -> None:
        if isinstance(result, Failure):
            self._stream.write(self._format.failure(result, self._labels, self._each))
        elif result.file in self._names:
            self._stream.write(rttm(result, self._names[result.file]))
        else:
            self._stream.write(self._format.body(result))
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class SegmentTable(Table):
    """Table for people: a row for each segment."""

    def __init__(self, stream: TextIO, each: bool = False) -> None:
        channel = {"channel": True} if each else {}
        super().__init__(stream, {**channel, "start": True, "end": True, "label": False, "confidence": True})

    def rows(self, result: Timeline) -> Iterator[Sequence[str]]:
        for one in result.segments:
            label = one.label if one.sure else f"{one.label}? (unsure: {one.doubt})"
            channel = [] if one.channel is None else [str(one.channel)]
            yield *channel, clock(one.start), clock(one.end), label, f"{one.confidence:.2f}"


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
        self._format = FORMATS[format]
        self._places = places(folder, files, self._format.suffix)

    def write(self, result: Result) -> None:
        if not isinstance(result, Failure):
            text = self._format.head(result.labels, result.channels is not None) + self._format.body(result)
            with naming(result.file):
                write_text(self._places[result.file], text)

    def finish(self) -> None:
        pass


def writer(
    stream: TextIO,
    format: TimelineFormat,
    labels: Sequence[str],
    begun: bool = False,
    files: Sequence[str] = (),
    each: bool = False,
) -> Text | Json | Table:
    """Build the writer of a format for one file; the arguments are those of `Text`."""
    if format is TimelineFormat.table:
        return SegmentTable(stream, each)
    return Json(stream, as_dict) if format is TimelineFormat.json else Text(stream, format, labels, begun, files, each)


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


def clock(seconds: float) -> str:
    """Return a time for people: `1:02:03.45`, `2:03.45`."""
    minutes, rest = divmod(round(100 * seconds), 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 100:05.2f}" if hours else f"{minutes}:{rest / 100:05.2f}"
