"""Near-duplicates among utterances: copies that are louder, cut, coded, faster or noisy."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serkit import audio
from serkit.auditing import fingerprint
from serkit.corpora import Utterance
from serkit.data.items import Item, outside
from serkit.data.store import Store
from serkit.progress import bar
from serkit.windowing import Windowing

#: Maximum number of waveforms in memory while pairs are compared; 4 s of speech are 256 kB.
_KEPT = 256


@dataclass(frozen=True)
class Copy:
    """Two utterances that hold the same recording.

    Args:
        first: id of one utterance.
        second: id of the other; the order is that of the given utterances.
        coherence: agreement of their waveforms, above `fingerprint.COHERENT` and up to 1.
        speed: ratio of their speeds, one of `fingerprint.SPEEDS` or 1.
    """

    first: str
    second: str
    coherence: float
    speed: float = 1.0


def copies(
    utterances: Sequence[Utterance], hashes: Mapping[Path, str], store: Store | None = None, jobs: int = 1
) -> list[Copy]:
    """Return all pairs of utterances that hold the same recording, including bit-identical ones.

    Fingerprints are kept in the store under the recording's content, so that a second call computes only pairs.

    Args:
        utterances: utterances to compare; ids are unique.
        hashes: content hash by path (see `Store.hashes`). An utterance without a hash, or whose file lacks the
            interval or channel, is skipped.
        store: store of the fingerprints; None: the default store.
        jobs: number of threads that compute fingerprints.
    """
    infos: dict[Path, audio.Info] = {}
    readable = [each for each in utterances if each.path in hashes and not outside(each, infos=infos)]
    items = [Item(utterance) for utterance in readable]
    found: dict[tuple[int, int], Copy] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)  # Other checks report silent and truncated recordings.
        for speed in (1.0, *fingerprint.SPEEDS):
            for first, second, agreement in _pairs(items, hashes, store or Store(), jobs, speed):
                one, other = sorted((first, second))
                copy = Copy(readable[one].id, readable[other].id, round(agreement, 3), speed)
                found.setdefault((one, other), copy)
    return [found[pair] for pair in sorted(found)]


def _pairs(
    items: Sequence[Item], hashes: Mapping[Path, str], store: Store, jobs: int, speed: float
) -> Iterator[tuple[int, int, float]]:
    """Yield the positions of two items, of which the second is the first at another speed, and their agreement."""

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
