"""A table of several runs, each compared with the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field

from serkit.errors import UserError
from serkit.evaluation import scores
from serkit.evaluation.comparison import compare_parts
from serkit.evaluation.corrections import holm
from serkit.evaluation.metrics import Metric
from serkit.evaluation.repeats import Effect, over_folds, over_seeds
from serkit.evaluation.scores import Row
from serkit.evaluation.task import Classes, Numbers, Task
from serkit.flags import first_leak
from serkit.records import Record
from serkit.runs.folder import RunFolder
from serkit.writing import markdown_table


class Against(Record):
    """A difference from the first run in the first metric; None: the row is not compared.

    Args:
        difference: the difference.
        difference_low: lower end of its interval.
        difference_high: upper end.
        p: p value of the permutation test.
        permutation: method of the test.
        p_holm: p value corrected for the number of runs.
        seeds: the same difference over seeds.
        folds: the same difference over folds.
    """

    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p: float | None
    permutation: str | None
    p_holm: float | None
    seeds: Effect | None
    folds: Effect | None


_NOT_COMPARED = dict.fromkeys(Against.model_fields)


class Compared(Against):
    """A row of the table, with the metrics by key next to its fields; None: not known.

    Args:
        target: target of numbers; None for classes.
        run: folder of the run, or a name for a baseline or a constant answer.
        system: name of the system.
        protocol: name of the protocol.
        n: number of predictions.
        low: lower end of the first metric's interval.
        high: upper end.
        interval: method of the interval.
        parameters: number of parameters.
        leak: text of the run's first leak; None: there is none.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    target: str | None = None
    run: str
    system: str | None
    protocol: str | None
    n: int
    low: float | None
    high: float | None
    interval: str | None
    parameters: int | None
    leak: str | None = None

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """The metrics by key."""
        return self.__pydantic_extra__

    @property
    def task(self) -> type[Task[Any]]:
        """The scored task."""
        return Numbers if self.target else Classes

    @property
    def title(self) -> str:
        """Name of the run, with the target of numbers."""
        return f"{self.run}, {self.target}" if self.target else self.run


