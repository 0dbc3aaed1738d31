"""Properties of a recording that may affect recognition: length, loudness and signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from serkit import audio
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item, outside
from serkit.data.store import Store, digest
from serkit.evaluation.snr import wada_snr
from serkit.progress import bar
from serkit.windowing import Windowing

#: Increased when a measurement changes; part of the key in the store.
VERSION = 1

# Minimum length of a signal with a loudness, in s: a block of ITU-R BS.1770.
_BLOCK = 0.4


@dataclass(frozen=True)
class Properties:
    """The measured properties of an utterance; NaN if one cannot be measured.

    Args:
        duration: duration in s.
        loudness: integrated loudness in LUFS (ITU-R BS.1770-4).
        snr: signal-to-noise ratio in dB, as `serkit.evaluation.snr` estimates it.
    """

    duration: float
    loudness: float
    snr: float


def measure(utterances: Iterable[Utterance], store: Store) -> dict[str, Properties]:
    """Measure recordings, each once; the store keeps the results.

    Args:
        utterances: utterances to be measured; unreadable ones are left out.
        store: store of the results.

    Returns:
        Properties by id.
    """
    utterances = list(utterances)
    hashes, _ = store.hashes([utterance.path for utterance in utterances])
    found = {}
    with bar("recordings", len(utterances)) as advance:
        for utterance in utterances:
            if utterance.path in hashes and not outside(utterance):
                found[utterance.id] = _kept(Item(utterance), hashes, store)
            advance(1)
    return found


def of_signal(signal: np.ndarray, rate: int) -> Properties:
    """Measure samples.

    Args:
        signal: float32 (samples,).
        rate: sampling rate in Hz.
    """
    return Properties(len(signal) / rate, _loudness(signal, rate), wada_snr(signal))


def _kept(item: Item, hashes: Mapping[Path, str], store: Store) -> Properties:
    key = digest(["properties", VERSION, store.identity(item, hashes, Windowing())])
    if key not in store:
        rate = audio.info(item.utterance.path).rate
        store.save(key, np.array(astuple(of_signal(item.signal(rate, Windowing()), rate))))
    return Properties(*store.load(key).tolist())


def _loudness(signal: np.ndarray, rate: int) -> float:
    import pyloudnorm

    if len(signal) < _BLOCK * rate:
        return float("nan")
    loudness = float(pyloudnorm.Meter(rate).integrated_loudness(signal.astype(np.float64)))
    # Silence has a loudness of minus infinity.
    return loudness if np.isfinite(loudness) else float("nan")
