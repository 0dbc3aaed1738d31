"""Protocol cards: a score and everything it depends on, in one file that is small enough to commit.

A run writes `card.json` next to its other files. The card holds the content of `run.json` without local paths, a
fingerprint of every recording, the cost of training, and the scores. The list of the folds is in `splits.json`; the
card holds its hash, and the settings that reproduce the folds. `serkit evaluate CARD` repeats the run (see
`serkit.runs.repetition`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field

from serkit.documents import read_json
from serkit.errors import UserError, unknown
from serkit.evaluation.scores import Scores
from serkit.protocols import Protocol
from serkit.records import Record
from serkit.runs.command import command
from serkit.runs.files import Recorded, SystemRow
from serkit.runs.folder import RunFolder

#: Increased when older cards can no longer be read.
FORMAT: Literal[1] = 1


class Card(Record):
    """Description and scores of a run.

    Args:
        card: format of the card.
        note: remark for readers, e.g. that the schedule is shorter than the paper's.
        run: what the scores depend on.
        cost: `parameters` and `macs` of the scored stage and the networks it reads; `seconds` of training for all
            folds.
        seconds: training time in s of each stage, summed over the folds; empty for older runs.
        scores: content of `scores.json`.
        recordings: fingerprint by id (see `Experiment.recordings`); empty for runs older than cards.
    """

    model_config = ConfigDict(extra="forbid")

    card: Literal[1] = FORMAT
    note: str = ""
    run: Recorded
    cost: dict[str, int | float] = Field({})
    seconds: dict[str, float] = Field({})
    scores: Scores
    recordings: dict[str, str] = Field({})

    @classmethod
    def load(cls, path: Path) -> Self:
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
            if key not in cls.model_fields:
                raise UserError(f"{path}: {unknown('field', key, cls.model_fields)}")
        return cls.parse(found, path)

    @classmethod
    def of(cls, folder: Path) -> Card:
        """Return the card of a finished run; without a card file, compose one without `recordings`.

        Raises:
            UserError: the folder does not hold a finished run.
        """
        if (folder / "card.json").exists():
            return cls.load(folder / "card.json")
        run = RunFolder.load(folder)
        return compose(run, run.description.system)

    def __repr__(self) -> str:
        return f"Card({', '.join(self.run.content)}; {self.scores!r})"

    def lines(self) -> list[str]:
        """Return lines on what the scores depend on, besides what is printed with them."""
        run, scores = self.run, self.scores
        content = ", ".join(f"{corpus} {content}" for corpus, content in run.content.items())
        libraries = ", ".join(f"{name} {version}" for name, version in run.versions.items())
        return [
            f"classes: {', '.join(run.classes)}",
            f"content: {content}",
            f"folds: {scores.folds}, hash {run.splits}; seeds: {', '.join(scores.seeds.each)}; threads: {run.threads}",
            *([f"precision: {', '.join(scores.precision)}"] if scores.precision else []),
            f"versions: {libraries}",
        ]

    def protocol(self, folder: Path) -> Protocol:
        """Return the protocol's definition; `folder` must hold the list of parts, if the protocol has one.

        Raises:
            UserError: the list is missing.
        """
        name = self.run.protocol.lists
        lists = folder / name if name else None
        if lists and not lists.exists():
            raise UserError(f"{lists}: missing; this file lists the card's folds; put it next to the card")
        return self.run.protocol.definition(lists)


def is_card(document: Any) -> bool:
    """Return whether a JSON document is a card."""
    return isinstance(document, dict) and {"card", "run", "scores"} <= document.keys()


def compose(run: RunFolder, grid: Sequence[SystemRow], recordings: Mapping[str, str] | None = None) -> Card:
    """Compose the card of a finished run.

    Args:
        run: the finished run.
        grid: the requested rows of its sweep.
        recordings: fingerprints by id.
    """
    from serkit.runs.sizes import size

    description, first = run.description, run.system.resolved()
    protocol, machine = description.protocol, description.machine
    # Without local paths. The used protocol has its own field; other definitions, and their lists, have no effect.
    places = {
        "system": [row.model_copy(update={"protocols": {}}) for row in grid],
        "protocol": protocol.model_copy(update={"lists": Path(protocol.lists).name if protocol.lists else None}),
        "also": sorted(description.also),
        "skipped": len(description.skipped or ()),
        "machine": machine and machine.model_copy(update={"system": machine.system.partition("-")[0]}),
        "command": placeless(command(description).text),
    }
    cost = {**size(first, first.deployed.name, len(run.scores.classes), whole=True), "seconds": run.seconds}
    return Card(
        card=FORMAT,
        note="",
        run=Recorded(**{key: value for key, value in description if key in Recorded.model_fields} | places),
        cost=cost,
        seconds=run.stage_seconds,
        scores=run.scores,
        recordings=dict(recordings or {}),
    )


def placeless(command: str) -> str:
    """Return a command line with `CORPORA/NAME` in place of each corpus's folder, for publication.

    >>> placeless("serkit train is09-svm --corpus emodb=/data/emodb --also 'tess=/my data/t'")
    'serkit train is09-svm --corpus emodb=CORPORA/emodb --also tess=CORPORA/tess'
    """
    return re.sub(r"--(corpus|also) (?:'([\w-]+)=[^']*'|([\w-]+)=\S+)", _corpora_name, command)


def _corpora_name(found: re.Match[str]) -> str:
    name = found[2] or found[3]
    return f"--{found[1]} {name}=CORPORA/{name}"
