"""Repetition of a protocol card: train the same recordings, folds and seeds again, and compare every score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serkit.corpora.corpus import Corpus
from serkit.errors import UserError
from serkit.evaluation.scores import Scores
from serkit.protocols.splits import splits
from serkit.runs import runner
from serkit.runs.card import Card
from serkit.runs.experiment import Experiment
from serkit.runs.request import Request
from serkit.runs.runner import folds_hash, versions

#: Keys of a run that its repetition requires.
_NEEDED = ("system", "protocol", "content", "material", "also", "splits", "seed", "threads", "versions")

#: Maximum number of differing recordings in a message.
_SHOWN = 5


@dataclass(frozen=True)
class Repetition:
    """The result of a repetition.

    Args:
        scores: scores of the repetition.
        compared: number of compared values.
        differences: for each differing value its name, the card's value, and the repetition's value.
    """

    scores: Scores
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
    """Train and score a card's run again, or resume an interrupted repetition.

    Args:
        path: path of the card.
        corpora: scored corpora.
        folder: folder of the new run.
        also: corpora used for training only.
        jobs: number of folds trained at the same time; 0: the number of cores.
        report: called with a line after each step.

    Raises:
        UserError: the card is missing or incomplete, corpora or recordings differ from the card's, or `folder` holds a
            finished run, which would be compared without training.
    """
    card = Card.load(path)
    run = card.run
    if missing := [key for key in _NEEDED if key not in run.model_fields_set]:
        raise UserError(f"{path}: run.{missing[0]} is missing; the card cannot be repeated without it")
    for option, given, wanted in (("--corpus", corpora, list(run.content)), ("--also", also, run.also)):
        if {corpus.name for corpus in given} != set(wanted):
            received = ", ".join(corpus.name for corpus in given) or "none"
            raise UserError(
                f"{path}: the card's corpora are {', '.join(wanted) or 'none'} ({option}); received {received}"
            )
    if (folder / "scores.json").exists():
        raise UserError(f"{folder}: holds a finished run; choose a new folder for the repetition")
    try:
        protocol, systems = card.protocol(path.parent), run.systems
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    request = Request(
        systems,
        corpora,
        run.protocol.name,
        seed=run.seed,
        final=False,
        jobs=jobs,
        threads=run.threads,
        protocols={run.protocol.name: protocol},
        baseline=card.scores.baseline is not None,
        also=also,
    )
    experiment = request.prepare(systems[0])
    _check_content(path, card, experiment, corpora)
    parts = splits(protocol, experiment.scored, experiment.target, request.seed, run.protocol.name)
    if folds_hash(parts) != run.splits:
        raise UserError(f"{path}: its protocol yields other folds here; compare the versions in the card")
    for library, here in versions().items():
        if run.versions.get(library, here) != here:
            report(f"{library} {here} here, {run.versions[library]} in the card")
    scores = runner.run(request, folder, True, report=report)
    pairs = list(_pairs(card.scores.to_dict(), scores.to_dict()))
    return Repetition(scores, len(pairs), [pair for pair in pairs if pair[1] != pair[2]])


def _check_content(path: Path, card: Card, experiment: Experiment, corpora: Sequence[Corpus]) -> None:
    """Raise UserError if recordings differ from the card's, with their names."""
    content = {corpus.name: experiment.content(corpus) for corpus in corpora}
    if content == card.run.content and experiment.material == card.run.material:
        return
    if not card.recordings:
        changed = ", ".join(name for name in content if content[name] != card.run.content[name])
        raise UserError(
            f"{path}: recordings or labels differ from the card's ({changed or 'only those that are not scored'})"
        )
    found = list(_changes(card.recordings, experiment.recordings))
    named = "; ".join(f"{id}: {what}" for id, what in found[:_SHOWN]) + ("; ..." if len(found) > _SHOWN else "")
    raise UserError(f"{path}: {len(found)} of the card's {len(card.recordings)} recordings differ here: {named}")


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield id and kind of change of each recording that differs."""
    for id in sorted({*before, *now}):
        if id not in now:
            yield id, "missing or unreadable"
        elif id not in before:
            yield id, "not in the card"
        elif before[id] != now[id]:
            sounds = [fingerprint.partition(" ")[0] for fingerprint in (before[id], now[id])]
            yield id, "another sound" if sounds[0] != sounds[1] else "another label, speaker or interval"


def _pairs(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield dotted name and both values of every score of the card; a score that the repetition lacks is None.

    Older cards hold fewer scores; only the scores in the card are compared.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in before:
            yield from _pairs(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    else:
        yield name, before, now
