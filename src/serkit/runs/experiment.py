"""A system applied to corpora: which utterances each stage may use, their classes, their content hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from serkit import audio, methods
from serkit.audit import doubts
from serkit.audit.audit import heard
from serkit.corpora.corpus import Corpus, Utterance
from serkit.data import items
from serkit.data.items import Item
from serkit.data.store import Store, digest
from serkit.errors import UserError, unknown
from serkit.flags import Flag
from serkit.protocols import STANDARD, Protocol
from serkit.protocols.requirements import group_key
from serkit.protocols.splits import Split
from serkit.systems.schema import Data, Stage, System
from serkit.windowing import Windowing


@dataclass(frozen=True)
class Experiment:
    """A system and everything it may learn from. Picklable: folds run in processes of their own.

    Args:
        system: the resolved system.
        protocol: how the scored utterances are cut.
        scored: the utterances the protocol cuts and the scores are about: the deployed stage's with its target, but
            for those of corpora that are only learned from.
        utterances: by stage name, those with the stage's target, renamed and selected.
        classes: by stage name and target, the class names, sorted; of all parts, so that every fold has
            the same outputs. None where the stage's method learns numbers.
        hashes: content hash by path.
        store: where features are kept.
        skipped: recordings that could not be read, by path, and utterances whose interval or channel is not in theirs,
            by id, each with the reason.
        pieces: under a protocol that cuts items (`unit = "item"`), the item of each id: windows and augmented
            copies are pooled and stand as utterances of their own. Empty otherwise.
        flags: what has to be known of every score, e.g. that a view fell back on the speech.
    """

    system: System
    protocol: Protocol
    scored: Sequence[Utterance]
    utterances: Mapping[str, Sequence[Utterance]]
    classes: Mapping[str, Mapping[str, Sequence[str]]]
    hashes: Mapping[Path, str]
    store: Store
    skipped: Mapping[str, str]
    pieces: Mapping[str, Item] = field(default_factory=dict)
    flags: Sequence[Flag] = ()

    @property
    def target(self) -> str:
        """The target that is scored: the deployed stage's first."""
        return self.system.stage_data(self.system.deployed).target[0]

    @property
    def labels(self) -> Sequence[str]:
        """Class names of the scored target; none if it is a number."""
        return self.classes[self.system.deployed.name][self.target]

    @property
    def numbers(self) -> Sequence[str]:
        """The scored targets if they are numbers: all that the deployed stage learns."""
        return [target for target, names in self.classes[self.system.deployed.name].items() if not names]

    def cut(self, utterance: Utterance, windowing: Windowing) -> list[Item]:
        """Return an utterance's items; what stands for an item is not cut again."""
        return [self.pieces[utterance.id]] if utterance.id in self.pieces else items.cut(utterance, windowing)

    def hash_of(self, utterance: Utterance) -> str:
        """Return the content hash of an utterance's file."""
        return self.hashes[utterance.path]

    def content(self, corpus: str) -> str:
        """Hash the recordings, intervals and labels of a corpus that are scored, whatever their place on disk."""
        rows = [
            [
                utterance.id,
                self.hashes[utterance.path],
                utterance.start,
                utterance.end,
                [utterance.targets.get(target) for target in self.numbers] or utterance.targets[self.target],
            ]
            for utterance in self.scored
            if utterance.corpus == corpus
        ]
        return digest(sorted(rows, key=lambda row: str(row[0])))

    @property
    def material(self) -> str:
        """Hash everything that any stage may learn from, whatever its place on disk."""
        rows = [
            [
                stage,
                utterance.id,
                utterance.speaker,
                self._sound(utterance),
                self._channels(utterance),
                sorted(utterance.targets.items()),
            ]
            for stage, chosen in self.utterances.items()
            for utterance in chosen
        ]
        return digest(sorted(rows, key=lambda row: row[:2]))

    @property
    def recordings(self) -> dict[str, str]:
        """Fingerprint of each utterance a stage may learn from, by id.

        Two words of 8 digits: a hash of the files' sound, and one of what else counts: interval, speaker and labels.
        """
        sounds: dict[str, Any] = {}
        rest: dict[str, list[Any]] = {}
        for stage, chosen in self.utterances.items():
            for utterance in chosen:
                name = self.pieces[utterance.id].utterance.id if utterance.id in self.pieces else utterance.id
                files, *place = self._sound(utterance)
                sounds[name] = [files, self._channels(utterance)]
                labels = [stage, utterance.speaker, place, sorted(utterance.targets.items())]
                # The pieces of an utterance are alike in this.
                rest[name] = [*(other for other in rest.get(name, []) if other != labels), labels]
        return {name: f"{digest(sound)[:8]} {digest(rest[name])[:8]}" for name, sound in sorted(sounds.items())}

    def _sound(self, utterance: Utterance) -> list[Any]:
        return [self.hashes[utterance.path], utterance.index, utterance.start, utterance.end]

    def _channels(self, utterance: Utterance) -> list[list[Any]]:
        """Return what is heard of an utterance's further channels."""
        used = {view.channel for view in self.system.views.values()}
        return [
            [name, self.hashes[channel.path], channel.index, channel.start]
            for name, channel in sorted(utterance.channels.items())
            if name in used
        ]

    def parts(self, stage: Stage, split: Split) -> tuple[list[Utterance], list[Utterance]]:
        """Return a stage's training and validation utterances under a split.

        No stage sees the test part: not its utterances, and nothing else of its groups either (an utterance
        of a test speaker that the scored selection leaves out, say). What a list of parts leaves out on
        purpose, no stage sees. A stage with a validation share of its own holds it out of its training part, and has
        nothing to do with the split's validation part.
        """
        places: dict[str, str] = {}
        # Last: where a protocol validates on the test part, it is not hidden from validation.
        for part in ("train", "test", "validation"):
            places |= dict.fromkeys(getattr(split, part), part)
        around: dict[str, set[str]] = {}
        for utterance in self.scored:
            key = group_key(utterance, self.protocol.group)
            if key is not None:
                around.setdefault(key, set()).add(places.setdefault(utterance.id, "unused"))
        # Of a group that the protocol cuts through, what is not scored may be learned from.
        groups = {key: found.pop() for key, found in around.items() if len(found) == 1}
        training, validation = [], []
        for utterance in self.utterances[stage.name]:
            group = group_key(utterance, self.protocol.group) or ""
            place = places.get(utterance.id) or groups.get(group, "train")
            if place == "train":
                training.append(utterance)
            elif place == "validation":
                validation.append(utterance)
        data = self.system.stage_data(stage)
        if data.validation is None:
            return training, validation
        held = _draw(training, data.target[0], data.validation, [split.seed, split.fold])
        if len(held) >= len(training):
            raise UserError(
                f"stage '{stage.name}': validation = {data.validation:g} of {len(training)} utterances leaves none "
                "to learn from"
            )
        return [u for u in training if u.id not in held], [u for u in training if u.id in held]


