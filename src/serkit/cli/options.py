"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

CsvSafe = Annotated[
    bool,
    typer.Option(
        "--csv-safe",
        help="In CSV, put an apostrophe before text that a spreadsheet would run as a formula.",
    ),
]
