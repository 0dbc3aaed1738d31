"""A system applied to corpora: the utterances of each stage, their classes, and their content hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from serkit.corpora.corpus import Corpus, Utterance
from serkit.data import items
from serkit.data.items import Item
from serkit.data.store import Store, digest
from serkit.errors import UserError
from serkit.flags import Flag
from serkit.protocols import Protocol
from serkit.protocols.requirements import group_key
from serkit.protocols.splits import Split
from serkit.systems.schema import Stage, System
from serkit.windowing import Windowing


@dataclass(frozen=True)
class Experiment:
    """A system and everything it may learn from. Picklable, because folds run in separate processes.

    Args:
        system: the resolved system.
        protocol: how the scored utterances are split.
        scored: the utterances that the protocol splits and that are scored: those of the deployed stage with its
            target, without the corpora used for training only.
        utterances: by stage name, the selected utterances with the stage's target, with renamed labels.
        classes: by stage name and target, the sorted class names of all parts, so that every fold has the same outputs;
            None if the stage's method learns numbers.
        hashes: content hashes by path.
        store: store of features.
        skipped: reason for each unreadable recording, by path, and for each utterance whose interval or channel is not
            in its recording, by id.
        pieces: under a protocol that splits items (`unit = "item"`), the item of each id; windows and augmented copies
            are then pooled as separate utterances. Empty otherwise.
        flags: flags of every score, e.g. that a view fell back to the speech.
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
        """The scored target: the first target of the deployed stage."""
        return self.system.stage_data(self.system.deployed).target[0]

    @property
    def labels(self) -> Sequence[str]:
        """Class names of the scored target; empty if it is a number."""
        return self.classes[self.system.deployed.name][self.target]

    @property
    def numbers(self) -> Sequence[str]:
        """The scored targets if they are numbers: all targets of the deployed stage."""
        return [target for target, names in self.classes[self.system.deployed.name].items() if not names]

    def cut(self, utterance: Utterance, windowing: Windowing) -> list[Item]:
        """Return the items of an utterance; a piece or a copy is not cut again."""
        return [self.pieces[utterance.id]] if utterance.id in self.pieces else items.cut(utterance, windowing)

    def hash_of(self, utterance: Utterance) -> str:
        """Return the content hash of an utterance's file."""
        return self.hashes[utterance.path]

    def content(self, corpus: Corpus) -> str:
        """Hash the scored recordings, intervals and labels of a corpus; paths have no effect."""
        names = set(corpus.names)
        rows = [
            [
                utterance.id,
                self.hashes[utterance.path],
                utterance.start,
                utterance.end,
                [utterance.targets.get(target) for target in self.numbers] or utterance.targets[self.target],
            ]
            for utterance in self.scored
            if utterance.corpus in names
        ]
        return digest(sorted(rows, key=lambda row: str(row[0])))

    @property
    def material(self) -> str:
        """Hash everything that any stage may learn from; paths have no effect."""
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
        """Return the fingerprint of each utterance that a stage may learn from, by id.

        A fingerprint is two words of 8 digits: a hash of the files' sound, and a hash of interval, speaker and labels.
        """
        sounds: dict[str, Any] = {}
        rest: dict[str, list[Any]] = {}
        for stage, chosen in self.utterances.items():
            for utterance in chosen:
                name = self.pieces[utterance.id].utterance.id if utterance.id in self.pieces else utterance.id
                files, *place = self._sound(utterance)
                sounds[name] = [files, self._channels(utterance)]
                labels = [stage, utterance.speaker, place, sorted(utterance.targets.items())]
                # All pieces of an utterance have the same fingerprint.
                rest[name] = [*(other for other in rest.get(name, []) if other != labels), labels]
        return {name: f"{digest(sound)[:8]} {digest(rest[name])[:8]}" for name, sound in sorted(sounds.items())}

    def _sound(self, utterance: Utterance) -> list[Any]:
        return [self.hashes[utterance.path], utterance.index, utterance.start, utterance.end]

    def _channels(self, utterance: Utterance) -> list[list[Any]]:
        """Return the content of an utterance's further channels."""
        used = {view.channel for view in self.system.views.values()}
        return [
            [name, self.hashes[channel.path], channel.index, channel.start]
            for name, channel in sorted(utterance.channels.items())
            if name in used
        ]

    def parts(self, stage: Stage, split: Split) -> tuple[list[Utterance], list[Utterance]]:
        """Return a stage's training and validation utterances under a split.

        No stage sees the test part: neither its utterances nor other utterances of its groups, e.g. an utterance of a
        test speaker that is not scored. No stage sees utterances that a list of parts leaves out. A stage with its own
        validation share takes it from its training part, and ignores the split's validation part.
        """
        places: dict[str, str] = {}
        # Last, so that a protocol that validates on the test part keeps it for validation.
        for part in ("train", "test", "validation"):
            places |= dict.fromkeys(getattr(split, part), part)
        around: dict[str, set[str]] = {}
        for utterance in self.scored:
            key = group_key(utterance, self.protocol.group)
            if key is not None:
                around.setdefault(key, set()).add(places.setdefault(utterance.id, "unused"))
        # If the protocol splits a group, the group's unscored utterances may be used for training.
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


def _draw(utterances: Sequence[Utterance], target: str, share: float, seed: Sequence[int]) -> set[str]:
    """Return the ids of a random share of the utterances, at least one, with the same share of each class.

    The labels of `target` are classes; all numbers count as one class.
    """
    generator = np.random.default_rng(seed)
    by_class: dict[str, list[str]] = {}
    for utterance in sorted(utterances, key=lambda utterance: utterance.id):
        value = items.label(utterance, target)
        by_class.setdefault(value if isinstance(value, str) else "", []).append(utterance.id)
    places: dict[str, float] = {}
    for _, ids in sorted(by_class.items()):
        # Each class is spread evenly over 0 to 1 in random order, so that a share holds the same share of every class.
        spread = (generator.permutation(len(ids)) + generator.random()) / len(ids)
        places |= dict(zip(ids, spread.tolist(), strict=True))
    count = max(1, round(share * len(places)))
    return set(sorted(places, key=lambda id: (places[id], id))[:count])
