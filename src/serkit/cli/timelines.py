"""`serkit predict --timeline`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from serkit.cli import output
from serkit.errors import UserError
from serkit.locks import alone
from serkit.recognition import Failure, Recognizer, Timeline, TimelineOptions, formats, timeline_writers
from serkit.recognition.model import Channels
from serkit.recognition.segments import Layout
from serkit.recognition.timeline_format_names import FormatName, TimelineFormat

#: Endings of pictures, which are no folders.
_ENDINGS = frozenset({".gif", ".jpeg", ".jpg", ".pdf", ".png", ".svg"})


@dataclass(frozen=True)
class Request:
    """Output of the timelines.

    Args:
        options: options of the timelines.
        format: output format; None: from the ending of `out`, or a table.
        out: file or folder; None: stdout.
        plot: PNG file or folder for the pictures; None: no pictures.
        resume: whether to continue `out`.
        csv_safe: whether to make CSV safe for spreadsheets.
    """

    options: TimelineOptions
    format: FormatName | None
    out: Path | None
    plot: Path | None
    resume: bool
    csv_safe: bool = False


def predict(
    found: tuple[list[str], list[Failure]],
    load: Callable[[], Recognizer],
    channel: Channels,
    jobs: int,
    request: Request,
) -> None:
    """Recognize recordings over time.

    Args:
        found: the recordings, and the failures of the search.
        load: loads the recognizer, once the request has been checked.
        channel: as in `Recognizer`.
        jobs: number of processes.
        request: output of the timelines.
    """
    several = len(found[0]) + len(found[1]) > 1
    out, format = request.out, request.format
    folder = out if several and format is not None and timeline_writers.by_recording(format) else None
    if format is TimelineFormat.audformat_db:
        folder = database(out)
    if folder is None:
        format = output.choose(format, out, timeline_writers.endings(format), TimelineFormat.table)
    assert format is not None
    if several and timeline_writers.by_recording(format) and folder is None:
        raise UserError(f"--format {format} holds one recording; give --out FOLDER for {len(found[0])} recordings")
    with alone(folder) if folder else output.reserved(out, request.resume, format is TimelineFormat.jsonl):
        _predict(found, load, channel, jobs, replace(request, format=format), folder)


def _predict(
    found: tuple[list[str], list[Failure]],
    load: Callable[[], Recognizer],
    channel: Channels,
    jobs: int,
    request: Request,
    folder: Path | None,
) -> None:
    """Recognize recordings over time, and write to a folder or to the requested output."""
    files, failures = found
    several = len(files) + len(failures) > 1
    out, format = request.out, request.format
    assert format is not None
    recognizer, each = load(), channel == "each"
    labels = recognizer.bundle.labels
    answers = formats.resume(out, formats.Format.jsonl, labels, timelines=True) if out and request.resume else {}
    files = [file for file in files if not formats.is_answered(file, answers)]
    failures = [failure for failure in failures if not formats.is_answered(failure.file, answers)]
    results = itertools.chain(failures, recognizer.timelines(files, channel, request.options, jobs))
    pictures = _pictures(request.plot, files, several)

    def draw(timeline: Timeline) -> None:
        from serkit.recognition.timeline_picture import draw

        with timeline_writers.naming(timeline.file):
            place = pictures[timeline.file]
            if channel != "each":
                draw(timeline, place, channel)
                return
            for number in timeline.channels or ():
                draw(timeline.of_channel(number), place.with_stem(f"{place.stem}-channel-{number}"), number)

    with (
        nullcontext(None)
        if folder
        else output.destination(out, timeline_writers.by_line(format), request.csv_safe) as stream
    ):
        writer: output.Writer
        layout = Layout(tuple(labels), each)
        if folder is not None and format is TimelineFormat.audformat_db:
            writer = timeline_writers.Database(folder, layout, recognizer.bundle.name)
        elif folder is not None:
            writer = timeline_writers.Folder(folder, format, files)
        elif stream is not None:
            writer = timeline_writers.writer(stream, format, layout, bool(answers), files)
        quiet = len(files) + len(failures) == 1 or bool(stream and timeline_writers.by_line(format) and stream.isatty())
        total = len(files) + len(failures) + len(answers)
        output.write(results, writer, total, quiet, list(answers.values()).count(False), draw if pictures else None)


def check(format: FormatName | None, out: Path | None, plot: Path | None, resume: bool, csv_safe: bool) -> None:
    """Look at the output before recordings are searched; what depends on their number is left to `predict`.

    Args:
        format: as in `Request`, like the others.

    Raises:
        UserError: options contradict each other, or the output cannot be written.
    """
    if format is TimelineFormat.audformat_db:
        database(out)
    elif format is None or not timeline_writers.by_recording(format):
        format = output.choose(format, out, timeline_writers.endings(format), TimelineFormat.table)
        with output.reserved(out, resume, format is TimelineFormat.jsonl):
            pass  # It is locked again to be written.
    if resume and not (out and format is TimelineFormat.jsonl):
        raise UserError("--resume requires --out FILE and --format jsonl with --timeline")
    if csv_safe and format not in (TimelineFormat.csv, TimelineFormat.audformat):
        raise UserError("--csv-safe requires --format csv or audformat")
    if plot is not None and plot.suffix.lower() == ".png" and not plot.absolute().parent.is_dir():
        raise UserError(f"{plot}: its folder does not exist")


def database(out: Path | None) -> Path:
    """Return the folder of a database.

    Raises:
        UserError: no folder is given.
    """
    if out is None:
        raise UserError("--format audformat-db requires --out FOLDER")
    return out


def _pictures(plot: Path | None, files: list[str], several: bool) -> dict[str, Path]:
    """Return the picture of each recording."""
    if plot is None or not files:
        return {}
    if several:
        if plot.suffix.lower() in _ENDINGS and not plot.is_dir():
            raise UserError(f"{plot}: is the name of one picture; for {len(files)} recordings, --plot is a folder")
        return timeline_writers.places(plot, files, ".png")
    if plot.suffix.lower() != ".png":
        raise UserError(f"--plot must end in .png, got '{plot}'")
    if not plot.absolute().parent.is_dir():
        raise UserError(f"{plot}: its folder does not exist")
    if plot.is_dir():
        raise UserError(f"{plot}: is a folder; for one recording, --plot must be a file")
    return {files[0]: plot}
