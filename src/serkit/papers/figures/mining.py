"""The outcome of hard-example mining: easy and hard items of each class, how hard all items are, and their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import UserError, unknown
from serkit.methods.hard_examples import BINS, ERRORS
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import BALANCED, TRAINING, line, save
from serkit.runs.folder import RunFolder


def draw(ran: Sequence[Ran], path: Path, stages: Sequence[str] = ()) -> Numbers:
    """Draw, for each stage that mined, the easy and hard items of each class, and the distributions of h and errors.

    Numbers are means over the folds of one run.

    Args:
        ran: the run to show; exactly one.
        path: path of the picture.
        stages: the stages, in this order; all that mined if empty.

    Returns:
        By stage: `items`, `hard`, `hard_fraction` (and the least and greatest of a fold), `beta`, `never_right`,
        `classes` with `before` and `after` (shares in %), `easy` and `hard` (counts), `histogram` of h, `errors` of
        an item and their `median_errors` and `early_errors` (see `serkit.methods.hard_examples.error_counts`).

    Raises:
        UserError: several runs, no stage that mined, or a stage that did not.
    """
    if len(ran) != 1:
        raise UserError(f"mining requires exactly one row, got {', '.join(one.label for one in ran)}")
    run = RunFolder.load(ran[0].folder)
    mined: dict[str, Sequence[Mapping[str, Any]]] = {}
    for stage in run.system.stages:
        reports = [note.method for _, note, _ in run.trained(stage.name)]
        if reports and all("hard_fraction" in report for report in reports):
            mined[stage.name] = reports
    for name in stages:
        if name not in mined:
            raise unknown("stage that mined", name, mined)
    if not mined:
        raise UserError(f"no stage of row '{ran[0].label}' mined hard examples")
    numbers = {name: _average(mined[name]) for name in stages or mined}

    # Stages of older runs do not report them.
    errors = {name: found["errors"] for name, found in numbers.items() if "errors" in found}
    panel_count = len(numbers) + 1 + bool(errors)

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, panel_count, squeeze=False)[0]
        for axes, (name, found) in zip(panels, numbers.items(), strict=False):
            _bars(axes, found)
            axes.set_title(f"stage {name}: {100 * found['hard_fraction']:.1f}% hard")
        panels[0].set_ylabel("items")
        _legend(panels[0], 2)
        hardness = {name: found["histogram"] for name, found in numbers.items()}
        _curves(panels[len(numbers)], hardness, [f"{edge:g}" for edge in BINS[1:]], "hardness h up to")
        if errors:
            _curves(panels[-1], errors, [*(f"{edge - 1:g}" for edge in ERRORS[1:]), "all"], "errors in training up to")

    save(path, 3.6 * panel_count, 3.6, paint)
    return numbers


def _curves(axes: Any, found: Mapping[str, Any], ticks: Sequence[str], label: str) -> None:
    """Draw, for each stage, the share of items up to each bin of a histogram."""
    for row, (name, histogram) in enumerate(found.items()):
        counts = np.array(histogram["counts"])
        share = 100 * np.cumsum(counts) / counts.sum()
        axes.plot(range(len(counts)), share, **line(row), markersize=4.5, label=name)
    axes.set_xticks(range(len(ticks)), ticks, rotation=45, ha="right")
    axes.set_xlabel(label)
    axes.set_ylabel("% of items")
    axes.set_ylim(0, 102)
    _legend(axes, 1 if len(found) > 2 else 2)


def _legend(axes: Any, columns: int) -> None:
    """Place the legend above the axes, where it hides nothing."""
    axes.legend(fontsize=8.5, frameon=False, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.08))


def _bars(axes: Any, found: Mapping[str, Any]) -> None:
    names = list(found["classes"])
    easy = [found["classes"][name]["easy"] for name in names]
    hard = [found["classes"][name]["hard"] for name in names]
    axes.bar(names, hard, color=BALANCED, label="hard")
    axes.bar(names, easy, bottom=hard, color=TRAINING, alpha=0.45, label="easy")
    axes.tick_params(axis="x", rotation=45)


def _average(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over the folds of their mining results for the recognized (first) target."""

    def mean(key: str) -> float:
        return float(np.mean([report[key] for report in reports]))

    def average(histogram: str) -> dict[str, Any]:
        counts = np.mean([report[histogram]["counts"] for report in reports], axis=0).tolist()
        return {"edges": reports[0][histogram]["edges"], "counts": counts}

    target = next(iter(reports[0]["shares_before"]))
    classes: dict[str, Any] = {}
    for name in dict.fromkeys(name for report in reports for name in report["shares_before"][target]):
        before = [report["shares_before"][target].get(name, 0.0) for report in reports]
        after = [report["shares_after"][target].get(name, 0.0) for report in reports]
        kept = [share * report["hard"] for share, report in zip(after, reports, strict=True)]
        there = [share * report["items"] for share, report in zip(before, reports, strict=True)]
        classes[name] = {
            "before": 100 * float(np.mean(before)),
            "after": 100 * float(np.mean(after)),
            "hard": float(np.mean(kept)),
            "easy": float(np.mean(there) - np.mean(kept)),
        }
    fractions = [report["hard_fraction"] for report in reports]
    made = {}
    if all("errors" in report for report in reports):
        made = {key: mean(key) for key in ("median_errors", "early_errors")} | {"errors": average("errors")}
    return {
        "folds": len(reports),
        "items": mean("items"),
        "hard": mean("hard"),
        "hard_fraction": mean("hard_fraction"),
        "hard_fraction_range": [min(fractions), max(fractions)],
        "beta": mean("beta"),
        "never_right": mean("never_right"),
        "classes": classes,
        "histogram": average("histogram"),
        **made,
    }
