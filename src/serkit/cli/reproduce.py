"""`serkit reproduce`: run a published table or figure again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serkit.terminal import note, show

# Tables and figures with more rows are listed by the first and last of them.
_MOST_ROWS = 20


def reproduce(
    paper: Annotated[str | None, typer.Argument(help="Name of a paper, or a TOML file; none: list them.")] = None,
    artefact: Annotated[str | None, typer.Argument(help="A table or figure; none: list those of the paper.")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER; each is run by itself. Repeatable.")] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: for stages that learn from further corpora; not scored. Repeatable."),
    ] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Instead of its own. Repeatable for a table.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override for the rows that have it, e.g. stages.*.trainer.epochs=5."),
    ] = None,
    rows: Annotated[list[str] | None, typer.Option(help="LABEL of a row to run; none: all. Repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for runs, tables and pictures. Default: runs/PAPER.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of all random numbers.")] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Folds trained at the same time; 0: all cores.")] = 0,
    threads: Annotated[int, typer.Option(min=0, max=1024, help="Threads per fold; 0 shares the cores.")] = 0,
    format: Annotated[str, typer.Option(help="markdown or json.")] = "markdown",
) -> None:
    """Run a published table or figure again, beside the published values; interrupted work goes on.

    Example: serkit reproduce kim2024 table3 --corpus emodb=data/emodb
    """

    from serkit import papers
    from serkit.cli.tables import choose_format, print_json

    choose_format(format, ("markdown", "json"))
    if paper is None:
        for name in papers.available():
            show(f"{name}: {papers.load(name).paper.title}")
        if not papers.available():
            show("no paper comes with this version; give the path of a TOML file")
        return
    loaded = papers.load(paper)
    if artefact is None:
        for found in loaded.artefacts:
            show(f"{found.name}: {found.title}")
            if len(found.rows) > _MOST_ROWS:  # a grid: its ends tell what lies between
                show(f"    {len(found.rows)} rows: {found.rows[0].label}  to  {found.rows[-1].label}")
                continue
            for row in found.rows:
                show(f"    {row.label}: {row.system or 'not run'}")
        return
    from serkit import corpora
    from serkit.papers.pages import page
    from serkit.papers.reproduce import reproduce as run

    result = run(
        loaded,
        loaded.artefact(artefact),
        corpora.load_all(corpus or []),
        out or Path("runs") / loaded.paper.name,
        set_ or (),
        protocol or (),
        seed,
        jobs,
        threads,
        report=note,
        rows=rows or (),
        also=corpora.load_all(also) if also else (),
    )
    print_json(result.to_dict()) if format == "json" else show(page(loaded, result))
