"""Evaluation of a finished recognizer on corpora."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from serkit import audio, emotions
from serkit.corpora.corpus import Corpus, Utterance
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.evaluation.task import Classes, Numbers, Task
from serkit.flags import Flag
from serkit.progress import bar
from serkit.recognition.bundle import Bundle
from serkit.recognition.recognizer import Recognizer
from serkit.windowing import Windowing


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Args:
        predictions: a prediction for each recording with a label of the recognizer; `NumberPredictions` for a bundle of
            numbers.
        flags: reasons why the score may be too optimistic: recordings of the training material, labels left out.
        failed: reason by id for unreadable recordings.
    """

    predictions: Any
    flags: Sequence[Flag]
    failed: Mapping[str, str]


def evaluate(
    recognizer: Recognizer,
    corpora: Sequence[Corpus],
    mapping: Mapping[str, str] | None = None,
    store: Store | None = None,
) -> Evaluation:
    """Recognize every labeled recording, and compare answers with labels.

    Args:
        recognizer: recognizer of a bundle.
        corpora: labeled recordings.
        mapping: label -> label, or `drop`, applied to the corpora's labels.
        store: store of content hashes; None: the default store.

    Raises:
        UserError: no recording has a label of the recognizer.
    """
    bundle = recognizer.bundle
    everyone = [utterance for corpus in corpora for utterance in corpus.utterances]
    task, utterances, flags = _rated(bundle, everyone) if bundle.numbers else _labelled(bundle, everyone, mapping or {})
    hashes, _ = (store or Store()).hashes([utterance.path for utterance in utterances])
    known = set(bundle.trained_on.recordings)
    # 16 digits are enough to identify a recording.
    seen = sum(hashes.get(utterance.path, "")[:16] in known for utterance in utterances)
    if seen:
        text = f"training leak: {seen} of {len(utterances)} recordings are among those '{bundle.name}' was trained on"
        flags = [Flag("training", "leak", text), *flags]
    answered, answers, failed = [], [], {}
    with bar("evaluate", len(utterances)) as advance:
        for utterance in utterances:
            try:
                answers.append(_answer(recognizer, utterance))
                answered.append(utterance)
            except audio.AudioError as error:
                failed[utterance.id] = str(error)
            advance(1)
    if not answers:
        raise UserError(f"none of {len(utterances)} recordings can be read; the first: {next(iter(failed.values()))}")
    return Evaluation(task.predictions(answered, np.array(answers)), flags, failed)


def _labelled(
    bundle: Bundle, utterances: Sequence[Utterance], mapping: Mapping[str, str]
) -> tuple[Task[Any], list[Utterance], list[Flag]]:
    """Return the utterances with a class of the bundle, with its name, and a flag if others are left out."""
    chosen: list[Utterance] = []
    left_out = Counter[str]()
    for utterance in utterances:
        value = utterance.targets.get(bundle.target)
        label = emotions.merge(str(value), mapping) if value is not None else None
        if label in bundle.labels:
            chosen.append(replace(utterance, targets={bundle.target: label}))
        else:
            left_out[str(value if label is None else label)] += 1
    if not chosen:
        raise UserError(
            f"no recording has a label of '{bundle.name}' ({', '.join(bundle.labels)}); "
            f"found: {', '.join(sorted(left_out))}. Rename with --map OLD=NEW"
        )
    names = ", ".join(f"{name} ({count})" for name, count in sorted(left_out.items()))
    text = f"labels '{bundle.name}' does not know are left out: {names}"
    flags = [Flag("left out", "caution", text)] if left_out else []
    return Classes(bundle.target, bundle.labels), chosen, flags


def _rated(bundle: Bundle, utterances: Sequence[Utterance]) -> tuple[Task[Any], list[Utterance], list[Flag]]:
    """Return the utterances with one of the bundle's numbers, with these alone, and a flag if others are left out."""
    chosen: list[Utterance] = []
    for utterance in utterances:
        values = {name: utterance.targets.get(name) for name in bundle.outputs}
        numbers = {name: value for name, value in values.items() if isinstance(value, float | int)}
        if numbers:
            chosen.append(replace(utterance, targets=numbers))
    if not chosen:
        there = sorted({name for utterance in utterances for name in utterance.targets})
        raise UserError(
            f"no recording has a number of '{bundle.name}' ({', '.join(bundle.outputs)}); "
            f"available targets: {', '.join(there) or 'none'}"
        )
    missing = len(utterances) - len(chosen)
    text = f"{missing} of {len(utterances)} recordings have none of the numbers: left out"
    return Numbers(bundle.outputs), chosen, [Flag("left out", "caution", text)] if missing else []


def hear(bundle: Bundle, utterance: Utterance) -> tuple[np.ndarray, int]:
    """Read the channels of an utterance that a bundle reads, for `Recognizer.predict_signal`.

    Returns:
        Samples and their rate in Hz. The samples are speech (samples,), or speech and electroglottograph (samples, 2)
        if the bundle reads both; the electroglottograph may come from a separate file.

    Raises:
        UserError: the utterance has no electroglottograph.
        AudioError: a recording is unreadable.
    """
    item, rate = Item(utterance), audio.info(utterance.path).rate
    speech = item.signal(rate, Windowing())
    if not any(entry.channel for entry in bundle.inputs):
        return speech, rate
    return np.stack([speech, item.signal(rate, Windowing(), "egg")], axis=1), rate


def _answer(recognizer: Recognizer, utterance: Utterance) -> list[float]:
    """Return the probabilities or numbers of an utterance, in the bundle's order."""
    further = any(entry.channel for entry in recognizer.bundle.inputs)
    if not further and utterance.start is None and utterance.end is None:
        prediction = recognizer.predict_file(utterance.path, utterance.index)
    else:
        prediction = recognizer.predict_signal(*hear(recognizer.bundle, utterance))
    return list((prediction.values or prediction.probabilities).values())
