"""`serkit tune`: search the hyperparameters of a system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serkit.cli import options
from serkit.terminal import note, screen, show

if TYPE_CHECKING:
    from serkit.tuning.results import Search
    from serkit.tuning.rounds import Recipe

_SHOWN = 10


def tune(
    system: Annotated[
        str | None, typer.Argument(help="Name of a system, or a TOML file. Default: show the search in --out.")
    ] = None,
    corpus: options.AnyCorpora = None,
    space: Annotated[
        Path | None, typer.Option(help="TOML file with a table `search` or `rounds`. Default: the system's file.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Total number of finished trials. Default: 50, or all of a grid.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no trial after this time; the same command continues.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="random (default), tpe, grid, qmc or gp.")] = None,
    pruner: Annotated[
        str | None,
        typer.Option(help="none (default), median, percentile, halving or wilcoxon; applied after each fold."),
    ] = None,
    metric: Annotated[str, typer.Option(help="uar, accuracy, ...: averaged over the inner folds.")] = "uar",
    protocol: Annotated[str, typer.Option(help="Protocol; the test part of its first fold is never used.")] = "clean",
    folds: Annotated[
        int | None, typer.Option(min=2, help="Number of folds inside the training part. Default: 5.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Search on all data, without a held-out test part.")] = False,
    test: Annotated[
        bool,
        typer.Option("--test", help="After the last trial, train the best settings once and score what is held out."),
    ] = False,
    set_: options.Sets = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the search. Default: runs/SYSTEM-search.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Parallel trials.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads per worker.")] = 1,
    storage: Annotated[
        str | None, typer.Option(help="URL of a database shared by several machines. Default: a file in --out.")
    ] = None,
    study: Annotated[str, typer.Option(help="Name of the search in the database.")] = "search",
    seed: options.Seed = 0,
    heartbeat: Annotated[
        int, typer.Option(min=1, help="Interval in s; a trial silent for three intervals is repeated.")
    ] = 10,
    accelerator: options.Accelerator = "auto",
    columns: options.Columns = None,
    times: options.Times = None,
    on_error: options.SkipBadRows = options.OnError.stop,
    format: options.Output = options.Format.table,
) -> None:
    """Search hyperparameters inside the training part. The same command joins or resumes a search.

    Example: serkit tune linear-baseline --corpus table=calls.csv --space space.toml --trials 40 --workers 2
    """
    from dataclasses import replace

    from serkit import corpora
    from serkit.cli.tables import print_conclusion, print_json
    from serkit.errors import UserError
    from serkit.tuning.conclusion import of_search
    from serkit.tuning.rounds import read
    from serkit.tuning.search import Request, check, run, url_of, write
    from serkit.tuning.study import open_storage, reachable
    from serkit.tuning.trial import Task

    if system is None:
        if test:
            raise UserError("--test trains: give the whole command of the search, with its system and --corpus")
        if out is None:
            raise UserError("give a system to search, or the folder of a search to show: serkit tune --out FOLDER")
        if not (out / "search.json").exists():
            raise UserError(f"{out}: holds no search (search.json is missing)")
        url = url_of(out, storage)
        with reachable(url):
            found = write(out, open_storage(url, heartbeat, new=False))
    else:
        folder = out or Path("runs") / f"{Path(system).stem}-search"
        corpora.want(corpus or ())
        recipe = _with_options(read(space, system), sampler, pruner, trials)
        task = Task(system, (), tuple(set_ or ()), protocol, whole, folds, metric, seed, accelerator)
        request = Request(task, recipe, workers, threads, storage, study, heartbeat, minutes, test)
        # Before the corpora are read, which can take long.
        check(request, folder)
        material = corpora.load_all(corpus or [], options.reading(columns, times, on_error))
        found = run(replace(request, task=replace(task, corpora=material)), folder, report=note)
        out = folder
    conclusion = of_search(found, (out / "held-out.csv").exists())
    if format is options.Format.json:
        print_json({**_as_json(found), "conclusion": conclusion})
    else:
        _print(found, out)
        print_conclusion(conclusion)


def _with_options(recipe: Recipe, sampler: str | None, pruner: str | None, trials: int | None) -> Recipe:
    """Return a recipe with at least one round."""
    from pydantic import ValidationError

    from serkit.errors import UserError
    from serkit.tuning.rounds import DEFAULT_TRIALS, Recipe, Round

    if recipe.rounds:
        if sampler or pruner or trials:
            raise UserError("the file has [[rounds]], which set sampler, pruner and trials; remove these options")
        return recipe
    options: dict[str, Any] = {"sampler": sampler or "random", "pruner": pruner or "none"}
    options["trials"] = trials or (None if sampler == "grid" else DEFAULT_TRIALS)
    try:
        return Recipe(recipe.search, [Round(**options)])
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"--{problem['loc'][0]} {problem['input']}: {problem['msg'].lower()}") from None


def _as_json(found: Search) -> dict[str, object]:
    rows = [
        {
            "round": row.round,
            "trial": row.slot,
            "state": row.state,
            "value": row.value,
            "folds": row.folds,
            "point": row.point,
            "seconds": row.seconds,
            "reason": row.reason,
        }
        for row in found.rows
    ]
    tested = None if found.held_out is None else found.held_out.to_dict()
    return {"metric": found.definition.metric, "total": found.total, "trials": rows, "held_out": tested}


def _print(found: Search, folder: Path) -> None:
    from rich.table import Table

    from serkit.tuning.results import HELD_OUT
    from serkit.tuning.space import short_names

    console = screen()
    metric = found.definition.metric
    for name, total in reversed(list(found.total.items())):
        rows = [row for row in found.rows if row.round == name]
        states = [row.state for row in rows]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        names = short_names(list(dict.fromkeys(key for row in rows for key in row.point)))
        table = Table(title=f"{name}: {sum(row.finished for row in rows)} of {total} trials ({counts or 'none yet'})")
        for column in ("trial", f"{metric} %", "folds", "seconds", *names.values()):
            table.add_column(column, justify="right")
        for row in [row for row in rows if row.value is not None][:_SHOWN]:
            state = "" if row.state == "done" else f" {row.state}"
            chosen = [_shown(row.point[key]) if key in row.point else "" for key in names]
            table.add_row(
                str(row.slot),
                f"{100 * (row.value or 0):.1f}{state}",
                " ".join(f"{100 * fold[metric]:.0f}" for fold in row.folds),
                f"{row.seconds or 0:.0f}",
                *chosen,
            )
        console.print(table)
        reasons = [row.reason for row in rows if row.state == "infeasible"]
        if reasons:
            console.print(f"{len(reasons)} infeasible; the first: {reasons[0]}", highlight=False)
    if found.best is None:
        return
    show(f"\ntable: {folder / 'trials.csv'}   page: {folder / 'search.html'}")
    if found.held_out is not None:
        page = folder / HELD_OUT / "report.html"
        # On another machine, its run is in the folder of the command that has trained it.
        show(f"held-out test: {page if page.exists() else folder / 'held-out.json'}")
        return
    held_out = f" --protocol {HELD_OUT}" if (folder / "held-out.csv").exists() else ""
    show(f"next: serkit train {folder / 'best.toml'} --corpus NAME=FOLDER{held_out}")


def _shown(value: Any) -> str:
    from serkit.toml import write_value

    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else write_value(value)
