"""A linear support vector machine as a stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from serkit.data.items import Item
from serkit.errors import UserError, unknown
from serkit.evaluation.calibration import temperature
from serkit.evaluation.metrics import uar
from serkit.methods.method import Context, Method
from serkit.networks.linear import Linear
from serkit.networks.network import Batch, Model

KINDS = ("ovr", "crammer_singer")

#: Folds of the cross-validation inside the training part, or as many as there are groups if those are fewer.
FOLDS = 5

# Decision value and logit of a class that the training part does not have: exp(-100) is below what float32 can
# tell from 0, and no decision value of another class comes near -1000.
_ABSENT = -1000.0
_IMPOSSIBLE = -100.0
# Enough for 1152 standardised features at C = 1; liblinear warns where it is not.
_ITERATIONS = 10_000


class Svm(Method):
    """Fit scikit-learn's LinearSVC to the inputs of a `linear` network and put it into that network's weights.

    The class with the highest decision value is the most probable one. Decision values are no probabilities: they
    are divided by a temperature that makes their softmax the most likely one (Guo et al. 2017) on items the
    machine was not fitted to. Those are the stage's validation items, or where it has none the training items
    themselves, each decided by a machine that was fitted without its group. A group is a speaker; utterances
    whose speaker is unknown, or all if there is only one speaker, are groups of their own.

    Features of an earlier stage that was trained on the same items know their labels already, in each of these
    groups: there the temperature is too low. That of a bundle, fitted on the test parts of a run's folds, mends it.

    Args:
        c: weight of errors against the width of the margin, > 0; of several the one with the best UAR in the
            cross-validation inside the training part, of equals the smallest.
        class_weights: `balanced` weighs errors against how common their class is; None weighs all alike.
        kind: `ovr` (each class against the rest) or `crammer_singer` (one joint problem).
    """

    by_epochs = False

    def __init__(self, c: float | Sequence[float] = 1.0, class_weights: str | None = None, kind: str = "ovr") -> None:
        self.candidates = sorted(set(c)) if isinstance(c, Sequence) else [c]
        if not self.candidates or not all(value > 0 for value in self.candidates):
            raise ValueError(f"c must be above 0, or a list of such numbers, not {c}")
        if class_weights not in (None, "balanced"):
            raise unknown("class_weights", str(class_weights), ["balanced"])
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        self.class_weights = class_weights
        self.kind = kind
        self.seed = 0
        self.groups = np.empty(0)
        self._found: dict[str, Any] = {}

    def identity(self, items: Sequence[Item]) -> list[str]:
        """Return the group of each item."""
        utterances = [item.utterance for item in items]
        groups = [utterance.speaker or utterance.id for utterance in utterances]
        return groups if len(set(groups)) > 1 else [utterance.id for utterance in utterances]

    def prepare(self, model: Model, context: Context) -> None:
        if not isinstance(model.network, Linear):
            kind = type(model.network).__name__
            raise UserError(f"method 'svm' makes the weights of network 'linear'; the stage's is {kind}")
        self.seed = context.seed
        self.groups = np.array(self.identity(context.training))

    def finish(self, model: Model, batches: Iterable[Batch], held: Iterable[Batch] = ()) -> Model:
        learned, tested = gather(model, batches), gather(model, held)
        for target, head in cast(Linear, model.network).head.items():
            with torch.no_grad():
                self._fill(target, cast(nn.Linear, head), learned, tested)
        return model

    def report(self) -> dict[str, Any]:
        return self._found

    def _fill(self, target: str, head: nn.Linear, learned: Inputs, tested: Inputs) -> None:
        """Fit the machine of a target and write it into a linear layer."""
        x, truth, groups = learned.of(target, self.groups)
        if len(set(truth)) < 2:
            raise UserError(f"method 'svm': {len(set(truth))} class of '{target}' in the training part, 2 are needed")
        classes = head.out_features
        trials = {}
        if len(self.candidates) > 1 or not len(tested):
            trials = {c: self._decide_held_out(x, truth, groups, classes, c) for c in self.candidates}
        scores = {c: uar(kept, values.argmax(1)) if len(kept) else 0.0 for c, (values, kept) in trials.items()}
        c = max(self.candidates, key=lambda c: scores.get(c, 0.0))  # sorted: of equals the smallest
        machine = self._machine(x, truth, classes, c)
        if len(tested):
            calibrated_on = "validation part"
            held_x, held_truth, _ = tested.of(target)
            known = np.isin(held_truth, truth)
            values, kept = machine.decide(held_x[known]), held_truth[known]
        else:
            calibrated_on = "groups held out of the training part"
            values, kept = trials[c]
        present = np.isin(np.arange(classes), truth)
        scale = _scale(values, kept, present)
        head.weight.copy_(torch.from_numpy(machine.weights / scale))
        head.bias.copy_(torch.from_numpy(np.where(present, machine.bias / scale, _IMPOSSIBLE)))
        self._found[target] = {
            "c": c,
            "held_out_uar": {str(candidate): score for candidate, score in scores.items()},
            "temperature": scale,
            "calibrated_on": f"{len(kept)} items: {calibrated_on}",
            "items": len(truth),
            "inputs": x.shape[1],
        }

    def _decide_held_out(
        self, x: np.ndarray, truth: np.ndarray, groups: np.ndarray, classes: int, c: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decide each item by a machine that was fitted without its group.

        Returns:
            Decision values (n, classes) and classes (n,) of the items whose class the others had.
        """
        from sklearn.model_selection import GroupKFold

        values, kept = [np.empty((0, classes))], [np.empty(0, dtype=int)]
        folds = min(FOLDS, len(set(groups)))
        for rest, part in GroupKFold(folds).split(x, truth, groups) if folds > 1 else ():
            if len(set(truth[rest])) < 2:
                continue
            known = part[np.isin(truth[part], truth[rest])]
            values.append(self._machine(x[rest], truth[rest], classes, c).decide(x[known]))
            kept.append(truth[known])
        return np.concatenate(values), np.concatenate(kept)

    def _machine(self, x: np.ndarray, truth: np.ndarray, classes: int, c: float) -> Machine:
        from sklearn.svm import LinearSVC

        fitted = LinearSVC(
            C=c,
            class_weight=self.class_weights,
            multi_class=self.kind,
            dual="auto",  # by the shape of x: the smaller problem
            random_state=self.seed,
            max_iter=_ITERATIONS,
        ).fit(x, truth)
        rows, offsets = fitted.coef_, fitted.intercept_
        if len(fitted.classes_) == 2:
            # One plane stands for both classes: what is above it is the second.
            rows, offsets = np.concatenate([-rows, rows]), np.concatenate([-offsets, offsets])
        weights, bias = np.zeros((classes, x.shape[1])), np.full(classes, _ABSENT)
        weights[fitted.classes_], bias[fitted.classes_] = rows, offsets
        return Machine(weights, bias)


