"""Near-duplicates among utterances: one recording under two names, louder, cut, coded, faster or with noise."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serkit import audio
from serkit.audit import fingerprint
from serkit.corpora import Utterance
from serkit.data.items import Item, outside
from serkit.data.store import Store
from serkit.progress import bar
from serkit.windowing import Windowing

#: Waveforms kept at once while pairs are compared: 4 s of speech are 256 kB.
_KEPT = 256


@dataclass(frozen=True)
class Copy:
    """Two utterances that are one recording.

    Args:
        first: id of an utterance.
        second: id of the other, in the order of the utterances given.
        coherence: how much their waveforms agree, above `fingerprint.COHERENT` and up to 1.
        speed: how much faster one of them is, one of `fingerprint.SPEEDS` or 1.
    """

    first: str
    second: str
    coherence: float
    speed: float = 1.0


def copies(
    utterances: Sequence[Utterance], hashes: Mapping[Path, str], store: Store | None = None, jobs: int = 1
) -> list[Copy]:
    """Return all pairs of utterances that are one recording, bit-identical ones too.

    Prints are kept in the store under the recording's content, so that a second call computes only pairs.

    Args:
        utterances: what to compare; ids are unique.
        hashes: content hash by path (see `Store.hashes`); an utterance without one, or whose interval or channel its
            file lacks, is passed over.
        store: where prints are kept; None: the default store.
        jobs: threads that compute prints.
    """
    infos: dict[Path, audio.Info] = {}
    readable = [each for each in utterances if each.path in hashes and not outside(each, infos=infos)]
    items = [Item(utterance) for utterance in readable]
    found: dict[tuple[int, int], Copy] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)  # Silent or cut-off: other checks say so.
        for speed in (1.0, *fingerprint.SPEEDS):
            for first, second, agreement in _pairs(items, hashes, store or Store(), jobs, speed):
                one, other = sorted((first, second))
                copy = Copy(readable[one].id, readable[other].id, round(agreement, 3), speed)
                found.setdefault((one, other), copy)
    return [found[pair] for pair in sorted(found)]


def _pairs(
    items: Sequence[Item], hashes: Mapping[Path, str], store: Store, jobs: int, speed: float
) -> Iterator[tuple[int, int, float]]:
    """Yield positions of two items, of which the second is the first played at a speed, and how much they agree."""

    def prints(speed: float) -> list[np.ndarray]:
        feature = fingerprint.Fingerprint(round(fingerprint.RATE * speed))
        return list(store.features(feature, items, hashes, Windowing(), jobs=jobs))

    @functools.lru_cache(maxsize=_KEPT)
    def waveform(row: int, speed: float) -> np.ndarray:
        return fingerprint.flatten(items[row].signal(round(fingerprint.RATE * speed), Windowing()))

    pairs = fingerprint.similar(prints(1.0), None if speed == 1 else prints(speed))
    with bar("comparing", len(pairs)) as advance:
        for first, second in pairs:
            agreement = fingerprint.coherence(waveform(first, 1.0), waveform(second, speed))
            if agreement > fingerprint.COHERENT:
                yield first, second, agreement
            advance(1)
