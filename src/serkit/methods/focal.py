"""Cross-entropy with less weight for items that are already right."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch

# Floor of 1 - p: a power below 1 has an infinite slope at 0, where p is 1 in float32.
_LEAST = 1e-12


class Focal(Supervised):
    """Cross-entropy of each item times (1 - p)^gamma, where p is the probability of its class.

    The gradient includes the factor, as in the source; gamma = 0 is cross-entropy.

    Source: Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4 (gamma 2). Their alpha, a class
    weight, is `class_weights` here, and is off by default.

    Args:
        gamma: power, >= 0.
        class_weights: see `Supervised`.
    """

    term = "focal"

    def __init__(self, gamma: float = 2.0, class_weights: str | None = None) -> None:
        super().__init__(class_weights=class_weights)
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        self.gamma = gamma

    def losses(self, target: str, logits: Tensor, batch: Batch) -> Tensor:
        return self.weighted(focal_loss(logits, batch.targets[target], self.gamma), target, batch)


def focal_loss(logits: Tensor, truth: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p of each item (items,), from logits (items, classes) and class indices (items,)."""
    losses = F.cross_entropy(logits, truth, reduction="none")
    wrong = -torch.expm1(-losses)  # 1 - p, without the cancellation of a subtraction
    return wrong.clamp_min(_LEAST) ** gamma * losses
