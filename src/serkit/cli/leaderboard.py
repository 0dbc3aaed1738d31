"""`serkit leaderboard`: build a page of results from the cards of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serkit.terminal import show

app = typer.Typer(
    help="Collect the cards of runs and build a page from them.\n\nExample: serkit leaderboard page docs/results",
    no_args_is_help=True,
)


@app.command()
def add(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run, a card, or the JSON file of a reproduced table.")
    ],
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("docs/results"),
    note: Annotated[str, typer.Option(help="Note for readers, e.g. '5 epochs instead of the paper's 50'.")] = "",
    name: Annotated[str | None, typer.Option(help="File name. Default: system, corpora and protocol.")] = None,
) -> None:
    """Add the card of a run to a folder of results. It is small enough to commit and has no local paths.

    Example: serkit leaderboard add runs/is09-svm --results docs/results
    """
    from serkit.papers.results import add as write

    path = write(run, results, note, name)
    show(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
    show(f"next: serkit leaderboard page {results} --out docs/results.md")


@app.command()
def page(
    results: Annotated[list[Path], typer.Argument(help="Folders of results, or single files.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Output file. Default: stdout.")] = None,
    preface: Annotated[
        Path | None,
        typer.Option(
            help="Markdown file placed before the tables. Default: preface.md of the first folder, if it exists."
        ),
    ] = None,
) -> None:
    """Build the page of all results: scores with intervals, time, size, folds, flags, and the command of each row.

    Example: serkit leaderboard page docs/results --out docs/results.md
    """
    from serkit.atomic import write_text
    from serkit.papers.leaderboard import page as lay_out
    from serkit.papers.results import Results

    own = results[0] / "preface.md"
    preface = preface or (own if own.exists() else None)
    folder = out.parent if out else Path()
    text = lay_out(Results.read(results), folder, preface.read_text(encoding="utf-8") if preface else "")
    if out is None:
        show(text, end="")
        return
    write_text(out, text)
    show(f"{out}: {len(text.splitlines())} lines")
