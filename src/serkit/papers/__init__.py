"""Published tables as data, and the frame that runs them again.

A paper is a TOML file: its published values, and which system with which settings each row is. To add one,
write its file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from serkit.errors import UserError, unknown

_FOLDER = Path(__file__).parent


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(_Table):
    """Which publication, and how its words for the metrics translate."""

    name: str
    title: str
    citation: str
    url: str = ""
    remarks: list[str] = []


class Row(_Table):
    """One row of a table.

    Args:
        label: as printed.
        published: value in % by corpus.
        system: what computes it; None: the row cannot be run, for the reason in `not_run`.
        set: overrides of the system.
        not_run: why there is only the published value.
    """

    label: str
    published: dict[str, float] = {}
    system: str | None = None
    set: list[str] = []
    not_run: str | None = None

    @model_validator(mode="after")
    def _runs_or_says_why(self) -> Row:
        if (self.system is None) == (self.not_run is None):
            raise ValueError(f"row '{self.label}' has either a system or, in not_run, the reason why not")
        return self


class Artefact(_Table):
    """One table.

    Args:
        name: as in `serkit reproduce PAPER NAME`.
        title: what it shows.
        metric: serkit's name of what is printed.
        called: the paper's name of it.
        protocols: under which each row is run, side by side.
        rows: of the table.
    """

    name: str
    title: str
    metric: str = "accuracy"
    called: str = ""
    protocols: list[str] = ["clean"]
    rows: list[Row]


class Paper(_Table):
    """A publication and its artefacts."""

    paper: About
    tables: list[Artefact]

    def artefact(self, name: str) -> Artefact:
        """Return a table by name."""
        for table in self.tables:
            if table.name == name:
                return table
        raise unknown(f"artefact of {self.paper.name}", name, [table.name for table in self.tables])


def available() -> list[str]:
    """Return the names of the papers that come with serkit."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(paper: str | Path) -> Paper:
    """Read a paper by name, or from the path of a TOML file.

    Raises:
        UserError: unknown paper, or a file that does not fit.
    """
    path = Path(paper) if Path(paper).suffix == ".toml" else _FOLDER / f"{paper}.toml"
    if not path.exists():
        raise unknown("paper", str(paper), available())
    try:
        return Paper.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML ({error})") from None
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(f"{path}: {key}: {problem['msg'].removeprefix('Value error, ')}") from None
