"""What to conclude from a reproduced table or figure, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from serkit.evaluation.comparison import compare
from serkit.evaluation.metrics import CLASSES, Metric
from serkit.papers import BASELINES, PublishedTable
from serkit.papers.figures import Ran
from serkit.papers.reproduced import Cell, ReproducedRow
from serkit.reports.conclusion import LEVEL, against, at_chance, p_text, points
from serkit.runs.folder import RunFolder

#: Run folder by row label, corpus and protocol.
Places = Mapping[tuple[str, str, str], Path]

AT_CHANCE = "All rows at chance: the schedule is too short, or the recordings do not show the labels."
QUICK = "A quick run: it shows that the rows run, not what they score."

_BASELINES = frozenset(row.label for row in BASELINES)


def of_table(table: PublishedTable, rows: Sequence[ReproducedRow], protocols: Sequence[str], places: Places) -> str:
    """Return what a table shows under its cleanest protocol: its contrasts, or its best row against the baselines.

    Args:
        table: the published table.
        rows: the measured rows, with those of the baselines.
        protocols: protocols under which they were run.
        places: folders of their runs.
    """
    protocol = "clean" if "clean" in protocols else protocols[-1]
    metric = CLASSES[next(iter(table.metrics))]
    cells = {(row.label, row.corpus): row.measured[protocol] for row in rows if protocol in row.measured}
    own = {key: cell for key, cell in cells.items() if key[0] not in _BASELINES}
    if not own:
        return "No row of the paper was run."
    if any(flag.kind == "quick" for cell in own.values() for flag in cell.flags):
        return QUICK
    if all(_is_at_chance(cell, metric) for cell in own.values()):
        return AT_CHANCE
    found = list(_contrasts(table, own, protocol, places, metric)) or list(_best(cells, protocol, places, metric))
    leak = any(flag.severity == "leak" for cell in own.values() for flag in cell.flags)
    optimistic = ", whose scores are too optimistic (see the leaks)" if leak else ""
    return f"Under {protocol}{optimistic}: {'; '.join(found)}."


def of_figure(ran: Sequence[Ran]) -> str:
    """Return what the runs of a figure show."""
    scores = [one.scores for one in ran]
    if any(flag.kind == "quick" for score in scores for flag in score.flags):
        return QUICK
    metric = CLASSES["uar"]
    known = [one for one in ran if metric.key in one.scores.metrics]
    if not known:
        return f"Drawn from {len(ran)} runs."
    if all(at_chance(one.scores, metric) for one in known):
        return AT_CHANCE
    best = max(known, key=lambda one: one.scores.metrics[metric.key].estimate)
    value = best.scores.metrics[metric.key]
    interval = f", interval {metric.range(value.low, value.high)}" if value.low is not None else ""
    said = metric.in_words(value.estimate)
    return f"Of {len(ran)} runs, the highest is {best.label} on {best.corpus}: {said}{interval}."


def _is_at_chance(cell: Cell, metric: Metric) -> bool:
    low, always = cell.values[metric.key].low, cell.majority.get(metric.key)
    return low is not None and always is not None and low <= always


def _contrasts(
    table: PublishedTable, cells: Mapping[tuple[str, str], Cell], protocol: str, places: Places, metric: Metric
) -> Iterator[str]:
    corpora = list(dict.fromkeys(corpus for _, corpus in cells))
    for first, second in table.contrasts:
        for corpus in corpora:
            if (first, corpus) in cells and (second, corpus) in cells:
                a, b = (RunFolder.load(places[label, corpus, protocol]).predictions for label in (first, second))
                found = compare(a, b, metric.key)
                shown = "a difference" if found.p < LEVEL else "no difference shown"
                on = f" on {corpus}" if len(corpora) > 1 else ""
                amount = f"{points(found.difference, metric)} points of {metric.name}"
                yield f"{first} minus {second}{on}: {amount}, {shown} ({p_text(found.p)})"


def _best(cells: Mapping[tuple[str, str], Cell], protocol: str, places: Places, metric: Metric) -> Iterator[str]:
    """Yield the comparison of each corpus's best row with its best baseline."""
    for corpus in dict.fromkeys(corpus for _, corpus in cells):
        here = {label: cell.values[metric.key].estimate for (label, of), cell in cells.items() if of == corpus}
        rows, baselines = ({k: v for k, v in here.items() if (k in _BASELINES) == kind} for kind in (False, True))
        if not rows or not baselines:
            continue
        best, baseline = max(rows, key=rows.__getitem__), max(baselines, key=baselines.__getitem__)
        a, b = (RunFolder.load(places[label, corpus, protocol]).predictions for label in (best, baseline))
        found = compare(a, b, metric.key)
        said = against(f"the {baseline.removeprefix('the ')}", found.difference, found.p, found.permutation, metric)
        yield f"the best row on {corpus}, {best}, is {said[0].lower()}{said[1:].rstrip('.')}"