def prepare(
    system: System,
    corpora: Sequence[Corpus],
    protocol: str,
    store: Store,
    jobs: int = 1,
    definitions: Mapping[str, Protocol] | None = None,
    also: Sequence[Corpus] = (),
) -> Experiment:
    """Select the utterances of every stage and read every recording once.

    Args:
        system: what is to be trained.
        corpora: what it learns from and is scored on; several are merged.
        protocol: name of one of the system's protocols or of a standard one.
        store: where features are kept.
        jobs: threads that read.
        definitions: further protocols by name.
        also: corpora that are learned from, by the stages whose `data.corpora` asks for them, and not scored.

    Raises:
        UserError: unknown protocol; a stage without utterances or with a single class; two corpora of one
            name; a corpus that a stage asks for and that is not given; no readable recording; a channel that
            utterances do not have.
    """
    protocols = {**STANDARD, **(definitions or {}), **system.protocols}
    if protocol not in protocols:
        raise unknown("protocol", protocol, protocols)
    names = [corpus.name for corpus in (*corpora, *also)]
    if len(set(names)) < len(names):
        raise UserError(f"a corpus is given twice: {', '.join(names)}")
    tables = [system.stage_data(stage) for stage in system.stages]
    sources = [_sources(stage, data, corpora, also) for stage, data in zip(system.stages, tables, strict=True)]
    wanted = [corpus for corpus in (*corpora, *also) if any(corpus in chosen for chosen in sources)]
    everything = [utterance for corpus in wanted for utterance in corpus.utterances]
    channels = {view.channel for view in system.views.values() if view.channel}

    def files(utterance: Utterance) -> list[Path]:
        used = [channel.path for name, channel in utterance.channels.items() if name in channels]
        return [utterance.path, *used]

    hashes, failed = store.hashes([path for utterance in everything for path in files(utterance)], jobs)
    skipped = {str(path): reason for path, reason in failed.items()}
    readable = [utterance for utterance in everything if all(path in hashes for path in files(utterance))]
    infos: dict[Path, audio.Info] = {}
    reasons = {utterance.id: items.outside(utterance, channels, infos) for utterance in readable}
    skipped |= {id: f"{id}: {reason}" for id, reason in reasons.items() if reason}
    readable = [utterance for utterance in readable if not reasons[utterance.id]]
    if not readable:
        raise UserError(f"none of {len(everything)} recordings can be read; the first: {next(iter(skipped.values()))}")

    cuts_items = protocols[protocol].unit == "item"
    if cuts_items and any((table.items, table.copies) != (tables[0].items, tables[0].copies) for table in tables):
        # Otherwise an earlier stage could learn from what is another stage's test item.
        raise UserError(f"protocol '{protocol}' cuts items: every stage needs the same data.items and data.copies")
    utterances: dict[str, Sequence[Utterance]] = {}
    classes: dict[str, dict[str, list[str]]] = {}
    pieces: dict[str, Item] = {}
    said: list[Flag] = []
    scored_target, shared = system.stage_data(system.deployed).target[0], None
    if protocols[protocol].classes == "shared":
        shared, said = _shared_classes(system, readable, [corpus.name for corpus in corpora])
    given = {utterance.id for corpus in corpora for utterance in corpus.utterances}
    for stage, data, own in zip(system.stages, tables, sources, strict=True):
        ids = {utterance.id for corpus in own for utterance in corpus.utterances}
        chosen = _select([utterance for utterance in readable if utterance.id in ids], data)
        if shared is not None and data.target[0] == scored_target:
            chosen = [utterance for utterance in chosen if utterance.targets.get(scored_target) in shared]
        chosen = items.draw(chosen, data.target[0], data.sample, data.sample_seed)
        if stage == system.deployed:
            said += _contradictions(chosen, data.target[0], hashes)
            scored = {u.id for u in chosen if u.id in given and items.label(u, data.target[0]) is not None}
        if cuts_items:
            pooled = _pool(chosen, data)
            pieces |= pooled
            chosen = [replace(item.utterance, id=name) for name, item in pooled.items()]
        utterances[stage.name] = chosen
        classes[stage.name] = {}
        for target in data.target:
            values = [value for u in chosen if (value := items.label(u, target)) is not None]
            if not values and data.labels == "any":
                text = f"stage '{stage.name}' learns no {target}: no utterance has it"
                said.append(Flag("target", "caution", text))
                continue
            if target == data.target[0]:
                _check_kind(stage, target, values)
            classes[stage.name][target] = _classes(stage, target, values)
    system, flags = _settle_channels(system, utterances)
    tested = [
        u for u in utterances[system.deployed.name] if (pieces[u.id].utterance if u.id in pieces else u).id in scored
    ]
    return Experiment(
        system, protocols[protocol], tested, utterances, classes, hashes, store, skipped, pieces, [*flags, *said]
    )


