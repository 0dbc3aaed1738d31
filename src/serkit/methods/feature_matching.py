"""Learning of the features of a finished stage."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from serkit.methods.supervised import Supervised
from serkit.methods.taught import Taught
from serkit.networks.network import Batch, Output


class FeatureMatching(Taught):
    """Cross-entropy plus `weight` times the L1 distance between student and teacher features.

    The distance is the mean over the items of a batch and the features' numbers.

    Source: Kim & Lee 2024, sections 4.5 and 5.2 (weight 10). Their stage 2 is `cross_entropy=False`; then, no gradient
    reaches the student's head, and its training accuracy is meaningless.

    Args:
        teacher: name of the finished stage whose features are the target.
        weight: factor of the distance, >= 0.
        cross_entropy: whether the labels are used.
    """

    name = "feature_matching"

    def __init__(self, teacher: str, weight: float = 1.0, cross_entropy: bool = True) -> None:
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0, got {weight}")
        if weight == 0 and not cross_entropy:
            raise ValueError("weight = 0 without cross_entropy leaves nothing to minimize")
        super().__init__(teacher)
        self.weight = weight
        self.supervised = Supervised() if cross_entropy else None

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        target = self.target(output.features, batch)
        terms = {"match": self.weight * F.l1_loss(output.features, target)}
        if self.supervised is not None:
            terms |= self.supervised.loss(output, batch)
        return terms
