"""Several runs in one table, each against the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serkit.errors import UserError
from serkit.evaluation.comparison import compare
from serkit.evaluation.metrics import METRICS
from serkit.reports.run_folder import RunFolder

#: Head of the table; `cells` fits it.
COLUMNS = (
    "run",
    "system",
    "protocol",
    "n",
    "accuracy",
    "UAR",
    "95% interval",
    "macro F1",
    "parameters",
    "UAR against first",
    "95% interval",
    "p",
)
#: What has to be known to read the table.
NOTE = (
    "Accuracy, UAR and macro F1 in percent, differences in points. p: two-sided permutation test of the "
    "difference in UAR, each pair by itself; who looks at many pairs should ask for a smaller p."
)


def table(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Score runs over the same utterances side by side.

    Args:
        runs: folders of finished runs, two or more; the others are compared with the first.

    Returns:
        A row for each run, one for the linear baseline on the first run's folds if that was trained, and one
        for always answering the commonest class of the first run's training
        parts: `run`, `system`, `protocol`, `n` predictions, `accuracy`, `uar`, `macro_f1`, `low` and `high`
        end of the UAR's interval and its `interval` method, `parameters`, and of the UAR less that of the
        first run `difference`, its `difference_low` and `difference_high`, `p` and the `permutation` that
        it comes from. None: there is no such value.

    Raises:
        UserError: fewer than two runs; a folder without a finished run; runs over other utterances.
    """
    if len(runs) < 2:
        raise UserError(f"{len(runs)} run given; give two or more, the first is what others are compared with")
    loaded = [RunFolder.load(path) for path in runs]
    first = loaded[0]
    rows = [_row(first)]
    rows += [{**_row(run), **_against(run, first)} for run in loaded[1:]]
    if baseline := first.scores.get("baseline"):
        rows.append({**dict.fromkeys(rows[0]), **_baseline(baseline, first)})
    majority = {
        "run": f"always '{first.scores['majority']['class']}'",
        "n": len(first.predictions),
        **first.majority(),
    }
    return [*rows, {**dict.fromkeys(rows[0]), **majority}]


def _baseline(baseline: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Return what is known of the linear baseline on the folds of a run."""
    found = {metric: baseline[metric]["estimate"] for metric in ("accuracy", "uar", "macro_f1")}
    uar = baseline["uar"]
    return {
        "run": f"linear baseline of {run.path.name}",
        "system": baseline["system"],
        "protocol": run.scores["protocol"],
        "n": len(run.predictions),
        **found,
        "low": uar["low"],
        "high": uar["high"],
        "interval": uar["method"],
    }


def cells(row: Mapping[str, Any]) -> list[str]:
    """Write a row of `table` for people; what there is not is empty."""
    return [
        row["run"],
        row["system"] or "",
        row["protocol"] or "",
        str(row["n"]),
        *(_percent(row[metric]) for metric in ("accuracy", "uar")),
        _interval(row["low"], row["high"], ""),
        _percent(row["macro_f1"]),
        "" if row["parameters"] is None else f"{row['parameters']:,}",
        _percent(row["difference"], "+"),
        _interval(row["difference_low"], row["difference_high"], "+"),
        "" if row["p"] is None else "<0.001" if row["p"] < 0.001 else f"{row['p']:.3f}",
    ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the rows of `table` as a Markdown table, with its notes below."""
    words = {"run", "system", "protocol"}
    lines = [COLUMNS, [":--" if name in words else "--:" for name in COLUMNS], *map(cells, rows)]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*text, "", *notes(rows)]) + "\n"


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how the intervals and p values were found."""
    first, second = rows[0], rows[1]
    return [NOTE, f"Intervals: {first['interval']}. Permutation test: {second['permutation']}."]


def _row(run: RunFolder) -> dict[str, Any]:
    uar = run.scores["uar"]
    return {
        "run": str(run.path),
        "system": run.scores["system"],
        "protocol": run.scores["protocol"],
        "n": run.scores["n"],
        **{metric: run.scores[metric]["estimate"] for metric in METRICS},
        "low": uar["low"],
        "high": uar["high"],
        "interval": uar["method"],
        "parameters": run.parameters,
        **dict.fromkeys(("difference", "difference_low", "difference_high", "p", "permutation")),
    }


def _against(run: RunFolder, first: RunFolder) -> dict[str, Any]:
    try:
        found = compare(run.predictions, first.predictions)
    except UserError as error:
        raise UserError(f"{run.path} (first) and {first.path} (second): {error}") from None
    return {
        "difference": found.difference,
        "difference_low": found.low,
        "difference_high": found.high,
        "p": found.p,
        "permutation": found.permutation,
    }


def _percent(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{100 * value:{sign}.1f}"


def _interval(low: float | None, high: float | None, sign: str) -> str:
    # A dash beside a minus would be hard to read.
    return "" if low is None else f"{_percent(low, sign)}{' to ' if sign else '–'}{_percent(high, sign)}"
