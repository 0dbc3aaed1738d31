"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from serkit.corpora import Reading
    from serkit.engine import Engine
    from serkit.shards import Shard


class Format(StrEnum):
    """Format of the output."""

    table = "table"
    json = "json"


Output = Annotated[Format, typer.Option("--format", help="Output format: a table or one JSON document.")]

CsvSafe = Annotated[
    bool,
    typer.Option(
        "--csv-safe",
        help="In CSV, put an apostrophe before text that a spreadsheet would run as a formula.",
    ),
]

_CORPORA = typer.Option(
    help="NAME=FOLDER; for your own data, table=my.csv, folder=my_folder, audformat=DIR, ... Repeatable."
)
Corpora = Annotated[list[str], _CORPORA]
AnyCorpora = Annotated[list[str] | None, _CORPORA]


class Unit(StrEnum):
    """Unit of a time that is a bare number."""

    s = "s"
    ms = "ms"


def unit_of(times: Unit | None) -> Literal["s", "ms"] | None:
    """Return the unit that --times names."""
    return None if times is None else times.value


class OnError(StrEnum):
    """What happens with bad rows of a user's own data."""

    stop = "stop"
    skip = "skip"


Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns", help="NAME=COLUMN: column of your own table, such as path=Datei. Several: commas, or repeat."
    ),
]
Times = Annotated[Unit | None, typer.Option("--times", help="Unit of start and end in your own table.")]
SkipBadRows = Annotated[OnError, typer.Option("--on-error", help="Bad rows of your own table: stop, or skip and list.")]


def reading(columns: Sequence[str] | None, times: Unit | None, on_error: OnError) -> Reading:
    """Return how to read a user's own data; from now on, notes about them are printed on stderr.

    Raises:
        UserError: `columns` is malformed.
    """
    import logging

    from serkit.corpora import Reading
    from serkit.corpora.columns import parse
    from serkit.terminal import note

    class Notes(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.told: set[str] = set()

        def emit(self, record: logging.LogRecord) -> None:
            # Reports read the data a second time.
            if (text := record.getMessage()) not in self.told:
                self.told.add(text)
                note(f"serkit: note: {text}")

    log = logging.getLogger("serkit.corpora")
    if not log.handlers:
        log.addHandler(Notes())
        log.setLevel(logging.INFO)
    return Reading(parse(columns or ()), unit_of(times), on_error is OnError.skip)


Also = Annotated[
    list[str] | None,
    typer.Option(help="NAME=FOLDER: corpus for stages that train on further corpora; not scored. Repeatable."),
]

System = Annotated[str, typer.Argument(help="Name of a system (see `serkit systems`), or a TOML file.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: override a key of the system's file, e.g. data.target=age."),
]

Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Random seed.")]
FoldJobs = Annotated[int, typer.Option(min=0, help="Folds trained in parallel; 0: one per core.")]
FoldThreads = Annotated[int, typer.Option(min=0, max=1024, help="Threads per fold; 0: share the cores.")]
Accelerator = Annotated[str, typer.Option(help="Device: auto, cpu, cuda or mps.")]
Devices = Annotated[
    int, typer.Option(min=1, help="Devices of each machine that train together, one fold after the other.")
]
Nodes = Annotated[int, typer.Option(min=1, help="Machines that train together; give the command on each.")]
Track = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME: send each epoch to tensorboard, mlflow or wandb (extras of these names). Repeatable; SERKIT_TRACK "
        "does the same for all commands."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be trained and how long it takes; stop.")]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Two folds, few recordings, two epochs: see in minutes whether all runs. No result."),
]

_PANEL = "Several machines"
ShardText = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N|slurm",
        help="Do the I-th of N parts of the work, I from 1; `slurm`: as the task of a SLURM job array.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
EngineText = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ray|ray://HOST:PORT",
        help="Work on the machines of a Ray cluster, or on all processors of this one (extra `cluster`).",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
ListFile = Annotated[
    str | None,
    typer.Option(
        "--list",
        metavar="FILE",
        help="Text file (UTF-8) with a path or URL per line, instead of PATH.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]


def machines(shard: str | None, engine: str | None) -> Shard | Engine | None:
    """Return what --shard or --engine names; None: this process does all the work.

    Raises:
        UserError: both are given, or one of them names nothing.
    """
    from serkit import shards
    from serkit.engine import Engine
    from serkit.errors import UserError

    if shard and engine:
        raise UserError("--shard cannot be combined with --engine, which does all of the work")
    return shards.parse(shard) if shard else Engine(engine) if engine else None


def command() -> str:
    """Return the command line for the record of a run, without what says only where it ran."""
    import shlex
    import sys

    words, skipped = [], False
    for word in sys.argv[1:]:
        if not skipped and not word.startswith(("--shard=", "--engine=")) and word not in ("--shard", "--engine"):
            words.append(word)
        skipped = not skipped and word in ("--shard", "--engine")
    return shlex.join(["serkit", *words])