def _scale(values: np.ndarray, truth: np.ndarray, present: np.ndarray) -> float:
    """Return what decision values (n, classes) are to be divided by, from the classes (n,) of their items.

    As in Platt 1999 for two classes, each item's target is what n items like it would show if each class had been
    seen once more: features that know the labels get every item right, and without it the best temperature is 0.

    Args:
        values: decision values.
        truth: class indices.
        present: which classes the training part has, (classes,).
    """
    if not len(truth):
        return 1.0
    # A small C makes small values, and temperatures are looked for around 1.
    size = float(np.median(np.abs(values[:, present]))) or 1.0
    return size * temperature(values / size, truth, smoothing=present.sum() / (len(truth) + present.sum()))


@dataclass(frozen=True)
class Machine:
    """A fitted machine: a weight vector (classes, inputs) and an offset (classes,) for each class."""

    weights: np.ndarray
    bias: np.ndarray

    def decide(self, x: np.ndarray) -> np.ndarray:
        """Return the decision values of inputs (n, inputs): (n, classes)."""
        values: np.ndarray = x @ self.weights.T + self.bias
        return values


@dataclass(frozen=True)
class Inputs:
    """What reaches a linear layer: inputs (items, size), and by target the class index of each item, -1 without."""

    x: np.ndarray
    truth: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.x)

    def of(self, target: str, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, classes and groups of the items with a label of the target."""
        known = self.truth[target] >= 0
        return self.x[known], self.truth[target][known], groups[known] if groups is not None else np.empty(0)


def gather(model: Model, batches: Iterable[Batch]) -> Inputs:
    """Run a model and keep what its linear layer received, normalised and side by side."""
    found: list[np.ndarray] = []
    truth: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for batch in batches:
            found.append(model(batch).features.double().numpy())
            for target, labels in batch.targets.items():
                known = batch.masks.get(target, torch.ones(len(batch), dtype=torch.bool))
                truth.setdefault(target, []).append(torch.where(known, labels, -1).numpy())
    if not found:
        return Inputs(np.empty((0, 0)), {})
    return Inputs(np.concatenate(found), {target: np.concatenate(parts) for target, parts in truth.items()})
