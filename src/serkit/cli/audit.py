"""`serkit audit`: do training and test part share what they should not?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.errors import UserError

if TYPE_CHECKING:
    from serkit.reports.leakage import Leakage

# Of the leaks the table shows so many; JSON has all.
_MOST_LINES = 10


def audit(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run.", show_default=False)] = None,
    train: Annotated[Path | None, typer.Option(help="Table of what is learned from: CSV, TSV or Parquet.")] = None,
    test: Annotated[Path | None, typer.Option(help="Table of what is tested.")] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Look for leaks: utterances, bit-identical recordings or speakers in training and test part.

    Give a run, or two tables. Exit code 1: a leak was found.

    Example: serkit audit --train train.csv --test test.csv
    """
    from serkit.cli.tables import choose_format, print_json
    from serkit.reports import leakage

    choose_format(format)
    if run is not None and train is None and test is None:
        found = leakage.audit_run(run)
    elif run is None and train is not None and test is not None:
        found = leakage.audit_tables(train, test)
    else:
        raise UserError("give either the folder of a run, or both --train TABLE and --test TABLE")
    if format == "json":
        print_json(found.to_dict())
    else:
        _print(found)
    raise typer.Exit(1 if found.leaks else 0)


def _print(found: Leakage) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from serkit.reports import flags

    console = Console()
    rated = flags.rate(found.flags)
    if rated:
        table = Table("", "finding", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
        for flag in rated:
            table.add_row(flag.severity, Text(flag.text))
        console.print(table)
    leaks = [f"{split}: {finding.message}" for split, finding in found.leaks]
    for line in leaks[:_MOST_LINES]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(leaks) > _MOST_LINES:
        rest = len(leaks) - _MOST_LINES
        console.print(f"... and {rest} more (--format json shows all)", markup=False, highlight=False)
    _, text = flags.verdict(rated)
    console.print(f"{text} ({_count(len(found.splits), 'split')}).", markup=False, highlight=False)


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number} {word}s"
