"""Predicted numbers of a run, one row per utterance and seed, and their file."""

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

_TRUTH, _PREDICTED = "truth_", "predicted_"


@dataclass(frozen=True, eq=False)
class NumberPredictions(Answers):
    """What a recogniser of numbers said about n utterances.

    Args, besides those of `Answers`, where `truth` is float64, shape (n, targets), not a number where there is none:
        values: what was predicted, float64, shape (n, targets).
        targets: their names.

    Raises:
        ValueError: nothing in it, shapes that do not fit, or a prediction that is not finite.
    """

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
            raise ValueError(f"predicted for '{self.ids[bad[0]]}' is {self.values[bad[0]].tolist()}: not finite")

    def save(self, path: str | Path) -> None:
        """Write a CSV file: one row per prediction, of target x the columns `truth_x` (empty: none) and `predicted_x`.

        Numbers are written with all their digits: `load` returns the very same.
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


def _header(targets: Sequence[str]) -> list[str]:
    return [*COLUMNS] + [prefix + name for prefix in (_TRUTH, _PREDICTED) for name in targets]
