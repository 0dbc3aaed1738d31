"""What adaptation to a voice gains on corpora that the recognizer has never met, over the amount of material.

    python benchmarks/adaptation.py --corpus NAME=FOLDER... [--draws 3] [--seed 0] [--json FILE]

Each corpus is left out once. A logistic regression on `speech_functionals` learns from the others: each training
speaker's mean is removed, and corpora and their classes count the same. The rule is the shipped one
(`serkit.recognition.adaptation`), with its durations in seconds. UAR is that of the answers restricted to the labels of
the tested corpus.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from serkit import audio, corpora, features
from serkit.corpora.corpus import Corpus, Utterance
from serkit.evaluation.metrics import uar
from serkit.evaluation.predictions import Predictions
from serkit.evaluation.spreads import spreads
from serkit.recognition.adaptation import Voice
from serkit.recognition.bundle import Adaptation

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
VIEW = "functionals"

#: Chooses recordings of a speaker as material, from their labels.
Material = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Recordings:
    """n recordings: features (n, rows), and for each its class, speaker, corpus and duration in s, (n,)."""

    x: np.ndarray
    truth: np.ndarray
    speakers: np.ndarray
    corpora: np.ndarray
    seconds: np.ndarray

    def select(self, rows: np.ndarray) -> Recordings:
        """Return some recordings, by index or by a mask."""
        return Recordings(*(values[rows] for values in vars(self).values()))

    def of_each_speaker(self) -> list[np.ndarray]:
        """Return the rows of each speaker."""
        return [np.flatnonzero(self.speakers == speaker) for speaker in np.unique(self.speakers)]


def read(found: Sequence[Corpus]) -> Recordings:
    """Compute the functionals of all recordings with one of the seven emotions; calm counts as neutral."""
    feature = features.build("speech_functionals")

    def compute(utterance: Utterance) -> tuple[np.ndarray, float]:
        signal, rate = audio.read(utterance.path, rate=feature.rate, channel=utterance.index)
        return feature(signal), len(signal) / rate

    def label(utterance: Utterance) -> str:
        return {"calm": "neutral"}.get(str(utterance.targets.get("emotion")), str(utterance.targets.get("emotion")))

    used = [one for corpus in found for one in corpus.utterances if label(one) in CLASSES]
    with ThreadPoolExecutor() as pool:
        computed = list(pool.map(compute, used))
    return Recordings(
        np.array([values for values, _ in computed], dtype=np.float64),
        np.array([CLASSES.index(label(one)) for one in used]),
        np.array([one.speaker for one in used]),
        np.array([one.corpus for one in used]),
        np.array([seconds for _, seconds in computed]),
    )


class Recognizer:
    """A logistic regression that learned from centered voices, with the statistics for adaptation."""

    def __init__(self, training: Recordings) -> None:
        self._scaler = StandardScaler().fit(training.x)
        x = self._scaler.transform(training.x)
        for rows in training.of_each_speaker():
            x[rows] -= x[rows].mean(axis=0)
        self._model = fit(x, training)
        answers = np.empty((len(x), len(CLASSES)))
        for corpus in np.unique(training.corpora):
            held = training.corpora == corpus
            answers[held] = probabilities(fit(x[~held], training.select(~held)), x[held])
        # As for a bundle: from answers to held-out speakers.
        places = tuple(str(number) for number in range(len(x)))
        zeros = np.zeros(len(x), dtype=int)
        judged = Predictions(places, tuple(training.speakers), zeros, zeros, training.truth, answers, CLASSES)
        narrow, wide = spreads(judged, 1.0) or (0.0, 1.0)
        self._adaptation = Adaptation(means={VIEW: [0.0] * x.shape[1]}, narrow=narrow, wide=wide)

    def answer(self, tested: Recordings, material: Recordings) -> np.ndarray:
        """Answer after adaptation to the material of a voice: probabilities (n, classes)."""
        x, heard = self._scaler.transform(tested.x), Voice(self._adaptation)
        if len(material.x):
            own = self._scaler.transform(material.x)
            for values, answer, seconds in zip(own, probabilities(self._model, own), material.seconds, strict=True):
                heard.add({VIEW: values}, answer, seconds)
        return probabilities(self._model, x - heard.shift().get(VIEW, 0.0))


def fit(x: np.ndarray, training: Recordings) -> LogisticRegression:
    """Train with equal weights of corpora, and of the classes in each."""
    pairs, place, counts = np.unique(
        np.stack([training.corpora, training.truth.astype(str)]), axis=1, return_inverse=True, return_counts=True
    )
    classes = {corpus: int((pairs[0] == corpus).sum()) for corpus in pairs[0]}
    weights = np.array([1 / classes[corpus] for corpus in training.corpora]) / counts[place.ravel()]
    # sklearn sums the loss: C is the inverse of the penalty on the mean loss, 0.1, times the number of items.
    weights *= len(x) / weights.sum()
    return LogisticRegression(C=10 / len(x), max_iter=300).fit(np.clip(x, -5, 5), training.truth, weights)


def probabilities(model: LogisticRegression, x: np.ndarray) -> np.ndarray:
    """Return probabilities of all classes, 0 for those that the model has not met."""
    answers = np.zeros((len(x), len(CLASSES)))
    answers[:, model.classes_] = model.predict_proba(np.clip(x, -5, 5))
    return answers


def some(count: int) -> Material:
    return lambda truth, random: random.choice(len(truth), min(count, len(truth) - 1), replace=False)


def one_emotion(count: int) -> Material:
    def choose(truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
        rows = np.flatnonzero(truth == random.choice(np.unique(truth)))
        return random.choice(rows, min(count, len(rows)), replace=False)

    return choose


def everything(truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.arange(len(truth))


#: Material by name, and whether the material itself is tested; otherwise the speaker's other recordings are.
MATERIALS: dict[str, tuple[Material, bool]] = {
    **{f"{count} enrolled": (some(count), False) for count in (1, 3, 10)},
    "all of the speaker": (everything, True),
    **{f"{count} enrolled, one emotion": (one_emotion(count), False) for count in (3, 10)},
    **{f"only {count}, one emotion": (one_emotion(count), True) for count in (2, 3, 5, 10)},
}


def gain(recognizer: Recognizer, tested: Recordings, material: Material, itself: bool, seed: int) -> list[float]:
    """Return UAR without and with adaptation to some recordings of each speaker, and their mean duration in s."""
    random, known = np.random.default_rng(seed), np.unique(tested.truth)
    before, after, truth, seconds = [], [], [], []
    for rows in tested.of_each_speaker():
        voice = tested.select(rows)
        chosen = material(voice.truth, random)
        others = np.setdiff1d(np.arange(len(rows)), chosen)
        judged = voice.select(chosen if itself else others)
        before.append(recognizer.answer(judged, voice.select(chosen[:0])))
        after.append(recognizer.answer(judged, voice.select(chosen)))
        truth.append(judged.truth)
        seconds.append(voice.seconds[chosen].sum())
    right = np.concatenate(truth)
    found = [uar(right, known[np.concatenate(answers)[:, known].argmax(axis=1)]) for answers in (before, after)]
    return [*found, float(np.mean(seconds))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", action="append", required=True, help="NAME=FOLDER; at least three")
    parser.add_argument("--draws", type=int, default=3, help="draws of the material")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    recordings = read(corpora.load_all(arguments.corpus))
    found: dict[str, dict[str, list[float]]] = {name: {} for name in MATERIALS}
    for corpus in np.unique(recordings.corpora):
        held = recordings.corpora == corpus
        recognizer, tested = Recognizer(recordings.select(~held)), recordings.select(held)
        for name, (material, itself) in MATERIALS.items():
            draws = [
                gain(recognizer, tested, material, itself, arguments.seed + draw) for draw in range(arguments.draws)
            ]
            found[name][str(corpus)] = np.mean(draws, axis=0).round(4).tolist()
    rows = {}
    for name, table in found.items():
        before, after, seconds = np.mean(list(table.values()), axis=0)
        worst = min(with_it - without for without, with_it, _ in table.values())
        print(
            f"{name}: {seconds:.0f} s, without {100 * before:.1f}, with {100 * after:.1f}, "
            f"worst corpus {100 * worst:+.1f}",
            flush=True,
        )
        rows[name] = {"seconds": seconds.round(1), "without": before, "with": after, "worst": worst, "corpora": table}
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
