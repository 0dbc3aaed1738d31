"""The predictions of a run, one per utterance and seed, and their file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serkit.atomic import writing
from serkit.errors import UserError

_COLUMNS = ["id", "speaker", "corpus", "fold", "seed", "truth", "predicted"]
_PROBABILITY = "p_"
# Averages of float32 softmax outputs are off by less than this.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a recogniser said about n utterances; an utterance may occur once per seed.

    Args:
        ids: the utterances', `<corpus>/<name>`.
        speakers: of each utterance; None where unknown.
        truth: index of the right class, int, shape (n,).
        probabilities: of the classes, float64, shape (n, classes); each row sums to 1.
        classes: their names.
        folds: number of the fold in which the utterance was tested, int, shape (n,).
        seeds: seed of the training, int, shape (n,).

    Raises:
        ValueError: nothing in it, shapes that do not fit, or what is no class or no probability.
    """

    ids: tuple[str, ...]
    speakers: tuple[str | None, ...]
    truth: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]
    folds: np.ndarray
    seeds: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.ids)
        if not count:
            raise ValueError("no predictions")
        if self.probabilities.shape != (count, len(self.classes)):
            raise ValueError(
                f"probabilities have the shape {self.probabilities.shape}, "
                f"but there are {count} ids and {len(self.classes)} classes"
            )
        if not len(self.speakers) == len(self.truth) == len(self.folds) == len(self.seeds) == count:
            raise ValueError(f"speakers, truth, folds and seeds must have one value for each of the {count} ids")
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

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def predicted(self) -> np.ndarray:
        """Index of the likeliest class, shape (n,); the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def corpora(self) -> tuple[str, ...]:
        """Corpus of each utterance, from its id."""
        return tuple(id.partition("/")[0] for id in self.ids)

    def select(self, chosen: np.ndarray) -> Predictions:
        """Return some of the predictions, by a mask of shape (n,) or by positions."""
        positions = np.arange(len(self))[chosen]
        return Predictions(
            ids=tuple(self.ids[position] for position in positions),
            speakers=tuple(self.speakers[position] for position in positions),
            truth=self.truth[positions],
            probabilities=self.probabilities[positions],
            classes=self.classes,
            folds=self.folds[positions],
            seeds=self.seeds[positions],
        )

    def save(self, path: str | Path) -> None:
        """Write a CSV file: one row per prediction, the probability of class x in column `p_x`.

        Numbers are written with all their digits: `load` returns the very same.
        """
        path = Path(path)
        predicted, corpora = self.predicted, self.corpora
        with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS + [_PROBABILITY + name for name in self.classes])
            for row, id in enumerate(self.ids):
                truth, answer = self.classes[self.truth[row]], self.classes[predicted[row]]
                start = [id, self.speakers[row] or "", corpora[row], self.folds[row], self.seeds[row], truth, answer]
                writer.writerow(start + self.probabilities[row].tolist())

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


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of folds and seeds.

    Raises:
        UserError: they do not have the same classes in the same order.
    """
    for part in parts[1:]:
        if part.classes != parts[0].classes:
            raise UserError(
                f"predictions with different classes cannot be joined: {', '.join(parts[0].classes)} "
                f"and {', '.join(part.classes)}"
            )
    return Predictions(
        ids=tuple(id for part in parts for id in part.ids),
        speakers=tuple(speaker for part in parts for speaker in part.speakers),
        truth=np.concatenate([part.truth for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        classes=parts[0].classes,
        folds=np.concatenate([part.folds for part in parts]),
        seeds=np.concatenate([part.seeds for part in parts]),
    )


def read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a table of predictions, and its rows with the number of their line.

    Raises:
        UserError: no such file, or no table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            return header, [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (predictions)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a table of predictions ({error})") from None


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
        if len(row) != len(_COLUMNS) + len(classes):
            raise UserError(f"{where}: {len(row)} values instead of {len(_COLUMNS) + len(classes)}; the file is broken")
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
        found = Predictions(tuple(ids), tuple(speakers), truth, probabilities, classes, folds, seeds)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    differ = np.flatnonzero(found.predicted != np.array(answers))
    if len(differ):
        number, row = rows[differ[0]]
        raise UserError(f"{path}, line {number}: predicted is '{row[6]}', but another class is likelier")
    return found
