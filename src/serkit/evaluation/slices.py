"""Scores of slices of the material: by sex, speaker, language, duration, loudness and signal-to-noise ratio."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from serkit.corpora.corpus import Utterance
from serkit.evaluation.predictions import Predictions
from serkit.evaluation.properties import Properties
from serkit.evaluation.scores import Summary
from serkit.records import Record

#: Properties of slices, with title and unit.
TITLES = {
    "sex": "sex",
    "speaker": "speaker",
    "language": "language",
    "duration": "duration (s)",
    "loudness": "loudness (LUFS)",
    "snr": "signal-to-noise ratio (dB, estimated)",
}

#: Number of slices of a measured property, equally full except for rounding, and the step of their bounds.
QUANTILES = 4
_STEPS = {"duration": 0.1, "loudness": 0.5, "snr": 1.0}

#: Slices with fewer utterances, speakers, or utterances of a class carry a warning.
FEWEST_UTTERANCES, FEWEST_SPEAKERS, FEWEST_OF_CLASS = 30, 4, 5

UNKNOWN = "unknown"


class Share(Record):
    """A class and its share of the predictions."""

    label: str = Field(alias="class")
    share: float


class Slice(Summary):
    """Scores of a slice.

    Args:
        value: value of the property.
        n: number of predictions.
        utterances: number of utterances.
        speakers: number of known speakers.
        commonest: the most common class.
        warnings: reasons not to trust the scores.
    """

    value: str
    n: int
    utterances: int
    speakers: int
    commonest: Share
    warnings: list[str]


def slices(
    predictions: Predictions, utterances: Mapping[str, Utterance], measured: Mapping[str, Properties]
) -> dict[str, list[Slice]]:
    """Score each slice of the predictions.

    Slices by one property differ in others too: loud recordings are often angry ones. The scores of a slice therefore
    include its most common class, and UAR is more meaningful than accuracy.

    Args:
        predictions: predictions of all folds and seeds.
        utterances: utterances by id; for a missing one, only the speaker is known.
        measured: measured properties by id.

    Returns:
        The slices by key of `TITLES`.
    """
    return {
        name: [_score(predictions.select(values == value), value, name) for value in order if (values == value).any()]
        for name, (values, order) in _values(predictions, utterances, measured).items()
    }


def _values(
    predictions: Predictions, utterances: Mapping[str, Utterance], measured: Mapping[str, Properties]
) -> dict[str, tuple[np.ndarray, Sequence[str]]]:
    """Return, by property, the slice of each prediction and the order of the slices."""
    found: dict[str, tuple[np.ndarray, Sequence[str]]] = {}
    for name in TITLES:
        if name in _STEPS:
            numbers = [getattr(measured[id], name) if id in measured else np.nan for id in predictions.ids]
            found[name] = _binned(np.array(numbers), _STEPS[name])
            continue
        if name == "speaker":
            texts = [speaker or UNKNOWN for speaker in predictions.speakers]
        else:
            texts = [(id in utterances and getattr(utterances[id], name)) or UNKNOWN for id in predictions.ids]
        found[name] = np.array(texts), sorted(set(texts), key=lambda text: (text == UNKNOWN, text))
    return found


def _binned(values: np.ndarray, step: float) -> tuple[np.ndarray, Sequence[str]]:
    """Put numbers into slices between their rounded quantiles; NaN is unknown."""
    known = values[np.isfinite(values)]
    bounds = np.quantile(known, np.arange(1, QUANTILES) / QUANTILES) if len(known) else np.empty(0)
    bounds = np.unique(np.round(bounds / step) * step)
    # A bound at or below the smallest number would make an empty slice.
    bounds = bounds[bounds > known.min()] if len(known) else bounds
    texts = [f"{bound:.6g}" for bound in bounds]
    if texts:
        order = [f"below {texts[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(texts))]
        order.append(f"{texts[-1]} and more")
    else:
        order = ["all"]
    labels = np.array([*order, UNKNOWN])
    places = np.where(np.isfinite(values), np.searchsorted(bounds, values, side="right"), len(order))
    return labels[places], [*order, UNKNOWN]


def _score(part: Predictions, value: str, name: str) -> Slice:
    """Score one slice."""
    sizes = np.bincount(part.truth, minlength=len(part.classes))
    return Slice.of(
        part,
        value=str(value),
        n=len(part),
        utterances=len(set(part.ids)),
        speakers=len(set(part.speakers) - {None}),
        commonest={"class": part.classes[int(sizes.argmax())], "share": float(sizes.max() / sizes.sum())},
        warnings=_warnings(part, name),
    )


def _warnings(part: Predictions, name: str) -> list[str]:
    """Return the reasons not to trust the scores of a slice."""
    ids, first = np.unique(part.ids, return_index=True)
    sizes = np.bincount(part.truth[first], minlength=len(part.classes))
    speakers = set(part.speakers) - {None}
    found = []
    if len(ids) < FEWEST_UTTERANCES:
        found.append(f"only {len(ids)} utterances")
    if name != "speaker" and 0 < len(speakers) < FEWEST_SPEAKERS:
        found.append(f"only {len(speakers)} speaker{'s' if len(speakers) > 1 else ''}")
    absent = [label for label, size in zip(part.classes, sizes, strict=True) if size == 0]
    few = [label for label, size in zip(part.classes, sizes, strict=True) if 0 < size < FEWEST_OF_CLASS]
    if absent:
        found.append(f"none of {', '.join(absent)}: UAR covers the other classes")
    if few:
        found.append(f"fewer than {FEWEST_OF_CLASS} of {', '.join(few)}")
    return found
