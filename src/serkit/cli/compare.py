"""`serkit compare`: compare several runs in one table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serkit.errors import UserError
from serkit.terminal import screen, show


class Format(StrEnum):
    """Format of the output."""

    table = "table"
    json = "json"
    markdown = "markdown"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of finished runs on the same utterances. Each run is compared with the first.",
            show_default=False,
        ),
    ],
    plot: Annotated[
        Path | None, typer.Option(help="Draw the differences in UAR with their intervals into this PNG file.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
) -> None:
    """Compare runs: scores, intervals, and whether a difference could be due to chance.

    Example: serkit compare runs/linear-baseline runs/compact-cnn --plot differences.png
    """
    from serkit.cli.tables import print_json
    from serkit.reports import comparison, number_comparison
    from serkit.runs.folder import RunFolder

    loaded = [RunFolder.load(run) for run in runs]
    if all(run.numbers for run in loaded):
        if plot:
            raise UserError("--plot draws differences in UAR; these runs predict numbers")
        _print_numbers(number_comparison.table(loaded), format)
        return
    if any(run.numbers for run in loaded):
        raise UserError("cannot compare runs that predict numbers with runs that predict classes")
    rows = comparison.table(runs)
    if plot:
        from serkit.reports.forest import draw

        draw(rows, plot)
    if format is Format.json:
        print_json(rows)
    elif format is Format.markdown:
        show(comparison.markdown(rows), end="")
    else:
        _print_table(rows)


def _print_table(rows: list[dict]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.reports.comparison import cells, notes

    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("run, system, protocol", overflow="fold")
    for name in ("n", "accuracy", "UAR", "macro F1", "parameters", "against first"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        run, system, protocol, n, accuracy, uar, interval, f1, parameters, difference, its_interval, *p = cells(row)
        name = "\n".join(filter(None, [run, system, protocol]))
        against = f"{difference}\n{its_interval}\np {p[0]}\nHolm {p[1]}" if difference else ""
        stacked = [f"{uar}\n{interval}", f1, parameters, against]
        # As Text: rich would read brackets in a folder's name as markup.
        table.add_row(*map(Text, [name, n, accuracy, *stacked]))
    console = screen()
    console.print(table)
    for line in notes(rows):
        console.print(line, highlight=False)


def _print_numbers(rows: list[dict], format: Format) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.cli.tables import print_json
    from serkit.reports.number_comparison import cells, markdown, notes

    if format is Format.json:
        print_json(rows)
        return
    if format is Format.markdown:
        show(markdown(rows), end="")
        return
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("target")
    table.add_column("run", overflow="fold")
    for name in ("n", "CCC", "Pearson", "RMSE", "MAE", "against first"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        target, run, n, ccc, interval, *others, difference, its_interval, p = cells(row)
        against = f"{difference}\n{its_interval}\np {p}" if difference else ""
        table.add_row(*map(Text, [target, run, n, f"{ccc}\n{interval}".strip(), *others, against]))
    console = screen()
    console.print(table)
    for line in notes(rows):
        console.print(line, highlight=False)
