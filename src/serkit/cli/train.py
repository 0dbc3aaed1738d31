"""`serkit train`: train and score a system."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli import options
from serkit.terminal import note, show


def train(
    system: options.System,
    corpus: options.Corpora,
    also: options.Also = None,
    protocol: Annotated[str, typer.Option(help="How speakers and recordings are separated.")] = "clean",
    test_on: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME: corpus to test on with --protocol cross-corpus. Repeatable. Default: each corpus in turn."
        ),
    ] = None,
    set_: options.Sets = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="KEY=A,B,...: try all values and choose on validation. Repeatable for a grid."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/SYSTEM.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    seed: options.Seed = 0,
    final: Annotated[bool, typer.Option(help="Also train a final model on all data, for export.")] = True,
    baseline: Annotated[bool, typer.Option(help="Also score the linear baseline on the same folds.")] = True,
    dry_run: options.DryRun = False,
    jobs: options.FoldJobs = 0,
    threads: options.FoldThreads = 0,
    accelerator: options.Accelerator = "auto",
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    track: options.Track = None,
    format: options.Output = options.Format.table,
) -> None:
    """Train a system, score it honestly, and keep a model for export.

    Example: serkit train linear-baseline --corpus table=calls.csv --out runs/calls
    """
    from serkit import corpora
    from serkit.cli.forecasts import forecast_json, print_forecast
    from serkit.cli.tables import print_json, print_scores
    from serkit.reports.report import write
    from serkit.runs.card import Card
    from serkit.runs.forecast import forecaster
    from serkit.runs.request import Request
    from serkit.runs.runner import run
    from serkit.training.trackers import TRACKERS, VARIABLE, chosen

    if track:
        os.environ[VARIABLE] = ",".join(track)
    for name in chosen():
        TRACKERS.find(name)
    sets = [*(set_ or ()), *([f"protocols.{protocol}.tested={json.dumps(test_on)}"] if test_on else ())]
    folder = out or Path("runs") / Path(system).stem
    reading = options.reading(columns, times, on_error)
    request = Request(
        system,
        corpora.load_all(corpus, reading),
        protocol,
        sets,
        tuple(sweep or ()),
        seed,
        final,
        jobs,
        threads,
        accelerator,
        baseline=baseline,
        also=corpora.load_all(also, reading) if also else (),
        command=shlex.join(["serkit", *sys.argv[1:]]),
    )
    if dry_run:
        with forecaster(note) as trials:
            found = {f"{request.system} under {protocol}": trials.forecast(request)}
        print_json(forecast_json(found)) if format is options.Format.json else print_forecast(found)
        return
    scores = run(request, folder, resume, report=note)
    page = write(folder)
    card = Card.of(folder)
    if format is options.Format.json:
        print_json({**scores.to_dict(), "run": card.run.to_dict()})
        return
    print_scores(scores)
    show("\n".join(card.lines()))
    show(f"\nrun: {folder}   report: {page}   card: {folder / 'card.json'}")
    if final:
        show(f"next: serkit export {folder} --out my-recognizer")
