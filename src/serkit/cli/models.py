"""`serkit models`."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from serkit.cli import report
from serkit.errors import UserError
from serkit.recognition.bundle import Bundle, Score, available


class Format(StrEnum):
    """How to write."""

    table = "table"
    json = "json"


def models(format: Annotated[Format, typer.Option(help="How to write.")] = Format.table) -> None:
    """List the recognisers that can be given by name: size, labels, scores, licence."""
    bundles, broken = [], 0
    for folder in available():
        try:
            bundles.append(Bundle.load(folder))
        except UserError as error:
            report(str(error))
            broken += 1
    if format is Format.json:
        print(json.dumps([describe(bundle) for bundle in bundles], indent=1, ensure_ascii=False))
    else:
        _print_table(bundles)
    if broken:
        raise typer.Exit(1)


def describe(bundle: Bundle) -> dict[str, Any]:
    """Return what a list of recognisers says of one."""
    return {
        "name": bundle.folder.name,
        "folder": str(bundle.folder),
        "bytes": bundle.model_path.stat().st_size,
        "parameters": bundle.size.parameters,
        "labels": bundle.labels,
        "languages": bundle.languages,
        "trained_on": bundle.trained_on.corpora,
        "scores": [score.model_dump(exclude_none=True) for score in bundle.scores],
        "licence": bundle.licence,
    }


def best_scores(bundle: Bundle) -> list[Score]:
    """Return the best score of each corpus; one with leakage flags only where there is no clean one."""
    corpora = dict.fromkeys(score.corpus for score in bundle.scores)
    return [
        max(
            (score for score in bundle.scores if score.corpus == corpus),
            key=lambda score: (not score.flags, score.value),
        )
        for corpus in corpora
    ]


def _print_table(bundles: list[Bundle]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not bundles:
        print("no recognisers found")
        return
    table = Table("name", "MB", "labels", "scores", "licence", box=box.SIMPLE_HEAD)
    for bundle in bundles:
        size = f"{bundle.model_path.stat().st_size / 1e6:.1f}"
        scores = "\n".join(map(_in_words, best_scores(bundle)))
        cells = (bundle.folder.name, size, ", ".join(bundle.labels), scores, bundle.licence)
        table.add_row(*map(Text, cells))
    # Into a file or a pipe the lines go unbroken.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _in_words(score: Score) -> str:
    """`emodb: uar 0.800 (0.760 to 0.840), clean`."""
    interval = f" ({score.low:.3f} to {score.high:.3f})" if score.low is not None and score.high is not None else ""
    flags = f", flags: {', '.join(score.flags)}" if score.flags else ""
    return f"{score.corpus}: {score.metric} {score.value:.3f}{interval}, {score.protocol}{flags}"