def _contradictions(utterances: Sequence[Utterance], target: str, hashes: Mapping[Path, str]) -> list[Flag]:
    """Return a flag if bit-identical recordings have different classes."""
    values = {utterance.id: items.label(utterance, target) for utterance in utterances}
    labels = {id: [value] for id, value in values.items() if isinstance(value, str)}
    by_id = {utterance.id: hashes[utterance.path] for utterance in utterances}
    groups = doubts.contradictions(labels, {utterance.id: heard(utterance, by_id) for utterance in utterances})
    if not groups:
        return []
    text = doubts.tell_contradictions(doubts.name_contradictions(groups, labels))
    return [Flag("contradiction", "caution", text)]


def _sources(stage: Stage, data: Data, corpora: Sequence[Corpus], also: Sequence[Corpus]) -> list[Corpus]:
    """Return the corpora a stage learns from."""
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


def _select(utterances: Sequence[Utterance], data: Data) -> list[Utterance]:
    """Return what a data table chooses, with its labels."""
    if data.labels == "any":
        return items.select_any(utterances, data.target, data.classes, data.map, data.where)
    return items.select(utterances, data.target[0], data.classes, data.map, data.where)


def _check_kind(stage: Stage, target: str, labels: Sequence[str | float]) -> None:
    """Refuse texts where a stage learns numbers, and numbers where it learns classes; whole ones may be classes."""
    method = stage.method.name
    learns = f"stage '{stage.name}': method '{method}' learns"
    if methods.method_class(method).numbers:
        text = next((label for label in labels if isinstance(label, str)), None)
        if text is not None:
            raise UserError(f"{learns} numbers, but target '{target}' holds '{text}'")
        return
    fraction = next((label for label in labels if isinstance(label, float) and not label.is_integer()), None)
    if fraction is not None:
        raise UserError(
            f"{learns} classes, but target '{target}' holds {fraction:g}; to learn numbers: "
            f"--set stages.{stage.name}.method=regression"
        )


