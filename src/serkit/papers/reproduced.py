"""Reproduced tables and figures: the records that `serkit reproduce` writes as JSON, and the source of the pages."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from serkit.evaluation.intervals import Interval
from serkit.records import Flags, Record


class _Record(Record):
    model_config = ConfigDict(extra="forbid")


class Cell(_Record):
    """Measurements of one row on one corpus under one protocol.

    Args:
        values: metrics of the table, with intervals.
        recalls: recall of each class, if the table prints them.
        n: number of scored predictions.
        flags: reasons why the values are optimistic or otherwise limited.
        majority: metrics of always answering the most frequent class.
        command: command that reproduces the row.
        seconds: training time of all folds.
        epochs: number of epochs of each fold, by stage.
        parameters: number of parameters of the scored stage and the networks it reads.
        macs: multiply-adds of one item.
    """

    values: dict[str, Interval]
    recalls: dict[str, float]
    n: int
    flags: Flags
    majority: dict[str, float | None]
    command: str
    seconds: float
    epochs: dict[str, list[int]]
    parameters: int
    macs: int


class Published(_Record):
    """The published values of one row and one corpus.

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
        not_run: why the row cannot be run; None: it can.
        measured: measurements by protocol.
    """

    published_macs: float | None
    not_run: str | None
    measured: dict[str, Cell]


class Heading(_Record):
    """Fields that tables and figures share.

    Args:
        paper: name of the publication.
        artefact: name of the table or figure.
        title: what it shows.
        sets: overrides of the paper's settings.
        seed: of the first repeat.
        not_run: reason by label for rows that cannot be run.
        note: remarks for readers.
        conclusion: what it shows, in one sentence; empty in older files.
    """

    paper: str
    artefact: str
    title: str
    sets: list[str]
    seed: int
    not_run: dict[str, str]
    note: str = ""
    conclusion: str = ""


class ReproducedTable(Heading):
    """A table.

    Args:
        metrics: the printed metrics, by serkit's name, with the paper's name for each.
        protocols: protocols under which each row was run.
        rows: each row on each corpus.
        elsewhere: values published for corpora that were not run.
    """

    metrics: dict[str, str]
    protocols: list[str]
    rows: list[ReproducedRow]
    elsewhere: list[Published]


class DrawnRow(_Record):
    """One run that a figure shows: its row, corpus and command."""

    label: str
    corpus: str
    flags: Flags
    command: str


class ReproducedFigure(Heading):
    """A figure.

    Args:
        kind: a key of `serkit.papers.figures.FIGURES`.
        options: options of the kind.
        protocol: protocol under which each row was run.
        rows: the runs it shows.
        pictures: file name by corpus.
        numbers: the numbers drawn, by corpus; the kind defines their form.
    """

    kind: str
    options: dict[str, Any] = Field({})
    protocol: str
    rows: list[DrawnRow]
    pictures: dict[str, str]
    numbers: dict[str, Any]


Reproduced = ReproducedTable | ReproducedFigure
