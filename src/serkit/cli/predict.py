"""`serkit predict`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from serkit import finding
from serkit.cli import output, timeline_options, timelines, warn
from serkit.cli.options import CsvSafe
from serkit.errors import UserError
from serkit.recognition import Failure, TimelineOptions, available, formats, load
from serkit.recognition.formats import Format
from serkit.recognition.model import Channel
from serkit.recognition.timeline_writers import ENDINGS, TimelineFormat

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Recordings, folders (searched recursively), or patterns (`**` matches any depth of folders).",
        show_default=False,
    ),
]


def complete_model(incomplete: str) -> list[str]:
    """Return the names of recognizers that start with the text, for shell completion."""
    return [folder.name for folder in available() if folder.name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Option(help="Name of a recognizer (see `serkit models`), or its folder.", autocompletion=complete_model),
]
ChannelText = Annotated[
    str | None,
    typer.Option(
        metavar="N|egg",
        help="Channel to read, counted from 0; `egg` is the electroglottograph, channel 1 of two or a separate "
        "file. Default: the channel the recognizer was trained on; for speech, the mean of all channels.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Output file; jsonl and csv are written line by line. Without --format, its ending sets the format. "
        "For timelines of several recordings in srt, vtt, textgrid or audacity: output folder. Default: stdout.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the --out file of an interrupted run (jsonl, csv). Recordings with a line in it are "
        "skipped, including failed ones; to retry those, remove their lines.",
    ),
]


ByTime = Annotated[
    bool,
    typer.Option("--timeline", help="Recognize each segment of speech.", rich_help_panel="Timeline"),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Draw the timeline into this PNG file; for several recordings, into this folder.",
        show_default=False,
        rich_help_panel="Timeline",
    ),
]


def predict(
    paths: Paths,
    model: Model = "default",
    channel: ChannelText = None,
    format: Annotated[
        TimelineFormat | None,
        typer.Option(
            help="Output format; srt and the following are for timelines. Default: from the ending of --out, or table.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    resume: Resume = False,
    csv_safe: CsvSafe = False,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    timeline: ByTime = False,
    plot: Plot = None,
    window: timeline_options.Window = None,
    hop: timeline_options.Hop = None,
    detector: timeline_options.Detector = None,
    pause: timeline_options.Pause = None,
    lookahead: timeline_options.Lookahead = None,
    change: timeline_options.Change = None,
) -> None:
    """Recognize the emotion in recordings.

    An answer below the recognizer's threshold keeps its label and is marked as unsure. An unusable recording is
    reported and skipped; the exit code is then 1.

    Example: serkit predict calls/ --format csv --out answers.csv

    Example: serkit predict call.wav --timeline --format srt --out call.srt --plot call.png
    """
    given = timeline_options.given(
        window=window, hop=hop, detector=detector, pause=pause, lookahead=lookahead, change=change
    )
    if timeline:
        request = timelines.Request(TimelineOptions(**given), format, out, plot, resume, csv_safe)
        timelines.predict(find_recordings(paths), model, parse_channel(channel), jobs, request)
    else:
        timeline_options.refuse(given | timeline_options.given(plot=plot))
        chosen = _whole(output.choose(format, out, ENDINGS, TimelineFormat.table))
        if resume and not (out and chosen.by_line):
            raise UserError("--resume requires --out FILE and --format jsonl or csv")
        if csv_safe and chosen is not Format.csv:
            raise UserError("--csv-safe requires --format csv")
        with output.reserved(out, resume, chosen.by_line):
            _predict(paths, model, parse_channel(channel), chosen, out, resume, csv_safe, jobs)


def _predict(
    paths: list[str],
    model: str,
    channel: Channel,
    format: Format,
    out: Path | None,
    resume: bool,
    csv_safe: bool,
    jobs: int,
) -> None:
    """Recognize each recording as a whole."""
    files, failures = find_recordings(paths)
    recognizer = load(model)
    names, numbers = recognizer.bundle.outputs, bool(recognizer.bundle.numbers)
    answers = formats.resume(out, format, names, numbers) if out and resume else {}
    begun = bool(out and resume and out.exists() and out.stat().st_size)
    files = [file for file in files if not formats.is_answered(file, answers)]
    failures = [failure for failure in failures if not formats.is_answered(failure.file, answers)]
    results = itertools.chain(failures, recognizer.predict_files(files, channel, jobs))
    with output.destination(out, format.by_line, csv_safe) as stream:
        # Lines on a terminal already show the progress, and would break the bar.
        quiet = len(files) + len(failures) == 1 or (format.by_line and stream.isatty())
        total = len(files) + len(failures) + len(answers)
        writer = formats.writer(format, stream, names, begun, numbers)
        output.write(results, writer, total, quiet, list(answers.values()).count(False))


def _whole(format: TimelineFormat) -> Format:
    """Return the format of answers about whole recordings."""
    if format.value not in {known.value for known in Format}:
        raise UserError(f"--format {format} requires --timeline")
    return Format(format)


def find_recordings(paths: Sequence[str]) -> tuple[list[str], list[Failure]]:
    """Find recordings with `serkit.finding`, and report skipped files on stderr.

    Args:
        paths: recordings, folders, patterns.

    Returns:
        Each recording once, and a failure for each path that gives no recording or cannot be searched.

    Raises:
        UserError: there is no recording.
    """
    found = finding.find(paths)
    failures = [Failure(path, f"{path}: {problem}") for path, problem in found.problems.items()]
    if not found.files:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise UserError(failures[0].error + more)
    if passed_over := found.summary():
        warn(passed_over)
    return list(found.files), failures


def parse_channel(text: str | None) -> Channel:
    """Parse --channel."""
    if text is None or text == "egg":
        return text  # type: ignore[return-value]  # mypy does not narrow str to a literal
    if not text.isdecimal():
        raise UserError(f"--channel must be a number from 0, or 'egg', got '{text}'")
    return int(text)
