"""A reproduced table or figure as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from serkit.flags import Flag
from serkit.papers import Paper
from serkit.papers.reproduced import Cell, Reproduced, ReproducedFigure, ReproducedRow, ReproducedTable
from serkit.writing import duration, markdown_row, multiply_adds, percent, with_interval


def page(paper: Paper, result: Reproduced) -> str:
    """Lay out a reproduced table or figure.

    Args:
        paper: the publication.
        result: the reproduced table or figure.
    """
    return figure(paper, result) if isinstance(result, ReproducedFigure) else table(paper, result)


def table(paper: Paper, result: ReproducedTable) -> str:
    """Lay out a reproduced table: published and measured side by side, with intervals and flags."""
    protocols, metrics = result.protocols, result.metrics
    prints_macs = any(row.published_macs is not None for row in result.rows)
    costs = [*(["MACs published"] if prints_macs else []), "parameters", "MACs", "training"]
    called = [f'{metric} ("{name}" in the paper)' if name else metric for metric, name in metrics.items()]
    lines = _head(paper, result)
    lines += [f"Metric: {', '.join(called)}, in %, with 95 % interval. Seed {result.seed}."]
    lines += _changes(result)
    columns = ["row", "corpus", "metric", "published", *protocols, *costs]
    lines += ["", markdown_row(columns), "|---|---|---|" + "---:|" * (len(columns) - 3)]
    for row in result.rows:
        cost = _cost(row)[-len(costs) :]
        for name in dict.fromkeys([*metrics, *(key for cell in row.measured.values() for key in cell.recalls)]):
            cells = [_cell(row.measured.get(protocol), name) for protocol in protocols]
            published = row.published.get(name)
            shown = [name if name in metrics else f"recall of {name}", "" if published is None else f"{published:.2f}"]
            lines.append(markdown_row([row.label, row.corpus, *shown, *cells, *cost]))
    for corpus, metric, values in _majority(result):
        lines.append(markdown_row(["majority class", corpus, metric, "", *values, *([""] * len(costs))]))
    lines += ["", "MACs: multiply-adds of one item in convolutions and matrix products, each counted once."]
    lines += ["Training: time for the folds of all protocols shown, including stages shared with other rows."]
    lines += _elsewhere(result)
    by_protocol = {
        protocol: [flag for row in result.rows if protocol in row.measured for flag in row.measured[protocol].flags]
        for protocol in protocols
    }
    return "\n".join([*lines, "", *_notes(paper, result, by_protocol)])


def figure(paper: Paper, result: ReproducedFigure) -> str:
    """Lay out a reproduced figure: its pictures and the commands of its runs."""
    lines = _head(paper, result)
    lines += [f"Protocol `{result.protocol}`. Seed {result.seed}. Numbers: `{result.artefact}.json`."]
    lines += _changes(result)
    for corpus, picture in result.pictures.items():
        lines += ["", f"## {corpus}", "", f"![{result.title}, {corpus}]({picture})", ""]
        lines += [f"- {row.label}: `{row.command}`" for row in result.rows if row.corpus == corpus]
    flags = [flag for row in result.rows for flag in row.flags]
    return "\n".join([*lines, "", *_notes(paper, result, {result.protocol: flags})])


def _head(paper: Paper, result: Reproduced) -> list[str]:
    told = [f"**{result.conclusion}**", ""] if result.conclusion else []
    return [f"# {paper.paper.name} {result.artefact}: {result.title}", "", *told, paper.paper.citation, ""]


def _changes(result: Reproduced) -> list[str]:
    if not result.sets:
        return []
    return [f"Changed from the paper's settings: {', '.join(f'`{change}`' for change in result.sets)}."]


def _notes(paper: Paper, result: Reproduced, flags: Mapping[str, list[Flag]]) -> list[str]:
    notes = [f"- {label}: not run: {reason}" for label, reason in result.not_run.items()]
    texts = {protocol: sorted({flag.text for flag in found}) for protocol, found in flags.items()}
    notes += [f"- `{protocol}`: {text}" for protocol, found in texts.items() for text in found]
    return [*notes, *[f"- {remark}" for remark in paper.paper.remarks], ""]


def _cell(measured: Cell | None, name: str) -> str:
    """Return the text of a metric with its interval, or of a class's recall."""
    if measured is None:
        return "not run"
    if name in measured.values:
        return with_interval(measured.values[name])
    return percent(measured.recalls.get(name))


def _majority(result: ReproducedTable) -> Iterator[tuple[str, str, list[str]]]:
    """Yield corpus, metric and, by protocol, the score of always answering the most frequent class."""
    for corpus in dict.fromkeys(row.corpus for row in result.rows):
        measured = [row.measured for row in result.rows if row.corpus == corpus]
        for metric in result.metrics:
            values = [
                next((cells[protocol].majority[metric] for cells in measured if protocol in cells), None)
                for protocol in result.protocols
            ]
            if any(value is not None for value in values):
                yield corpus, metric, [percent(value) for value in values]


def _elsewhere(result: ReproducedTable) -> list[str]:
    """Lay out the published values for corpora that were not run; they may be all that the paper has."""
    if not result.elsewhere:
        return []
    lines = ["", "Published for corpora that were not run:", "", markdown_row(["row", "corpus", "metric", "published"])]
    lines.append("|---|---|---|---:|")
    for row in result.elsewhere:
        for name, value in row.published.items():
            shown = name if name in result.metrics else f"recall of {name}"
            lines.append(markdown_row([row.label, row.corpus, shown, f"{value:.2f}"]))
    return lines


def _cost(row: ReproducedRow) -> list[str]:
    """Return published multiply-adds, parameters, multiply-adds and training time."""
    published = "" if row.published_macs is None else multiply_adds(1e9 * row.published_macs)
    cells = list(row.measured.values())
    if not cells:
        return [published, "", "", ""]
    sizes = [f"{cells[0].parameters:,}", multiply_adds(cells[0].macs)]
    return [published, *sizes, duration(sum(cell.seconds for cell in cells))]
