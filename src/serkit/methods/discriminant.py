"""A linear discriminant for voices and corpora that it has never met, as a stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from serkit.data.items import Item
from serkit.errors import UserError
from serkit.methods.method import Context, Method
from serkit.methods.svm import gather
from serkit.networks.linear import Linear
from serkit.networks.network import Batch, Model

# Logit of a class that the training part lacks: exp(-100) is 0 in float32.
_IMPOSSIBLE = -100.0

# The estimate of classes and voices in turn stops when no mean of a class moves by more than this, in deviations of the
# inputs.
_SETTLED, _ROUNDS = 1e-3, 20


class Discriminant(Method):
    """Fit a linear discriminant with an unknown offset of the voice, and write it into a `linear` network.

    An item is the mean of its class, plus the offset of its voice, plus a rest. Classes have the same means in all
    corpora; a voice is a speaker in one kind of augmented copy, because a copy changes a voice as another microphone or
    speaker would. Means and offsets are estimated in turn, so that the offset of a voice does not depend on which
    classes its corpus has: a class that a corpus lacks is unknown there, not absent. The answer is the class with the
    highest density for a voice that is not in the training part: rest and offsets are normal, and the covariance of
    the offsets is added to that of the rest.

    All corpora count the same, and so do the classes in a corpus. The normalization of the views is moved to the mean
    of the voices, so that adaptation to a voice leads to the same place.

    Source: linear discriminant analysis (Fisher 1936) with a two-covariance model of the within-class variation as in
    PLDA (Ioffe 2006), and shrinkage towards a multiple of the identity (Ledoit & Wolf 2004).

    Args:
        shrinkage: share of the covariance that is replaced by the identity times its mean variance, in (0, 1].
        voices: factor of the covariance of the offsets. 0 if the offset is always known, because the recognizer is
            adapted to each voice; 1 if it never is.
        weights: by corpus, what it counts beside a corpus that is not listed.
    """

    by_epochs = False

    def __init__(self, shrinkage: float = 0.3, voices: float = 0.3, weights: Mapping[str, float] | None = None) -> None:
        if not 0 < shrinkage <= 1:
            raise ValueError(f"shrinkage must be above 0 and at most 1, got {shrinkage:g}")
        if voices < 0:
            raise ValueError(f"voices must be 0 or more, got {voices:g}")
        if any(weight <= 0 for weight in (weights or {}).values()):
            raise ValueError(f"weights must be above 0, got {dict(weights or {})}")
        self.shrinkage = shrinkage
        self.voices = voices
        self.weights = dict(weights or {})
        self._voices = self._corpora = np.empty(0, dtype=int)
        self._importance = np.empty(0)
        self._found: dict[str, Any] = {}

    def identity(self, items: Sequence[Item]) -> list[list[str]]:
        """Return corpus and voice of each item."""
        return [[item.utterance.corpus, voice_of(item)] for item in items]

    def prepare(self, model: Model, context: Context) -> None:
        if not isinstance(model.network, Linear):
            raise UserError(f"method 'discriminant' requires network 'linear', got {type(model.network).__name__}")
        if len(context.classes) != 1 or set(model.normalisations) != set(model.network.inputs):
            raise UserError("method 'discriminant' requires one target, and normalise = 'band' in all views")
        names = sorted({item.utterance.corpus for item in context.training})
        self._corpora, self._voices = grouped(context.training)
        self._importance = np.array([self.weights.get(name, 1.0) for name in names])

    def finish(self, model: Model, batches: Iterable[Batch], held: Iterable[Batch] = ()) -> Model:
        learned = gather(model, batches)
        [(target, head)] = cast(Linear, model.network).head.items()
        known = learned.truth[target] >= 0
        sample = Sample(learned.x, learned.truth[target], self._voices, self._corpora).select(known)
        with torch.no_grad():
            _recenter(model, torch.from_numpy(self._fill(target, cast(nn.Linear, head), sample)))
        return model

    def report(self) -> dict[str, Any]:
        return self._found

    def _fill(self, target: str, head: nn.Linear, sample: Sample) -> np.ndarray:
        """Fit the discriminant of a target, write it into a linear layer, and return the voices' mean (inputs,)."""
        classes = head.out_features
        present = np.isin(np.arange(classes), sample.truth)
        if present.sum() < 2:
            raise UserError(
                f"method 'discriminant': {present.sum()} class of '{target}' in the training part; 2 are required"
            )
        means, offsets = effects(sample, self._importance, classes)
        center, within, between = covariances(sample, self._importance, means, offsets)
        covariance = within + self.voices * between
        size = covariance.shape[0]
        variance = float(np.trace(covariance)) / size or 1.0
        covariance = (1 - self.shrinkage) * covariance + self.shrinkage * variance * np.eye(size)
        weights = np.linalg.solve(covariance, means.T).T
        bias = -0.5 * (means * weights).sum(axis=1)
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(np.where(present, bias, _IMPOSSIBLE)))
        self._found[target] = {
            "items": len(sample.x),
            "inputs": size,
            "voices": len(offsets),
            "variance_within": float(np.trace(within)) / size,
            "variance_of_voices": float(np.trace(between)) / size,
        }
        return center


