"""The predictions of a run, one per utterance and seed, and their file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from serkit.atomic import writing
from serkit.errors import UserError
from serkit.evaluation.answers import COLUMNS, Answers, read_table

_COLUMNS = [*COLUMNS, "truth", "predicted"]
_PROBABILITY = "p_"
# Averages of float32 softmax outputs are off by less than this.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions(Answers):
    """What a recogniser said about n utterances.

    Args, besides those of `Answers`, where `truth` is the index of the right class:
        probabilities: of the classes, float64, shape (n, classes); each row sums to 1.
        classes: their names.

    Raises:
        ValueError: nothing in it, shapes that do not fit, or what is no class or no probability.
    """

    field: ClassVar[str] = "probabilities"
    names: ClassVar[str] = "classes"

    probabilities: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self), len(self.classes)):
            raise ValueError(
                f"probabilities have the shape {self.probabilities.shape}, "
                f"but there are {len(self)} ids and {len(self.classes)} classes"
            )
        super().__post_init__()
        if self.truth.min() < 0 or self.truth.max() >= len(self.classes):
            raise ValueError(
                f"truth has class indices from {self.truth.min()} to {self.truth.max()}; "
                f"there are {len(self.classes)} classes"
            )
        off = np.abs(self.probabilities.sum(axis=1) - 1) > _SUM_TOLERANCE
        bad = np.flatnonzero(~(self.probabilities >= 0).all(axis=1) | off)  # not a number fails `>= 0`
        if len(bad):
            raise ValueError(
                f"probabilities of '{self.ids[bad[0]]}' are {self.probabilities[bad[0]].tolist()}; "
                "they must be >= 0 and sum to 1"
            )

    @property
    def predicted(self) -> np.ndarray:
        """Index of the likeliest class, shape (n,); the first of equals."""
        return self.probabilities.argmax(axis=1)

    def save(self, path: str | Path) -> None:
        """Write a CSV file: one row per prediction, the probability of class x in column `p_x`.

        Numbers are written with all their digits: `load` returns the very same.
        """
        path, predicted = Path(path), self.predicted
        with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS + [_PROBABILITY + name for name in self.classes])
            for row, probabilities in enumerate(self.probabilities.tolist()):
                labels = [self.classes[self.truth[row]], self.classes[predicted[row]]]
                writer.writerow(self.start(row) + labels + probabilities)

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            UserError: no such file, or not a table of predictions; the message names the line.
        """
        path = Path(path)
        header, rows = read_table(path)
        classes = _classes(path, header)
        return _parse(path, classes, rows)


def _classes(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    classes = tuple(name.removeprefix(_PROBABILITY) for name in header[len(_COLUMNS) :])
    if not classes or list(header) != _COLUMNS + [_PROBABILITY + name for name in classes]:
        raise UserError(
            f"{path}: not a table of predictions; its columns are '{', '.join(header)}', "
            f"needed are '{', '.join(_COLUMNS)}' and then one {_PROBABILITY}<class> for each class"
        )
    return classes


def _parse(path: Path, classes: tuple[str, ...], rows: Sequence[tuple[int, Sequence[str]]]) -> Predictions:
    if not rows:
        raise UserError(f"{path}: no predictions in it, only a header")
    index = {name: number for number, name in enumerate(classes)}
    ids, speakers, answers = [], [], []
    truth, folds, seeds = (np.empty(len(rows), dtype=np.int64) for _ in range(3))
    probabilities = np.empty((len(rows), len(classes)))
    for position, (number, row) in enumerate(rows):
        where = f"{path}, line {number}"
        id, speaker, _, fold, seed, right, answer = row[: len(_COLUMNS)]
        for name in (right, answer):
            if name not in index:
                raise UserError(f"{where}: class '{name}' has no column {_PROBABILITY}{name}")
        try:
            folds[position], seeds[position] = int(fold), int(seed)
            probabilities[position] = [float(value) for value in row[len(_COLUMNS) :]]
        except ValueError as error:
            raise UserError(f"{where}: not a number ({error})") from None
        ids.append(id)
        speakers.append(speaker or None)
        truth[position] = index[right]
        answers.append(index[answer])
    try:
        found = Predictions(tuple(ids), tuple(speakers), truth, folds, seeds, probabilities, classes)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    differ = np.flatnonzero(found.predicted != np.array(answers))
    if len(differ):
        number, row = rows[differ[0]]
        raise UserError(f"{path}, line {number}: predicted is '{row[6]}', but another class is likelier")
    return found
