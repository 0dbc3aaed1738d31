"""`serkit predict --segments`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from serkit.cli import output, timelines, warn
from serkit.corpora.columns import Reading, Unit
from serkit.errors import UserError
from serkit.locks import alone
from serkit.recognition import Failure, Recognizer, timeline_writers
from serkit.recognition.model import Channel
from serkit.recognition.segments import Layout
from serkit.recognition.span_readers import SUFFIXES, read
from serkit.recognition.spans import Span, Spans
from serkit.recognition.timeline_format_names import FormatName, TimelineFormat
from serkit.text import composed


@dataclass(frozen=True)
class Request:
    """Given segments, and the output of their answers.

    Args:
        segments: file of segments, or a folder with one for each recording.
        adapt: whether to adapt to each speaker.
        tiers: tiers of annotation tools to read; empty: all.
        times: unit of times in a table.
        format: output format; None: from the ending of `out`, or a table.
        out: file or folder; None: stdout.
        csv_safe: whether to make CSV safe for spreadsheets.
        jobs: number of processes.
    """

    segments: Path
    adapt: bool
    tiers: Sequence[str]
    times: Unit | None
    format: FormatName | None
    out: Path | None
    csv_safe: bool
    jobs: int


def predict(
    found: tuple[list[str], list[Failure]], load: Callable[[], Recognizer], channel: Channel, request: Request
) -> None:
    """Recognize the given segments of recordings.

    Args:
        found: the recordings, and the failures of the search.
        load: loads the recognizer, once the segments have been read.
        channel: channel of segments that name none.
        request: segments and output.
    """
    files, failures = found
    out, format = request.out, request.format
    several = len(files) + len(failures) > 1
    folder = out if several and format is not None and timeline_writers.by_recording(format) else None
    if format is TimelineFormat.audformat_db:
        folder = timelines.database(out)
    if folder is None:
        format = output.choose(format, out, timeline_writers.endings(format), TimelineFormat.table)
    assert format is not None
    if several and timeline_writers.by_recording(format) and folder is None:
        raise UserError(f"--format {format} holds one recording; give --out FOLDER for {len(files)} recordings")
    given, more = _segments(files, request)
    failures = [*failures, *more]
    with alone(folder) if folder else output.reserved(out, False, False):
        _write(given, failures, load(), channel, request, format, folder)


def _segments(files: list[str], request: Request) -> tuple[dict[str, list[Span]], list[Failure]]:
    """Return the segments of each recording; a recording of a folder whose segments cannot be read is a failure."""
    reading = Reading(times=request.times)
    if not request.segments.is_dir():
        spans = read(request.segments, reading, request.tiers)
        given, told = spans.by_recording(files)
        for text in (*spans.cautions, *told):
            warn(text)
        return given, []
    there: dict[str, list[Path]] = {}
    for place in sorted(request.segments.iterdir()):
        if place.is_file() and Path(place.name.removesuffix(".gz")).suffix.lower() in SUFFIXES:
            # `call.srt` and `call.wav.srt` belong to `call.wav`.
            for name in {composed(place.stem), composed(Path(place.stem).stem)}:
                there.setdefault(name, []).append(place)
    given, failures = {}, []
    for file in files:
        places = there.get(composed(Path(file).stem), [])
        try:
            if len(places) != 1:
                names = ", ".join(place.name for place in places)
                reason = (
                    f"has {len(places)} files of its segments ({names})" if places else "has no file of its segments"
                )
                raise UserError(f"{file}: {reason} in {request.segments}")
            spans = read(places[0], reading, request.tiers)
            found, told = spans.by_recording([file])
            given |= found
            for text in (*spans.cautions, *told):
                warn(text)
        except UserError as error:
            failures.append(Failure(file, str(error)))
    return given, failures


def _write(
    given: dict[str, list[Span]],
    failures: list[Failure],
    recognizer: Recognizer,
    channel: Channel,
    request: Request,
    format: FormatName,
    folder: Path | None,
) -> None:
    """Recognize the segments, and write to a folder or to the requested output."""
    spans = list(itertools.chain.from_iterable(given.values()))
    layout = Layout(
        tuple(recognizer.bundle.labels),
        any(span.channel is not None for span in spans),
        any(span.speaker for span in spans),
        Spans("", spans).columns,
    )
    answers = recognizer.predict_segments_of(given, channel, request.jobs, adapt_speakers=request.adapt)
    results = itertools.chain(failures, answers)
    with (
        nullcontext(None)
        if folder
        else output.destination(request.out, timeline_writers.by_line(format), request.csv_safe) as stream
    ):
        writer: output.Writer
        if folder is not None and format is TimelineFormat.audformat_db:
            writer = timeline_writers.Database(folder, layout, recognizer.bundle.name)
        elif folder is not None:
            writer = timeline_writers.Folder(folder, format, list(given))
        elif stream is not None:
            writer = timeline_writers.writer(stream, format, layout, False, list(given))
        total = len(given) + len(failures)
        quiet = total == 1 or bool(stream and timeline_writers.by_line(format) and stream.isatty())
        output.write(results, writer, total, quiet)