def table(runs: Sequence[Path]) -> list[Compared]:
    """Score runs over the same utterances.

    Args:
        runs: folders of at least two finished runs of one task; the others are compared with the first.

    Returns:
        For classes, and for each target of numbers, a row for each run, a row for the linear baseline on the first
        run's folds if it was trained, and a row for the constant answer from the first run's training parts.

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
    rows: list[Compared] = []
    of_others = [{row.target: row for row in scores.rows(run.scores) if row.kind == "all"} for run in others]
    names = {"baseline": f"linear baseline of {first.path.name}", "constant": "always {}"}
    for row in scores.rows(first.scores):
        if row.kind == "all":
            adjusted = holm([found[row.target].p or 0.0 for found in against])
            rows.append(_row(row, first.task, str(first.path), first))
            rows += [
                _row(own[row.target], first.task, str(run.path), run).model_copy(
                    update={**dict(found[row.target]), "p_holm": p}
                )
                for run, own, found, p in zip(others, of_others, against, adjusted, strict=True)
            ]
        elif row.kind in names:
            found = _row(row, first.task, names[row.kind].format(f"'{row.name}'" if not row.target else row.name), None)
            known = {"system": row.name, "protocol": first.scores.protocol} if row.kind == "baseline" else {}
            rows.append(found.model_copy(update=known))
    return rows


def _row(row: Row, task: type[Task[Any]], name: str, run: RunFolder | None) -> Compared:
    main = row.values[task.metric().key]
    return Compared(
        **({"target": row.target} if row.target else {}),
        run=name,
        system=run and run.scores.system,
        protocol=run and run.scores.protocol,
        n=row.n,
        **{key: row.values[key].estimate if key in row.values else None for key in task.metrics},
        low=main.low,
        high=main.high,
        interval=main.method,
        parameters=run and run.parameters,
        leak=run and first_leak(run.scores.flags),
        **_NOT_COMPARED,
    )


def _against(run: RunFolder, first: RunFolder) -> dict[str, Against]:
    """Compare a run with the first, by target; classes have one comparison without a name."""
    try:
        found = compare_parts(run.predictions, first.predictions)
    except UserError as error:
        raise UserError(f"{run.path} (first) and {first.path} (second): {error}") from None
    parts = {name: (own, dict(first.predictions.parts())[name]) for name, own in run.predictions.parts()}
    return {
        target: Against(
            difference=one.difference,
            difference_low=one.low,
            difference_high=one.high,
            p=one.p,
            permutation=one.permutation,
            p_holm=None,
            seeds=over_seeds(*parts[target]),
            folds=over_folds(*parts[target], _overlap(first)),
        )
        for target, one in found.items()
    }


def _overlap(run: RunFolder) -> float:
    """Return the mean over the folds of the size of a test part divided by that of a training part."""
    return float(np.mean([len(split.test) / len(split.train) for split in run.splits]))


def columns(rows: Sequence[Compared]) -> list[str]:
    """Return the headings of a table of `cells`."""
    task = rows[0].task
    main, *others = (metric.name for metric in task.metrics.values())
    target = ["target"] if task is Numbers else []
    against = [f"{main} against first", "95% interval", "p", "p (Holm)"]
    return [*target, "run", "system", "protocol", "n", main, "95% interval", *others, "parameters", *against]


def cells(row: Compared) -> list[str]:
    """Format a row of `table` for people, with a text for each of `columns`; a missing value is empty."""
    main, *others = row.task.metrics.values()
    return [
        *([row.target] if row.target else []),
        row.run,
        row.system or "",
        row.protocol or "",
        str(row.n),
        main.text(row.metrics[main.key]),
        main.range(row.low, row.high),
        *(metric.text(row.metrics[metric.key]) for metric in others),
        "" if row.parameters is None else f"{row.parameters:,}",
        main.text(row.difference, "+"),
        main.range(row.difference_low, row.difference_high, "+"),
        _p(row.p),
        _p(row.p_holm),
    ]


def markdown(rows: Sequence[Compared]) -> str:
    """Format the rows of `table` as a Markdown table with notes below."""
    words, head = {"target", "run", "system", "protocol"}, columns(rows)
    return "\n".join([*markdown_table(head, map(cells, rows), words), "", *notes(rows)]) + "\n"


def notes(rows: Sequence[Compared]) -> list[str]:
    """Return notes on the table: units, methods of intervals and p values, and differences over trainings."""
    metrics = list(rows[0].task.metrics.values())
    shares = [metric.name for metric in metrics if metric.unit == "%"]
    errors = [metric.name for metric in metrics if metric.unit == "label"]
    main, first, second = metrics[0], rows[0], rows[1]
    found = [f"{_listed(shares)} in percent, differences in points."] if shares else []
    found += [f"{_listed(errors)} in the units of the labels."] if errors else []
    found += [
        f"p: two-sided permutation test of the difference in {main.name} for each pair; p (Holm): corrected for "
        "the number of runs compared with the first."
    ]
    found = [" ".join(found), f"Intervals: {first.interval}. Permutation test: {second.permutation}."]
    for row in rows:
        if seeds := row.seeds:
            each = ", ".join(main.text(value, "+") for value in seeds.differences)
            found.append(f"{row.title}, over seeds (on these speakers): {_effect(seeds, main)}; each seed: {each}.")
        if folds := row.folds:
            found.append(
                f"{row.title}, over {len(folds.differences)} folds, mean of the folds' {main.name} "
                f"(t test corrected for training parts that overlap): {_effect(folds, main)}."
            )
    return found


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _effect(effect: Effect, metric: Metric) -> str:
    return f"{metric.text(effect.mean, '+')} ({metric.range(effect.low, effect.high, '+')}), p {_p(effect.p)}"


def _p(value: float | None) -> str:
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
