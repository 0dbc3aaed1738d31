"""Output that several commands share: score tables and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serkit.terminal import screen, show

if TYPE_CHECKING:
    from rich.table import Table

    from serkit.evaluation.metrics import Metric
    from serkit.evaluation.scores import Scores, Value
    from serkit.papers.reproduced import Reproduced


def print_json(content: Any) -> None:
    """Print one JSON document on stdout."""
    show(json.dumps(content, indent=1, ensure_ascii=False))


def print_conclusion(sentence: str) -> None:
    """Print what to conclude, after an empty line."""
    screen().print(f"\n{sentence}", highlight=False)


def print_scores(scores: Scores) -> None:
    """Print the scores of a run or an evaluation, those of the baselines, and the flags."""

    from serkit.evaluation.task import TASKS
    from serkit.flags import verdict, worst_first

    # Rich would read brackets in names of classes, corpora and folders as markup.
    console = screen()
    console.print(_table(scores))
    console.print(f"95 % intervals: {scores.metrics[TASKS[scores.task].metric().key].method}", highlight=False)
    console.print(f"configurations tried: {scores.configurations}; chosen on: {scores.chosen_on}", highlight=False)
    if found := scores.calibration:
        text = f"calibration error: {found.ece.before:.1%}; temperatures fitted on the {found.fitted_on}:"
        console.print(f"{text} {found.ece.after:.1%}", highlight=False)
    if scores.recipe:
        console.print(f"how the recipe was found: {scores.recipe}", highlight=False)
    flags = worst_first(scores.flags)
    console.print(f"{verdict(flags)[1]}.", highlight=False)
    for flag in flags:
        console.print(f"{flag.severity}: {flag.text}", highlight=False)


def _table(scores: Scores) -> Table:
    """Make the table: of each target all, every corpus, the baseline, and what a constant answer scores."""
    from rich import box
    from rich.table import Table

    from serkit.evaluation.scores import rows
    from serkit.evaluation.task import TASKS

    metrics, by_target = TASKS[scores.task].metrics, bool(scores.targets)
    title = f"{scores.system}, {scores.protocol}, {scores.folds} folds"
    table = Table(title=title, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("target" if by_target else "", overflow="fold")
    for name in ("n", *(metric.heading for metric in metrics.values())):
        table.add_column(name, justify="right", no_wrap=True)
    names = {"all": "{target}" if by_target else "all", "constant": "always {name}", "mean": "mean of the corpora"}
    for row in rows(scores):
        name = names.get(row.kind, "{name}").format(target=row.target, name=row.name)
        cells = [_cell(metric, row.values.get(key), stacked=by_target) for key, metric in metrics.items()]
        indent = "  " if by_target and row.kind != "all" else ""
        table.add_row(f"{indent}{name}", str(row.n), *cells, end_section=by_target and row.kind == "constant")
    return table


def _cell(metric: Metric, value: Value | None, stacked: bool) -> str:
    """Write a value with its interval, next to it or, in narrow columns, below it."""
    if value is None:
        return ""
    text = metric.text(value.estimate)
    if value.low is None:
        return text
    if stacked:
        return f"{text}\n{value.low:.2g} to {value.high:.2g}"
    return f"{text} [{metric.text(value.low)}, {metric.text(value.high)}]"


def print_reproduced(result: Reproduced) -> None:
    """Print a reproduced table, with published and measured values, or the runs of a figure."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.evaluation.metrics import CLASSES
    from serkit.papers.reproduced import ReproducedTable

    table = Table(title=f"{result.paper} {result.artefact}: {result.title}", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("row", overflow="fold")
    table.add_column("corpus", overflow="fold")
    if not isinstance(result, ReproducedTable):
        for drawn in result.rows:
            table.add_row(Text(drawn.label), Text(drawn.corpus))
        screen(width=80).print(table)
        return
    for name in ("metric", "published", *result.protocols):
        table.add_column(name, justify="right" if name != "metric" else "left", overflow="fold")
    for row in result.rows:
        for key in result.metrics:
            metric, published = CLASSES[key], row.published.get(key)
            cells = [row.measured.get(protocol) for protocol in result.protocols]
            values = [cell.values[key] if cell else None for cell in cells]
            texts = [
                f"{metric.text(value.estimate)}\n{metric.range(value.low, value.high)}".strip() if value else "not run"
                for value in values
            ]
            shown = "" if published is None else f"{published:.2f}"
            table.add_row(*map(Text, [row.label, row.corpus, metric.heading, shown, *texts]))
    screen(width=80).print(table)
