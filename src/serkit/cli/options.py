"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


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

_CORPORA = typer.Option(help="NAME=FOLDER; for your own data, table=my.csv or folder=my_folder. Repeatable.")
Corpora = Annotated[list[str], _CORPORA]
AnyCorpora = Annotated[list[str] | None, _CORPORA]
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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be trained and how long it takes; stop.")]
