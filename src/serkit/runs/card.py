"""Protocol cards: a score and everything it depends on, in one file that is small enough to commit.

A run writes `card.json` next to its other files. The card holds the content of `run.json` without local paths, a
fingerprint of every recording, the cost of training, and the scores. The list of the folds is in `splits.json`; the
card holds its hash, and the settings that reproduce the folds. `serkit evaluate CARD` repeats the run (see
`serkit.runs.repetition`).
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

#: Increased when older cards can no longer be read.
FORMAT = 1

#: Keys of `run.json` with local paths or content of the run's folder.
_PLACES = ("folders", "readings", "skipped", "stages")


@dataclass(frozen=True)
class Card:
    """Description and scores of a run.

    Args:
        run: description of the run: `system` (each row of a sweep's grid, resolved), `protocol`, `content` (hash of the
            scored material, by corpus), `material` (hash of all training material), `also` (names of corpora used for
            training only), `splits` (hash of the folds), `classes`, `seed`, `threads`, `command`, `created`, `machine`,
            `versions`.
        scores: content of `scores.json`, with classes, flags, the number of configurations tried, and the rule by which
            one was chosen; scores of older cards are converted to this shape.
        recordings: fingerprint by id (see `Experiment.recordings`); empty for runs older than cards.
        cost: `parameters` and `macs` of the scored stage and the networks it reads; `seconds` of training for all
            folds.
        note: remark for readers, e.g. that the schedule is shorter than the paper's.
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
            UserError: the file does not exist or is not a card.
        """
        if not path.is_file():
            raise UserError(f"{path}: no such file; give the card.json of a run folder written by `serkit train`")
        found = read_json(path)
        if not is_card(found):
            raise UserError(f"{path}: is not a protocol card; give a card.json written by `serkit train`")
        if found["card"] != FORMAT:
            raise UserError(f"{path}: has format {found['card']}, but this serkit reads format {FORMAT}")
        for key in found:
            if key != "card" and key not in cls.__dataclass_fields__:
                raise UserError(f"{path}: {unknown('field', key, cls.__dataclass_fields__)}")
        fields = {key: value for key, value in found.items() if key != "card"}
        return cls(**{**fields, "scores": upgraded(found["scores"])})

    @classmethod
    def of(cls, folder: Path) -> Card:
        """Return the card of a finished run; without a card file, compose one without `recordings`.

        Raises:
            UserError: the folder does not hold a finished run.
        """
        if (folder / "card.json").exists():
            return cls.load(folder / "card.json")
        run = RunFolder.load(folder)
        return compose(run, [System.model_validate(row) for row in run.description["system"]])

    def save(self, path: Path) -> None:
        """Write the card as JSON."""
        write_json(path, {"card": FORMAT, **self.to_dict()})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the card."""
        return {
            "note": self.note,
            "run": self.run,
            "cost": self.cost,
            "scores": self.scores,
            "recordings": self.recordings,
        }

    @property
    def systems(self) -> list[System]:
        """The rows of the sweep's grid; one row without a sweep."""
        return [System.model_validate(row) for row in self.run["system"]]

    def lines(self) -> list[str]:
        """Return lines on what the scores depend on, besides what is printed with them."""
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
        """Return the protocol's definition; `folder` must hold the list of parts, if the protocol has one.

        Raises:
            UserError: the list is missing.
        """
        table = {key: value for key, value in self.run["protocol"].items() if key != "name"}
        if table.get("lists"):
            table["lists"] = folder / table["lists"]
            if not table["lists"].exists():
                raise UserError(f"{table['lists']}: missing; this file lists the card's folds; put it next to the card")
        return Protocol.model_validate(table)


def is_card(document: Any) -> bool:
    """Return whether a JSON document is a card."""
    return isinstance(document, dict) and {"card", "run", "scores"} <= document.keys()


def compose(run: RunFolder, grid: Sequence[System], recordings: Mapping[str, str] | None = None) -> Card:
    """Compose the card of a finished run.

    Args:
        run: the finished run.
        grid: the requested rows of its sweep.
        recordings: fingerprints by id.
    """
    from serkit.runs.sizes import size

    description = {key: value for key, value in run.description.items() if key not in _PLACES}
    # The used protocol has its own key; other definitions, and their lists, have no effect.
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
    """Return a command line with `CORPORA/NAME` in place of each corpus's folder, for publication.

    >>> placeless("serkit train is09-svm --corpus emodb=/data/emodb --also 'tess=/my data/t'")
    'serkit train is09-svm --corpus emodb=CORPORA/emodb --also tess=CORPORA/tess'
    """
    return re.sub(r"--(corpus|also) (?:'([\w-]+)=[^']*'|([\w-]+)=\S+)", _corpora_name, command)


def _corpora_name(found: re.Match[str]) -> str:
    name = found[2] or found[3]
    return f"--{found[1]} {name}=CORPORA/{name}"
