"""The JSON files of a run as records (`serkit.runs.runner` lists them); `serkit.evaluation.scores` has the scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationError

from serkit import systems
from serkit.auditing.provenance import Used
from serkit.corpora import Reading
from serkit.errors import UserError
from serkit.evaluation.scores import Values
from serkit.evaluation.task import Shipping
from serkit.protocols import Protocol
from serkit.records import Record, first_problem
from serkit.systems.schema import Stage, System

#: Fields that may differ when a run is resumed: paths and machine.
_MAY_DIFFER = {"command", "skipped", "stages", "created", "folders", "also", "readings", "machine", "versions"}


class _Whole(Record):
    """A record that keeps keys it does not know, because another serkit may have written them."""

    model_config = ConfigDict(extra="allow")


class Heading(_Whole):
    """The table `system` of a system."""

    name: str
    title: str = ""
    paper: str | None = None
    deploy: str | None = None


class StageHeading(_Whole):
    """The name of a stage."""

    name: str


class SystemRow(_Whole):
    """A system as it was written, which this serkit may not support."""

    system: Heading
    stages: list[StageHeading] = Field([])

    @classmethod
    def of(cls, system: System) -> Self:
        """Return the record of a resolved system."""
        return cls.model_validate(system.model_dump(mode="json"))

    @property
    def name(self) -> str:
        """Name of the system."""
        return self.system.name

    @property
    def deployed(self) -> str:
        """Name of the scored stage."""
        return self.system.deploy or self.stages[-1].name

    def resolved(self) -> System:
        """Return the system; settings that are newer than the record have their defaults.

        Raises:
            UserError: this serkit does not support the system.
        """
        return systems.parse(self.to_dict(), f"this serkit does not support system '{self.name}'")


class NamedProtocol(_Whole):
    """A protocol as it was written, with its name; `lists` is the path of its list of parts."""

    name: str
    lists: str | None = None

    @classmethod
    def of(cls, name: str, protocol: Protocol) -> Self:
        """Return the record of a protocol."""
        # Written only where it says something, so that an earlier serkit can read the cards of other runs.
        unset = set() if protocol.quick else {"quick"}
        return cls(name=name, **protocol.model_dump(mode="json", exclude=unset))

    def definition(self, lists: Path | None = None) -> Protocol:
        """Return the protocol; `lists` replaces the path of its list of parts.

        Raises:
            UserError: this serkit does not support the protocol.
        """
        try:
            return Protocol.model_validate({**(self.model_extra or {}), "lists": lists or self.lists})
        except ValidationError as error:
            raise UserError(f"this serkit does not support protocol '{self.name}': {first_problem(error)}") from None


class Machine(Record):
    """The machine of a run."""

    system: str
    processor: str
    cores: int | None


class Conditions(Record):
    """What the scores of a run depend on.

    Args:
        system: the rows of a sweep's grid; one row without a sweep.
        protocol: how the utterances were split.
        content: hash of the scored material, by corpus.
        material: hash of all training material.
        splits: hash of the folds.
        classes: class names; empty for numbers.
        seed: seed of the first repeat.
        threads: threads of each fold.
        command: command line of the request.
        created: time of the request.
        machine: the machine.
        versions: versions of libraries.
    """

    system: list[SystemRow] = Field([])
    protocol: NamedProtocol
    content: dict[str, str] = Field({})
    material: str | None = None
    splits: str | None = None
    classes: list[str] = Field([])
    seed: int = 0
    threads: int = 1
    command: str | None = None
    created: str = ""
    machine: Machine | None = None
    versions: dict[str, str] = Field({})

    @property
    def systems(self) -> list[System]:
        """The resolved rows of the grid; errors are those of `SystemRow.resolved`."""
        return [row.resolved() for row in self.system]


class Description(Conditions):
    """The content of `run.json`.

    Args:
        folders: folder of each scored corpus.
        also: folder of each corpus used for training only.
        readings: how corpora were read, for those with options of the user.
        skipped: reason for each recording left out, by path or id; None: the run is older.
        stages: folder of the stages, relative to the run's.
    """

    folders: dict[str, str]
    also: dict[str, str] = Field({})
    readings: dict[str, Reading] = Field({})
    skipped: dict[str, str] | None = None
    stages: str = "stages"

    @property
    def places(self) -> dict[str, str]:
        """The folders of all corpora."""
        return {**self.folders, **self.also}

    def reading(self, corpus: str) -> Reading:
        """Return how a corpus was read."""
        return self.readings.get(corpus, Reading())

    def differences(self, other: Description) -> list[str]:
        """Return the fields in which a run that resumes another one must not differ, but does."""
        here, there = ({**dict(one), **one._resolved()} for one in (self, other))
        return [key for key in here if key not in _MAY_DIFFER and here[key] != there[key]]

    def _resolved(self) -> Mapping[str, Any]:
        return {"system": self.systems, "protocol": (self.protocol.name, self.protocol.definition())}


class Recorded(Conditions):
    """The conditions in a card, without local paths.

    Args:
        also: names of corpora used for training only.
        skipped: number of recordings left out.
    """

    also: list[str] = Field([])
    skipped: int = 0


class FoldNote(Values):
    """The content of `folds/NAME.json`, with the first metric on the test part.

    Args:
        table: hash of the fold's predictions; None: the run is older than hashes.
        stage: folder of the scored stage.
        stages: folder of each stage, by name.
        chosen: the chosen row of the grid.
        validation: score of each row on the validation part.
        temperature: temperature fitted on the validation part.
    """

    table: str | None = None
    stage: str
    stages: dict[str, str] = Field({})
    chosen: int = 0
    validation: list[float] = Field([])
    temperature: float | None = None


class StageNote(Used):
    """The content of `stage.json`: the ids that a stage has used, and its training.

    Args:
        key: hash of everything that decides its weights.
        stage: its table.
        classes: class names by target; empty for a number.
        shapes: shapes of its own views, without the batch axis.
        sources: folder of the stage that each view reads.
        parameters: number of parameters.
        method: report of the method; its form depends on the method.
        epochs: number of finished epochs.
        seed: seed of the training.
        threads: number of threads.
        precision: precision of the training; None: the run is older.
        seconds: duration of the training.
        content: hash of the weights; None: the run is older.
    """

    key: str = ""
    stage: Stage
    classes: dict[str, list[str]] = Field({})
    shapes: dict[str, tuple[int | None, ...]] = Field({})
    sources: dict[str, str] = Field({})
    parameters: int
    method: dict[str, Any] = Field({})
    epochs: int
    seed: int = 0
    threads: int = 1
    precision: str | None = None
    seconds: float
    content: str | None = None


class Final(Shipping):
    """The content of `final.json`.

    Args:
        stage: folder of the final model's stage, relative to the run's.
        key: its key.
        row: its row of the grid.
        recordings: hashes of the recordings it learned from.
    """

    stage: str
    key: str = ""
    row: int = 0
    recordings: list[str]
