"""Published tables and figures as data, and the functions that reproduce them.

A paper is a TOML file: its published values, and the system and settings of each row. To add one, write its file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from serkit import documents
from serkit.errors import UserError, unknown
from serkit.evaluation.metrics import CLASSES
from serkit.papers.figures import FIGURES
from serkit.records import first_problem

_FOLDER = Path(__file__).parent


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(_Table):
    """A publication: name, title, citation and remarks."""

    name: str
    title: str
    citation: str
    url: str = ""
    remarks: list[str] = []


class Row(_Table):
    """One row of a table, or one line or panel of a figure.

    Args:
        label: as printed.
        published: values in % by corpus: one number for a table's first metric, or a table of numbers by
            metric, or by class where recalls are printed.
        published_macs: multiply-adds of one item as printed, in 10^9; papers call them FLOPs.
        at: the row's value on the axis of a sweep, or its two values on the axes of a grid.
        system: the system that computes it; None: the row cannot be run, for the reason in `not_run`.
        set: overrides of the system.
        not_run: why there is only the published value.
    """

    label: str
    published: dict[str, float | dict[str, float]] = {}
    published_macs: float | None = None
    at: float | list[float] | None = None
    system: str | None = None
    set: list[str] = []
    not_run: str | None = None

    @model_validator(mode="after")
    def _runs_or_says_why(self) -> Row:
        if (self.system is None) == (self.not_run is None):
            raise ValueError(f"row '{self.label}' must have either a system or a reason in not_run")
        return self

    @property
    def place(self) -> str:
        """The label as the name of a folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")


#: Baseline rows of every table, run along with any of its own rows; they cannot be requested.
BASELINES = (
    Row(label="linear baseline (serkit)", system="linear-baseline"),
    Row(label="SVM on IS09 (serkit)", system="is09-svm"),
)


class _Artefact(_Table):
    """Fields that tables and figures share.

    Args:
        name: as in `serkit reproduce PAPER NAME`.
        title: what it shows.
        together: whether the given corpora are learned from and scored as one, called `a+b` in alphabetical order.
        rows: each is a run on each corpus, or on all of them together. A row with `grid`, a table of two overrides and
            their values, stands for one row for each pair of values: `label, first, second`.
    """

    name: str
    title: str
    together: bool = False
    rows: list[Row]

    @field_validator("rows", mode="before")
    @classmethod
    def _unfold_grids(cls, rows: Any) -> Any:
        if not isinstance(rows, list):
            return rows
        return [one for row in rows for one in (_unfold(row) if isinstance(row, dict) and "grid" in row else [row])]

    @model_validator(mode="after")
    def _labels_differ(self) -> _Artefact:
        seen: dict[str, str] = {}
        for row in self.rows:
            if row.place in seen:
                raise ValueError(
                    f"'{self.name}': rows '{seen[row.place]}' and '{row.label}' need labels that differ more"
                )
            seen[row.place] = row.label
        return self

    def chosen(self, labels: list[str]) -> list[Row]:
        """Return the rows to run: the named rows, or all rows that can be run.

        Raises:
            UserError: there is no such row, or it cannot be run.
        """
        for label in labels:
            row = next((row for row in self.rows if row.label == label), None)
            if row is None:
                raise unknown(f"row of {self.name}", label, [row.label for row in self.rows])
            if row.not_run:
                raise UserError(f"row '{label}' of {self.name} cannot be run: {row.not_run}")
        return [row for row in self.rows if row.system and (not labels or row.label in labels)]


class PublishedTable(_Artefact):
    """One table.

    Args:
        metrics: the printed metrics, by serkit's name, with the paper's name for each.
        recalls: whether the recall of each class is printed too.
        protocols: protocols under which each row is run.
        contrasts: pairs of labels that answer the table's question: the first row against the second, such as a student
            with and without its teacher.
    """

    metrics: dict[str, str] = Field({"accuracy": ""}, min_length=1)
    recalls: bool = False
    protocols: list[str] = ["clean"]
    contrasts: list[tuple[str, str]] = []

    @model_validator(mode="after")
    def _contrasts_are_rows(self) -> PublishedTable:
        labels = [row.label for row in self.rows]
        for label in (label for pair in self.contrasts for label in pair):
            if label not in labels:
                raise ValueError(str(unknown(f"row of {self.name}", label, labels)))
        return self

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: dict[str, str]) -> dict[str, str]:
        for name in metrics:
            if name not in CLASSES:
                raise ValueError(str(unknown("metric", name, CLASSES)))
        return metrics

    @model_validator(mode="after")
    def _published_is_printed(self) -> PublishedTable:
        for row in self.rows:
            for corpus in row.published:
                for name in self.published(row, corpus):
                    if name not in self.metrics and not self.recalls:
                        raise ValueError(str(unknown(f"metric of row '{row.label}'", name, self.metrics)))
        return self

    def published(self, row: Row, corpus: str) -> dict[str, float]:
        """Return a row's published values by metric or class; empty if the paper has none for the corpus."""
        values = row.published.get(corpus, {})
        return values if isinstance(values, dict) else {next(iter(self.metrics)): values}


class Figure(_Artefact):
    """One figure.

    Args:
        kind: a key of `serkit.papers.figures.FIGURES`.
        protocol: protocol under which each row is run.
        options: options of the kind.
    """

    kind: str
    protocol: str = "clean"
    options: dict[str, Any] = {}

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in FIGURES:
            raise ValueError(str(unknown("kind of figure", kind, FIGURES)))
        return kind


Artefact = PublishedTable | Figure


class Paper(_Table):
    """A publication and its artifacts."""

    paper: About
    tables: list[PublishedTable] = []
    figures: list[Figure] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Paper:
        names = [artefact.name for artefact in self.artefacts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"names of artifacts must be unique; '{name}' occurs twice")
        return self

    @property
    def artefacts(self) -> list[Artefact]:
        """All tables, then all figures."""
        return [*self.tables, *self.figures]

    def artefact(self, name: str) -> Artefact:
        """Return a table or figure by name."""
        for artefact in self.artefacts:
            if artefact.name == name:
                return artefact
        raise unknown(f"artifact of {self.paper.name}", name, [artefact.name for artefact in self.artefacts])


def _unfold(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each pair of values of a row's `grid`."""
    row = dict(row)
    grid = row.pop("grid")
    if not isinstance(grid, dict) or len(grid) != 2 or not all(isinstance(values, list) for values in grid.values()):
        raise ValueError("grid must be a table of two overrides, each with a list of values")
    (first, across), (second, along) = grid.items()
    return [
        row
        | {
            "label": f"{row.get('label')}, {x:g}, {y:g}",
            "at": [x, y],
            "set": [*row.get("set", []), f"{first}={x}", f"{second}={y}"],
        }
        for x in across
        for y in along
    ]


def available() -> list[str]:
    """Return the names of the papers included in serkit."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(paper: str | Path) -> Paper:
    """Read a paper by name, or from the path of a TOML file.

    Raises:
        UserError: unknown paper, or an invalid file.
    """
    path = Path(paper) if Path(paper).suffix == ".toml" else _FOLDER / f"{paper}.toml"
    if not path.exists():
        raise unknown("paper", str(paper), available())
    try:
        return Paper.model_validate(documents.read_toml(path))
    except ValidationError as error:
        raise UserError(f"{path}: {first_problem(error)}") from None
