"""Where answers about recordings go: stdout, or a file that grows by lines or appears when whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TextIO

import typer

from serkit.atomic import writing
from serkit.cli import report, warn
from serkit.errors import UserError
from serkit.progress import bar
from serkit.recognition import Failure


class Writer(Protocol):
    """Takes results one by one; `finish` is called once after the last."""

    def write(self, result: Any) -> None: ...
    def finish(self) -> None: ...


def check(out: Path | None, resume: bool, resumable: bool) -> None:
    """Raise UserError if a file cannot be written.

    Args:
        out: the file; None: stdout.
        resume: whether to go on with what is in it.
        resumable: whether one could.
    """
    if out is None:
        return
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: its folder does not exist")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; --out wants a file")
    if out.exists() and not resume:
        way_out = "go on with it by --resume, or" if resumable else "remove it, or"
        raise UserError(f"{out}: exists already; {way_out} choose another --out")


@contextmanager
def destination(out: Path | None, by_line: bool) -> Iterator[TextIO]:
    """Open where the answers go; `by_line`: they are written as soon as they are known."""
    if out is None:
        yield sys.stdout
        return
    place = nullcontext(out) if by_line else writing(out)
    # newline="": the csv module and JSON lines end their lines themselves, on every system alike.
    try:
        with place as target, open(target, "a", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
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
            writer.write(result)
            if isinstance(result, Failure):
                failed += 1
                report(result.error)
            else:
                for text in result.warnings:
                    warn(text)
                if draw:
                    draw(result)
            advance(1)
    writer.finish()
    if failed:
        print(f"serkit: {failed} of {total} recordings failed", file=sys.stderr)
        raise typer.Exit(1)
