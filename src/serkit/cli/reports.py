"""`serkit report`: show where a run fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.cli import options, warn
from serkit.errors import unknown
from serkit.terminal import screen, show
from serkit.writing import percent, with_interval

if TYPE_CHECKING:
    from serkit.evaluation.slices import Slice


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Slices to print: sex, speaker, language, duration, loudness or snr. Default: all."),
    ] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER: new location of the run's recordings, if they have moved.")
    ] = None,
    errors: Annotated[int, typer.Option(min=0, help="Number of the worst errors on the page.")] = 24,
    sound: Annotated[bool, typer.Option(help="Include the recordings in the page.")] = True,
    format: options.Output = options.Format.table,
) -> None:
    """Rewrite a run's report, and print its scores slice by slice.

    Example: serkit report runs/compact-cnn --by sex --by snr
    """
    from serkit.cli.tables import print_json
    from serkit.evaluation.slices import TITLES
    from serkit.reports.failures import find
    from serkit.reports.report import write
    from serkit.runs.folder import RunFolder

    for name in by or ():
        if name not in TITLES:
            raise unknown("property", name, TITLES)
    folder = RunFolder.load(run)
    folder.want_classes()
    failures = find(folder, corpus or (), errors)
    page = write(run, failures, sound)
    if failures.missing:
        warn(f"no slices and no errors: {failures.missing}")
    chosen = {name: rows for name, rows in failures.slices.items() if name in (by or TITLES)}
    if format is options.Format.json:
        print_json({name: [row.to_dict() for row in rows] for name, rows in chosen.items()})
        return
    for name, rows in chosen.items():
        _print(TITLES[name], rows)
    show(f"report: {page}")


def _print(title: str, rows: Sequence[Slice]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"by {title}", title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("")
    for column in ("n", "UAR %", "accuracy %", "ECE %"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("commonest")
    for row in rows:
        commonest = f"{row.commonest.label} {row.commonest.share:.0%}"
        scores = [with_interval(row.metrics["uar"]), percent(row.metrics["accuracy"].estimate), percent(row.ece)]
        cells = [row.value, str(row.n), *scores]
        # As Text: rich would read brackets in a speaker's name as markup.
        table.add_row(*map(Text, [*cells, commonest]))
    console = screen()
    console.print(table)
    for row in rows:
        if row.warnings:
            console.print(f"{row.value}: {'; '.join(row.warnings)}", highlight=False)
    console.print()
