"""`serkit reproduce`: reproduce a published table or figure."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli import options
from serkit.terminal import note, show

# Longer tables and figures are listed by their first and last row.
_MOST_ROWS = 20


class Format(StrEnum):
    """Format of the output."""

    table = "table"
    markdown = "markdown"
    json = "json"


def reproduce(
    paper: Annotated[
        str | None, typer.Argument(help="Name of a paper, or a TOML file. Default: list the papers.")
    ] = None,
    artefact: Annotated[str | None, typer.Argument(help="Table or figure. Default: list those of the paper.")] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER; each corpus is run separately. Repeatable.")
    ] = None,
    also: options.Also = None,
    protocol: Annotated[
        list[str] | None, typer.Option(help="Protocol to use instead of the paper's. Repeatable for a table.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="KEY=VALUE: override a key in all rows that have it, e.g. stages.*.trainer.epochs=5."
        ),
    ] = None,
    rows: Annotated[
        list[str] | None, typer.Option(help="LABEL of a row to run. Repeatable. Default: all rows.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for runs, tables and pictures. Default: runs/PAPER, runs/PAPER-quick."),
    ] = None,
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    seed: options.Seed = 0,
    dry_run: options.DryRun = False,
    quick: options.Quick = False,
    jobs: options.FoldJobs = 0,
    threads: options.FoldThreads = 0,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.table,
    shard: options.ShardText = None,
    engine: options.EngineText = None,
) -> None:
    """Reproduce a published table or figure next to the published values. Interrupted work continues.

    Example: serkit reproduce kim2024 table3 --corpus emodb=data/emodb
    """

    from serkit import papers
    from serkit.cli.tables import print_conclusion, print_json, print_reproduced

    if paper is None:
        for name in papers.available():
            show(f"{name}: {papers.load(name).paper.title}")
        if not papers.available():
            show("this version includes no papers; give the path of a TOML file")
        return
    loaded = papers.load(paper)
    if artefact is None:
        for found in loaded.artefacts:
            show(f"{found.name}: {found.title}")
            if len(found.rows) > _MOST_ROWS:  # a grid: its ends describe the rest
                show(f"    {len(found.rows)} rows: {found.rows[0].label}  to  {found.rows[-1].label}")
                continue
            for row in found.rows:
                show(f"    {row.label}: {row.system or 'not run'}")
        return
    from serkit import corpora
    from serkit.papers.pages import page
    from serkit.papers.reproduce import check, share
    from serkit.papers.reproduce import reproduce as run
    from serkit.runs.folder import want_folder
    from serkit.shards import Shard

    # Before the corpora are read, which can take long.
    asked = loaded.artefact(artefact)
    check(asked, set_ or (), protocol or (), rows or ())
    folder = out or Path("runs") / f"{loaded.paper.name}{'-quick' if quick else ''}"
    want_folder(folder)
    who = None if dry_run else options.machines(shard, engine)
    reading = options.reading(columns, times, on_error)
    read = corpora.load_all(corpus or [], reading)
    also_read = corpora.load_all(also, reading) if also else ()
    if dry_run:
        from serkit.cli.forecasts import forecast_json, print_run, print_total
        from serkit.papers.reproduce import forecast

        expected = forecast(
            asked,
            read,
            set_ or (),
            protocol or (),
            seed,
            jobs,
            threads,
            note,
            rows or (),
            also_read,
            quick,
            (lambda name, run: None) if format is Format.json else print_run,
        )
        print_json(forecast_json(expected)) if format is Format.json else print_total(expected)
        return
    if who is not None:
        share(
            asked,
            read,
            folder,
            who,
            set_ or (),
            protocol or (),
            seed,
            jobs,
            threads,
            report=note,
            rows=rows or (),
            also=also_read,
            quick=quick,
        )
        if isinstance(who, Shard):
            show(f"shard {who} is done; without --shard, the command finishes {artefact}")
            return
    result = run(
        loaded,
        asked,
        read,
        folder,
        set_ or (),
        protocol or (),
        seed,
        jobs,
        threads,
        report=note,
        rows=rows or (),
        also=also_read,
        quick=quick,
    )
    if format is Format.json:
        print_json(result.to_dict())
    elif format is Format.markdown:
        show(page(loaded, result))
    else:
        print_reproduced(result)
        written = [f"{artefact}.md", f"{artefact}.json", *getattr(result, "pictures", {}).values()]
        show("\n".join(f"wrote {folder / name}" for name in written))
        print_conclusion(result.conclusion)
