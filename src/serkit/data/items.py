"""From utterances to items: selecting labels, cutting windows, making augmented copies.

An item is what a batch holds: an utterance or a window of it, and which augmented copy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serkit import audio, augment, emotions
from serkit.corpora.corpus import Channel, Utterance
from serkit.errors import UserError, unknown
from serkit.windowing import Windowing

# What `where` can ask for besides attributes.
_PROPERTIES = frozenset({"corpus", "id", "language", "sentence", "sex", "speaker"})

# What `Item.id` writes behind the utterance's: only names of augmentations, since a file may be called `take+b`.
_WINDOW, _COPY = re.compile(r"\[[-+.e\d]+\]$"), re.compile(rf"\+({'|'.join(augment.AUGMENTATIONS)})(\{{.*\}})?$")


@dataclass(frozen=True)
class Item:
    """One training or scoring example.

    Args:
        utterance: where it comes from.
        start: beginning of the window, in s from the utterance's start.
        end: its end; None: the utterance's end.
        copy: name of the augmentation; None for the original.
        seed: what the copy is drawn from.
    """

    utterance: Utterance
    start: float = 0.0
    end: float | None = None
    copy: str | None = None
    seed: int = 0

    @property
    def id(self) -> str:
        """Unique name: `emodb/03a01Fa`, `emodb/03a01Fa[0-4]`, `emodb/03a01Fa[0-4]+noise`."""
        window = "" if self.end is None else f"[{self.start:.10g}-{self.end:.10g}]"
        return f"{self.utterance.id}{window}{f'+{self.copy}' if self.copy else ''}"

    def channel(self, name: str) -> Channel:
        """Return a further channel of the utterance, e.g. `egg`.

        Raises:
            UserError: the utterance has no such channel.
        """
        channels = self.utterance.channels
        if name not in channels:
            raise UserError(f"{self.utterance.id}: no channel '{name}'; it has: {', '.join(['speech', *channels])}")
        return channels[name]

    def signal(self, rate: int, windowing: Windowing, channel: str | None = None) -> np.ndarray:
        """Read the item's samples: cut, resampled, augmented, padded as the windowing says.

        Args:
            rate: wanted sampling rate in Hz.
            windowing: whose `fit` sets the length.
            channel: name of a further channel of the utterance, e.g. `egg`; None: the speech. It gives as
                many samples as the speech, zeros where it begins later or ends earlier.

        Returns:
            float32 (samples,).

        Raises:
            UserError: no such channel.
            AudioError: a recording that cannot be read.
        """
        utterance = self.utterance
        origin = utterance.start or 0.0
        begin = origin + self.start
        end = utterance.end if self.end is None else origin + self.end
        signal, _ = audio.read(utterance.path, rate, utterance.index, begin, end)
        if channel is not None:
            signal = _read_beside(self.channel(channel), begin, len(signal), rate)
        speech = len(signal)
        signal = windowing.fit(signal, rate)
        if self.copy is None:
            return signal
        generator = np.random.default_rng(_digest(self.seed, utterance.id, self.start, self.copy))
        return windowing.fit(augment.build(self.copy)(signal, rate, min(speech, len(signal)), generator), rate)


def utterance_id(item: str, known: Collection[str] = ()) -> str:
    """Return whose window or augmented copy an item is, from its id.

    Args:
        item: its id.
        known: ids of utterances, which may look like those of windows or copies themselves: of `take[2].wav`, say.

    >>> utterance_id("emodb/03a01Fa[0-4]+noise"), utterance_id("emodb/03a01Fa")
    ('emodb/03a01Fa', 'emodb/03a01Fa')
    >>> utterance_id("table/take[2][0-4]"), utterance_id("table/take[2]", known={"table/take[2]"})
    ('table/take[2]', 'table/take[2]')
    """
    original = _COPY.sub("", item)
    whole = _WINDOW.sub("", original)
    return next((name for name in (item, original, whole) if name in known), whole)


def select(
    utterances: Iterable[Utterance],
    target: str,
    classes: str | Sequence[str] = "all",
    mapping: Mapping[str, str] | None = None,
    where: Mapping[str, Any] | None = None,
) -> list[Utterance]:
    """Choose utterances by attribute and label, and rename their labels.

    Args:
        utterances: of one corpus or of several.
        target: what is learned; an utterance without it is left out. `speaker`, `sentence` and `sex` are
            targets of every utterance that has them.
        classes: `all`, or the labels to keep.
        mapping: label -> label, or `drop`, applied before `classes`.
        where: attribute -> value (or list of values) an utterance must have.

    Returns:
        The chosen utterances, in the given order, with the renamed label as their target.

    Raises:
        UserError: no utterance has the target, an attribute or a class that is named, or none is left.
    """
    utterances = list(utterances)
    attributes = {name for utterance in utterances for name in utterance.attributes}
    for name in where or {}:
        if name not in attributes | _PROPERTIES:
            raise unknown("attribute", name, attributes | _PROPERTIES)
    labelled = []
    for utterance in utterances:
        value = label(utterance, target)
        if value is None or not _matches(utterance, where or {}):
            continue
        if isinstance(value, str):
            merged = emotions.merge(value, mapping or {})
            if merged is None:
                continue
            value = merged
        labelled.append(dataclasses.replace(utterance, targets={**utterance.targets, target: value}))
    names = [str(utterance.targets[target]) for utterance in labelled]
    if labelled and all(isinstance(utterance.targets[target], str) for utterance in labelled):
        chosen = set(emotions.choose(names, classes))
        labelled = [utterance for utterance in labelled if utterance.targets[target] in chosen]
    if not labelled:
        known = sorted({name for utterance in utterances for name in utterance.targets})
        chosen_by = {"where": dict(where or {}), "map": dict(mapping or {}), "classes": classes}
        asked = "".join(f", {name} = {value}" for name, value in chosen_by.items() if value not in ({}, "all"))
        raise UserError(
            f"none of {len(utterances)} utterances is left with target '{target}'{asked}. "
            f"Targets: {', '.join(known) or 'none'}"
        )
    return labelled


def select_any(
    utterances: Iterable[Utterance],
    targets: Sequence[str],
    classes: str | Sequence[str] = "all",
    mapping: Mapping[str, str] | None = None,
    where: Mapping[str, Any] | None = None,
) -> list[Utterance]:
    """Choose as `select` does by the first target, and keep those that have one of the other targets as well.

    The latter have no label of the first target. Arguments and errors are those of `select`.
    """
    utterances = list(utterances)
    chosen = {utterance.id: utterance for utterance in select(utterances, targets[0], classes, mapping, where)}
    found = []
    for utterance in utterances:
        if utterance.id in chosen:
            found.append(chosen[utterance.id])
        elif _matches(utterance, where or {}) and any(label(utterance, other) is not None for other in targets[1:]):
            rest = {name: value for name, value in utterance.targets.items() if name != targets[0]}
            found.append(dataclasses.replace(utterance, targets=rest))
    return found


def label(utterance: Utterance, target: str) -> str | float | None:
    """Return an utterance's value for a target; its speaker, sentence and sex serve as targets too."""
    if target in utterance.targets:
        return utterance.targets[target]
    return getattr(utterance, target) if target in ("speaker", "sentence", "sex") else None


