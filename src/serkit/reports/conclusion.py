"""What to conclude from scores, in one sentence: at the end of a command and at the beginning of a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.evaluation.comparison import compare
from serkit.evaluation.metrics import CLASSES, Metric
from serkit.evaluation.scores import Scores
from serkit.flags import first_leak
from serkit.runs.cross import Matrix
from serkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from serkit.reports.comparison import Compared

#: A difference with a smaller p value is called shown.
LEVEL = 0.05


def of_run(run: RunFolder) -> str:
    """Return what a finished run shows: the gravest of quick run, leak, chance, and the comparison with the baseline.

    Example: `Not distinguishable from the linear baseline: +1.2 points of UAR (p = 0.40).`
    """
    scores, metric = run.scores, run.task.metric()
    said = f"{metric.in_words(scores.metrics[metric.key].estimate)}"
    if any(flag.kind == "quick" for flag in scores.flags):
        return "A quick run: it shows that the system runs on these recordings, not how well it works."
    if leak := first_leak(scores.flags):
        return f"{said} is too optimistic: {leak}."
    if at_chance(scores, metric):
        return f"At chance ({said}): the schedule is too short, or the recordings do not show the labels."
    baseline = run.baseline
    if baseline is None:
        return (
            f"Above chance: {said}, a constant answer {metric.amount(chance(scores, metric))}; no baseline was scored."
        )
    found = compare(run.predictions, baseline)
    return against("the linear baseline", found.difference, found.p, found.permutation, metric)


def of_compared(rows: Sequence[Compared]) -> str:
    """Return what a table of runs shows: which runs differ from the first, by the corrected p values."""
    first = rows[0]
    others = [row for row in rows if row.difference is not None]
    name = _names([row.run for row in [first, *others]])
    for row in [first, *others]:
        if row.leak:
            return f"Not a fair comparison: {name[row.run]}: {row.leak}."
    metric = first.task.metric()
    constant = next((row for row in rows if row.run.startswith("always ")), None)
    if constant and all((row.low or 0.0) <= (constant.metrics[metric.key] or 0.0) for row in [first, *others]):
        return "All runs are at chance: the schedules are too short, or the recordings do not show the labels."
    if len(others) == 1:
        row = others[0]
        said = against(name[first.run], row.difference or 0.0, row.p_holm, row.permutation or "", metric)
        return f"{name[row.run]}: {said[0].lower()}{said[1:]}"
    groups: dict[str, list[str]] = {}
    for row in others:
        assert row.difference is not None and row.p_holm is not None
        word = "not distinguishable" if row.p_holm >= LEVEL else "better" if row.difference > 0 else "worse"
        title = f"{name[row.run]}, {row.target}" if row.target else name[row.run]
        groups.setdefault(word, []).append(f"{title} ({points(row.difference, metric)}, {p_text(row.p_holm)})")
    order = ("better", "worse", "not distinguishable")
    parts = [f"{word}: {', '.join(groups[word])}" for word in order if word in groups]
    return f"Compared with {name[first.run]}, {'; '.join(parts)}."


def of_matrix(matrix: Matrix) -> str:
    """Return what a cross-corpus matrix shows: UAR within and across corpora, and the pairs above chance.

    A pair is above chance if the interval of its UAR is.

    Example: `Above chance in 1 of 2 pairs of corpora: UAR 41.0 to 58.3%, against 60.2 to 71.5% on other speakers of the
    same corpus; furthest above: trained on emodb, tested on savee, 58.3% (50.1–66.0, chance 25.0%).`
    """
    metric = CLASSES["uar"]
    within = [cell for cell in matrix.cells if cell.train == cell.test]
    across = [cell for cell in matrix.cells if cell.train != cell.test]
    for cell in [*within, *across]:
        if leak := first_leak(cell.flags):
            return f"Trained on {cell.train}, tested on {cell.test}: too optimistic: {leak}."
    above = sum(cell.uar.low is not None and cell.uar.low > cell.chance for cell in across)
    best = max(across, key=lambda cell: cell.uar.estimate - cell.chance)
    here, there = (
        f"{metric.text(min(values))} to {metric.amount(max(values))}"
        for values in ([cell.uar.estimate for cell in cells] for cells in (within, across))
    )
    interval = f"{found}, " if (found := metric.range(best.uar.low, best.uar.high)) else ""
    return (
        f"Above chance in {above} of {len(across)} pairs of corpora: UAR {there}, against {here} on other speakers of "
        f"the same corpus; furthest above: trained on {best.train}, tested on {best.test}, "
        f"{metric.amount(best.uar.estimate)} ({interval}chance {metric.amount(best.chance)})."
    )


def _names(runs: Sequence[str]) -> dict[str, str]:
    """Return the name of each run's folder; the whole path if two have the same name."""
    short = {run: Path(run).name for run in runs}
    return short if len(set(short.values())) == len(short) else {run: run for run in short}


def against(name: str, difference: float, p: float | None, permutation: str, metric: Metric) -> str:
    """Return the result of a comparison with `name` as a sentence.

    >>> from serkit.evaluation.metrics import CLASSES
    >>> against("the linear baseline", 0.012, 0.4, "", CLASSES["uar"])
    'Not distinguishable from the linear baseline: +1.2 points of UAR (p = 0.40).'
    """
    word = "Better than" if difference > 0 else "Worse than"
    if p is None or p >= LEVEL:
        word = "Not distinguishable from"
    # With few speakers, the test holds for new utterances of these only.
    here = " on these speakers" if "says nothing about others" in permutation else ""
    amount = f"{points(difference, metric)}{' points' if metric.unit == '%' else ''}"
    return f"{word} {name}{here}: {amount} of {metric.name} ({p_text(p)})."


def at_chance(scores: Scores, metric: Metric) -> bool:
    """Return whether a score's interval includes what a constant answer scores."""
    low = scores.metrics[metric.key].low
    return low is not None and low <= chance(scores, metric)


def chance(scores: Scores, metric: Metric) -> float:
    """Return what a constant answer scores: its UAR, or for numbers a concordance of 0."""
    return scores.constant.metrics.get(metric.key, 0.0) if scores.constant else 0.0


def points(difference: float, metric: Metric) -> str:
    """Return a difference with its sign."""
    return metric.text(difference, "+")


def p_text(p: float | None) -> str:
    """Return a p value for a sentence.

    >>> p_text(0.4), p_text(0.003), p_text(0.00001)
    ('p = 0.40', 'p = 0.003', 'p < 0.001')
    """
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"
