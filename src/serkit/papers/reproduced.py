"""What came of a table or figure: the records that `serkit reproduce` writes as JSON and the pages are made of."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from serkit.evaluation.intervals import Interval
from serkit.flags import Flag


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Flagged(_Record):
    flags: list[Flag]

    @field_validator("flags", mode="before")
    @classmethod
    def _read_flags(cls, entries: list[Any]) -> list[Flag]:
        return [entry if isinstance(entry, Flag) else Flag.read(entry) for entry in entries]


class Cell(_Flagged):
    """What one row measured on one corpus under one protocol.

    Args:
        values: metrics of the table, with intervals.
        recalls: recall of each class, where the table prints them.
        n: number of predictions scored.
        flags: what makes the values less than they seem.
        majority: metrics of always answering the most frequent class.
        command: that makes it again.
        seconds: of training all folds.
        epochs: of each fold, by stage.
        parameters: of the scored stage and the networks it reads.
        macs: multiply-adds of one item.
    """

    values: dict[str, Interval]
    recalls: dict[str, float]
    n: int
    majority: dict[str, float | None]
    command: str
    seconds: float
    epochs: dict[str, list[int]]
    parameters: int
    macs: int


class Published(_Record):
    """What a paper prints for one row and one corpus.

    Args:
        label: of the row.
        corpus: its name, or several joined by `+`.
        published: values in percent by metric or class.
    """

    label: str
    corpus: str
    published: dict[str, float]


class ReproducedRow(Published):
    """One row of a table on one corpus.

    Args:
        published_macs: multiply-adds that the paper prints, in G.
        not_run: why it cannot be run; None: it can.
        measured: by protocol.
    """

    published_macs: float | None
    not_run: str | None
    measured: dict[str, Cell]


class Heading(_Record):
    """What tables and figures have in common.

    Args:
        paper: name of the publication.
        artefact: name of the table or figure.
        title: what it shows.
        sets: overrides of the paper's settings.
        seed: of the first repeat.
        not_run: reason by label for rows that cannot be run.
        note: what readers have to know.
    """

    paper: str
    artefact: str
    title: str
    sets: list[str]
    seed: int
    not_run: dict[str, str]
    note: str = ""

    @classmethod
    def read(cls, document: Any) -> Self:
        """Read the content of a JSON file.

        Raises:
            pydantic.ValidationError: it does not fit.
        """
        return cls.model_validate(document)

    def to_dict(self) -> dict[str, Any]:
        """Return what the JSON file holds."""
        return self.model_dump(mode="json")


class ReproducedTable(Heading):
    """A table.

    Args:
        metrics: what is printed, by serkit's name, and what the paper calls it.
        protocols: under which each row was run.
        rows: each on each corpus.
        elsewhere: values published for corpora that were not run.
    """

    metrics: dict[str, str]
    protocols: list[str]
    rows: list[ReproducedRow]
    elsewhere: list[Published]


class DrawnRow(_Flagged):
    """One run that a figure shows: its row, corpus and command."""

    label: str
    corpus: str
    command: str


class ReproducedFigure(Heading):
    """A figure.

    Args:
        kind: a key of `serkit.papers.figures.FIGURES`.
        options: of the kind.
        protocol: under which each row was run.
        rows: the runs it shows.
        pictures: file name by corpus.
        numbers: what was drawn, by corpus; the kind says what that is.
    """

    kind: str
    options: dict[str, Any] = Field({})
    protocol: str
    rows: list[DrawnRow]
    pictures: dict[str, str]
    numbers: dict[str, Any]


Reproduced = ReproducedTable | ReproducedFigure
