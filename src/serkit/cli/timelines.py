"""`serkit predict --timeline`."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from serkit.cli import output
from serkit.errors import UserError
from serkit.locks import alone
from serkit.recognition import Failure, Timeline, TimelineOptions, formats, load, timeline_writers
from serkit.recognition.model import Channel
from serkit.recognition.timeline_writers import TimelineFormat


@dataclass(frozen=True)
class Request:
    """What is made of the recordings.

    Args:
        options: of the timelines.
        format: how they are written; None: as the ending of `out` says, or as a table.
        out: where to; None: stdout.
        plot: where they are drawn; None: nowhere.
        resume: whether to go on with `out`.
        csv_safe: whether no spreadsheet shall run what is CSV.
    """

    options: TimelineOptions
    format: TimelineFormat | None
    out: Path | None
    plot: Path | None
    resume: bool
    csv_safe: bool = False


def predict(found: tuple[list[str], list[Failure]], model: str, channel: Channel, jobs: int, request: Request) -> None:
    """Recognise recordings over time; `found` are those, and what stands for none."""
    several = len(found[0]) + len(found[1]) > 1
    out, format = request.out, request.format
    folder = out if several and format is not None and format.by_recording else None
    if folder is None:
        format = output.choose(format, out, timeline_writers.ENDINGS, TimelineFormat.table)
    assert format is not None
    if several and format.by_recording and folder is None:
        raise UserError(f"--format {format} holds one recording: name a folder with --out for {len(found[0])}")
    if request.resume and not (out and format is TimelineFormat.jsonl):
        raise UserError("--resume goes on with a file of timelines: it wants --out FILE and --format jsonl")
    if request.csv_safe and format not in (TimelineFormat.csv, TimelineFormat.audformat):
        raise UserError("--csv-safe is for CSV: add --format csv or audformat")
    with alone(folder) if folder else output.reserved(out, request.resume, format is TimelineFormat.jsonl):
        _predict(found, model, channel, jobs, replace(request, format=format), folder)


def _predict(
    found: tuple[list[str], list[Failure]],
    model: str,
    channel: Channel,
    jobs: int,
    request: Request,
    folder: Path | None,
) -> None:
    """Recognise recordings over time, into a folder, or where the request says."""
    files, failures = found
    several = len(files) + len(failures) > 1
    out, format = request.out, request.format
    assert format is not None
    recognizer = load(model)
    labels = recognizer.bundle.labels
    answers = formats.resume(out, formats.Format.jsonl, labels, timelines=True) if out and request.resume else {}
    files = [file for file in files if not formats.is_answered(file, answers)]
    failures = [failure for failure in failures if not formats.is_answered(failure.file, answers)]
    results = itertools.chain(failures, recognizer.timelines(files, channel, request.options, jobs))
    pictures = _pictures(request.plot, files, several)

    def draw(timeline: Timeline) -> None:
        from serkit.recognition.timeline_picture import draw

        with timeline_writers.naming(timeline.file):
            draw(timeline, pictures[timeline.file], channel)

    with nullcontext(None) if folder else output.destination(out, format.by_line, request.csv_safe) as stream:
        writer: output.Writer
        if folder is not None:
            writer = timeline_writers.Folder(folder, format, files)
        elif stream is not None:
            writer = timeline_writers.writer(stream, format, labels, bool(answers), files)
        quiet = len(files) + len(failures) == 1 or bool(stream and format.by_line and stream.isatty())
        total = len(files) + len(failures) + len(answers)
        output.write(results, writer, total, quiet, list(answers.values()).count(False), draw if pictures else None)


def _pictures(plot: Path | None, files: list[str], several: bool) -> dict[str, Path]:
    """Return the picture of each recording."""
    if plot is None or not files:
        return {}
    if several:
        return timeline_writers.places(plot, files, ".png")
    if plot.suffix.lower() != ".png":
        raise UserError(f"--plot {plot}: a name that ends in .png is wanted")
    if not plot.absolute().parent.is_dir():
        raise UserError(f"{plot}: its folder does not exist")
    if plot.is_dir():
        raise UserError(f"{plot}: is a folder; --plot wants a file for one recording")
    return {files[0]: plot}
