"""Repeating a protocol card: the same recordings, folds and seeds are trained again, and every score compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serkit.corpora.corpus import Corpus
from serkit.errors import UserError
from serkit.protocols.splits import splits
from serkit.runs.card import Card
from serkit.runs.experiment import Experiment
from serkit.runs.request import Request
from serkit.runs.runner import folds_hash, run, versions

#: What has to be known of a run to make it again.
_NEEDED = ("system", "protocol", "content", "material", "also", "splits", "seed", "threads", "versions")

#: How many of the recordings that differ are named.
_SHOWN = 5


@dataclass(frozen=True)
class Repetition:
    """What came out.

    Args:
        scores: of the repetition, as in `scores.json`.
        compared: how many values were compared.
        differences: where they differ: name of the value, that of the card, that of the repetition.
    """

    scores: Mapping[str, Any]
    compared: int
    differences: Sequence[tuple[str, Any, Any]]


def repeat(
    path: Path,
    corpora: Sequence[Corpus],
    folder: Path,
    also: Sequence[Corpus] = (),
    jobs: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Repetition:
    """Train and score again what a card describes, or go on where that was interrupted.

    Args:
        path: of the card.
        corpora: those that it is scored on.
        folder: of the new run.
        also: corpora that it only learns from.
        jobs: folds trained at the same time; 0: as many as there are cores.
        report: receives a line for each step done.

    Raises:
        UserError: no card, or one that is not whole; other corpora or recordings than the card's; a finished run in
            `folder`, which would be compared without being trained.
    """
    card = Card.load(path)
    if missing := [key for key in _NEEDED if not isinstance(card.run, dict) or key not in card.run]:
        raise UserError(f"{path}: run.{missing[0]} is missing, without which it cannot be repeated")
    name = card.run["protocol"]["name"]
    for option, given, wanted in (("--corpus", corpora, card.run["content"]), ("--also", also, card.run["also"])):
        if {corpus.name for corpus in given} != set(wanted):
            received = ", ".join(corpus.name for corpus in given) or "none"
            raise UserError(
                f"{path}: the card's corpora are {', '.join(wanted) or 'none'} ({option}); received {received}"
            )
    if (folder / "scores.json").exists():
        raise UserError(f"{folder}: holds a finished run; a card is repeated in a new folder")
    try:
        protocol, systems = card.protocol(path.parent), card.systems
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(
            f"{path}: a system or protocol that this serkit does not know: {where}: {problem['msg']}"
        ) from None
    request = Request(
        systems,
        corpora,
        name,
        seed=card.run["seed"],
        final=False,
        jobs=jobs,
        threads=card.run["threads"],
        protocols={name: protocol},
        baseline="baseline" in card.scores,
        also=also,
    )
    experiment = request.prepare(systems[0])
    _check_content(path, card, experiment)
    parts = splits(protocol, experiment.scored, experiment.target, request.seed, name)
    if folds_hash(parts) != card.run["splits"]:
        raise UserError(f"{path}: its protocol does not give the same folds here; look at the versions in the card")
    for library, here in versions().items():
        if card.run["versions"].get(library, here) != here:
            report(f"{library} {here} here, {card.run['versions'][library]} in the card")
    scores = json.loads(json.dumps(run(request, folder, True, report=report)))
    pairs = list(_pairs(card.scores, scores))
    return Repetition(scores, len(pairs), [pair for pair in pairs if pair[1] != pair[2]])


def _check_content(path: Path, card: Card, experiment: Experiment) -> None:
    """Refuse other recordings, and say which differ."""
    content = {corpus: experiment.content(corpus) for corpus in card.run["content"]}
    if content == card.run["content"] and experiment.material == card.run["material"]:
        return
    if not card.recordings:
        changed = ", ".join(name for name in content if content[name] != card.run["content"][name])
        raise UserError(f"{path}: other recordings or labels than the card's ({changed or 'of those not scored'})")
    found = list(_changes(card.recordings, experiment.recordings))
    named = "; ".join(f"{id}: {what}" for id, what in found[:_SHOWN]) + ("; ..." if len(found) > _SHOWN else "")
    raise UserError(f"{path}: {len(found)} of the card's {len(card.recordings)} recordings differ here: {named}")


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield id and kind of change of each recording that is not as it was."""
    for id in sorted({*before, *now}):
        if id not in now:
            yield id, "missing, or cannot be read"
        elif id not in before:
            yield id, "not in the card"
        elif before[id] != now[id]:
            sounds = [fingerprint.partition(" ")[0] for fingerprint in (before[id], now[id])]
            yield id, "another sound" if sounds[0] != sounds[1] else "another label, speaker or interval"


def _pairs(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield dotted name and both values of every score of the card; what the repetition lacks is None there.

    Older cards hold fewer scores than are computed today: what they do not say cannot differ from them.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in before:
            yield from _pairs(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    else:
        yield name, before, now
