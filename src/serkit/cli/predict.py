"""`serkit predict`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit import remote
from serkit.cli import spread, timeline_options, warn
from serkit.cli.options import CsvSafe, EngineText, ListFile, ShardText, Unit, unit_of
from serkit.errors import UserError, unknown
from serkit.listing import Listing, lines, repeatable
from serkit.recognition.timeline_format_names import FormatName, TimelineFormat
from serkit.recognition.timeline_options import TimelineOptions

if TYPE_CHECKING:
    from serkit.recognition import Failure, Recognizer
    from serkit.recognition.formats import Format
    from serkit.recognition.model import Channel, Channels

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH...",
        help="Recordings, folders (searched recursively), patterns (`**` matches any depth of folders), or URLs.",
        show_default=False,
    ),
]


def complete_model(incomplete: str) -> list[str]:
    """Return the names of recognizers that start with the text, for shell completion."""
    from serkit.recognition import available

    return [folder.name for folder in available() if folder.name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Option(help="Name of a recognizer (see `serkit models`), or its folder.", autocompletion=complete_model),
]


def complete_format(incomplete: str) -> list[str]:
    """Return the names of formats that start with the text, for shell completion."""
    return [str(name) for name in [*TimelineFormat, spread.PARQUET] if name.startswith(incomplete)]


ChannelText = Annotated[
    str | None,
    typer.Option(
        metavar="N|egg|each",
        help="Channel to read, counted from 0; `each` answers for each channel, e.g. for both parties of a call; `egg` "
        "is the electroglottograph, channel 1 of two or a separate file. Default: the channel the recognizer was "
        "trained on; for speech, the mean of all channels.",
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


Adapt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="Recordings of the voice that is to be recognized, or of its line: the recognizer adapts to it without "
        "labels. Some seconds help, a minute in several moods helps most. Repeatable.",
        show_default=False,
    ),
]
Speaker = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="PATH is a table (CSV, TSV, Parquet) with a column `path`, and this column names the speakers: each "
        "recording is recognized with an adaptation to all of its speaker. Helps if each speaker has several moods, "
        "and harms if all recordings of a speaker are of one mood.",
        show_default=False,
    ),
]
Segments = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|FOLDER",
        help="Recognize each segment of this file: RTTM, SRT, WebVTT, TextGrid, ELAN, labels of Audacity, JSON of "
        "whisper, whisperX or pyannote, or a table with start and end. For several recordings: a file that names them, "
        "or a folder with a file for each.",
        show_default=False,
        rich_help_panel="Given segments",
    ),
]
AdaptSpeakers = Annotated[
    bool,
    typer.Option(
        "--adapt-speakers",
        help="Adapt to each speaker of the segments, without labels. Helps if each has several moods.",
        rich_help_panel="Given segments",
    ),
]
Tier = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Tier of a TextGrid or an ELAN document to read. Default: all, each as a speaker. Repeatable.",
        show_default=False,
        rich_help_panel="Given segments",
    ),
]
SegmentTimes = Annotated[
    Unit | None,
    typer.Option(
        "--times", help="Unit of start and end in a table.", show_default=False, rich_help_panel="Given segments"
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
    paths: Paths = None,
    model: Model = "default",
    channel: ChannelText = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar=f"[{'|'.join(TimelineFormat)}|{spread.PARQUET}]",
            help="Output format; srt and the following are for timelines, parquet for parts in a folder. Default: from "
            "the ending of --out, or table.",
            show_default=False,
            autocompletion=complete_format,
        ),
    ] = None,
    out_: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="Output file; jsonl and csv are written line by line. Without --format, its ending sets the format. "
            "For timelines of several recordings in srt, vtt, textgrid or audacity, and for the parts of --shard, "
            "--engine and --format parquet: output folder, for the parts also a URL. Default: stdout.",
            show_default=False,
        ),
    ] = None,
    resume: Resume = False,
    csv_safe: CsvSafe = False,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    adapt: Adapt = None,
    speaker: Speaker = None,
    timeline: ByTime = False,
    plot: Plot = None,
    window: timeline_options.Window = None,
    hop: timeline_options.Hop = None,
    detector: timeline_options.Detector = None,
    pause: timeline_options.Pause = None,
    lookahead: timeline_options.Lookahead = None,
    change: timeline_options.Change = None,
    adapt_running: timeline_options.Running = False,
    segments: Segments = None,
    adapt_speakers: AdaptSpeakers = False,
    tier: Tier = None,
    times: SegmentTimes = None,
    list_: ListFile = None,
    shard: ShardText = None,
    engine: EngineText = None,
) -> None:
    """Recognize the emotion in recordings.

    An answer below the recognizer's threshold keeps its label and is marked as unsure. An unusable recording is
    reported and skipped; the exit code is then 1.

    Example: serkit predict calls/ --format csv --out answers.csv

    Example: serkit predict call.wav --timeline --format srt --out call.srt --plot call.png

    Example: serkit predict calls.csv --speaker agent --format csv

    Example: serkit predict call.wav --segments call.rttm --adapt-speakers --format csv

    Example: serkit predict s3://bucket/calls/ --shard 3/10 --out s3://bucket/answers
    """
    from serkit.cli import given_segments, output, timelines
    from serkit.recognition.formats import Format
    from serkit.recognition.timeline_writers import endings, parse_format

    if bool(paths) == bool(list_):
        raise UserError("give either recordings or --list FILE")
    others: dict[str, object]
    if shard or engine or format == spread.PARQUET:
        others = {"--timeline": timeline, "--segments": segments, "--speaker": speaker}
        others |= {"--resume": resume, "--csv-safe": csv_safe, "--plot": plot}
        others |= {f"--format {format}": format not in (None, spread.PARQUET)}
        refuse_with("--shard" if shard else "--engine" if engine else "--format parquet", others)
        parts = spread.Request.of(out_, shard, engine)
        _predict_parts(paths, list_, model, adapt or (), parse_channels(channel), jobs, parts)
        return
    if remote.is_url(out_):
        raise UserError(
            f"{remote.name(str(out_))}: --out is a URL; give --format parquet, and write a file by `serkit gather`"
        )
    out = None if out_ is None else Path(out_)
    paths = list(lines(list_)) if list_ else paths or []
    recordings = partial(recordings_of, paths, list_)
    named = None if format is None else parse_format(format)
    given = timeline_options.given(
        window=window, hop=hop, detector=detector, pause=pause, lookahead=lookahead, change=change
    )
    if adapt_running:
        given["adapt"] = True
    if speaker is not None:
        others = {"--timeline": timeline, "--adapt": adapt, "--resume": resume, "--jobs": jobs > 1}
        refuse_with("--speaker", {"--channel each": channel == "each", **others})
    if segments is None:
        for name, value in {"--adapt-speakers": adapt_speakers, "--tier": tier, "--times": times}.items():
            if value:
                raise UserError(f"{name} requires --segments")
    if segments is not None:
        refuse_with("--segments", {"a URL": any(map(remote.is_url, paths))})
        timeline_options.refuse(given | timeline_options.given(plot=plot))
        others = {"--timeline": timeline, "--resume": resume, "--speaker": speaker}
        others |= {"--channel each": channel == "each", "--adapt with --adapt-speakers": adapt and adapt_speakers}
        refuse_with("--segments", others)
        timelines.check(named, out, None, False, csv_safe)
        unit = unit_of(times)
        wanted = given_segments.Request(segments, adapt_speakers, tier or (), unit, named, out, csv_safe, jobs)
        read_one = parse_channel(channel)
        given_segments.predict(recordings(), partial(load_adapted, model, adapt or (), read_one), read_one, wanted)
    elif timeline:
        timelines.check(named, out, plot, resume, csv_safe)
        request = timelines.Request(TimelineOptions(**given), named, out, plot, resume, csv_safe)
        read = parse_channels(channel)
        open_recognizer = partial(load_adapted, model, adapt or (), read)
        timelines.predict(recordings(), open_recognizer, read, jobs, request)
    else:
        timeline_options.refuse(given | timeline_options.given(plot=plot))
        chosen = _whole(output.choose(named, out, endings(named), TimelineFormat.table))
        if resume and not (out and chosen.by_line):
            raise UserError("--resume requires --out FILE and --format jsonl or csv")
        if csv_safe and chosen is not Format.csv:
            raise UserError("--csv-safe requires --format csv")
        if resume and channel == "each":
            # A line of a recording would hide that its other channels are missing.
            raise UserError("--resume cannot be combined with --channel each; use --timeline, or start again")
        with output.reserved(out, resume, chosen.by_line):
            if speaker is not None:
                _predict_speakers(paths, speaker, model, parse_channel(channel), chosen, out, csv_safe)
            else:
                read = parse_channels(channel)
                _predict(recordings(), model, adapt or (), read, chosen, out, resume, csv_safe, jobs)


def load_adapted(model: str, adapt: Sequence[str], channel: Channels) -> Recognizer:
    """Load a recognizer, and adapt it to the recordings of --adapt.

    Raises:
        UserError: one of them cannot be used, or the recognizer cannot adapt.
    """
    from serkit.recognition import load

    recognizer = load(model)
    if not adapt:
        return recognizer
    if channel == "each":
        raise UserError("--adapt cannot be combined with --channel each, whose voices differ; use --adapt-running")
    files, failures = find_recordings(adapt)
    if failures:
        raise UserError(failures[0].error)
    return recognizer.adapt(files, channel)


def refuse_with(option: str, others: Mapping[str, object]) -> None:
    """Raise UserError if one of several other options is given, too."""
    for name, value in others.items():
        if value:
            raise UserError(f"{option} cannot be combined with {name}")


def _predict_speakers(
    paths: list[str], column: str, model: str, channel: Channel, format: Format, out: Path | None, csv_safe: bool
) -> None:
    """Recognize the recordings of a table, adapted to their speakers."""
    from serkit.cli import output
    from serkit.recognition import formats, load

    if len(paths) != 1:
        raise UserError(f"--speaker requires one table as PATH, got {len(paths)} paths")
    speakers = table_of_speakers(Path(paths[0]), column)
    recognizer = load(model)
    names, numbers = recognizer.bundle.outputs, bool(recognizer.bundle.numbers)
    total = sum(map(len, speakers))
    results = recognizer.predict_speakers(speakers, channel)
    with output.destination(out, format.by_line, csv_safe) as stream:
        quiet = total == 1 or (format.by_line and stream.isatty())
        output.write(results, formats.writer(format, stream, names, False, numbers), total, quiet)


def table_of_speakers(path: Path, column: str) -> list[list[str]]:
    """Read the recordings of each speaker from a table; a recording without a speaker is its own.

    Raises:
        UserError: the file is not a table, or lacks a column or a path.
    """
    from serkit import sheets
    from serkit.corpora.columns import named
    from serkit.remote import is_url
    from serkit.text import is_missing

    read = sheets.read(path).sound()
    if not read.rows:
        raise UserError(f"{path}: has no rows")
    if column.lower() not in [header.lower() for header in read.columns]:
        raise UserError(f"--speaker: {path}: {unknown('column', column, filter(None, read.columns))}")
    sheet = named(read, {"speaker": column}).sheet
    if "path" not in sheet.columns:
        if named(read).headers.get("path", "").lower() == column.lower():
            raise UserError(f"--speaker must name the column of the speakers; '{column}' holds the recordings")
        raise UserError(f"{path}: {unknown('column', 'path', filter(None, read.columns))}")
    for name in ("start", "end", "duration", "channel"):
        if name in sheet.columns:
            raise UserError(f"{path}: --speaker recognizes whole recordings, but the table has a column '{name}'")
    found: dict[str, list[str]] = {}
    for number, row in sheet.rows.items():
        if is_missing(row["path"]):
            raise UserError(f"{path}, row {number}: has no path")
        speaker = row["speaker"]
        key = f"row {number}" if is_missing(speaker) else f"speaker {speaker}"
        place = row["path"] if is_url(row["path"]) else str(path.parent / row["path"])
        found.setdefault(key, []).append(place)
    return list(found.values())


def _predict(
    recordings: tuple[list[str], list[Failure]],
    model: str,
    adapt: Sequence[str],
    channel: Channels,
    format: Format,
    out: Path | None,
    resume: bool,
    csv_safe: bool,
    jobs: int,
) -> None:
    """Recognize each recording as a whole."""
    from serkit.cli import output
    from serkit.recognition import formats

    files, failures = recordings
    recognizer = load_adapted(model, adapt, channel)
    names, numbers = recognizer.bundle.outputs, bool(recognizer.bundle.numbers)
    each = channel == "each"
    answers = formats.resume(out, format, names, numbers) if out and resume else {}
    begun = bool(out and resume and out.exists() and out.stat().st_size)
    files = [file for file in files if not formats.is_answered(file, answers)]
    failures = [failure for failure in failures if not formats.is_answered(failure.file, answers)]
    results = itertools.chain(failures, recognizer.predict_files(files, channel, jobs))
    with output.destination(out, format.by_line, csv_safe) as stream:
        # Lines on a terminal already show the progress, and would break the bar.
        quiet = len(files) + len(failures) == 1 or each or (format.by_line and stream.isatty())
        total = len(files) + len(failures) + len(answers)
        writer = formats.writer(format, stream, names, begun, numbers, each)
        output.write(results, writer, total, quiet, list(answers.values()).count(False))


def _whole(format: FormatName) -> Format:
    """Return the format of answers about whole recordings."""
    from serkit.recognition.formats import Format

    if format not in [known.value for known in Format]:
        raise UserError(f"--format {format} requires --timeline or --segments")
    return Format(format)


def _predict_parts(
    paths: Sequence[str] | None,
    listed: str | None,
    model: str,
    adapt: Sequence[str],
    channel: Channels,
    jobs: int,
    request: spread.Request,
) -> None:
    """Recognize each recording as a whole, in parts."""
    from serkit.recognition.predicted_parts import KIND, Predicting

    each = names_of(paths, listed)
    recognizer = load_adapted(model, adapt, channel)
    if channel != "each":
        recognizer.check_channel(channel)
    # A machine of an engine has a process for each processor anyway.
    make = Predicting(recognizer, channel, 1 if request.engine else jobs)
    spread.work(KIND, make, Listing(each, str, on_disk), request)


def names_of(paths: Sequence[str] | None, listed: str | None) -> Callable[[], Iterable[str]]:
    """Return what gives the recordings of PATH or --list, in order, as often as it is called.

    Raises:
        UserError: a path gives no recording, as a request in parts takes all or nothing; or the list is a pipe.
    """
    if listed is not None:
        return repeatable(listed)
    files, failures = find_recordings(paths or ())
    if failures:
        raise UserError(failures[0].error)
    return lambda: files


def recordings_of(paths: Sequence[str], listed: str | None) -> tuple[list[str], list[Failure]]:
    """Return the recordings of PATH or of the lines of --list, each of which is one, and the failures of the search.

    Raises:
        UserError: there is no recording.
    """
    return find_recordings(paths) if listed is None else (list(map(on_disk, paths)), [])


def on_disk(line: str) -> str:
    """Return a line of a list with its names as they are on disk, where they may have another Unicode form."""
    if line.isascii() or remote.is_url(line):
        return line
    from serkit import finding

    return finding.on_disk(line) or line


def find_recordings(paths: Sequence[str]) -> tuple[list[str], list[Failure]]:
    """Find recordings with `serkit.finding`, and report skipped files on stderr.

    Args:
        paths: recordings, folders, patterns.

    Returns:
        Each recording once, and a failure for each path that gives no recording or cannot be searched.

    Raises:
        UserError: there is no recording.
    """
    from serkit import finding
    from serkit.recognition import Failure

    found = finding.find(paths)
    failures = [Failure(path, f"{path}: {problem}") for path, problem in found.problems.items()]
    if not found.files:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise UserError(failures[0].error + more)
    if passed_over := found.summary():
        warn(passed_over)
    return list(found.files), failures


def parse_channel(text: str | None) -> Channel:
    """Parse --channel of a command that reads one channel."""
    if text is None or text == "egg":
        return text  # type: ignore[return-value]  # mypy does not narrow str to a literal
    return _parse_number(text, "a number from 0, or 'egg'")


def parse_channels(text: str | None) -> Channels:
    """Parse --channel of a command that can also answer for each channel."""
    if text == "each":
        return "each"
    return (
        parse_channel(text)
        if text is None or text == "egg"
        else _parse_number(text, "a number from 0, 'egg' or 'each'")
    )


def _parse_number(text: str, known: str) -> int:
    if not text.isdecimal():
        raise UserError(f"--channel must be {known}, got '{text}'")
    return int(text)
