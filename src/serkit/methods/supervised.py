"""Cross-entropy on labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from serkit.data.items import Item, label
from serkit.errors import unknown
from serkit.methods.method import Context, Method
from serkit.networks.network import Batch, Model, Output


class Supervised(Method):
    """Cross-entropy, averaged over the items of a batch and summed over targets.

    Args:
        label_smoothing: share of the target probability spread evenly over all classes, in [0, 1).
        class_weights: `balanced` weights each item by items / (classes * items of its class), counted in the training
            part; None weights all items equally.
        loss_input: input of the cross-entropy: the network's `logits`, or their `softmax`, as in networks with a final
            softmax and a loss with another one (Skoulidis et al. 2023). The minimum for C classes is then ln(e + C - 1)
            - 1, and right answers hardly change the weights. Probabilities are the softmax of the network's logits in
            both cases.
    """

    #: Name of the loss term; with several targets, `_target` is appended.
    term = "cross_entropy"

    def __init__(
        self, label_smoothing: float = 0.0, class_weights: str | None = None, loss_input: str = "logits"
    ) -> None:
        if class_weights not in (None, "balanced"):
            raise unknown("class_weights", str(class_weights), ["balanced"])
        if loss_input not in ("logits", "softmax"):
            raise unknown("loss_input", str(loss_input), ["logits", "softmax"])
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be from 0 to below 1, got {label_smoothing}")
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.loss_input = loss_input
        self.weights: dict[str, Tensor] = {}

    def prepare(self, model: Model, context: Context) -> None:
        if self.class_weights == "balanced":
            for target, classes in context.classes.items():
                self.weights[target] = balanced_weights(context.training, target, classes)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        terms = {}
        for target, logits in output.predictions.items():
            losses = self.losses(target, logits, batch)
            known = batch.masks.get(target)
            name = self.term if len(output.predictions) == 1 else f"{self.term}_{target}"
            # A batch without any known label has no loss in this target: 0, not 0 / 0.
            terms[name] = losses.mean() if known is None else (losses * known).sum() / known.sum().clamp_min(1)
        return terms

    def losses(self, target: str, logits: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each item in a target, (batch,); an item with an unknown label does not count."""
        if self.loss_input == "softmax":
            logits = logits.softmax(1)
        losses = F.cross_entropy(logits, batch.targets[target], reduction="none", label_smoothing=self.label_smoothing)
        return self.weighted(losses, target, batch)

    def weighted(self, losses: Tensor, target: str, batch: Batch) -> Tensor:
        """Multiply each item's loss by the weight of its class, if classes have weights."""
        if target not in self.weights:
            return losses
        return losses * self.weights[target].to(losses)[batch.targets[target]]


def class_counts(items: Sequence[Item], target: str, classes: Sequence[str]) -> list[int]:
    """Count the items of each class."""
    labels = [str(label(item.utterance, target)) for item in items]
    return [labels.count(name) for name in classes]


def balanced_weights(items: Sequence[Item], target: str, classes: Sequence[str]) -> Tensor:
    """Return items / (classes * items of the class) for each class; 0 for a class without items."""
    counts = torch.tensor(class_counts(items, target, classes), dtype=torch.float32)
    present = (counts > 0).sum()
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp_min(1)), 0.0)
