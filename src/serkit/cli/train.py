"""`serkit train`: train and score a system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from serkit.cli import options
from serkit.terminal import screen, show


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
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. Default: runs/SYSTEM; runs/SYSTEM-quick.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    seed: options.Seed = 0,
    final: Annotated[bool, typer.Option(help="Also train a final model on all data, for export.")] = True,
    baseline: Annotated[bool, typer.Option(help="Also score the linear baseline on the same folds.")] = True,
    dry_run: options.DryRun = False,
    quick: options.Quick = False,
    jobs: options.FoldJobs = 0,
    threads: options.FoldThreads = 0,
    accelerator: options.Accelerator = "auto",
    devices: options.Devices = 1,
    nodes: options.Nodes = 1,
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    track: options.Track = None,
    format: options.Output = options.Format.table,
    shard: options.ShardText = None,
    engine: options.EngineText = None,
) -> None:
    """Train a system, score it honestly, and keep a model for export.

    Example: serkit train linear-baseline --corpus table=calls.csv --out runs/calls
    """
    if devices * nodes > 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        # Read by torch when it is imported: each process would warn that it looks for unused weights and finds none.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from serkit import corpora, lab
    from serkit.cli.forecasts import forecast_json, print_run, print_total
    from serkit.cli.tables import print_conclusion, print_json, print_scores
    from serkit.lab.run import default_folder, request_of
    from serkit.runs.folder import want_folder
    from serkit.shards import Shard
    from serkit.training.precision import check_device
    from serkit.training.trackers import TRACKERS, VARIABLE, chosen

    if track:
        os.environ[VARIABLE] = ",".join(track)
    for name in chosen():
        TRACKERS.find(name)
    what: dict[str, Any] = {"protocol": protocol, "sets": set_ or (), "sweep": sweep or (), "test_on": test_on or ()}
    # Before the corpora are read, which can take long.
    request_of(system, (), quick=quick, **what).check()
    want_folder(out or default_folder(system, quick))
    if not engine:  # whose machines have devices of their own
        check_device(accelerator, devices)
    who = None if dry_run else options.machines(shard, engine)
    reading = options.reading(columns, times, on_error)
    read = corpora.load_all(corpus, reading)
    options_of_both: dict[str, Any] = {
        **what,
        "also": corpora.load_all(also, reading) if also else (),
        "seed": seed,
        "final": final,
        "baseline": baseline,
        "quick": quick,
        "jobs": jobs,
        "threads": threads,
        "accelerator": accelerator,
        "devices": devices,
        "nodes": nodes,
    }
    if dry_run:
        runs = {f"{system} under {protocol}": lab.forecast(system, read, **options_of_both)}
        if format is options.Format.json:
            print_json(forecast_json(runs))
            return
        for name, forecast in runs.items():
            print_run(name, forecast)
        print_total(runs)
        return
    command = options.command()
    if isinstance(who, Shard):
        done, count = lab.train_share(system, read, who, out, command=command, **options_of_both)
        show(f"shard {who}: {done} of {count} folds are done; without --shard and with --resume, the command finishes")
        return
    run = lab.train(system, read, out, resume=resume, command=command, engine=who, **options_of_both)
    if format is options.Format.json:
        print_json({**run.scores.to_dict(), "run": run.card.run.to_dict(), "conclusion": run.conclusion})
        return
    print_scores(run.scores)
    for line in run.card.lines():
        screen().print(line, highlight=False)
    show(f"\nrun: {run.folder}\nreport: {run.folder / 'report.html'}\ncard: {run.folder / 'card.json'}")
    if final:
        show(f"next: serkit export {run.folder} --out my-recognizer")
    print_conclusion(run.conclusion)
