"""Scoring a finished recogniser on a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serkit import audio, emotions
from serkit.corpora.corpus import Corpus, Utterance
from serkit.errors import UserError
from serkit.evaluation.predictions import Predictions
from serkit.features.store import Store
from serkit.items import Item, Windowing
from serkit.progress import bar
from serkit.recognition.bundle import Bundle
from serkit.recognition.recognizer import Recognizer


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Args:
        predictions: one per recording whose label the recogniser knows.
        flags: what makes the score less than it seems: recordings it was trained on, labels left out.
        failed: reason by id for recordings that could not be read.
    """

    predictions: Predictions
    flags: Sequence[str]
    failed: Mapping[str, str]


def evaluate(
    recognizer: Recognizer,
    corpora: Sequence[Corpus],
    mapping: Mapping[str, str] | None = None,
    store: Store | None = None,
) -> Evaluation:
    """Recognise every labelled recording and compare.

    Args:
        recognizer: of a bundle.
        corpora: labelled recordings.
        mapping: label -> label, or `drop`, applied to the corpora's labels.
        store: remembers content hashes; None: the default store.

    Raises:
        UserError: no recording has a label the recogniser knows.
    """
    bundle = recognizer.bundle
    utterances, left_out = [], Counter[str]()
    for utterance in (utterance for corpus in corpora for utterance in corpus.utterances):
        value = utterance.targets.get(bundle.target)
        label = emotions.merge(str(value), mapping or {}) if value is not None else None
        if label in bundle.labels:
            utterances.append((utterance, bundle.labels.index(label)))
        else:
            left_out[str(value if label is None else label)] += 1
    if not utterances:
        raise UserError(
            f"no recording has a label of '{bundle.name}' ({', '.join(bundle.labels)}); "
            f"found: {', '.join(sorted(left_out))}. Rename with --map OLD=NEW"
        )
    hashes, _ = (store or Store()).hashes([utterance.path for utterance, _ in utterances])
    known = set(bundle.trained_on.recordings)
    # The head is enough: 16 digits name a recording among more of them than exist.
    seen = sum(hashes.get(utterance.path, "")[:16] in known for utterance, _ in utterances)
    flags = []
    if seen:
        flags.append(
            f"training leak: {seen} of {len(utterances)} recordings are among those '{bundle.name}' was trained on"
        )
    if left_out:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(left_out.items()))
        flags.append(f"labels '{bundle.name}' does not know are left out: {names}")
    rows, failed = [], {}
    with bar("evaluate", len(utterances)) as advance:
        for utterance, truth in utterances:
            try:
                rows.append((utterance, truth, _probabilities(recognizer, utterance)))
            except audio.AudioError as error:
                failed[utterance.id] = str(error)
            advance(1)
    if not rows:
        raise UserError(f"none of {len(utterances)} recordings can be read; the first: {next(iter(failed.values()))}")
    predictions = Predictions(
        ids=tuple(utterance.id for utterance, _, _ in rows),
        speakers=tuple(utterance.speaker for utterance, _, _ in rows),
        truth=np.array([truth for _, truth, _ in rows]),
        probabilities=np.array([probabilities for _, _, probabilities in rows]),
        classes=tuple(bundle.labels),
        folds=np.ones(len(rows), dtype=int),
        seeds=np.zeros(len(rows), dtype=int),
    )
    return Evaluation(predictions, flags, failed)


def hear(bundle: Bundle, utterance: Utterance) -> tuple[np.ndarray, int]:
    """Read what a bundle listens to in an utterance, as `Recognizer.predict_signal` takes it.

    Returns:
        Speech (samples,); for a bundle that listens to the electroglottograph, which may lie in a file of its
        own, both beside each other (samples, 2). And their rate in Hz.

    Raises:
        UserError: the utterance has no electroglottograph.
        AudioError: a recording that cannot be read.
    """
    item, rate = Item(utterance), audio.info(utterance.path).rate
    speech = item.signal(rate, Windowing())
    if not any(entry.channel for entry in bundle.inputs):
        return speech, rate
    return np.stack([speech, item.signal(rate, Windowing(), "egg")], axis=1), rate


def _probabilities(recognizer: Recognizer, utterance: Utterance) -> list[float]:
    further = any(entry.channel for entry in recognizer.bundle.inputs)
    if not further and utterance.start is None and utterance.end is None:
        prediction = recognizer.predict_file(utterance.path, utterance.index)
    else:
        prediction = recognizer.predict_signal(*hear(recognizer.bundle, utterance))
    return [prediction.probabilities[label] for label in recognizer.bundle.labels]
