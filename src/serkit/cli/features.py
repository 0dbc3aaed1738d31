"""`serkit features`: compute a feature of recordings and write it as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def features(
    feature: Annotated[str, typer.Argument(help="Name of a front end, e.g. log_mel_functionals.")],
    paths: Annotated[list[str] | None, typer.Argument(help="Recordings, folders or globs.")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER instead of paths. Repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="FILE.csv or FILE.parquet.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Option of the front end, e.g. bands=80.")] = None,
    channel: Annotated[str | None, typer.Option(help="Further channel of a corpus, e.g. egg.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Threads; 0: all cores.")] = 0,
) -> None:
    """Compute a feature: a row per recording, or per frame for features over time.

    What is computed is kept in the store: an interrupted command goes on where it stopped.

    Example: serkit features log_mel_functionals --corpus emodb=data/emodb --out emodb.csv
    """
    import os
    import sys

    from serkit import corpora
    from serkit.cli.predict import find_recordings
    from serkit.corpora.corpus import Utterance
    from serkit.errors import UserError
    from serkit.features import build
    from serkit.features.table import write
    from serkit.systems import parse_value

    if out is None:
        raise UserError("name the table to write: --out FILE.csv or --out FILE.parquet")
    options = [override.partition("=") for override in set_ or []]
    front_end = build(feature, **{key.strip(): parse_value(value) for key, _, value in options})
    if bool(paths) == bool(corpus):
        raise UserError("give either recordings or --corpus NAME=FOLDER")
    if corpus:
        utterances = [utterance for one in corpora.load_all(corpus) for utterance in one.utterances]
    else:
        found, missing = find_recordings(paths or [])
        for failure in missing:
            print(f"serkit: skipped: {failure.error}", file=sys.stderr)
        utterances = [Utterance(id=path, path=Path(path)) for path in found]
    failed = write(front_end, utterances, out, channel, jobs or os.cpu_count() or 1)
    for reason in failed.values():
        print(f"serkit: skipped: {reason}", file=sys.stderr)
    print(f"{out}: {front_end.name} of {len(utterances) - len(failed)} recordings")
    if failed:
        raise typer.Exit(1)
