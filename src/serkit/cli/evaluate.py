"""`serkit evaluate`: score a recogniser on a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="A bundle (name or folder), or a run with a final model.")],
    corpus: Annotated[list[str], typer.Option(help="NAME=FOLDER; your own data: table=my.csv. Repeatable.")],
    map_: Annotated[list[str] | None, typer.Option("--map", help="OLD=NEW label, or OLD=drop. Repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write each prediction to this CSV file.")] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Score a finished recogniser on labelled recordings; those it was trained on are flagged.

    Example: serkit evaluate default --corpus table=calls.csv --map annoyed=anger
    """
    import sys
    import tempfile

    from serkit import corpora
    from serkit.cli.tables import choose_format, print_json, print_scores
    from serkit.errors import UserError
    from serkit.evaluation.evaluate import evaluate as score
    from serkit.evaluation.number_scores import scores as number_scores
    from serkit.evaluation.predictions import Predictions
    from serkit.evaluation.scores import scores
    from serkit.recognition.recognizer import load

    choose_format(format)
    mapping = dict(entry.partition("=")[::2] for entry in map_ or [])
    if not all(mapping.values()):
        raise UserError("--map: write OLD=NEW, e.g. calm=neutral, or OLD=drop")
    found = corpora.load_all(corpus)
    if (Path(model) / "run.json").exists():
        from serkit.systems.export import export

        # A run is scored as what it would ship: the same code path as for everybody else.
        with tempfile.TemporaryDirectory() as folder:
            export(Path(model), Path(folder) / "run", recordings=4, weights=False)
            result = score(load(Path(folder) / "run"), found, mapping)
    else:
        result = score(load(model), found, mapping)
    score_all = scores if isinstance(result.predictions, Predictions) else number_scores
    table = {
        "system": model,
        "protocol": "the finished recogniser",
        "folds": 1,
        "configurations": 1,
        "chosen_on": "nothing to choose",
        **score_all(result.predictions, result.flags),
    }
    if out:
        result.predictions.save(out)
    if format == "json":
        print_json(table)
    else:
        print_scores(table)
    for reason in result.failed.values():
        print(f"serkit: skipped: {reason}", file=sys.stderr)
    if result.failed:
        raise typer.Exit(1)