@dataclass(frozen=True)
class Sample:
    """n items with a known class.

    Args:
        x: inputs (n, inputs).
        truth: class indices, (n,).
        voices: indices of voices, (n,).
        corpora: indices of corpora, (n,).
    """

    x: np.ndarray
    truth: np.ndarray
    voices: np.ndarray
    corpora: np.ndarray

    def select(self, rows: np.ndarray) -> Sample:
        """Return some items, by index or by a mask; voices are numbered anew."""
        voices = np.unique(self.voices[rows], return_inverse=True)[1]
        return Sample(self.x[rows], self.truth[rows], voices, self.corpora[rows])


def grouped(items: Sequence[Item]) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the items' corpora, in the order of their names, and of their voices, (items,) each."""
    corpora, voices = zip(*((item.utterance.corpus, voice_of(item)) for item in items), strict=True)
    return np.unique(corpora, return_inverse=True)[1], np.unique(voices, return_inverse=True)[1]


def balanced(sample: Sample, importance: np.ndarray) -> np.ndarray:
    """Return weights (n,), sum 1, with which classes count the same in a corpus, and corpora by their importance.

    Args:
        sample: n items.
        importance: of each corpus, (corpora,).
    """
    pairs, place, counts = np.unique(
        np.stack([sample.corpora, sample.truth]), axis=1, return_inverse=True, return_counts=True
    )
    classes = np.bincount(pairs[0], minlength=len(importance))
    weights = importance[sample.corpora] / (classes[sample.corpora] * counts[place.ravel()])
    shares: np.ndarray = weights / weights.sum()
    return shares


def effects(sample: Sample, importance: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the mean of each class and the offset of each voice.

    Args:
        sample: n items.
        importance: of each corpus, (corpora,).
        classes: number of classes.

    Returns:
        Means (classes, inputs), of which those of classes in the sample add up to 0; offsets (voices, inputs).
    """
    weights = balanced(sample, importance)
    of_voice = _shares(sample.voices, weights)
    of_class = _shares(sample.truth, weights, classes)
    present = np.flatnonzero(of_class.any(axis=1))
    means = np.zeros((classes, sample.x.shape[1]))
    # The mean of a voice's inputs minus that of its classes is the same as the mean of the differences.
    voice_inputs, class_inputs = of_voice @ sample.x, of_class @ sample.x
    classes_of_voice = of_voice @ np.eye(classes)[sample.truth]
    voices_of_class = of_class @ np.eye(len(of_voice))[sample.voices]
    for _ in range(_ROUNDS):
        offsets = voice_inputs - classes_of_voice @ means
        moved = class_inputs - voices_of_class @ offsets
        moved[present] -= moved[present].mean(axis=0)
        change = float(np.abs(moved - means).max())
        means = moved
        if change < _SETTLED:
            break
    return means, voice_inputs - classes_of_voice @ means


def covariances(
    sample: Sample, importance: np.ndarray, means: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of the offsets (inputs,), and the covariance of the rest and of the offsets, (inputs, inputs).

    The voices of a corpus count the same, and the corpora as in `balanced`.
    """
    rest = sample.x - means[sample.truth] - offsets[sample.voices]
    within = (rest * balanced(sample, importance)[:, None]).T @ rest
    corpora = np.zeros(len(offsets), dtype=int)
    corpora[sample.voices] = sample.corpora
    weights = importance[corpora] / np.bincount(corpora, minlength=len(importance))[corpora]
    weights /= weights.sum()
    center = weights @ offsets
    centered = offsets - center
    return center, within, (centered * weights[:, None]).T @ centered


def _shares(groups: np.ndarray, weights: np.ndarray, count: int | None = None) -> np.ndarray:
    """Return a matrix (groups, n) whose product with values (n, ...) is their weighted mean in each group."""
    count = count or int(groups.max()) + 1
    matrix = np.zeros((count, len(groups)))
    matrix[groups, np.arange(len(groups))] = weights
    total = matrix.sum(axis=1, keepdims=True)
    return matrix / np.where(total > 0, total, 1.0)


def _recenter(model: Model, center: Tensor) -> None:
    """Move the mean of the views' normalization by some of their deviations, (inputs,) in the order of `Linear`."""
    for view in sorted(model.network.inputs):
        normalisation = model.normalisation(view)
        size = normalisation.mean.numel()
        part, center = center[:size], center[size:]
        normalisation.mean += part.to(normalisation.mean).reshape(normalisation.mean.shape) * normalisation.deviation


def voice_of(item: Item) -> str:
    """Return the name of an item's voice; without a known speaker, its corpus is one voice."""
    return f"{item.utterance.speaker or item.utterance.corpus}+{item.copy or ''}"
