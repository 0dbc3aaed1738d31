"""Accuracy and UAR of each fold and repeat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.evaluation import metrics
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import line, save
from serkit.runs.folder import RunFolder

_PANELS = {"accuracy": "accuracy", "uar": "UAR"}


def draw(ran: Sequence[Ran], path: Path) -> Numbers:
    """Draw a line for each run over the folds, in the order of the protocol.

    Args:
        ran: the runs to show.
        path: path of the picture.

    Returns:
        By row label and name of the fold, `accuracy`, `uar` and `n`.
    """
    numbers = {one.label: _folds(one) for one in ran}
    names = list(dict.fromkeys(name for folds in numbers.values() for name in folds))

    def paint(figure: Any) -> None:
        for axes, (metric, title) in zip(figure.subplots(1, 2, sharey=True), _PANELS.items(), strict=True):
            for row, (label, folds) in enumerate(numbers.items()):
                values = [100 * folds[name][metric] for name in folds]
                axes.plot([names.index(name) for name in folds], values, **line(row), markersize=4.5, label=label)
            axes.set_xticks(range(len(names)), _short(names), rotation=45 if len(names) > 6 else 0)
            axes.set_title(title)
            axes.grid(axis="y", alpha=0.25, linewidth=0.6)
        figure.axes[0].set_ylabel("%")
        figure.supxlabel(_axis(names), fontsize=9.5)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(3, len(labels)), fontsize=8.5)

    save(path, 7.2, 3.4, paint)
    return numbers


def _folds(one: Ran) -> dict[str, dict[str, float]]:
    run = RunFolder.load(one.folder)
    found = {}
    for split in run.splits:
        part = run.predictions.select((run.predictions.folds == split.fold) & (run.predictions.seeds == split.seed))
        counts = metrics.confusion(part.truth, part.predicted, len(part.classes))
        found[split.name] = {metric: float(metrics.score(metric, counts)) for metric in _PANELS} | {"n": len(part)}
    return found


def _numbers(names: Sequence[str]) -> np.ndarray:
    """Return seed and fold of names such as `seed-0-fold-1`: (names, 2)."""
    return np.array([[int(part) for part in name.split("-")[1::2]] for name in names])


def _short(names: Sequence[str]) -> list[str]:
    """Name folds by the parts in which their names differ."""
    seeds, folds = _numbers(names).T
    if len(set(seeds)) == 1:
        return [str(fold) for fold in folds]
    if len(set(folds)) == 1:
        return [str(seed) for seed in seeds]
    return [f"{seed}.{fold}" for seed, fold in zip(seeds, folds, strict=True)]


def _axis(names: Sequence[str]) -> str:
    seeds, folds = _numbers(names).T
    if len(set(seeds)) == 1:
        return "fold"
    return "repeat (its seed)" if len(set(folds)) == 1 else "repeat (its seed) and fold"
