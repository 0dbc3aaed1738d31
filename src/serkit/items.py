"""From utterances to items: selecting labels, cutting windows, making augmented copies.

An item is what a batch holds: an utterance or a window of it, and which augmented copy. The windowing
here is the one recognition uses too.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serkit import audio, augment, emotions
from serkit.corpora.corpus import Utterance
from serkit.errors import UserError, unknown

TAILS = ("pad", "keep", "drop", "last", "first")


@dataclass(frozen=True)
class Windowing:
    """How a recording is cut into windows.

    Args:
        seconds: length of a window; None: the whole recording is one item of its own length.
        hop: from window to window in s; None: `seconds` (no overlap).
        tail: what becomes of the end that fills no window: `pad` it with zeros to a whole one, `keep` it
            shorter, `drop` it, take the `last` whole window (overlapping), or use the `first` window only.
        minimum: a padded or kept tail shorter than this many s is dropped, unless it is all there is.
    """

    seconds: float | None = None
    hop: float | None = None
    tail: str = "pad"
    minimum: float = 0.0

    def __post_init__(self) -> None:
        if self.tail not in TAILS:
            raise unknown("tail", self.tail, TAILS)
        if self.seconds is not None and (self.seconds <= 0 or (self.hop or self.seconds) <= 0):
            raise UserError(f"windows of {self.seconds} s every {self.hop} s: both must be above 0")

    def windows(self, duration: float) -> list[tuple[float, float]]:
        """Return start and end in s of each window of a recording of `duration` s; at least one."""
        if self.seconds is None:
            return [(0.0, duration)]
        seconds, hop = self.seconds, self.hop or self.seconds
        if self.tail == "first" or duration <= seconds:
            return [(0.0, min(seconds, duration))]
        # A millionth of a window forgives the rounding of duration = samples / rate.
        whole = int((duration - seconds) / hop + 1e-6) + 1
        windows = [(index * hop, index * hop + seconds) for index in range(whole)]
        covered = windows[-1][1]
        # With overlap a tail is what no window has covered yet, seen from the next window's start.
        rest = duration - whole * hop
        if duration - covered > 1e-6 * seconds:
            if self.tail == "last":
                windows.append((duration - seconds, duration))
            elif self.tail in ("pad", "keep") and rest >= self.minimum:
                windows.append((whole * hop, duration))
        return windows

    def fit(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """Pad a window's samples with zeros, or trim them, to the length the network expects."""
        if self.seconds is None or self.tail == "keep":
            return signal
        samples = round(self.seconds * rate)
        return np.pad(signal, (0, max(0, samples - len(signal))))[:samples]


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
        window = "" if self.end is None else f"[{self.start:g}-{self.end:g}]"
        return f"{self.utterance.id}{window}{f'+{self.copy}' if self.copy else ''}"

    def signal(self, rate: int, windowing: Windowing, channel: str | None = None) -> np.ndarray:
        """Read the item's samples: cut, resampled, augmented, padded as the windowing says.

        Args:
            rate: wanted sampling rate in Hz.
            windowing: whose `fit` sets the length.
            channel: name of a further channel of the utterance, e.g. `egg`; None: the speech.

        Returns:
            float32 (samples,).
        """
        utterance = self.utterance
        path, index, offset = utterance.path, utterance.index, 0.0
        if channel is not None:
            if channel not in utterance.channels:
                raise UserError(f"{utterance.id}: no channel '{channel}'; it has: speech, {', '.join(utterance.channels)}")
            source = utterance.channels[channel]
            path, index, offset = source.path, source.index, source.start
        begin = (utterance.start or 0.0) + self.start + offset
        end = self._end(offset)
        if channel is not None and end is None:
            # The further channel may run on after the speech has ended.
            end = begin + audio.info(utterance.path).duration - (utterance.start or 0.0) - self.start
            end = min(end, audio.info(path).duration)
        signal, _ = audio.read(path, rate, index, begin or None, end)
        speech = len(signal)
        signal = windowing.fit(signal, rate)
        if self.copy is None:
            return signal
        generator = np.random.default_rng(_digest(self.seed, self.utterance.id, self.start, self.copy))
        return windowing.fit(augment.build(self.copy)(signal, rate, min(speech, len(signal)), generator), rate)

    def _end(self, offset: float) -> float | None:
        utterance = self.utterance
        if self.end is not None:
            return (utterance.start or 0.0) + self.end + offset
        return None if utterance.end is None else utterance.end + offset


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
        UserError: no utterance has the target, or none is left.
    """
    utterances = list(utterances)
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
    if not labelled:
        known = sorted({name for utterance in utterances for name in utterance.targets})
        raise UserError(f"no utterance has target '{target}' under {dict(where or {})}. Targets: {', '.join(known)}")
    names = [str(utterance.targets[target]) for utterance in labelled]
    if all(isinstance(utterance.targets[target], str) for utterance in labelled):
        chosen = set(emotions.choose(names, classes))
        labelled = [utterance for utterance in labelled if utterance.targets[target] in chosen]
    return labelled


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


def copies(items: Sequence[Item], names: Sequence[str], seed: int) -> list[Item]:
    """Return the items followed by one augmented copy of each for every name."""
    made = [dataclasses.replace(item, copy=name, seed=seed) for name in names for item in items]
    return [*items, *made]


def _matches(utterance: Utterance, where: Mapping[str, Any]) -> bool:
    for name, wanted in where.items():
        value = utterance.attributes.get(name, getattr(utterance, name, None))
        if value not in (wanted if isinstance(wanted, (list, tuple)) else [wanted]):
            return False
    return True


def _digest(*parts: object) -> int:
    text = "\n".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
