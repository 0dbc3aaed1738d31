"""`serkit audit`: find leaks between the training and the test part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.cli import options
from serkit.terminal import screen

if TYPE_CHECKING:
    from serkit.reports.leakage import Leakage

# The table shows at most this many leaks; JSON has all.
_MOST_LINES = 10


def audit(
    split: Annotated[
        Path | None,
        typer.Argument(help="Folder of a run, or a table with a column `part` or `fold`.", show_default=False),
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Table of the training part: CSV, Parquet, EmoBox JSON.")] = None,
    test: Annotated[Path | None, typer.Option(help="Table of the test part.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Table of the validation part.")] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER: corpus with the recordings of the tables; adds speakers and sentences. Repeatable."
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Table of features (column `file`): check whether they were scaled with the test part."),
    ] = None,
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    format: options.Output = options.Format.table,
) -> None:
    """Find leaks between the training and the test part of a run or of given lists.

    Leaks are: utterances, recordings (bit-identical, or changed in gain, cut, rate,
    codec, noise) and speakers in both parts; stages and features that were
    trained, normalized or chosen on the test part. Shared sessions and
    sentences are reported as well. Exit code 1: a leak was found.

    Example: serkit audit --train train.jsonl --test test.jsonl --corpus emodb=data/emodb
    """
    from serkit import corpora, lab
    from serkit.cli.tables import print_json

    known = corpora.load_all(corpus, options.reading(columns, times, on_error)) if corpus else []
    found = lab.audit(split, train=train, test=test, validation=validation, corpus=known, features=features)
    if format is options.Format.json:
        print_json(found.to_dict())
    else:
        _print(found)
    raise typer.Exit(1 if found.leaks else 0)


def _print(found: Leakage) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.flags import verdict, worst_first

    console = screen()
    flags = worst_first(found.flags)
    if flags:
        table = Table("", "finding", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
        for flag in flags:
            table.add_row(flag.severity, Text(flag.text))
        console.print(table)
    leaks = [f"{split}: {finding.message}" for split, finding in found.leaks]
    for line in leaks[:_MOST_LINES]:
        console.print(line, highlight=False, soft_wrap=True)
    if len(leaks) > _MOST_LINES:
        rest = len(leaks) - _MOST_LINES
        console.print(f"... and {rest} more (--format json shows all)", highlight=False)
    _, text = verdict(flags)
    console.print(f"{text} ({_count(len(found.splits), 'split')}).", highlight=False)


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number} {word}s"
