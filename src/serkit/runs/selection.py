"""Selection of the readable utterances that each stage learns from."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serkit import audio
from serkit.corpora.corpus import Corpus, Utterance
from serkit.data import items
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.flags import Flag
from serkit.runs.models import leaves, resolve
from serkit.systems.schema import Data, Stage, System


@dataclass(frozen=True)
class Recordings:
    """The readable content of corpora.

    Args:
        utterances: utterances whose recordings are readable and hold their interval and channels.
        hashes: content hashes by path.
        skipped: reason for each recording, by path, and each utterance, by id, that is left out.
    """

    utterances: Sequence[Utterance]
    hashes: Mapping[Path, str]
    skipped: Mapping[str, str]


def read(corpora: Sequence[Corpus], channels: Collection[str], store: Store) -> Recordings:
    """Hash every recording of corpora, and leave out unreadable ones.

    Args:
        corpora: corpora with the recordings.
        channels: further channels that are read if an utterance has them.
        store: store of the hashes.

    Raises:
        UserError: no recording is readable.
    """
    utterances = [utterance for corpus in corpora for utterance in corpus.utterances]

    def files(utterance: Utterance) -> list[Path]:
        used = [channel.path for name, channel in utterance.channels.items() if name in channels]
        return [utterance.path, *used]

    paths = [path for utterance in utterances for path in files(utterance)]
    hashes, failed = store.hashes(paths, os.cpu_count() or 1)
    skipped = {str(path): reason for path, reason in failed.items()}
    readable = [utterance for utterance in utterances if all(path in hashes for path in files(utterance))]
    infos: dict[Path, audio.Info] = {}
    reasons = {utterance.id: items.outside(utterance, channels, infos) for utterance in readable}
    skipped |= {id: f"{id}: {reason}" for id, reason in reasons.items() if reason}
    readable = [utterance for utterance in readable if not reasons[utterance.id]]
    if not readable:
        raise UserError(f"none of {len(utterances)} recordings can be read; the first: {next(iter(skipped.values()))}")
    return Recordings(readable, hashes, skipped)


def sources(stage: Stage, data: Data, corpora: Sequence[Corpus], also: Sequence[Corpus]) -> list[Corpus]:
    """Return the corpora that a stage learns from."""
    if data.corpora == "scored":
        return list(corpora)
    given = {corpus.name: corpus for corpus in (*corpora, *also)}
    if data.corpora == "all":
        return list(given.values())
    for name in data.corpora:
        if name not in given:
            raise UserError(
                f"stage '{stage.name}' learns from corpus '{name}', which is not among those given "
                f"({', '.join(given)}): --also {name}=FOLDER"
            )
    return [given[name] for name in dict.fromkeys(data.corpora)]


def choose(
    system: System, stage: Stage, utterances: Sequence[Utterance], corpora: Sequence[Corpus], shared: set[str] | None
) -> list[Utterance]:
    """Return the utterances that a stage learns from.

    Args:
        system: system with the data table.
        stage: stage of the system.
        utterances: readable utterances.
        corpora: corpora that the stage learns from.
        shared: the classes of the scored target that enough scored corpora have; None: all classes.
    """
    data = system.stage_data(stage)
    scored = system.stage_data(system.deployed).target[0]
    ids = {utterance.id for corpus in corpora for utterance in corpus.utterances}
    chosen = labelled([utterance for utterance in utterances if utterance.id in ids], data)
    if shared is not None and data.target[0] == scored:
        chosen = [utterance for utterance in chosen if utterance.targets.get(scored) in shared]
    return items.draw(chosen, data.target[0], data.sample, data.sample_seed)


def labelled(utterances: Sequence[Utterance], data: Data) -> list[Utterance]:
    """Return the utterances that a data table selects, with its labels."""
    if data.labels == "any":
        return items.select_any(utterances, data.target, data.classes, data.map, data.where)
    return items.select(utterances, data.target[0], data.classes, data.map, data.where)


def pool(utterances: Sequence[Utterance], data: Data) -> dict[str, Item]:
    """Return all windows of the utterances and their augmented copies, by id."""
    cut = [item for utterance in utterances for item in items.cut(utterance, data.items.windowing)]
    return {item.id: item for item in items.copies(cut, data.copies, seed=0)}


def settle_channels(system: System, utterances: Mapping[str, Sequence[Utterance]]) -> tuple[System, list[Flag]]:
    """Let views fall back to the speech if they may, when utterances lack their channel; return flags."""
    views, flags = dict(system.views), []
    for name, view in system.views.items():
        readers = [stage.name for stage in system.stages if name in leaves(system, resolve(system, stage.name))]
        heard = {utterance.id: utterance for stage in readers for utterance in utterances[stage]}
        missing = [id for id, utterance in heard.items() if view.channel and view.channel not in utterance.channels]
        if not missing:
            continue
        lack = f"{len(missing)} of {len(heard)} utterances have no channel '{view.channel}'"
        if view.fallback is None:
            there = ", ".join(["speech", *heard[missing[0]].channels])
            raise UserError(
                f"view '{name}': {lack} (first: '{missing[0]}', which has: {there}). Name corpora that "
                "have it, or let the view read the speech instead, with a flag: "
                f"--set views.{name}.fallback=speech"
            )
        views[name] = view.model_copy(update={"channel": None, "fallback": None})
        text = f"not {str(view.channel).upper()}: view '{name}' reads the speech, since {lack}"
        flags.append(Flag("channel", "note", text))
    return system.model_copy(update={"views": views}), flags
