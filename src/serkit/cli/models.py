"""`serkit models`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from serkit.cli import report
from serkit.cli.options import Format, Output
from serkit.errors import UserError
from serkit.terminal import screen, show

if TYPE_CHECKING:
    from serkit.recognition.bundle import Bundle, Score


def models(format: Output = Format.table) -> None:
    """List the recognizers available by name: size, labels, scores, license.

    Example: serkit models --format json
    """
    from serkit.recognition.bundle import Bundle, available

    bundles, broken = [], 0
    for folder in available():
        try:
            bundles.append(Bundle.load(folder))
        except UserError as error:
            report(str(error))
            broken += 1
    if format is Format.json:
        show(json.dumps([describe(bundle) for bundle in bundles], indent=1, ensure_ascii=False))
    else:
        _print_table(bundles)
    if broken:
        raise typer.Exit(1)


def describe(bundle: Bundle) -> dict[str, object]:
    """Return the entry of one recognizer for the list."""
    return {
        "name": bundle.folder.name,
        "folder": str(bundle.folder),
        "bytes": bundle.model_path.stat().st_size,
        "parameters": bundle.size.parameters,
        "labels": bundle.labels,
        "numbers": [number.model_dump() for number in bundle.numbers],
        "languages": bundle.languages,
        "trained_on": bundle.trained_on.corpora,
        "scores": [score.model_dump(exclude_none=True) for score in bundle.scores],
        "licence": bundle.licence,
    }


def shown_scores(bundle: Bundle) -> list[Score]:
    """Return one score per corpus: the UAR with the fewest flags if there is one. For numbers, return all scores."""
    if bundle.numbers:
        return bundle.scores
    corpora = dict.fromkeys(score.corpus for score in bundle.scores)
    return [
        min(
            (score for score in bundle.scores if score.corpus == corpus),
            key=lambda score: (score.metric != "uar", len(score.flags)),
        )
        for corpus in corpora
    ]


def _print_table(bundles: list[Bundle]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not bundles:
        show("no recognizers found")
        return
    table = Table("name", "MB", "labels", "scores", "licence", box=box.SIMPLE_HEAD)
    for bundle in bundles:
        size = f"{bundle.model_path.stat().st_size / 1e6:.1f}"
        scores = "\n".join(map(_in_words, shown_scores(bundle)))
        cells = (bundle.folder.name, size, "\n".join(bundle.outputs), scores, bundle.licence)
        table.add_row(*map(Text, cells))
    screen(width=150).print(table)


def _in_words(score: Score) -> str:
    """`emodb: UAR 80.5 % (74.8 to 85.2), clean; sentences shared: all`."""
    from serkit.evaluation.metrics import METRICS

    flags = f"; {', '.join(score.flags)}" if score.flags else ""
    key, of, target = score.metric.partition(" of ")
    metric = METRICS[key]
    unit = " %" if metric.unit == "%" else ""
    known = score.low is not None and score.high is not None
    interval = f" ({metric.text(score.low)} to {metric.text(score.high)})" if known else ""
    value = f"{metric.name}{of}{target} {metric.text(score.value)}{unit}"
    return f"{score.corpus}: {value}{interval}, {score.protocol}{flags}"
