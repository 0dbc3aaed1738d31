"""`serkit evaluate CARD`: repeat a protocol card and compare every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from serkit.cli.options import Format
from serkit.errors import UserError
from serkit.terminal import note, show

if TYPE_CHECKING:
    from serkit.corpora import Reading


def repeat_card(
    card: Path,
    corpus: Sequence[str],
    also: Sequence[str],
    reading: Reading,
    folder: Path | None,
    jobs: int,
    format: Format,
    refused: Mapping[str, Any],
) -> None:
    """Repeat a card and print the result; exit with code 1 if a score differs.

    Args:
        card: path of the card.
        corpus: NAME=FOLDER of each corpus that is scored.
        also: NAME=FOLDER of each corpus that is only used for training.
        reading: how to read a user's own data.
        folder: folder of the new run; None: `runs/CARD-repeated`, named after the folder of a `card.json`.
        jobs: number of folds trained in parallel.
        format: of the output.
        refused: options that only recognizers take, with their values.
    """
    from serkit import corpora
    from serkit.cli.tables import print_json, print_scores
    from serkit.runs.repetition import repeat

    for option, value in refused.items():
        if value:
            raise UserError(
                f"{option} requires a recognizer; a card sets its own labels, and its run keeps the predictions"
            )
    name = card.resolve().parent.name if card.name == "card.json" else card.stem
    folder = folder or Path("runs") / f"{name}-repeated"
    found = repeat(
        card,
        corpora.load_all(corpus, reading),
        folder,
        corpora.load_all(also, reading) if also else [],
        jobs,
        report=note,
    )
    if format is Format.json:
        differences = [{"value": value, "card": before, "here": now} for value, before, now in found.differences]
        print_json({"equal": not found.differences, "compared": found.compared, "differences": differences})
    else:
        print_scores(found.scores)
        for value, before, now in found.differences:
            show(f"differs: {value}: {before} in the card, {now} here")
        same = found.compared - len(found.differences)
        show(f"\n{same} of {found.compared} values match the card   run: {folder}")
    if found.differences:
        raise typer.Exit(1)
