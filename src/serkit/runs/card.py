"""Protocol cards: all that a score depends on, and the score, in one file small enough to be committed.

A run writes `card.json` beside its other files. It holds what `run.json` says but for the places on this machine,
a fingerprint of every recording, what training took, and the scores. The list of the folds is in `splits.json`; the
card has their hash, and what makes them again. `serkit evaluate CARD` repeats it (see `serkit.runs.repetition`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serkit.atomic import write_json
from serkit.documents import read_json
from serkit.errors import UserError, unknown
from serkit.evaluation.scores import upgraded
from serkit.protocols import Protocol
from serkit.runs.command import command
from serkit.runs.folder import RunFolder
from serkit.systems.schema import System

#: Raised when older cards can no longer be read.
FORMAT = 1

#: What `run.json` says of places on a machine, and of the run's own folder.
_PLACES = ("folders", "skipped", "stages")


@dataclass(frozen=True)
class Card:
    """What a run did and what came out.

    Args:
        run: what was asked for: `system` (each row of a sweep's grid, resolved), `protocol`, `content` (hash of what
            is scored, by corpus), `material` (hash of all that is learned from), `also` (names of corpora that are only
            learned from), `splits` (hash of the folds), `classes`, `seed`, `threads`, `command`, `created`, `machine`,
            `versions`.
        scores: content of `scores.json`, of older cards in today's shape: with classes, flags, how many configurations
            were tried and by what one was chosen.
        recordings: fingerprint by id (see `Experiment.recordings`); empty for runs of before there were cards.
        cost: `parameters` and `macs` of the scored stage and the networks it reads; `seconds` of training the folds.
        note: what its readers have to know, e.g. that the schedule is shorter than the paper's.
    """

    run: Mapping[str, Any]
    scores: Mapping[str, Any]
    recordings: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def load(cls, path: Path) -> Card:
        """Read a card.

        Raises:
            UserError: no such file, or no card.
        """
        if not path.is_file():
            raise UserError(f"{path}: no such file; give a card, as `serkit train` writes it into the run's folder")
        found = read_json(path)
        if not is_card(found):
            raise UserError(f"{path}: not a protocol card, which `serkit train` writes as card.json")
        if found["card"] != FORMAT:
            raise UserError(f"{path}: a card of format {found['card']}; this serkit reads format {FORMAT}")
        for key in found:
            if key != "card" and key not in cls.__dataclass_fields__:
                raise UserError(f"{path}: {unknown('field', key, cls.__dataclass_fields__)}")
        fields = {key: value for key, value in found.items() if key != "card"}
        return cls(**{**fields, "scores": upgraded(found["scores"])})

    @classmethod
    def of(cls, folder: Path) -> Card:
        """Return the card of a finished run; it is composed if the run has none, which then lacks `recordings`.

        Raises:
            UserError: the folder holds no finished run.
        """
        if (folder / "card.json").exists():
            return cls.load(folder / "card.json")
        run = RunFolder.load(folder)
        return compose(run, [System.model_validate(row) for row in run.description["system"]])

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, {"card": FORMAT, **self.to_dict()})

    def to_dict(self) -> dict[str, Any]:
        """Return its fields."""
        return {
            "note": self.note,
            "run": self.run,
            "cost": self.cost,
            "scores": self.scores,
            "recordings": self.recordings,
        }

    @property
    def systems(self) -> list[System]:
        """The rows of the sweep's grid; one without a sweep."""
        return [System.model_validate(row) for row in self.run["system"]]

    def lines(self) -> list[str]:
        """Say what the scores depend on, besides what is printed with them."""
        run, scores = self.run, self.scores
        folds = f"{scores['folds']}, hash {run['splits']}"
        content = ", ".join(f"{corpus} {content}" for corpus, content in run["content"].items())
        libraries = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        return [
            f"classes: {', '.join(run['classes'])}",
            f"content: {content}",
            f"folds: {folds}; seeds: {', '.join(scores['seeds']['each'])}; threads: {run['threads']}",
            *([f"precision: {', '.join(scores['precision'])}"] if "precision" in scores else []),
            f"versions: {libraries}",
        ]

    def protocol(self, folder: Path) -> Protocol:
        """Return the protocol's definition; a list of parts that it names is looked for in `folder`.

        Raises:
            UserError: the list is not there.
        """
        table = {key: value for key, value in self.run["protocol"].items() if key != "name"}
        if table.get("lists"):
            table["lists"] = folder / table["lists"]
            if not table["lists"].exists():
                raise UserError(f"{table['lists']}: missing; the card's folds are listed in it: put it beside the card")
        return Protocol.model_validate(table)


def is_card(document: Any) -> bool:
    """Tell whether a JSON document is a card."""
    return isinstance(document, dict) and {"card", "run", "scores"} <= document.keys()


def compose(run: RunFolder, grid: Sequence[System], recordings: Mapping[str, str] | None = None) -> Card:
    """Make a card of a finished run.

    Args:
        run: the run.
        grid: the rows of its sweep as they were asked for.
        recordings: fingerprints by id.
    """
    from serkit.runs.sizes import size

    description = {key: value for key, value in run.description.items() if key not in _PLACES}
    # The protocol that was used stands beside; other definitions, and their lists, decide nothing.
    description["system"] = [{**row.model_dump(mode="json"), "protocols": {}} for row in grid]
    protocol = run.description["protocol"]
    description["protocol"] = {**protocol, "lists": protocol.get("lists") and Path(protocol["lists"]).name}
    description["also"] = sorted(run.description.get("also", {}))
    description["skipped"] = len(run.description.get("skipped", {}))
    machine = run.description["machine"]
    description["machine"] = {**machine, "system": machine["system"].partition("-")[0]}
    description["command"] = placeless(command(run.description).text)
    first = System.model_validate(run.system)
    cost = {**size(first, first.deployed.name, len(run.scores["classes"]), whole=True), "seconds": run.seconds}
    return Card(description, run.scores, recordings or {}, cost)


def placeless(command: str) -> str:
    """Return a command line with `CORPORA/NAME` in place of each corpus's folder, fit to be shown to others.

    >>> placeless("serkit train is09-svm --corpus emodb=/data/emodb --also 'tess=/my data/t'")
    'serkit train is09-svm --corpus emodb=CORPORA/emodb --also tess=CORPORA/tess'
    """
    return re.sub(r"--(corpus|also) (?:'([\w-]+)=[^']*'|([\w-]+)=\S+)", _corpora_name, command)


def _corpora_name(found: re.Match[str]) -> str:
    name = found[2] or found[3]
    return f"--{found[1]} {name}=CORPORA/{name}"
