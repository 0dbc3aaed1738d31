"""The predictions of a run, of classes or of numbers: one row per utterance and seed, and a CSV file."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from serkit.atomic import writing
from serkit.errors import UserError
from serkit.evaluation.metrics import CLASSES, NUMBERS, Metric, confusions, named, sums

#: The first columns of every table of predictions.
COLUMNS = ("id", "speaker", "corpus", "fold", "seed")

_COLUMNS = [*COLUMNS, "truth", "predicted"]
_PROBABILITY = "p_"
_TRUTH, _PREDICTED = "truth_", "predicted_"
# Averages of float32 softmax outputs have smaller errors.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Answers(ABC):
    """Identity and labels of n answers; a subclass holds the answers. An utterance may occur once per seed.

    Args:
        ids: ids of the utterances, `<corpus>/<name>`.
        speakers: speaker of each utterance; None if unknown.
        truth: labels, shape (n, ...).
        folds: number of the fold in which the utterance was tested, int, shape (n,).
        seeds: seed of the training, int, shape (n,).

    Raises:
        ValueError: there are no answers, or lengths differ.
    """

    #: The kind of answers, `classes` or `numbers`, and its metrics by key.
    task: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]]

    #: Names of the field with an answer in each row, and of the field with the names of its columns.
    field: ClassVar[str]
    names: ClassVar[str]

    ids: tuple[str, ...]
    speakers: tuple[str | None, ...]
    truth: np.ndarray
    folds: np.ndarray
    seeds: np.ndarray

    def __post_init__(self) -> None:
        if not self.ids:
            raise ValueError("no predictions")
        if not len(self.speakers) == len(self.truth) == len(self.folds) == len(self.seeds) == len(self):
            raise ValueError(f"speakers, truth, folds and seeds must have one value for each of the {len(self)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def corpora(self) -> tuple[str, ...]:
        """The corpus of each utterance, from its id."""
        return tuple(id.partition("/")[0] for id in self.ids)

    def select(self, chosen: np.ndarray) -> Self:
        """Return some of the predictions, by a mask of shape (n,) or by positions."""
        positions = np.arange(len(self))[chosen]
        return replace(
            self,
            ids=tuple(self.ids[position] for position in positions),
            speakers=tuple(self.speakers[position] for position in positions),
            **{name: getattr(self, name)[positions] for name in ("truth", "folds", "seeds", self.field)},
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join the predictions of folds and seeds.

        Raises:
            UserError: the predictions do not have the same classes, or numbers, in the same order.
        """
        first = parts[0]
        wanted = getattr(first, cls.names)
        for part in parts[1:]:
            if (names := getattr(part, cls.names)) != wanted:
                differ = f"{', '.join(wanted)} and {', '.join(names)}"
                raise UserError(f"predictions with different {cls.names} cannot be joined: {differ}")
        return replace(
            first,
            ids=tuple(id for part in parts for id in part.ids),
            speakers=tuple(speaker for part in parts for speaker in part.speakers),
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in ("truth", "folds", "seeds", cls.field)
            },
        )

    @abstractmethod
    def counts(self, clusters: np.ndarray) -> np.ndarray:
        """Return the counts of each cluster for the metrics, (clusters, ...); they add up.

        Args:
            clusters: number of the cluster of each prediction, from 0, shape (n,).
        """

    def parts(self) -> Iterator[tuple[str, Self]]:
        """Yield each separately scored part with its name: all classes (without a name), or each target of numbers.

        Raises:
            UserError: fewer than two utterances have a label of a target.
        """
        yield "", self

    def metric(self, name: str | None = None) -> Metric:
        """Return a metric of this kind of answers; None: the metric by which runs are chosen and compared.

        Raises:
            UserError: the metric is unknown.
        """
        return named(name or next(iter(self.metrics)), self.metrics)

    def value(self, metric: str | None = None) -> float:
        """Return the value of a metric over all predictions; None: the metric by which runs are chosen.

        Raises:
            UserError: the metric is unknown.
        """
        return float(self.metric(metric).of(self.counts(np.zeros(len(self), dtype=int))[0]))

    def start(self, row: int) -> list[object]:
        """Return the values of `COLUMNS` in a row."""
        id = self.ids[row]
        return [id, self.speakers[row] or "", id.partition("/")[0], self.folds[row], self.seeds[row]]


