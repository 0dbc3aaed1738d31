"""`serkit gather`: join the parts of --shard and --engine into one file."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli.options import CsvSafe
from serkit.cli.spread import PARQUET
from serkit.errors import UserError, unknown
from serkit.parts import About, Parts
from serkit.remote import Folder, is_url, name
from serkit.terminal import note


def gather(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder or URL of the parts.")],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Output file or URL; without --format, its ending sets the format. Default: stdout.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="[table|json|jsonl|csv|parquet|arff]",
            help="Output format; arff is for features. Default: from the ending of --out, or csv.",
            show_default=False,
        ),
    ] = None,
    csv_safe: CsvSafe = False,
) -> None:
    """Join the parts that `serkit predict` or `features` wrote with --shard or --engine, in the order of recordings.

    If shards are missing, damaged or of another request, names them and writes nothing.

    Example: serkit gather answers/ --out answers.csv
    """
    from serkit.cli import output
    from serkit.data import feature_parts
    from serkit.recognition import formats, predicted_parts

    kinds = {predicted_parts.KIND: predicted_parts.schema, feature_parts.KIND: feature_parts.schema}
    parts = Parts(folder)
    about = parts.agreed(lambda about: kinds[about.kind](about))
    known = [*formats.Format, PARQUET] if about.kind == predicted_parts.KIND else ["csv", PARQUET, "arff"]
    chosen = output.choose(format, None if out is None else Path(out), {str(one): f".{one}" for one in known}, "csv")
    if chosen not in known:
        raise unknown("format", chosen, known)
    if csv_safe and chosen != "csv":
        raise UserError("--csv-safe requires --format csv")
    if out is None and chosen in (PARQUET, "arff"):
        raise UserError(f"--format {chosen} requires --out FILE")
    if out is None:  # a file appears only if all parts can be read, but what is on stdout cannot be taken back
        parts.verify()
    with _target(out) as path:
        failed = (_predictions if about.kind == predicted_parts.KIND else _features)(
            parts, about, chosen, path, csv_safe
        )
    if failed:
        raise typer.Exit(1)


@contextmanager
def _target(out: str | None) -> Iterator[Path | None]:
    """Yield the path to write to; a URL receives the file once it is complete."""
    from serkit.cli import output

    if out is None:
        yield None
    elif is_url(out):
        place, _, file = out.rpartition("/")
        if not is_url(place) or not file:
            raise UserError(f"{name(out)}: --out names no file; try {name(out).rstrip('/')}/answers.csv")
        folder = Folder(place)
        if file in folder:
            raise UserError(f"{name(out)}: already exists; remove it, or choose another --out")
        with folder.writing(file) as path:
            yield path
    else:
        with output.reserved(Path(out), False, False):
            yield Path(out)


def _predictions(parts: Parts, about: About, format: str, path: Path | None, csv_safe: bool) -> bool:
    """Write predictions; return whether recordings failed."""
    from serkit.cli import output
    from serkit.recognition import formats, predicted_parts

    results = predicted_parts.read(parts, about)
    request, total = about.request, about.request["recordings"]
    try:
        if format == PARQUET:
            assert path is not None
            with output.complete(path) as temporary:
                output.write(results, predicted_parts.Parquet(temporary, about), total, quiet=False)
        else:
            kind = formats.Format(format)
            with output.destination(path, False, csv_safe) as stream:
                each = request["channel"] == "each"
                writer = formats.writer(kind, stream, request["names"], False, request["numbers"], each)
                output.write(results, writer, total, quiet=stream.isatty())
    except typer.Exit:
        return True
    return False


def _features(parts: Parts, about: About, format: str, path: Path | None, csv_safe: bool) -> bool:
    """Write features; return whether recordings failed."""
    from serkit.data import feature_parts, feature_table

    failed: list[str] = []
    blocks, names = feature_parts.read(parts, about, failed), about.request["columns"]
    if path is None:
        feature_table.write_csv(csv.writer(sys.stdout, lineterminator="\n"), names, blocks)
    else:
        feature_table.write_blocks(path, about.request["feature"], names, blocks, csv_safe)
    for reason in failed:
        note(f"serkit: skipped: {reason}")
    return bool(failed)
