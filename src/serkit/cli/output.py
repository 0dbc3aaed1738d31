"""Where answers about recordings go and as what: stdout, or a file that grows by lines or appears when whole."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from enum import StrEnum
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

FormatType = TypeVar("FormatType", bound=StrEnum)

#: An ending of any kind of text.
_ANY_TEXT = ".txt"


class Writer(Protocol):
    """Takes results one by one; `finish` is called once after the last."""

    def write(self, result: Any) -> None: ...
    def finish(self) -> None: ...


def choose(
    format: FormatType | None, out: Path | None, endings: Mapping[FormatType, str], default: FormatType
) -> FormatType:
    """Return the format that was asked for, by name or by the ending of --out.

    Args:
        format: what --format says; None: nothing.
        out: what --out says. `.txt` ends a file of any format; `answers`, `v1.2` and `calls.2026` have no ending.
        endings: of the files of each format, in lower case; of formats that share one the first is meant.
        default: where nothing says.

    Raises:
        UserError: the ending says otherwise than --format, or nothing that is known.
    """
    ending = out.suffix.lower() if out and re.fullmatch(r"\.[A-Za-z]\w*", out.suffix) else ""
    if format is None:
        named = next((name for name, own in endings.items() if own == ending), default if not ending else None)
        if named is None:
            known = ", ".join(dict.fromkeys(endings.values()))
            raise UserError(f"{out}: no format is written as {ending}; known are {known}. Or give --format")
        return named
    if ending not in ("", _ANY_TEXT, endings[format]):
        raise UserError(f"{out}: --format {format} is written as {endings[format]}, not {ending}; change one of them")
    return format


@contextmanager
def reserved(out: Path | None, resume: bool, resumable: bool) -> Iterator[None]:
    """Hold a file that will be written, so that no other process writes it too.

    Args:
        out: the file; None: stdout.
        resume: whether to go on with what is in it.
        resumable: whether one could.

    Raises:
        UserError: it cannot be written, or another process is writing it.
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
        raise UserError(f"{out}: is a folder; --out wants a file")
    if out.exists() and not resume:
        way_out = "go on with it by --resume, or" if resumable else "remove it, or"
        raise UserError(f"{out}: exists already; {way_out} choose another --out")


@contextmanager
def destination(out: Path | None, by_line: bool, csv_safe: bool = False) -> Iterator[TextIO]:
    """Open where the answers go.

    Args:
        out: the file; None: stdout.
        by_line: whether they are written as soon as they are known.
        csv_safe: whether they are CSV that no spreadsheet shall run.
    """

    def guarded(stream: Any) -> TextIO:
        return cast(TextIO, Harmless(stream) if csv_safe else stream)

    if out is None:
        yield guarded(Shown(sys.stdout) if sys.stdout.isatty() else sys.stdout)
        return
    place = nullcontext(out) if by_line else writing(out)
    # newline="": the csv module and JSON lines end their lines themselves, on every system alike.
    try:
        with place as target, open(target, "a", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield guarded(stream)
    except OSError as error:
        # Of a full disk the system names no place.
        error.filename = error.filename or str(out)
        raise


def write(
    results: Iterable[Any],
    writer: Writer,
    total: int,
    quiet: bool,
    failed: int = 0,
    draw: Callable[[Any], None] | None = None,
) -> None:
    """Write all results, report failures and warnings on stderr, and exit with 1 if there were failures.

    Args:
        results: in the order of the recordings.
        writer: where they go.
        total: number of results and of those that were written before.
        quiet: whether to show no progress.
        failed: of those that were written before.
        draw: what else is done with each that is no failure.
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
