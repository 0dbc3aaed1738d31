"""The report of a run that scores numbers: the page of `serkit.reports.report` with other scores and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from serkit import flags
from serkit.evaluation.agreement import AGREEMENT, ccc
from serkit.reports import number_plots, report
from serkit.runs import command
from serkit.runs.folder import RunFolder


def render(run: RunFolder) -> str:
    """Return the page."""
    page = report.template("numbers.html")
    page.environment.filters["score"] = lambda value: "" if value is None else f"{value:.3f}"
    return page.render(
        metric="CCC",
        run=run,
        scores=run.scores,
        title=run.system["system"]["title"] or run.system["system"]["name"],
        protocol=report.describe(run.description["protocol"]),
        rows=list(_rows(run.scores)),
        flags=flags.read(run.scores["flags"]),
        verdict=flags.verdict(flags.read(run.scores["flags"])),
        configurations=report.configurations(run),
        folds=list(_folds(run)),
        command=command.command(run.description),
        charts=_charts(run),
    )


def _rows(scores: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the score table: of each target the system, its corpora, the baseline and the mean."""
    baseline = scores.get("baseline")
    for target, table in scores["targets"].items():
        yield {"target": target, "name": "this system", **table}
        for name, part in scores.get("corpora", {}).items():
            if target in part["targets"]:
                yield {"target": target, "name": name, **part["targets"][target]}
        if baseline:
            yield {"target": target, "name": baseline["system"], **baseline["targets"][target]}
        nothing = {metric: {"estimate": table["mean_predictor"][metric]} for metric in AGREEMENT}
        yield {"target": target, "name": "always the training mean", "n": table["n"], **nothing}


def _folds(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the rows of the fold table."""
    predictions, trained = run.predictions, {fold: stage for fold, stage, _ in run.trained(run.deployed)}
    names = command.rows(run.description["system"])
    for split in run.splits:
        part = predictions.select((predictions.folds == split.fold) & (predictions.seeds == split.seed))
        speakers = sorted({speaker or "unknown" for speaker in part.speakers})
        stage = trained.get(split.name, {})
        yield {
            "name": split.name,
            "speakers": ", ".join(speakers) if len(speakers) <= report.MOST_NAMES else f"{len(speakers)} speakers",
            "ccc": [
                ccc(labels, values) if np.isfinite(labels).any() else None
                for labels, values in zip(part.truth.T, part.values.T, strict=True)
            ],
            **{name: len(getattr(split, name)) for name in ("train", "validation", "test")},
            "epochs": stage.get("epochs"),
            "seconds": stage.get("seconds"),
            "chosen": names[run.notes[split.name]["chosen"]],
        }


def _charts(run: RunFolder) -> dict[str, Any]:
    """Draw the charts. They are marked as safe: what stands in them is escaped when it is drawn."""
    from markupsafe import Markup

    predictions = run.predictions
    columns = zip(predictions.targets, predictions.truth.T, predictions.values.T, strict=True)
    return {
        "scatter": {name: Markup(number_plots.scatter(name, truth, values)) for name, truth, values in columns},
        "speakers": Markup(number_plots.speakers(run.scores["speakers"], run.scores["ccc"])),
        "curves": report.curves(run),
    }