@dataclass(frozen=True, eq=False)
class Predictions(Answers):
    """The probabilities of n utterances.

    Args, in addition to those of `Answers`, where `truth` is the index of the right class:
        probabilities: probabilities of the classes, float64, shape (n, classes); each row sums to 1.
        classes: names of the classes.

    Raises:
        ValueError: there are no answers, shapes differ, or a class or a probability is invalid.
    """

    task: ClassVar[str] = "classes"
    metrics: ClassVar[Mapping[str, Metric]] = CLASSES
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
        bad = np.flatnonzero(~(self.probabilities >= 0).all(axis=1) | off)  # NaN fails `>= 0`
        if len(bad):
            raise ValueError(
                f"probabilities of '{self.ids[bad[0]]}' are {self.probabilities[bad[0]].tolist()}; "
                "they must be >= 0 and sum to 1"
            )

    @property
    def predicted(self) -> np.ndarray:
        """Index of the most probable class, shape (n,); the first of equals."""
        values: np.ndarray = self.probabilities.argmax(axis=1)
        return values

    def counts(self, clusters: np.ndarray) -> np.ndarray:
        """Return confusion matrices, int64, shape (clusters, classes, classes); see `Answers.counts`."""
        return confusions(self.truth, self.predicted, clusters, len(self.classes))

    def save(self, path: str | Path) -> None:
        """Write a CSV file with a row for each prediction, and the probability of class x in column `p_x`.

        Numbers have all their digits, so that `load` returns exactly the same predictions.
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
        """Read a file written by `save`.

        Raises:
            UserError: the file does not exist or is not a table of predictions; the message names the line.
        """
        path = Path(path)
        header, rows = read_table(path)
        classes = _classes(path, header)
        return _parse(path, classes, rows)


@dataclass(frozen=True, eq=False)
class NumberPredictions(Answers):
    """The predicted numbers of n utterances.

    Args, in addition to those of `Answers`, where `truth` is float64, shape (n, targets), NaN without a label:
        values: predicted numbers, float64, shape (n, targets).
        targets: names of the targets.

    Raises:
        ValueError: there are no answers, shapes differ, or a prediction is not finite.
    """

    task: ClassVar[str] = "numbers"
    metrics: ClassVar[Mapping[str, Metric]] = NUMBERS
    field: ClassVar[str] = "values"
    names: ClassVar[str] = "targets"

    values: np.ndarray
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.truth.shape == self.values.shape == (len(self), len(self.targets)):
            raise ValueError(
                f"truth and values have the shapes {self.truth.shape} and {self.values.shape}, "
                f"but there are {len(self)} ids and {len(self.targets)} targets"
            )
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        if len(bad):
            raise ValueError(f"prediction of '{self.ids[bad[0]]}' must be finite, got {self.values[bad[0]].tolist()}")

    def counts(self, clusters: np.ndarray) -> np.ndarray:
        """Return sums, float64, shape (clusters, targets, 7); see `Answers.counts`."""
        return sums(self.truth, self.values, clusters)

    def parts(self) -> Iterator[tuple[str, Self]]:
        """Yield each target with the predictions that have a label of it; see `Answers.parts`."""
        for column, name in enumerate(self.targets):
            rated = np.isfinite(self.truth[:, column])
            if not _is_agreement(self.ids, rated):
                raise UserError(f"fewer than two utterances have a label of '{name}'; agreement requires at least two")
            # Speakers without a label of the target are not degrees of freedom.
            known = self.select(rated)
            of_target = known.truth[:, [column]], known.values[:, [column]]
            yield name, replace(known, truth=of_target[0], values=of_target[1], targets=(name,))

    def rated(self) -> NumberPredictions | None:
        """Return the predictions of the targets with labels of at least two utterances; None if there is no such
        target."""
        known = [_is_agreement(self.ids, labels) for labels in np.isfinite(self.truth).T]
        if not any(known):
            return None
        targets = tuple(name for name, there in zip(self.targets, known, strict=True) if there)
        return replace(self, truth=self.truth[:, known], values=self.values[:, known], targets=targets)

    def save(self, path: str | Path) -> None:
        """Write a CSV file with a row for each prediction, and columns `truth_x` (empty: no label) and `predicted_x`
        for target x.

        Numbers have all their digits, so that `load` returns exactly the same predictions.
        """
        path = Path(path)
        with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_header(self.targets))
            for row, (truth, values) in enumerate(zip(self.truth.tolist(), self.values.tolist(), strict=True)):
                labels = ["" if np.isnan(value) else value for value in truth]
                writer.writerow(self.start(row) + labels + values)

    @classmethod
    def load(cls, path: str | Path) -> NumberPredictions:
        """Read a file written by `save`.

        Raises:
            UserError: the file does not exist or is not a table of predicted numbers; the message names the line.
        """
        path = Path(path)
        header, rows = read_table(path)
        targets = tuple(name.removeprefix(_TRUTH) for name in header if name.startswith(_TRUTH))
        if not targets or header != _header(targets):
            raise UserError(f"{path}: is not a table of predicted numbers; its columns are '{', '.join(header)}'")
        if not rows:
            raise UserError(f"{path}: has no predictions, only a header")
        numbers = np.empty((len(rows), 2 + 2 * len(targets)))
        for position, (number, row) in enumerate(rows):
            try:
                numbers[position] = [float(cell) if cell else np.nan for cell in row[3:]]
            except ValueError as error:
                raise UserError(f"{path}, line {number}: not a number ({error})") from None
        try:
            return cls(
                ids=tuple(row[0] for _, row in rows),
                speakers=tuple(row[1] or None for _, row in rows),
                truth=numbers[:, 2 : 2 + len(targets)],
                values=numbers[:, 2 + len(targets) :],
                targets=targets,
                folds=numbers[:, 0].astype(int),
                seeds=numbers[:, 1].astype(int),
            )
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None


def read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a table of predictions, and its rows with their line numbers.

    Raises:
        UserError: the file does not exist, is not a table, has no row, or has a row that is shorter or longer than the
            header.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file with predictions") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not a table of predictions ({error})") from None
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(f"{path}, line {number}: {len(row)} values instead of {len(header)}; the file is broken")
    return header, rows


def _is_agreement(ids: Sequence[str], rated: np.ndarray) -> bool:
    """Return whether at least two utterances have labels, which agreement requires."""
    return len({id for id, there in zip(ids, rated.tolist(), strict=True) if there}) > 1


def _header(targets: Sequence[str]) -> list[str]:
    return [*COLUMNS] + [prefix + name for prefix in (_TRUTH, _PREDICTED) for name in targets]


def _classes(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    classes = tuple(name.removeprefix(_PROBABILITY) for name in header[len(_COLUMNS) :])
    if not classes or list(header) != _COLUMNS + [_PROBABILITY + name for name in classes]:
        raise UserError(
            f"{path}: is not a table of predictions; its columns are '{', '.join(header)}', "
            f"but '{', '.join(_COLUMNS)}' and then one {_PROBABILITY}<class> for each class are required"
        )
    return classes


def _parse(path: Path, classes: tuple[str, ...], rows: Sequence[tuple[int, Sequence[str]]]) -> Predictions:
    if not rows:
        raise UserError(f"{path}: has no predictions, only a header")
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
        raise UserError(f"{path}, line {number}: predicted is '{row[6]}', but another class is more probable")
    return found
