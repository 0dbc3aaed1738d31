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

#: Maximum number of folds of the cross-validation inside the training part; fewer groups yield fewer folds.
FOLDS = 5

# Decision value and logit of a class that the training part lacks: exp(-100) is 0 in float32, and no decision value of
# another class is near -1000.
_ABSENT = -1000.0
_IMPOSSIBLE = -100.0
# Enough for 1152 standardized features at C = 1; otherwise, liblinear warns.
_ITERATIONS = 10_000


class Svm(Method):
    """Fit scikit-learn's LinearSVC to the inputs of a `linear` network, and write it into that network's weights.

    The class with the highest decision value is the most probable one. Decision values are not probabilities. They are
    divided by a temperature that maximizes the likelihood of their softmax (Guo et al. 2017) on held-out items. These
    are the stage's validation items or, without any, the training items, each decided by a machine that was fitted
    without its group. A group is a speaker; an utterance with an unknown speaker, or each utterance if there is only
    one speaker, is a separate group.

    If an earlier stage was trained on the same items, its features already contain their labels in all groups, and the
    temperature is too low. A bundle's temperature, fitted on the test parts of a run's folds, corrects this.

    Args:
        c: weight of errors against the width of the margin, > 0; from several values, the best by UAR in the
            cross-validation inside the training part is chosen, and the smallest of equals.
        class_weights: `balanced` weights errors inversely to the frequency of their class; None weights all equally.
        kind: `ovr` (each class against the rest) or `crammer_singer` (one joint problem).
    """

    by_epochs = False

    def __init__(self, c: float | Sequence[float] = 1.0, class_weights: str | None = None, kind: str = "ovr") -> None:
        self.candidates = sorted(set(c)) if isinstance(c, Sequence) else [c]
        if not self.candidates or not all(value > 0 for value in self.candidates):
            raise ValueError(f"c must be a number above 0, or a list of such numbers, got {c}")
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
            raise UserError(f"method 'svm' requires network 'linear', got {kind}")
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
            raise UserError(f"method 'svm': {len(set(truth))} class of '{target}' in the training part; 2 are required")
        classes = head.out_features
        trials = {}
        if len(self.candidates) > 1 or not len(tested):
            trials = {c: self._decide_held_out(x, truth, groups, classes, c) for c in self.candidates}
        scores = {c: uar(kept, values.argmax(1)) if len(kept) else 0.0 for c, (values, kept) in trials.items()}
        c = max(self.candidates, key=lambda c: scores.get(c, 0.0))  # sorted, so that the smallest of equals is chosen
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
        """Decide each item with a machine that was fitted without its group.

        Returns:
            Decision values (n, classes) and classes (n,) of the items whose class occurs in other groups.
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
            dual="auto",  # the smaller problem for the shape of x
            random_state=self.seed,
            max_iter=_ITERATIONS,
        ).fit(x, truth)
        rows, offsets = fitted.coef_, fitted.intercept_
        if len(fitted.classes_) == 2:
            # One plane separates both classes; the second is above it.
            rows, offsets = np.concatenate([-rows, rows]), np.concatenate([-offsets, offsets])
        weights, bias = np.zeros((classes, x.shape[1])), np.full(classes, _ABSENT)
        weights[fitted.classes_], bias[fitted.classes_] = rows, offsets
        return Machine(weights, bias)


def _scale(values: np.ndarray, truth: np.ndarray, present: np.ndarray) -> float:
    """Return the divisor of decision values (n, classes), given the classes (n,) of their items.

    As in Platt 1999 for two classes, each class counts as seen once more. Otherwise, features that contain the labels
    would have no errors, and the best temperature would be 0.

    Args:
        values: decision values.
        truth: class indices.
        present: whether the training part has each class, (classes,).
    """
    if not len(truth):
        return 1.0
    # A small C yields small values, and temperatures are searched around 1.
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
    """The data of a linear layer: inputs (items, size), and by target the class index of each item, -1 without a
    label."""

    x: np.ndarray
    truth: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.x)

    def of(self, target: str, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, classes and groups of the items with a label of the target."""
        known = self.truth[target] >= 0
        return self.x[known], self.truth[target][known], groups[known] if groups is not None else np.empty(0)


def gather(model: Model, batches: Iterable[Batch]) -> Inputs:
    """Run a model, and return the normalized and concatenated inputs of its linear layer."""
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
