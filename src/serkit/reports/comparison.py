"""Several runs in one table, each against the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import UserError
from serkit.evaluation.comparison import compare
from serkit.evaluation.corrections import holm
from serkit.evaluation.metrics import METRICS
from serkit.evaluation.repeats import Effect, over_folds, over_seeds
from serkit.runs.folder import RunFolder

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
    "p (Holm)",
)
#: What has to be known to read the table.
NOTE = (
    "Accuracy, UAR and macro F1 in percent, differences in points. p: two-sided permutation test of the "
    "difference in UAR, each pair by itself; p (Holm): corrected for the number of runs compared with the first."
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
        first run `difference`, its `difference_low` and `difference_high`, `p`, the `permutation` that it comes
        from, `p_holm`, and `seeds` and `folds`: the same difference over trainings (an `Effect` as a table each, see
        `serkit.evaluation.repeats`). None: there is no such value.

    Raises:
        UserError: fewer than two runs; a folder without a finished run; runs over other utterances.
    """
    if len(runs) < 2:
        raise UserError(f"{len(runs)} run given; give two or more, the first is what others are compared with")
    loaded = [RunFolder.load(path) for path in runs]
    first = loaded[0]
    rows = [_row(first)]
    rows += [{**_row(run), **_against(run, first)} for run in loaded[1:]]
    for row, adjusted in zip(rows[1:], holm([row["p"] for row in rows[1:]]), strict=True):
        row["p_holm"] = adjusted
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
        _p(row["p"]),
        _p(row["p_holm"]),
    ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the rows of `table` as a Markdown table, with its notes below."""
    words = {"run", "system", "protocol"}
    lines = [COLUMNS, [":--" if name in words else "--:" for name in COLUMNS], *map(cells, rows)]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*text, "", *notes(rows)]) + "\n"


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how the intervals and p values were found, and what other trainings would do to the differences."""
    first, second = rows[0], rows[1]
    found = [NOTE, f"Intervals: {first['interval']}. Permutation test: {second['permutation']}."]
    for row in rows:
        if seeds := row["seeds"]:
            each = ", ".join(_percent(value, "+") for value in seeds["differences"])
            found.append(f"{row['run']}, over seeds (on these speakers): {_effect(seeds)}; each seed: {each}.")
        if folds := row["folds"]:
            found.append(
                f"{row['run']}, over {len(folds['differences'])} folds, mean of the folds' UAR "
                f"(t test corrected for training parts that overlap): {_effect(folds)}."
            )
    return found


def _effect(effect: Mapping[str, Any]) -> str:
    return f"{_percent(effect['mean'], '+')} ({_interval(effect['low'], effect['high'], '+')}), p {_p(effect['p'])}"


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
        **dict.fromkeys(
            ("difference", "difference_low", "difference_high", "p", "permutation", "p_holm", "seeds", "folds")
        ),
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
        "seeds": _table(over_seeds(run.predictions, first.predictions)),
        "folds": _table(over_folds(run.predictions, first.predictions, _overlap(first))),
    }


def _overlap(run: RunFolder) -> float:
    """Return the size of a test part over that of a training part, on average over the folds."""
    return float(np.mean([len(split.test) / len(split.train) for split in run.splits]))


def _table(effect: Effect | None) -> dict[str, Any] | None:
    return None if effect is None else {**asdict(effect), "differences": list(effect.differences)}


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _percent(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{100 * value:{sign}.1f}"


def _interval(low: float | None, high: float | None, sign: str) -> str:
    # A dash beside a minus would be hard to read.
    return "" if low is None else f"{_percent(low, sign)}{' to ' if sign else '–'}{_percent(high, sign)}"
