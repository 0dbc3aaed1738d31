"""`serkit cross`: train and test on every pair of corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.cli import options
from serkit.terminal import note, screen, show
from serkit.writing import percent, with_interval

if TYPE_CHECKING:
    from serkit.runs.cross import Cell, Matrix


def cross(
    system: options.System,
    corpus: Annotated[list[str], typer.Option(help="NAME=FOLDER, two or more. Repeatable.")],
    set_: options.Sets = None,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: runs/cross-SYSTEM.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted matrix.")] = False,
    seed: options.Seed = 0,
    jobs: options.FoldJobs = 0,
    threads: options.FoldThreads = 0,
    accelerator: options.Accelerator = "auto",
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    format: options.Output = options.Format.table,
    shard: options.ShardText = None,
    engine: options.EngineText = None,
) -> None:
    """Train a system on each corpus and test it on every other one, with the classes that both have.

    Within one corpus, test speakers are held out (protocol clean). Each cell is a run in OUT/runs.

    Example: serkit cross linear-baseline --corpus emodb=data/emodb --corpus savee=data/savee --out runs/cross
    """
    from dataclasses import replace

    from serkit import corpora
    from serkit.cli.tables import print_conclusion, print_json
    from serkit.errors import UserError
    from serkit.reports.conclusion import of_matrix
    from serkit.reports.cross import draw
    from serkit.runs.cross import check, matrix, share, spread
    from serkit.runs.folder import want_folder
    from serkit.runs.request import Request
    from serkit.shards import Shard
    from serkit.training.precision import check_device

    folder = out or Path("runs") / f"cross-{Path(system).stem}"
    request = Request(
        system,
        (),
        sets=tuple(set_ or ()),
        seed=seed,
        jobs=jobs,
        threads=threads,
        accelerator=accelerator,
        command=options.command(),
    )
    # Before the corpora are read, which can take long.
    check(request, len(corpus))
    want_folder(folder)
    if not engine:  # whose machines have devices of their own
        check_device(accelerator)
    who = options.machines(shard, engine)
    request = replace(request, corpora=corpora.load_all(corpus, options.reading(columns, times, on_error)))
    if isinstance(who, Shard):
        share(request, folder, who, report=note)
        show(f"shard {who} is done; without --shard and with --resume, the command finishes the matrix")
        return
    if who is not None:
        if folder.exists() and not resume:
            raise UserError(f"{folder}: already exists; continue it with --resume, or choose another --out")
        spread(request, folder, who, report=note)
    found = matrix(request, folder, resume or who is not None, report=note)
    draw(found, folder / "cross.png")
    if format is options.Format.json:
        print_json({**found.to_dict(), "conclusion": of_matrix(found)})
        return
    _print(found)
    show(f"\nmatrix: {folder / 'cross.json'}   picture: {folder / 'cross.png'}")
    print_conclusion(of_matrix(found))


def _print(found: Matrix) -> None:
    from rich import box
    from rich.table import Table

    from serkit.flags import worst_first

    table = Table(title=f"{found.system}: UAR in %", box=box.SIMPLE_HEAD)
    table.add_column("trained on")
    for name in found.corpora:
        table.add_column(f"tested on {name}", justify="right")
    for name, cells in zip(found.corpora, found.rows, strict=True):
        table.add_row(name, *map(_cell, cells))
    # Rich would read brackets in the name of a user's system as markup.
    console = screen(width=150)
    console.print(table)
    for name, method in {cell.test: cell.uar.method for cell in found.cells}.items():
        console.print(f"95 % intervals on {name}: {method}", highlight=False)
    for flag in dict.fromkeys(worst_first(flag for cell in found.cells for flag in cell.flags)):
        console.print(f"{flag.severity}: {flag.text}", highlight=False)


def _cell(cell: Cell) -> str:
    return f"{with_interval(cell.uar)}\n{len(cell.classes)} classes, chance {percent(cell.chance)}"