def cut(utterance: Utterance, windowing: Windowing) -> list[Item]:
    """Cut one utterance into items; reads no more than the file's header."""
    if windowing.seconds is None:
        return [Item(utterance)]
    duration = audio.info(utterance.path).duration if utterance.end is None else utterance.end
    return [Item(utterance, start, end) for start, end in windowing.windows(duration - (utterance.start or 0.0))]


def outside(utterance: Utterance, channels: Collection[str] = (), infos: dict[Path, audio.Info] | None = None) -> str:
    """Return why an utterance cannot be read from a file that can: it lacks the interval or the channel.

    Args:
        utterance: a row of a table, say.
        channels: names of further channels that are read.
        infos: remembers what headers say, for many utterances of one file.

    Returns:
        The message of an error; empty if all is well, or if the file itself is broken.
    """
    infos = {} if infos is None else infos

    def info(path: Path) -> audio.Info:
        if path not in infos:
            infos[path] = audio.info(path)
        return infos[path]

    sources = [Channel(utterance.path, utterance.index)] if utterance.index is not None else []
    sources += [channel for name, channel in utterance.channels.items() if name in channels]
    with audio.collecting_warnings():  # Reading the file has told them.
        try:
            if utterance.start is not None or utterance.end is not None:
                audio.interval(utterance.path, info(utterance.path), utterance.start, utterance.end)
            for source in sources:
                if source.index >= (count := info(source.path).channels):
                    return f"{source.path}: has no channel {source.index}; it has {count}, counted from 0"
        except audio.AudioError as error:
            return str(error)
    return ""


