"""`serkit evaluate`: score a recognizer on a corpus, or repeat a protocol card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from serkit.atomic import writing
from serkit.cli import options
from serkit.errors import UserError
from serkit.locks import alone
from serkit.spreadsheet import harmless_rows
from serkit.terminal import note
from serkit.text import clean


def evaluate(
    model: Annotated[
        str, typer.Argument(help="A bundle (name or folder), a run with a final model, or a card (JSON file).")
    ],
    corpus: options.Corpora,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="OLD=NEW renames a label; OLD=drop leaves it out. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the predictions to this CSV file.")] = None,
    csv_safe: options.CsvSafe = False,
    also: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: for a card, a corpus that is only used for training. Repeatable."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="For a card: folder of the new run; an interrupted run continues. Default: runs/CARD-repeated."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="For a card: folds trained in parallel; 0: one per core.")] = 0,
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    format: options.Output = options.Format.table,
) -> None:
    """Score a finished recognizer on labeled recordings. Recordings that it was trained on are flagged.

    A card is repeated: serkit checks the recordings and trains the same folds and seeds again. Exit code 1:
    a score differs.

    Example: serkit evaluate default --corpus table=calls.csv --map annoyed=anger

    Example: serkit evaluate runs/calls/card.json --corpus table=calls.csv
    """
    reading = options.reading(columns, times, on_error)
    if Path(model).is_file():
        from serkit.cli.repeat_card import repeat_card

        repeat_card(
            Path(model),
            corpus,
            also or [],
            reading,
            run,
            jobs,
            format,
            refused={"--map": map_, "--out": out, "--csv-safe": csv_safe},
        )
        return
    if also or run or jobs:
        raise typer.BadParameter(f"--also, --run and --jobs require a card, but '{model}' is not a file")
    from serkit import corpora, lab
    from serkit.cli.tables import print_json, print_scores

    if out and not out.absolute().parent.is_dir():
        raise UserError(f"{out}: its folder does not exist")
    if out and out.suffix.lower() not in ("", ".csv", ".txt"):
        raise UserError(f"{out}: predictions are written as CSV; name the file .csv")
    if csv_safe and not out:
        raise UserError("--csv-safe requires --out FILE.csv")
    mapping = parse_map(map_ or [])
    result = lab.evaluate(model, corpora.load_all(corpus, reading), mapping)
    if out:
        with alone(out), writing(out) as temporary:
            result.predictions.save(temporary)
            if csv_safe:
                temporary.write_text(harmless_rows(temporary.read_text(encoding="utf-8")), encoding="utf-8", newline="")
        note(f"wrote {out}")
    if format is options.Format.json:
        print_json(result.scores.to_dict())
    else:
        print_scores(result.scores)
    for reason in result.failed.values():
        note(f"serkit: skipped: {reason}")
    if result.failed:
        raise typer.Exit(1)


def parse_map(entries: Sequence[str]) -> dict[str, str]:
    """Parse --map: OLD=NEW, once for each label."""
    mapping = {clean(old): clean(new) for old, _, new in (entry.partition("=") for entry in entries)}
    if not all(mapping.values()):
        raise UserError("--map must be OLD=NEW, e.g. calm=neutral, or OLD=drop")
    return mapping
