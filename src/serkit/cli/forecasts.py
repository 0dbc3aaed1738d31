"""Forecasts as tables or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serkit.terminal import screen, show

if TYPE_CHECKING:
    from serkit.runs.forecast import RunForecast

_WIDTH = 80


def forecast_json(runs: Mapping[str, RunForecast]) -> dict[str, Any]:
    """Return forecasts by the description of their run."""
    return {"runs": {name: run.to_dict() for name, run in runs.items()}, "seconds": _total(runs)}


def print_run(name: str, run: RunForecast) -> None:
    """Print a table of the stages of a run, and its time."""
    from rich import box
    from rich.table import Table

    from serkit.writing import duration

    table = Table(title=name, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("stage", overflow="fold")
    for heading in ("items", "batch", "epochs", "steps", "s/step", "GB/step", "before", "in all"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in run.stages:
        table.add_row(
            stage.stage,
            str(stage.items),
            str(stage.batch_size) if stage.epochs else "",
            str(stage.epochs) if stage.epochs else "",
            str(stage.steps) if stage.epochs else "",
            f"{stage.step:.3g}" if stage.epochs else "",
            "" if stage.memory is None else f"{stage.memory / 1e9:.2g}",
            "" if stage.shared else duration(stage.once),
            "see above" if stage.shared else duration(stage.seconds),
        )
    # One width everywhere, so that the output of a job on a server does not differ.
    screen(width=_WIDTH).print(table)
    fold = f"one fold {duration(run.fold)}; {run.folds} folds, {run.jobs} at a time"
    final = ", and the final model" if run.final else ""
    show(f"{fold}, {run.threads} threads each{final}: {duration(run.seconds)}\n")


def print_total(runs: Mapping[str, RunForecast]) -> None:
    """Print the time of all runs, and what a forecast is."""
    from serkit.runs.forecast import BATCHES
    from serkit.writing import duration

    if len(runs) > 1:
        show(f"all {len(runs)} runs: {duration(_total(runs))}")
    show(
        f"Measured now on this machine: {BATCHES} batches of each stage of the first fold.\n"
        "This assumes no early stopping, and leaves out scoring and baselines.\n"
        "Nothing was written."
    )


def _total(runs: Mapping[str, RunForecast]) -> float:
    return sum(run.seconds for run in runs.values())
