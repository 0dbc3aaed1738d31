"""Where timelines are written to: one file for all recordings, or a folder with a file for each."""

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
    """How timelines are written: `table`, or one of `timeline_formats.FORMATS`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    textgrid = "textgrid"
    audacity = "audacity"
    rttm = "rttm"
    audformat = "audformat"

    @property
    def by_recording(self) -> bool:
        """Whether each recording needs a file of its own."""
        return self not in (TimelineFormat.table, TimelineFormat.json) and not FORMATS[self].joined

    @property
    def by_line(self) -> bool:
        """Whether each recording is written as soon as it is known."""
        return self is not TimelineFormat.table and FORMATS[self].joined


#: Of the files of each format, in lower case.
ENDINGS = {
    format: ".txt" if format is TimelineFormat.table else FORMATS[format].suffix.lower() for format in TimelineFormat
}


class UnwritableError(UserError):
    """The file of one recording cannot be written; those of others can."""


class Text:
    """Writes each recording as soon as it is known.

    Args:
        stream: opened with newline="".
        format: one of `FORMATS`.
        labels: of the bundle.
        begun: the stream has its first lines already.
        files: the recordings that will come, to tell them apart in RTTM.
    """

    def __init__(
        self, stream: TextIO, format: str, labels: Sequence[str], begun: bool = False, files: Sequence[str] = ()
    ) -> None:
        self._names = rttm_names(files) if format == TimelineFormat.rttm else {}
        self._stream = stream
        self._format = FORMATS[format]
        self._labels = labels
        if not begun:
            stream.write(self._format.head(labels))

    def write(self, result: Result) -> None:
        if isinstance(result, Failure):
            self._stream.write(self._format.failure(result, self._labels))
        elif result.file in self._names:
            self._stream.write(rttm(result, self._names[result.file]))
        else:
            self._stream.write(self._format.body(result))
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class SegmentTable(Table):
    """For the eye: a row for each segment."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream, {"start": True, "end": True, "label": False, "confidence": True})

    def rows(self, result: Timeline) -> Iterator[Sequence[str]]:
        for one in result.segments:
            label = one.label if one.sure else f"{one.label}? (unsure)"
            yield clock(one.start), clock(one.end), label, f"{one.confidence:.2f}"


class Folder:
    """Writes a file for each recording, named after it.

    Args:
        folder: made if it is not there.
        format: one of `FORMATS`.
        files: the recordings that will come.

    Raises:
        UserError: two recordings would have the same file, or one is there already.
    """

    def __init__(self, folder: Path, format: str, files: Sequence[str]) -> None:
        self._format = FORMATS[format]
        self._places = places(folder, files, self._format.suffix)

    def write(self, result: Result) -> None:
        if not isinstance(result, Failure):
            text = self._format.head(result.labels) + self._format.body(result)
            with naming(result.file):
                write_text(self._places[result.file], text)

    def finish(self) -> None:
        pass


def writer(
    stream: TextIO, format: TimelineFormat, labels: Sequence[str], begun: bool = False, files: Sequence[str] = ()
) -> Text | Json | Table:
    """Make the writer of a format into one file; the arguments are those of `Text`."""
    if format is TimelineFormat.table:
        return SegmentTable(stream)
    return Json(stream, as_dict) if format is TimelineFormat.json else Text(stream, format, labels, begun, files)


def places(folder: Path, files: Sequence[str], suffix: str) -> dict[str, Path]:
    """Return the file in a folder for each recording, and make the folder.

    Raises:
        UserError: two recordings would have the same file, or one is there already.
    """
    found = {file: folder / f"{Path(file).stem}{suffix}" for file in files}
    # Some systems do not tell these apart.
    folded = {file: composed(place.name).casefold() for file, place in found.items()}
    for name, count in Counter(folded.values()).items():
        if count > 1:
            first, second, *_ = (file for file in files if folded[file] == name)
            place = found[first]
            raise UserError(f"{place}: would be the file of {first} and of {second}; recognise them apart")
    for place in found.values():
        if place.exists():
            raise UserError(f"{place}: exists already; remove it or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Raise UnwritableError where the name of what is made of a recording is longer than the system allows."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UnwritableError(f"{file}: its name is too long for a file beside others; give it a shorter one") from None


def clock(seconds: float) -> str:
    """Return a time to read: `1:02:03.45`, `2:03.45`."""
    minutes, rest = divmod(round(100 * seconds), 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 100:05.2f}" if hours else f"{minutes}:{rest / 100:05.2f}"
