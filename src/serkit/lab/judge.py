"""Comparison, audit and evaluation from Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.errors import UserError
from serkit.evaluation.scores import Scores
from serkit.flags import first_leak
from serkit.lab.run import Run
from serkit.lab.sources import Source, all_of
from serkit.recognition.presentation import html_table

if TYPE_CHECKING:
    import pandas

    from serkit.recognition import Recognizer
    from serkit.reports.comparison import Compared
    from serkit.reports.leakage import Leakage


@dataclass(frozen=True, repr=False)
class RunComparison:
    """Runs in one table, each compared with the first.

    Args:
        rows: a row for each run, the baseline and a constant answer; of numbers, for each target.
    """

    rows: Sequence[Compared]

    @property
    def conclusion(self) -> str:
        """What the comparison shows, in one sentence."""
        from serkit.reports.conclusion import of_compared

        return of_compared(self.rows)

    def to_frame(self) -> pandas.DataFrame:
        """Return the table as a data frame: metrics, differences from the first run, p values."""
        import pandas

        return pandas.DataFrame([row.to_dict() for row in self.rows])

    def markdown(self) -> str:
        """Return the table in Markdown, with notes on intervals and tests, and the conclusion."""
        from serkit.reports.comparison import markdown

        return f"{markdown(self.rows)}\n{self.conclusion}\n"

    def plot(self, path: str | Path) -> Path:
        """Draw the differences in UAR with their intervals into a PNG file, and return its path.

        Raises:
            UserError: the runs predict numbers.
        """
        from serkit.reports.forest import draw

        if self.rows[0].target:
            raise UserError("the plot draws differences in UAR; these runs predict numbers")
        draw(self.rows, Path(path))
        return Path(path)

    def __repr__(self) -> str:
        return f"RunComparison({len(self.rows)} rows: {self.conclusion})"

    def _repr_html_(self) -> str:
        """Return the table in HTML."""
        from serkit.reports.comparison import cells, columns

        return html_table(columns(self.rows), map(cells, self.rows), self.conclusion)


@dataclass(frozen=True, repr=False)
class Scored:
    """The scores of a finished recognizer.

    Args:
        scores: scores with intervals and flags.
        predictions: a prediction for each recording.
        failed: reason by id for unreadable recordings.
    """

    scores: Scores
    predictions: Any
    failed: Mapping[str, str]

    def __repr__(self) -> str:
        leak = first_leak(self.scores.flags)
        remarks = [f"{len(self.failed)} unreadable"] if self.failed else []
        remarks += [leak] if leak else []
        told = f" ({'; '.join(remarks)})" if remarks else ""
        return f"Scored({repr(self.scores).removeprefix('Scores(').removesuffix(')')}{told})"

    def _repr_html_(self) -> str:
        """Return the scores as a table in HTML."""
        return self.scores._repr_html_()


def compare(*runs: Run | str | Path) -> RunComparison:
    """Compare runs on the same utterances: scores, intervals, and whether a difference could be due to chance.

    >>> serkit.compare("runs/linear-baseline", "runs/compact-cnn").conclusion    # doctest: +SKIP
    'runs/compact-cnn: better than runs/linear-baseline: +16.7 points of UAR (p = 0.002).'

    Args:
        runs: at least two runs or their folders; each is compared with the first.

    Raises:
        UserError: there are fewer than two, or they have different utterances or tasks.
    """
    from serkit.reports.comparison import table

    return RunComparison(table([run.folder if isinstance(run, Run) else Path(run) for run in runs]))


def audit(
    split: Run | str | Path | None = None,
    *,
    train: str | Path | None = None,
    test: str | Path | None = None,
    validation: str | Path | None = None,
    corpus: Source | Sequence[Source] = (),
    features: str | Path | None = None,
) -> Leakage:
    """Find leaks between the training and the test part of a run or of given lists.

    >>> serkit.audit("runs/linear-baseline").leaks                           # doctest: +SKIP
    []
    >>> serkit.audit(train="train.csv", test="test.csv", corpus="emodb=data/emodb")    # doctest: +SKIP

    Args:
        split: a run or its folder, or a table with a column `part` or `fold`.
        train: table of the training part.
        test: table of the test part.
        validation: table of the validation part.
        corpus: corpora with the recordings of the tables, which add speakers and sentences.
        features: table of features (column `file`), checked for scaling with the test part.

    Raises:
        UserError: the arguments do not fit together, or a file cannot be read.
    """
    from serkit.reports import leakage

    known = all_of(corpus)
    place = split.folder if isinstance(split, Run) else Path(split) if split is not None else None
    tables = train is not None or test is not None or validation is not None
    scaled = Path(features) if features is not None else None
    if place is not None and not tables and place.is_file():
        return leakage.audit_table(place, known=known, features=scaled)
    if place is not None and not tables and not known:
        return leakage.audit_run(place, features=scaled)
    if place is None and train is not None and test is not None:
        held = Path(validation) if validation is not None else None
        return leakage.audit_tables(Path(train), Path(test), validation=held, known=known, features=scaled)
    raise UserError(
        "give either the folder of a run, a table with a column 'part' or 'fold', or both a training and a test table "
        "(--train, --test); corpora (--corpus) require tables"
    )


def evaluate(
    model: Recognizer | Run | str | Path,
    corpus: Source | Sequence[Source],
    map: Mapping[str, str] | None = None,
) -> Scored:
    """Score a finished recognizer on labeled recordings. Recordings that it was trained on are flagged.

    >>> serkit.evaluate("default", "table=calls.csv", map={"annoyed": "anger"})    # doctest: +SKIP
    Scored(default, the finished recognizer, 120 utterances: UAR 48.3% [40.1–56.6], 0 flags)

    Args:
        model: a recognizer, the name or folder of a bundle, or a run with a final model.
        corpus: what `serkit.corpus` reads or returns, or several.
        map: label of the corpora -> label of the recognizer, or `drop`.

    Raises:
        UserError: no recording has a label of the recognizer, or the model does not exist.
    """
    from serkit.evaluation.evaluate import evaluate as score
    from serkit.evaluation.scores import scores
    from serkit.recognition.recognizer import Recognizer, load

    found = all_of(corpus)
    place = model.folder if isinstance(model, Run) else model
    name = str(place)
    if isinstance(place, Recognizer):
        result, name = score(place, found, map), place.bundle.name
    elif isinstance(place, (str, os.PathLike)) and (Path(place) / "run.json").exists():
        from serkit.runs.export import export

        # A run is scored by the bundle it would export, so that all models take the same code path.
        with tempfile.TemporaryDirectory() as folder:
            export(Path(place), Path(folder) / "run", recordings=4, weights=False)
            result = score(load(Path(folder) / "run"), found, map)
    else:
        result = score(load(place), found, map)
    about = {
        "system": name,
        "protocol": "the finished recognizer",
        "folds": 1,
        "configurations": 1,
        "chosen_on": "nothing to choose",
    }
    table = scores(result.predictions, result.flags).model_copy(update=about)
    return Scored(table, result.predictions, result.failed)
