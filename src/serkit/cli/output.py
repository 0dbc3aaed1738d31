"""Output of answers: to stdout, or to a file that grows line by line or appears once complete."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeVar, cast

import typer

from serkit.atomic import writing
from serkit.cli import report, warn
from serkit.errors import UserError
from serkit.locks import alone
from serkit.progress import bar
from serkit.recognition import Failure
from serkit.recognition.timeline_writers import UnwritableError
from serkit.spreadsheet import Harmless
from serkit.terminal import Shown, note

FormatType = TypeVar("FormatType", bound=str)

#: Ending that fits every text format.
_ANY_TEXT = ".txt"


class Writer(Protocol):
    """Takes results one by one; `finish` is called once, after the last."""

    def write(self, result: Any) -> None: ...
    def finish(self) -> None: ...


def choose(
    format: FormatType | None, out: Path | None, endings: Mapping[FormatType, str], default: FormatType
) -> FormatType:
    """Return the output format, from --format or from the ending of --out.

    Args:
        format: value of --format, or None.
        out: value of --out. `.txt` fits every format; `answers`, `v1.2` and `calls.2026` have no ending.
        endings: file ending of each format, in lower case; if formats share one, the first format counts.
        default: format if neither option names one.

    Raises:
        UserError: the ending contradicts --format, or is unknown.
    """
    ending = out.suffix.lower() if out and re.fullmatch(r"\.[A-Za-z]\w*", out.suffix) else ""
    if format is None:
        named = next((name for name, own in endings.items() if own == ending), default if not ending else None)
        if named is None:
            known = ", ".join(dict.fromkeys(endings.values()))
            raise UserError(f"{out}: unknown ending {ending}; use {known}, or give --format")
        return named
    if ending not in ("", _ANY_TEXT, endings[format]):
        raise UserError(f"{out}: --format {format} requires {endings[format]}, not {ending}; change one of them")
    return format


@contextmanager
def reserved(out: Path | None, resume: bool, resumable: bool) -> Iterator[None]:
    """Lock an output file, so that no other process writes to it.

    Args:
        out: the file; None: stdout.
        resume: whether to continue the file.
        resumable: whether the format allows it.

    Raises:
        UserError: the file cannot be written, or another process is writing to it.
    """
    if out is None:
        yield
        return
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: its folder does not exist")
    with alone(out):
        _check(out, resume, resumable)
        yield


def _check(out: Path, resume: bool, resumable: bool) -> None:
    if out.is_dir():
        raise UserError(f"{out}: is a folder; --out must be a file")
    if out.exists() and not resume:
        way_out = "continue it with --resume, or" if resumable else "remove it, or"
        raise UserError(f"{out}: already exists; {way_out} choose another --out")


@contextmanager
def destination(out: Path | None, by_line: bool, csv_safe: bool = False) -> Iterator[TextIO]:
    """Open the output.

    Args:
        out: the file; None: stdout.
        by_line: whether each answer is written at once.
        csv_safe: whether to make CSV safe for spreadsheets.
    """

    def guarded(stream: Any) -> TextIO:
        return cast(TextIO, Harmless(stream) if csv_safe else stream)

    if out is None:
        yield guarded(Shown(sys.stdout) if sys.stdout.isatty() else sys.stdout)
        return
    place = nullcontext(out) if by_line else complete(out)
    # newline="": the csv module and JSON lines write their own line ends, the same on every system.
    try:
        with place as target, open(target, "a", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield guarded(stream)
    except OSError as error:
        # The system's error for a full disk names no path.
        error.filename = error.filename or str(out)
        raise


@contextmanager
def complete(out: Path) -> Iterator[Path]:
    """Yield a temporary path; if the block writes all answers, the file there becomes `out`, even if some failed."""
    failed: typer.Exit | None = None
    with writing(out) as temporary:
        try:
            yield temporary
        except typer.Exit as code:
            failed = code
    if failed is not None:
        raise failed


def write(
    results: Iterable[Any],
    writer: Writer,
    total: int,
    quiet: bool,
    failed: int = 0,
    draw: Callable[[Any], None] | None = None,
) -> None:
    """Write all results, report failures and warnings on stderr, and exit with code 1 after failures.

    Args:
        results: in the order of the recordings.
        writer: receives them.
        total: number of results, including those written by an earlier run.
        quiet: whether to hide the progress bar.
        failed: number of failures in an earlier run.
        draw: called with each result that is not a failure.
    """
    with nullcontext(lambda steps: None) if quiet else bar("predict", total) as advance:
        for result in results:
            try:
                writer.write(result)
                if draw and not isinstance(result, Failure):
                    draw(result)
            except UnwritableError as error:
                result = Failure(result.file, str(error))
            if isinstance(result, Failure):
                failed += 1
                report(result.error)
            else:
                for text in result.warnings:
                    warn(text)
            advance(1)
    writer.finish()
    if failed:
        note(f"serkit: {failed} of {total} recordings failed")
        raise typer.Exit(1)
