"""Loss or accuracy over the epochs of some stages: mean and spread of the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from serkit.errors import UserError, unknown
from serkit.evaluation.metrics import CLASSES
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import by_epoch, line, percent_axis, save
from serkit.runs.folder import RunFolder

_METRICS = ("loss", *CLASSES)


class Curve(TypedDict):
    """Mean and standard deviation over the folds by epoch, and the number of folds."""

    mean: list[float]
    sd: list[float]
    folds: int


#: Curves of one stage by part: `training`, `validation`.
Parts = dict[str, Curve]


def draw(
    ran: Sequence[Ran],
    path: Path,
    stages: Sequence[str] = (),
    metric: str = "loss",
    published: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> Numbers:
    """Draw a panel for each stage and a line for each run; the line of the validation part is thin.

    The lines are means over the folds, up to the epoch that half of the folds reach; the bands are one standard
    deviation to either side.

    Args:
        ran: the runs to show.
        path: path of the picture.
        stages: the stages, in this order; all stages of the runs if empty. A run without a stage has no line there.
        metric: `loss`, or a metric of classes; except `accuracy`, these are of the validation part only.
        published: by stage, printed values of the validation part as pairs of epoch (from 0) and value; drawn as dots.

    Returns:
        By stage, row label and part (`training`, `validation`): `mean` and `sd` of each epoch, number of `folds`.

    Raises:
        UserError: unknown metric, a stage that no run has, or nothing recorded.
    """
    if metric not in _METRICS:
        raise unknown("metric", metric, _METRICS)
    runs = {one.label: RunFolder.load(one.folder) for one in ran}
    known = dict.fromkeys(stage.name for run in runs.values() for stage in run.system.stages)
    numbers: dict[str, dict[str, Parts]] = {}
    for stage in stages or known:
        if stage not in known:
            raise unknown("stage", stage, known)
        numbers[stage] = {label: curves for label, run in runs.items() if (curves := _curves(run, stage, metric))}
    numbers = {stage: rows for stage, rows in numbers.items() if any(rows.values())}
    if not numbers:
        raise UserError(f"no stage of {ran[0].corpus} has recorded {metric}; some require a protocol with validation")

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(numbers), squeeze=False)[0]
        for axes, (stage, rows) in zip(panels, numbers.items(), strict=True):
            _panel(axes, rows, list(runs), metric)
            if points := (published or {}).get(stage):
                at, printed = np.array(points).T
                axes.plot(at + 1, printed, "k.", markersize=6, label="published")
            axes.set_title(f"stage {stage}")
        figure.axes[0].set_ylabel(metric if metric == "loss" else CLASSES[metric].name)
        handles, labels = _legend(figure.axes)
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), fontsize=8.5)

    save(path, 1.2 + 3.4 * len(numbers), 3.6, paint)
    return numbers


def _curves(run: RunFolder, stage: str, metric: str) -> Parts:
    histories = [history for _, _, history in run.trained(stage)]
    found: Parts = {}
    for part in ("training", "validation"):
        key = f"{part}_{metric}"
        curves = [[record[key] for record in history if key in record] for history in histories]
        curves = [curve for curve in curves if curve]
        if curves:
            values = by_epoch(curves)
            found[part] = {
                "mean": [float(np.mean(epoch)) for epoch in values],
                "sd": [float(np.std(epoch, ddof=1)) if len(epoch) > 1 else 0.0 for epoch in values],
                "folds": len(curves),
            }
    return found


def _panel(axes: Any, rows: Mapping[str, Parts], labels: Sequence[str], metric: str) -> None:
    for label, parts in rows.items():
        look = line(labels.index(label))
        for part, curve in parts.items():
            mean, sd = np.array(curve["mean"]), np.array(curve["sd"])
            epochs = np.arange(1, len(mean) + 1)
            # A single epoch is drawn as a dot: a line needs two.
            marker = look["marker"] if len(mean) == 1 else None
            width = 2.0 if part == "training" else 1.0
            axes.plot(epochs, mean, **{**look, "marker": marker}, linewidth=width, label=f"{label}, {part}")
            axes.fill_between(epochs, mean - sd, mean + sd, color=look["color"], alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    if metric != "loss":
        percent_axis(axes.yaxis, 0.25)
        axes.set_ylim(0, 1.02)


def _legend(panels: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Return each line once, wherever it was first drawn."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
