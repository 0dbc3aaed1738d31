"""`serkit predict`."""

from __future__ import annotations

import glob
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer

from serkit import audio
from serkit.atomic import writing
from serkit.cli import report, warn
from serkit.errors import UserError
from serkit.progress import bar
from serkit.recognition import Failure, formats, load, number_formats
from serkit.recognition.formats import Format
from serkit.recognition.recognizer import Channel

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Recordings, folders (with all below them), patterns (`**` goes through folders).",
        show_default=False,
    ),
]
Model = Annotated[str, typer.Option(help="Name of a recogniser (see `serkit models`), or its folder.")]
ChannelText = Annotated[
    str | None,
    typer.Option(
        metavar="N|egg",
        help="Channel to listen to, from 0; `egg` is the electroglottograph, channel 1 of two or a file of its "
        "own. Default: what the recogniser was made for; for speech the mean of all channels.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write there, not to stdout: jsonl and csv line by line.", show_default=False),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the --out of an interrupted run (jsonl, csv). Recordings with a line in it are left "
        "alone, failed ones too: to try those again, remove their lines.",
    ),
]


def predict(
    paths: Paths,
    model: Model = "default",
    channel: ChannelText = None,
    format: Annotated[Format, typer.Option(help="How to write.")] = Format.table,
    out: Out = None,
    resume: Resume = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at work.")] = 1,
) -> None:
    """Recognise the emotion in recordings.

    A recording that cannot be used is reported and left out; the exit code is then 1.
    """
    _check_out(out, format, resume)
    files, failures = find_recordings(paths)
    recognizer = load(model)
    # A bundle of numbers is written in other columns.
    layout = number_formats if recognizer.bundle.numbers else formats
    names = recognizer.bundle.outputs
    answers = layout.resume(out, format, names) if out and resume else {}
    begun = bool(out and resume and out.exists() and out.stat().st_size)
    files = [file for file in files if file not in answers]
    failures = [failure for failure in failures if failure.file not in answers]
    results = itertools.chain(failures, recognizer.predict_files(files, parse_channel(channel), jobs))
    total = len(files) + len(failures)
    failed = list(answers.values()).count(False)
    with _destination(out, format) as stream:
        writer = layout.writer(format, stream, names, begun)
        # Lines on a terminal are progress enough, and would break the bar.
        quiet = total == 1 or (format.by_line and stream.isatty())
        with nullcontext(lambda steps: None) if quiet else bar("predict", total) as advance:
            for result in results:
                writer.write(result)
                if isinstance(result, Failure):
                    failed += 1
                    report(result.error)
                else:
                    for text in result.warnings:
                        warn(text)
                advance(1)
        writer.finish()
    if failed:
        print(f"serkit: {failed} of {total + len(answers)} recordings failed", file=sys.stderr)
        raise typer.Exit(1)


def find_recordings(paths: Sequence[str]) -> tuple[list[str], list[Failure]]:
    """Expand folders and patterns, each in the order of names.

    Args:
        paths: recordings, folders, patterns. Patterns are expanded here because not every shell does.

    Returns:
        Each recording once, and a failure for each path that stands for none.

    Raises:
        UserError: there is no recording at all.
    """
    files: dict[str, None] = {}
    failures = []
    for path in paths:
        if os.path.exists(path):
            found, problem = (
                _expand(path),
                f"no recording in it; looked for {', '.join(sorted(audio.SUFFIXES))}",
            )
        elif any(character in path for character in "*?["):
            matches = sorted(glob.glob(path, recursive=True))
            found, problem = [file for match in matches for file in _expand(match)], "no recording matches"
        else:
            found, problem = [], "no such file or folder"
        files.update(dict.fromkeys(found))
        if not found:
            failures.append(Failure(path, f"{path}: {problem}"))
    if not files:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise UserError(failures[0].error + more)
    return list(files), failures


def _expand(path: str) -> list[str]:
    """Return the recordings in a folder and below, or the file itself."""
    if not os.path.isdir(path):
        return [path]
    found = []
    for folder, below, names in os.walk(path):
        below.sort()
        # Files that begin with a dot are the system's: macOS leaves `._NAME.wav` beside each recording.
        found += [
            os.path.join(folder, name)
            for name in sorted(names)
            if Path(name).suffix.lower() in audio.SUFFIXES and not name.startswith(".")
        ]
    return found


def parse_channel(text: str | None) -> Channel:
    """Read what --channel says."""
    if text is None or text == "egg":
        return text  # type: ignore[return-value]  # mypy does not narrow str to a literal
    if not text.isdecimal():
        raise UserError(f"--channel {text}: neither a number from 0 nor 'egg'")
    return int(text)


def _check_out(out: Path | None, format: Format, resume: bool) -> None:
    if resume and not (out and format.by_line):
        raise UserError("--resume goes on with a file: it wants --out FILE and --format jsonl or csv")
    if out is None:
        return
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: its folder does not exist")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; --out wants a file")
    if out.exists() and not resume:
        way_out = "go on with it by --resume, or" if format.by_line else "remove it, or"
        raise UserError(f"{out}: exists already; {way_out} choose another --out")


@contextmanager
def _destination(out: Path | None, format: Format) -> Iterator[TextIO]:
    """Open where the results go: stdout, a file that grows by lines, or one that appears when whole."""
    if out is None:
        yield sys.stdout
        return
    place = nullcontext(out) if format.by_line else writing(out)
    # newline="": the csv module and JSON lines end their lines themselves, on every system alike.
    with place as target, open(target, "a", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        yield stream
