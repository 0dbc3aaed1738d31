"""A score against a swept setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import UserError, unknown
from serkit.evaluation.intervals import Ends
from serkit.evaluation.metrics import CLASSES, named
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import TRAINING, VALIDATION, save
from serkit.runs.folder import RunFolder
from serkit.training.history import Epoch

_PARTS = ("test", "validation")


def draw(
    ran: Sequence[Ran],
    path: Path,
    setting: str = "value",
    metric: str = "uar",
    part: str = "test",
    logarithmic: bool = False,
) -> Numbers:
    """Draw one point for each run at its row's `at`.

    Args:
        ran: the runs to show.
        path: path of the picture.
        setting: name of the axis.
        metric: key of a metric of classes.
        part: `test`: the score over all folds, with its 95 % interval as the bar. `validation`: the mean over the folds
            of the kept weights' value; the bar goes from the worst fold to the best, a single fold has none.
        logarithmic: whether the axis of the setting is logarithmic.

    Returns:
        `metric`, `part`, the meaning of the `bar` (None: no bar), and `points` by row label: `at`, `estimate`, `low`,
        `high`, and `published` in percent if the paper prints it.

    Raises:
        UserError: a row without `at`, or without a validation part.
    """
    if part not in _PARTS:
        raise unknown("part", part, _PARTS)
    measure = named(metric, CLASSES)
    points = {}
    for one in ran:
        if not isinstance(one.at, (int, float)):
            raise UserError(f"row '{one.label}' has no place on the axis; give it `at = ...`")
        found = one.scores.metrics[metric].ends if part == "test" else _validation(one, metric)
        points[one.label] = {"at": one.at, **asdict(found)}
        if metric in one.published:
            points[one.label]["published"] = one.published[metric]
    ordered = sorted(points.values(), key=lambda point: point["at"])
    at, estimate, low, high = (np.array([point[key] for point in ordered]) for key in ("at", "estimate", "low", "high"))
    bar = "95 % interval" if part == "test" else "worst to best fold" if (high > low).any() else None

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        # An interval need not contain the estimate, and rounding errors may be negative.
        bars = 100 * np.maximum([estimate - low, high - estimate], 0) if bar else None
        axes.errorbar(
            at, 100 * estimate, bars, color=TRAINING, marker="o", markersize=5, capsize=3, linewidth=1.5, label="ours"
        )
        printed = [(point["at"], point["published"]) for point in ordered if "published" in point]
        if printed:
            axes.plot(
                *zip(*printed, strict=True), "D--", color=VALIDATION, fillstyle="none", linewidth=1, label="published"
            )
            figure.legend(loc="outside upper right", ncols=2, fontsize=8.5)
        if logarithmic:
            axes.set_xscale("log")
        axes.set_xticks(at, [f"{value:g}" for value in at])
        axes.minorticks_off()
        axes.set_xlabel(setting)
        name = f"{part} {measure.name} (%)"
        axes.set_ylabel(f"{name}\nbar: {bar}" if bar else name)
        axes.grid(axis="y", alpha=0.25, linewidth=0.6)

    save(path, 4.7, 3.4, paint)
    return {"metric": metric, "part": part, "bar": bar, "points": points}


def _validation(one: Ran, metric: str) -> Ends:
    """Return mean, minimum and maximum over the folds at the epoch whose weights were kept."""
    key, run, values = f"validation_{metric}", RunFolder.load(one.folder), []
    for _, stage, history in run.trained(run.system.deployed):
        records = [record for record in history if key in record]
        if records:
            values.append(_kept(records, stage.stage.trainer.select)[key])
    if not values:
        raise UserError(f"row '{one.label}': nothing recorded {key}; set the protocol's validation share")
    return Ends(float(np.mean(values)), min(values), max(values))


def _kept(records: Sequence[Epoch], select: str) -> Epoch:
    if select == "last":
        return records[-1]
    if select == "loss":
        return min(records, key=lambda record: record["validation_loss"])
    return max(records, key=lambda record: record[f"validation_{select}"])