def _classes(stage: Stage, target: str, labels: Sequence[str | float]) -> list[str]:
    """Return the classes among a target's labels, sorted; none if the stage learns numbers.

    Raises:
        UserError: a single class or number.
    """
    found = sorted({str(label) for label in labels})
    if methods.method_class(stage.method.name).numbers:
        if len(found) < 2:
            raise UserError(f"stage '{stage.name}': '{target}' is {', '.join(found) or 'missing'} for all utterances")
        return []
    if len(found) < 2:
        raise UserError(
            f"stage '{stage.name}': only one class of '{target}' is left ({', '.join(found) or 'none'}); "
            "a classifier needs two. Look at the labels, data.map and data.classes"
        )
    return found


def _shared_classes(
    system: System, utterances: Sequence[Utterance], corpora: Sequence[str]
) -> tuple[set[str], list[Flag]]:
    """Return the classes of the scored target that each of some corpora has, and a flag if that leaves any out.

    Raises:
        UserError: fewer than two are left.
    """
    data = system.stage_data(system.deployed)
    found: dict[str, set[str]] = {name: set() for name in corpora}
    for utterance in _select([utterance for utterance in utterances if utterance.corpus in found], data):
        found[utterance.corpus].add(str(items.label(utterance, data.target[0])))
    shared = set.intersection(*found.values())
    if len(shared) < 2:
        lists = "; ".join(f"{name}: {', '.join(sorted(classes)) or 'none'}" for name, classes in found.items())
        raise UserError(
            f"classes of '{data.target[0]}' that every corpus has: {', '.join(shared) or 'none'}; two are needed. "
            f"Rename some with data.map, or leave a corpus out ({lists})"
        )
    others = sorted(set.union(*found.values()) - shared)
    if not others:
        return shared, []
    named = [f"{label} ({', '.join(name for name in found if label in found[name])})" for label in others]
    text = f"classes left out, since not every corpus has them: {', '.join(named)}"
    return shared, [Flag("left out", "note", text)]


def _draw(utterances: Sequence[Utterance], target: str, share: float, seed: Sequence[int]) -> set[str]:
    """Return the ids of a share of the utterances, at least one: drawn at random, the same share of each class.

    The labels of `target` are classes; numbers are one class.
    """
    generator = np.random.default_rng(seed)
    by_class: dict[str, list[str]] = {}
    for utterance in sorted(utterances, key=lambda utterance: utterance.id):
        value = items.label(utterance, target)
        by_class.setdefault(value if isinstance(value, str) else "", []).append(utterance.id)
    places: dict[str, float] = {}
    for _, ids in sorted(by_class.items()):
        # A class is spread evenly over 0 to 1, in random order: a share of that holds the same share of every class.
        spread = (generator.permutation(len(ids)) + generator.random()) / len(ids)
        places |= dict(zip(ids, spread.tolist(), strict=True))
    count = max(1, round(share * len(places)))
    return set(sorted(places, key=lambda id: (places[id], id))[:count])


def _settle_channels(system: System, utterances: Mapping[str, Sequence[Utterance]]) -> tuple[System, list[Flag]]:
    """Turn views whose channel not all utterances have to the speech if they may fall back, and say so."""
    from serkit.runs.models import leaves, resolve

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
                "have it, or let the view read the speech instead, which is flagged: "
                f"--set views.{name}.fallback=speech"
            )
        views[name] = view.model_copy(update={"channel": None, "fallback": None})
        text = f"not {str(view.channel).upper()}: view '{name}' reads the speech, since {lack}"
        flags.append(Flag("channel", "note", text))
    return system.model_copy(update={"views": views}), flags


def _pool(utterances: Sequence[Utterance], data: Data) -> dict[str, Item]:
    """Return all windows of the utterances and their augmented copies, by id."""
    cut = [item for utterance in utterances for item in items.cut(utterance, data.items.windowing)]
    return {item.id: item for item in items.copies(cut, data.copies, seed=0)}