def copies(items: Sequence[Item], names: Sequence[str], seed: int) -> list[Item]:
    """Return the items followed by one augmented copy of each for every name.

    Raises:
        UserError: a name is given twice: both copies would be the same.
    """
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"copies: '{name}' is listed {names.count(name)} times; the copies would all be the same")
    made = [dataclasses.replace(item, copy=name, seed=seed) for name in names for item in items]
    return [*items, *made]


def replaced(items: Sequence[Item], name: str, corpora: Sequence[str], share: float, seed: int) -> list[Item]:
    """Return the items with augmented copies in place of some originals.

    Which ones is drawn for each utterance by its id, whatever other items there are.

    Args:
        items: those that are copies already stay.
        name: of the augmentation.
        corpora: whose items may be replaced; all if empty.
        share: of their utterances.
        seed: what both the choice and the copies are drawn from.
    """

    def chosen(item: Item) -> bool:
        if item.copy is not None or (corpora and item.utterance.corpus not in corpora):
            return False
        return _digest("replaced", seed, item.utterance.id) < share * 2**64

    return [dataclasses.replace(item, copy=name, seed=seed) if chosen(item) else item for item in items]


def draw(
    utterances: Sequence[Utterance], target: str, numbers: Mapping[str, Mapping[str, int]], seed: int
) -> list[Utterance]:
    """Keep a number of utterances of given corpora, drawn at random class by class.

    Args:
        utterances: in any order; the choice does not depend on it, nor on other corpora.
        target: whose values are the classes.
        numbers: by corpus and class; `*` stands for every class that is not named. Corpora that are not named
            are kept whole, and so are classes where there is no `*`.
        seed: what is drawn depends on.

    Returns:
        Those that are left, in the given order.

    Raises:
        UserError: a class has fewer than required.
    """
    classes: dict[tuple[str, str], list[str]] = {}
    for utterance in utterances:
        if utterance.corpus in numbers:
            classes.setdefault((utterance.corpus, str(label(utterance, target))), []).append(utterance.id)
    dropped: set[str] = set()
    for (corpus, name), ids in classes.items():
        wanted = numbers[corpus].get(name, numbers[corpus].get("*", len(ids)))
        if wanted > len(ids):
            raise UserError(f"data.sample: {corpus} has {len(ids)} utterances of '{name}', but {wanted} are required")
        generator = np.random.default_rng(_digest("sample", seed, corpus, name))
        dropped |= set(generator.permutation(sorted(ids))[wanted:].tolist())
    return [utterance for utterance in utterances if utterance.id not in dropped]


def _read_beside(source: Channel, begin: float, samples: int, rate: int) -> np.ndarray:
    """Read samples of a further channel from the speech's `begin` (s) on, with zeros where it has none."""
    info = audio.info(source.path)
    begin += source.start
    # A sample of the file more than needed, since either end is rounded to one.
    end = min(begin + samples / rate + 1 / info.rate, info.duration)
    found = np.zeros(samples, dtype=np.float32)
    if end - max(begin, 0.0) <= 1 / min(info.rate, rate):
        warnings.warn(f"{source.path}: does not overlap with the speech", audio.AudioWarning, stacklevel=3)
        return found
    signal, _ = audio.read(source.path, rate, source.index, max(begin, 0.0), end)
    place = max(0, round(-begin * rate))
    signal = signal[: samples - place]
    found[place : place + len(signal)] = signal
    return found


def _matches(utterance: Utterance, where: Mapping[str, Any]) -> bool:
    for name, wanted in where.items():
        value = utterance.attributes.get(name, getattr(utterance, name) if name in _PROPERTIES else None)
        if value not in (wanted if isinstance(wanted, (list, tuple)) else [wanted]):
            return False
    return True


def _digest(*parts: object) -> int:
    text = "\n".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
