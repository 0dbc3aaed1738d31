"""A table of several runs, each compared with the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import UserError
from serkit.evaluation import scores
from serkit.evaluation.comparison import compare_parts
from serkit.evaluation.corrections import holm
from serkit.evaluation.metrics import Metric
from serkit.evaluation.repeats import Effect, over_folds, over_seeds
from serkit.evaluation.scores import Row
from serkit.evaluation.task import Classes, Numbers, Task
from serkit.runs.folder import RunFolder
from serkit.writing import markdown_table

#: Keys that a row may lack.
_AGAINST = ("difference", "difference_low", "difference_high", "p", "permutation", "p_holm", "seeds", "folds")


def table(runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Score runs over the same utterances.

    Args:
        runs: folders of at least two finished runs of one task; the others are compared with the first.

    Returns:
        For classes, and for each target of numbers, a row for each run, a row for the linear baseline on the first
        run's folds if it was trained, and a row for the constant answer from the first run's training parts. A row has
        `target` (numbers only), `run`, `system`, `protocol`, number of predictions `n`, the metrics, `low` and `high`
        end of the first metric's interval and its `interval` method, `parameters`; the `difference` from the first run
        in the first metric, with `difference_low` and `difference_high`, `p`, its `permutation`, and `p_holm`; and
        `seeds` and `folds`, the same difference over trainings (an `Effect` as a table, see
        `serkit.evaluation.repeats`). A missing value is None.

    Raises:
        UserError: there are fewer than two runs, a folder has no finished run, or runs have different utterances or
            tasks.
    """
    if len(runs) < 2:
        raise UserError(f"give at least two runs, got {len(runs)}; the others are compared with the first")
    first, *others = [RunFolder.load(path) for path in runs]
    if any(run.task is not first.task for run in others):
        raise UserError("runs that predict numbers and runs that predict classes cannot be compared")
    against = [_against(run, first) for run in others]
    rows: list[dict[str, Any]] = []
    of_others = [{row.target: row for row in scores.rows(run.scores) if row.kind == "all"} for run in others]
    names = {"baseline": f"linear baseline of {first.path.name}", "constant": "always {}"}
    for row in scores.rows(first.scores):
        if row.kind == "all":
            adjusted = holm([found[row.target]["p"] for found in against])
            rows.append(_row(row, first.task, str(first.path), first))
            rows += [
                {**_row(own[row.target], first.task, str(run.path), run), **found[row.target], "p_holm": p}
                for run, own, found, p in zip(others, of_others, against, adjusted, strict=True)
            ]
        elif row.kind in names:
            found = _row(row, first.task, names[row.kind].format(f"'{row.name}'" if not row.target else row.name), None)
            known = {"system": row.name, "protocol": first.scores["protocol"]} if row.kind == "baseline" else {}
            rows.append({**found, **known})
    return rows


def _row(row: Row, task: type[Task[Any]], name: str, run: RunFolder | None) -> dict[str, Any]:
    main = row.values[task.metric().key]
    return {
        **({"target": row.target} if row.target else {}),
        "run": name,
        "system": run and run.scores["system"],
        "protocol": run and run.scores["protocol"],
        "n": row.n,
        **{key: row.values[key]["estimate"] if key in row.values else None for key in task.metrics},
        "low": main.get("low"),
        "high": main.get("high"),
        "interval": main.get("method"),
        "parameters": run and run.parameters,
        **dict.fromkeys(_AGAINST),
    }


def _against(run: RunFolder, first: RunFolder) -> dict[str, dict[str, Any]]:
    """Compare a run with the first, by target; classes have one comparison without a name."""
    try:
        found = compare_parts(run.predictions, first.predictions)
    except UserError as error:
        raise UserError(f"{run.path} (first) and {first.path} (second): {error}") from None
    parts = {name: (own, dict(first.predictions.parts())[name]) for name, own in run.predictions.parts()}
    return {
        target: {
            "difference": one.difference,
            "difference_low": one.low,
            "difference_high": one.high,
            "p": one.p,
            "permutation": one.permutation,
            "seeds": _table(over_seeds(*parts[target])),
            "folds": _table(over_folds(*parts[target], _overlap(first))),
        }
        for target, one in found.items()
    }


def _overlap(run: RunFolder) -> float:
    """Return the mean over the folds of the size of a test part divided by that of a training part."""
    return float(np.mean([len(split.test) / len(split.train) for split in run.splits]))


def _table(effect: Effect | None) -> dict[str, Any] | None:
    return None if effect is None else {**asdict(effect), "differences": list(effect.differences)}


def task_of(rows: Sequence[Mapping[str, Any]]) -> type[Task[Any]]:
    """Return the metrics of the rows of `table`."""
    return Numbers if "target" in rows[0] else Classes


def columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the headings of a table of `cells`."""
    task = task_of(rows)
    main, *others = (metric.name for metric in task.metrics.values())
    target = ["target"] if task is Numbers else []
    against = [f"{main} against first", "95% interval", "p", "p (Holm)"]
    return [*target, "run", "system", "protocol", "n", main, "95% interval", *others, "parameters", *against]


def cells(row: Mapping[str, Any]) -> list[str]:
    """Format a row of `table` for people, with a text for each of `columns`; a missing value is empty."""
    main, *others = task_of([row]).metrics.values()
    return [
        *([row["target"]] if "target" in row else []),
        row["run"],
        row["system"] or "",
        row["protocol"] or "",
        str(row["n"]),
        main.text(row[main.key]),
        main.range(row["low"], row["high"]),
        *(metric.text(row[metric.key]) for metric in others),
        "" if row["parameters"] is None else f"{row['parameters']:,}",
        main.text(row["difference"], "+"),
        main.range(row["difference_low"], row["difference_high"], "+"),
        _p(row["p"]),
        _p(row["p_holm"]),
    ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format the rows of `table` as a Markdown table with notes below."""
    words, head = {"target", "run", "system", "protocol"}, columns(rows)
    return "\n".join([*markdown_table(head, map(cells, rows), words), "", *notes(rows)]) + "\n"


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return notes on the table: units, methods of intervals and p values, and differences over trainings."""
    metrics = list(task_of(rows).metrics.values())
    shares = [metric.name for metric in metrics if metric.unit == "%"]
    errors = [metric.name for metric in metrics if metric.unit == "label"]
    main, first, second = metrics[0], rows[0], rows[1]
    found = [f"{_listed(shares)} in percent, differences in points."] if shares else []
    found += [f"{_listed(errors)} in the units of the labels."] if errors else []
    found += [
        f"p: two-sided permutation test of the difference in {main.name} for each pair; p (Holm): corrected for "
        "the number of runs compared with the first."
    ]
    found = [" ".join(found), f"Intervals: {first['interval']}. Permutation test: {second['permutation']}."]
    for row in rows:
        name = f"{row['run']}, {row['target']}" if "target" in row else row["run"]
        if seeds := row["seeds"]:
            each = ", ".join(main.text(value, "+") for value in seeds["differences"])
            found.append(f"{name}, over seeds (on these speakers): {_effect(seeds, main)}; each seed: {each}.")
        if folds := row["folds"]:
            found.append(
                f"{name}, over {len(folds['differences'])} folds, mean of the folds' {main.name} "
                f"(t test corrected for training parts that overlap): {_effect(folds, main)}."
            )
    return found


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _effect(effect: Mapping[str, Any], metric: Metric) -> str:
    ends = metric.range(effect["low"], effect["high"], "+")
    return f"{metric.text(effect['mean'], '+')} ({ends}), p {_p(effect['p'])}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
