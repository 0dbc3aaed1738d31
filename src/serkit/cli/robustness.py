"""`serkit robustness`: measure how scores fall as recordings get worse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.cli import options
from serkit.cli.evaluate import parse_map
from serkit.errors import UserError, unknown
from serkit.terminal import note, screen, show
from serkit.writing import percent, with_interval

if TYPE_CHECKING:
    from serkit.evaluation.robustness import Measured
    from serkit.evaluation.scores import Summary


def robustness(
    model: Annotated[str, typer.Argument(help="A run (each fold is tested with its own model), or a bundle.")],
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER, as for `serkit evaluate`. For a run: new location of its recordings, if they have moved."
        ),
    ] = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="For a bundle: OLD=NEW renames a label; OLD=drop leaves it out.")
    ] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option(
            help="noise, babble, telephone, opus, mp3, reverberation, pitch, tempo, gain or offset. Repeatable. "
            "Default: all."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for robustness.json, .csv, .png. Default: the run's folder; for a bundle, robustness-NAME."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Random seed of noise, voices and rooms.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Number of threads.")] = 1,
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    format: options.Output = options.Format.table,
) -> None:
    """Score a run or a bundle on recordings degraded more and more by noise, telephones, rooms, ...

    Example: serkit robustness runs/compact-cnn --curve noise --curve telephone
    """
    from serkit.cli.tables import print_json
    from serkit.evaluation.robustness import CURVES
    from serkit.reports import robustness as report

    # All arguments are checked before the recordings are read.
    curves, mapping = curve or list(CURVES), parse_map(map_ or ())
    for name in curves:
        if name not in CURVES:
            raise unknown("curve", name, CURVES)
    is_run = (Path(model) / "run.json").exists()
    if is_run and mapping:
        raise UserError(f"--map requires a bundle; {model} is a run, and its labels are fixed")
    folder = out or (Path(model) if is_run else Path(f"{report.NAME}-{Path(model).name}"))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --out must be a folder")
    failed: Mapping[str, str] = {}
    if is_run:
        measured = report.of_run(Path(model), corpus or (), curves, seed, jobs)
    else:
        measured, failed = report.of_bundle(
            model, corpus or (), mapping, curves, seed, jobs, options.reading(columns, times, on_error)
        )
    report.write(measured, folder)
    if format is options.Format.json:
        print_json(measured.to_dict())
    else:
        _print(measured)
        show(f"written: {folder / report.NAME}.json, .csv, .png")
    for reason in failed.values():
        note(f"serkit: skipped: {reason}")
    if failed:
        raise typer.Exit(1)


def _print(measured: Measured) -> None:
    from rich import box
    from rich.table import Table

    from serkit.evaluation.intervals import Ends
    from serkit.flags import worst_first

    # Rich would read brackets in a folder's name as markup.
    clean, console = measured.clean, screen()
    title = f"{measured.model}: {measured.protocol}, {measured.n} predictions"
    table = Table(title=title, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("")
    for column in ("UAR %", "change in points", "accuracy %", "ECE %"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_row("as they are", with_interval(clean.metrics["uar"]), "", *_others(clean))
    for curve in measured.curves.values():
        table.add_section()
        table.add_row(f"{curve.title},\n{curve.axis}")
        for point in curve.points:
            change = with_interval(Ends(point.change.difference, point.change.low, point.change.high), "+")
            table.add_row(f"  {point.strength}", with_interval(point.metrics["uar"]), change, *_others(point))
    console.print(table)
    console.print(f"95 % intervals: {measured.interval}", highlight=False)
    for flag in worst_first(measured.flags):
        console.print(f"{flag.severity}: {flag.text}", highlight=False)


def _others(point: Summary) -> tuple[str, str]:
    return percent(point.metrics["accuracy"].estimate), percent(point.ece)
