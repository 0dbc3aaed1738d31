"""What predictions of classes and of numbers have in common: one row per utterance and seed, and a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from serkit.errors import UserError

#: The columns that every table of predictions begins with.
COLUMNS = ("id", "speaker", "corpus", "fold", "seed")


@dataclass(frozen=True, eq=False)
class Answers:
    """Whose n answers they are; the answers themselves are in a subclass. An utterance may occur once per seed.

    Args:
        ids: the utterances', `<corpus>/<name>`.
        speakers: of each utterance; None where unknown.
        truth: the labels, shape (n, ...).
        folds: number of the fold in which the utterance was tested, int, shape (n,).
        seeds: seed of the training, int, shape (n,).

    Raises:
        ValueError: nothing in it, or lengths that do not fit.
    """

    #: Name of the field with an answer in each row, and of the one that says what its columns are.
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
        """Corpus of each utterance, from its id."""
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
            UserError: they do not have the same classes, or numbers, in the same order.
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

    def start(self, row: int) -> list[object]:
        """Return what stands under `COLUMNS` in a row."""
        id = self.ids[row]
        return [id, self.speakers[row] or "", id.partition("/")[0], self.folds[row], self.seeds[row]]


def read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a table of predictions, and its rows with the number of their line.

    Raises:
        UserError: no such file, no table, no row in it, or a row that is shorter or longer than the header.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (predictions)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a table of predictions ({error})") from None
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(f"{path}, line {number}: {len(row)} values instead of {len(header)}; the file is broken")
    return header, rows
