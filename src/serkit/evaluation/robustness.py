"""Robustness: a curve of scores for each kind of degradation of the recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from serkit.augment import Noise, Pitch, Stretch, Telephone
from serkit.data.store import digest
from serkit.degrade import Babble, Band, Gain, Offset, Reverberation, codec
from serkit.errors import unknown
from serkit.evaluation.comparison import compare
from serkit.evaluation.intervals import interval
from serkit.evaluation.metrics import CLASSES
from serkit.evaluation.predictions import Predictions
from serkit.evaluation.scores import Summary
from serkit.progress import bar
from serkit.records import Flags, Record

#: float32 (samples,), rate in Hz, number of samples with speech, random generator -> float32 samples.
Degradation = Callable[[np.ndarray, int, int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Curve:
    """A kind of degradation.

    Args:
        title: name of the degradation.
        axis: meaning of the strengths, with their unit.
        points: degradation by strength, from the weakest to the strongest, or from the lowest to the highest if
            strengths lie on both sides of `neutral`.
        neutral: strength without effect; None: the scale has none.
    """

    title: str
    axis: str
    points: Mapping[float | str, Degradation]
    neutral: float | None = None


CURVES = {
    "noise": Curve(
        "White noise",
        "signal-to-noise ratio (dB)",
        {decibels: Noise(decibels, decibels) for decibels in (30, 20, 15, 10, 5, 0)},
    ),
    "babble": Curve(
        "Babble-like noise",
        "signal-to-noise ratio (dB)",
        {decibels: Babble((decibels,)) for decibels in (30, 20, 15, 10, 5, 0)},
    ),
    "telephone": Curve(
        "Telephone",
        "band and codec",
        {
            "50–7000 Hz": Band(50, 7000),
            "300–3400 Hz": Band(),
            "µ-law": Telephone(subtypes=("ULAW",)),
            "GSM": Telephone(subtypes=("GSM610",)),
        },
    ),
    "opus": Curve("Opus, wideband", "rate (kbit/s)", {rate: codec("opus", rate) for rate in (32, 24, 16, 12, 8, 6)}),
    "mp3": Curve("MP3, 16 kHz", "rate (kbit/s)", {rate: codec("mp3", rate) for rate in (64, 48, 32, 24, 16)}),
    "reverberation": Curve(
        "Reverberation",
        "reverberation time RT60 (s)",
        {seconds: Reverberation((seconds,)) for seconds in (0.2, 0.4, 0.6, 0.8, 1.0)},
        neutral=0,
    ),
    "pitch": Curve("Pitch", "semitones", {steps: Pitch((steps,)) for steps in (-4, -2, -1, 1, 2, 4)}, neutral=0),
    "tempo": Curve("Tempo", "times as fast", {rate: Stretch((rate,)) for rate in (0.7, 0.8, 0.9, 1.1, 1.2, 1.3)}, 1),
    "gain": Curve("Level", "gain (dB), clipped", {level: Gain((level,)) for level in (-40, -30, -20, -10, 10, 20)}, 0),
    "offset": Curve("Constant offset", "times the RMS", {ratio: Offset(ratio) for ratio in (0.1, 0.3, 1, 3)}, 0),
}


@dataclass(frozen=True)
class Part:
    """A recognizer and its test material: a fold of a run, or a bundle with corpora.

    Args:
        predictions: predictions for the original recordings, with their ids, speakers, truth and classes.
        hear: id -> float32 samples of speech (samples,) and their rate in Hz.
        recognise: samples and rate -> probabilities of the classes (classes,).
    """

    predictions: Predictions
    hear: Callable[[str], tuple[np.ndarray, int]]
    recognise: Callable[[np.ndarray, int], np.ndarray]


class Difference(Record):
    """A difference in UAR, with the interval of a paired comparison."""

    difference: float
    low: float
    high: float


class Point(Summary):
    """Scores at one strength of a degradation, and their change from the original recordings."""

    strength: int | float | str
    change: Difference


class MeasuredCurve(Record):
    """The points of a `Curve`."""

    title: str
    axis: str
    neutral: float | None
    points: list[Point]


class Measured(Record):
    """The content of `robustness.json`.

    Args:
        model: name of the run or bundle.
        system: name of the system.
        protocol: name of the protocol.
        content: hash of a run's scored recordings by corpus.
        flags: flags of the scores.
        n: number of predictions.
        classes: class names.
        seed: seed of all random numbers.
        interval: method of the intervals.
        clean: scores of the original recordings.
        curves: curves by name.
    """

    model: str = ""
    system: str = ""
    protocol: str = ""
    content: dict[str, str] = Field({})
    flags: Flags = Field([])
    n: int
    classes: list[str]
    seed: int
    interval: str
    clean: Summary
    curves: dict[str, MeasuredCurve]


def measure(parts: Iterable[Part], curves: Sequence[str] = tuple(CURVES), seed: int = 0, jobs: int = 1) -> Measured:
    """Score degraded recordings.

    Every strength of a curve uses the same noise, voices or room for an utterance.

    Args:
        parts: recognizers with their test material.
        curves: names of `CURVES`.
        seed: seed of all random numbers.
        jobs: number of threads.

    Raises:
        UserError: a curve is unknown, there is no part, or a recording is unreadable.
    """
    for name in curves:
        if name not in CURVES:
            raise unknown("curve", name, CURVES)
    chosen = {name: CURVES[name] for name in CURVES if name in curves}
    conditions: list[tuple[str, float | str]] = [("", "")]
    conditions += [(name, strength) for name, curve in chosen.items() for strength in curve.points]
    found = [_predict(part, conditions, seed, jobs) for part in parts]
    clean, *degraded = [Predictions.concatenate(versions) for versions in zip(*found, strict=True)]
    scored = iter(degraded)
    measured = {
        name: MeasuredCurve(
            title=curve.title,
            axis=curve.axis,
            neutral=curve.neutral,
            points=[
                Point.of(version, strength=strength, change=_change(version, clean))
                for strength, version in zip(curve.points, scored, strict=False)
            ],
        )
        for name, curve in chosen.items()
    }
    return Measured(
        n=len(clean),
        classes=list(clean.classes),
        seed=seed,
        interval=interval(clean, "uar").method,
        clean=Summary.of(clean),
        curves=measured,
    )


def rows(measured: Measured) -> Iterator[Mapping[str, float | str]]:
    """Yield the rows of a table of the measurement; the original recordings come first."""
    points = [(name, point) for name, curve in measured.curves.items() for point in curve.points]
    for name, point in [("clean", measured.clean), *points]:
        change = point.change if isinstance(point, Point) else Difference(difference=0.0, low=0.0, high=0.0)
        row: dict[str, float | str] = {"curve": name, "strength": point.strength if isinstance(point, Point) else ""}
        for metric in CLASSES:
            value = point.metrics[metric]
            row |= {metric: value.estimate, f"{metric}_low": value.low, f"{metric}_high": value.high}
        row |= {"ece": point.ece, "change_difference": change.difference}
        yield row | {"change_low": change.low, "change_high": change.high}


def _predict(part: Part, conditions: Sequence[tuple[str, float | str]], seed: int, jobs: int) -> list[Predictions]:
    """Return a part's predictions under each condition."""

    def recognise(id: str) -> np.ndarray:
        signal, rate = part.hear(id)
        return np.array([part.recognise(_degrade(signal, rate, id, *one, seed), rate) for one in conditions])

    ids = part.predictions.ids
    with bar(f"fold {part.predictions.folds[0]}", len(ids)) as advance, ThreadPoolExecutor(max(1, jobs)) as pool:
        found = []
        for probabilities in pool.map(recognise, ids):
            found.append(probabilities)
            advance(1)
    by_condition = np.array(found).transpose(1, 0, 2)
    return [replace(part.predictions, probabilities=probabilities) for probabilities in by_condition]


def _degrade(signal: np.ndarray, rate: int, id: str, curve: str, strength: float | str, seed: int) -> np.ndarray:
    if not curve:
        return signal
    # The seed does not depend on the strength, so that a curve with the same noise shows only the effect of the
    # strength.
    generator = np.random.default_rng(int(digest([seed, id, curve]), 16))
    return CURVES[curve].points[strength](signal, rate, len(signal), generator)


def _change(degraded: Predictions, clean: Predictions) -> Difference:
    compared = compare(degraded, clean)
    return Difference(difference=compared.difference, low=compared.low, high=compared.high)
