"""Predicted numbers of a run, one row per utterance and seed, and their file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serkit.atomic import writing
from serkit.errors import UserError
from serkit.evaluation.predictions import read_table

_COLUMNS = ["id", "speaker", "corpus", "fold", "seed"]
_TRUTH, _PREDICTED = "truth_", "predicted_"


@dataclass(frozen=True, eq=False)
class NumberPredictions:
    """What a recogniser of numbers said about n utterances; an utterance may occur once per seed.

    Args:
        ids: the utterances', `<corpus>/<name>`.
        speakers: of each utterance; None where unknown.
        truth: the labels, float64, shape (n, targets); not a number where there is none.
        values: what was predicted, float64, shape (n, targets).
        targets: their names.
        folds: number of the fold in which the utterance was tested, int, shape (n,).
        seeds: seed of the training, int, shape (n,).

    Raises:
        ValueError: nothing in it, shapes that do not fit, or a prediction that is not finite.
    """

    ids: tuple[str, ...]
    speakers: tuple[str | None, ...]
    truth: np.ndarray
    values: np.ndarray
    targets: tuple[str, ...]
    folds: np.ndarray
    seeds: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.ids)
        if not count:
            raise ValueError("no predictions")
        if not self.truth.shape == self.values.shape == (count, len(self.targets)):
            raise ValueError(
                f"truth and values have the shapes {self.truth.shape} and {self.values.shape}, "
                f"but there are {count} ids and {len(self.targets)} targets"
            )
        if not len(self.speakers) == len(self.folds) == len(self.seeds) == count:
            raise ValueError(f"speakers, folds and seeds must have one value for each of the {count} ids")
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        if len(bad):
            raise ValueError(f"predicted for '{self.ids[bad[0]]}' is {self.values[bad[0]].tolist()}: not finite")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def corpora(self) -> tuple[str, ...]:
        """Corpus of each utterance, from its id."""
        return tuple(id.partition("/")[0] for id in self.ids)

    def select(self, chosen: np.ndarray) -> NumberPredictions:
        """Return some of the predictions, by a mask of shape (n,) or by positions."""
        positions = np.arange(len(self))[chosen]
        return NumberPredictions(
            ids=tuple(self.ids[position] for position in positions),
            speakers=tuple(self.speakers[position] for position in positions),
            truth=self.truth[positions],
            values=self.values[positions],
            targets=self.targets,
            folds=self.folds[positions],
            seeds=self.seeds[positions],
        )

    def save(self, path: str | Path) -> None:
        """Write a CSV file: one row per prediction, of target x the columns `truth_x` (empty: none) and `predicted_x`.

        Numbers are written with all their digits: `load` returns the very same.
        """
        path, corpora = Path(path), self.corpora
        with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_header(self.targets))
            for row, id in enumerate(self.ids):
                labels = ["" if np.isnan(value) else value for value in self.truth[row].tolist()]
                start = [id, self.speakers[row] or "", corpora[row], self.folds[row], self.seeds[row]]
                writer.writerow(start + labels + self.values[row].tolist())

    @classmethod
    def load(cls, path: str | Path) -> NumberPredictions:
        """Read what `save` wrote.

        Raises:
            UserError: no such file, or not a table of predicted numbers; the message names the line.
        """
        path = Path(path)
        header, rows = read_table(path)
        targets = tuple(name.removeprefix(_TRUTH) for name in header if name.startswith(_TRUTH))
        if not targets or header != _header(targets):
            raise UserError(f"{path}: not a table of predicted numbers; its columns are '{', '.join(header)}'")
        if not rows:
            raise UserError(f"{path}: no predictions in it, only a header")
        numbers = np.empty((len(rows), 2 + 2 * len(targets)))
        for position, (number, row) in enumerate(rows):
            if len(row) != len(header):
                raise UserError(
                    f"{path}, line {number}: {len(row)} values instead of {len(header)}; the file is broken"
                )
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


def concatenate(parts: Sequence[NumberPredictions]) -> NumberPredictions:
    """Join the predictions of folds and seeds; all have the same targets."""
    return NumberPredictions(
        ids=tuple(id for part in parts for id in part.ids),
        speakers=tuple(speaker for part in parts for speaker in part.speakers),
        truth=np.concatenate([part.truth for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        targets=parts[0].targets,
        folds=np.concatenate([part.folds for part in parts]),
        seeds=np.concatenate([part.seeds for part in parts]),
    )


def _header(targets: Sequence[str]) -> list[str]:
    return _COLUMNS + [prefix + name for prefix in (_TRUTH, _PREDICTED) for name in targets]
