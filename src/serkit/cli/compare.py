"""`serkit compare`: compare several runs in one table."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.terminal import note, screen, show

if TYPE_CHECKING:
    from serkit.reports.comparison import Compared


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
    from serkit import lab
    from serkit.cli.tables import print_conclusion, print_json

    found = lab.compare(*runs)
    if plot:
        found.plot(plot)
        note(f"wrote {plot}")
    if format is Format.json:
        print_json([row.to_dict() for row in found.rows])
    elif format is Format.markdown:
        show(found.markdown(), end="")
    else:
        _print_table(found.rows)
        print_conclusion(found.conclusion)


def _print_table(rows: Sequence[Compared]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.reports.comparison import cells, columns, notes

    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    head = columns(rows)
    names, first = head[: head.index("n")], head.index("n")
    # What belongs together is stacked: whose row it is, values with their intervals, and all that compares.
    _, main, _, *others = head[first : head.index("parameters")]
    table.add_column(", ".join(names), overflow="fold")
    for name in ("n", main, *others, "parameters", "against first"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        texts = cells(row)
        count, value, interval, *rest = texts[first : head.index("parameters") + 1]
        difference, its_interval, p, adjusted = texts[-4:]
        against = f"{difference}\n{its_interval}\np {p}\nHolm {adjusted}" if difference else ""
        stacked = ["\n".join(filter(None, texts[:first])), count, f"{value}\n{interval}".strip(), *rest, against]
        # As Text: a folder's name may hold brackets, which rich would take for its markup.
        table.add_row(*map(Text, stacked))
    console = screen()
    console.print(table)
    for line in notes(rows):
        console.print(line, highlight=False)
