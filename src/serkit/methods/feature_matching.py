"""Learning the features of a finished stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from serkit.errors import UserError
from serkit.methods.method import Method
from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Model, Output

if TYPE_CHECKING:
    from serkit.systems.stages import Stages


class FeatureMatching(Method):
    """Cross-entropy plus `weight` times the L1 distance between student and teacher features.

    The distance is the mean over the items of a batch and the features' numbers. The teacher's features are
    computed once per item, so a random change of the batch reaches the student only: it learns to answer it
    with the features of the unchanged item.

    Source: Kim & Lee 2024, sections 4.5 and 5.2 (weight 10); their stage 2 is `cross_entropy=False`, where no
    gradient reaches the student's head and its training accuracy says nothing.

    Args:
        teacher: name of the finished stage whose features are the target.
        weight: factor of the distance, >= 0.
        cross_entropy: whether the labels are used at all.
    """

    def __init__(self, teacher: str, weight: float = 1.0, cross_entropy: bool = True) -> None:
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be 0 or more, not {weight}")
        if weight == 0 and not cross_entropy:
            raise ValueError("weight = 0 without cross_entropy leaves nothing to minimise")
        self.teacher = teacher
        self.weight = weight
        self.supervised = Supervised() if cross_entropy else None
        self.targets: Tensor | None = None

    def prepare(self, model: Model, stages: Stages) -> None:
        self.targets = stages.outputs(self.teacher)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        terms = {"match": self.weight * F.l1_loss(output.features, self._target(output, batch))}
        if self.supervised is not None:
            terms |= self.supervised.loss(output, batch)
        return terms

    def _target(self, output: Output, batch: Batch) -> Tensor:
        """Return the teacher's features of a batch's items, where and as the student's are."""
        if self.targets is None or batch.index is None:
            raise TypeError("feature matching needs prepare() first, and batches that say which items they hold")
        target = self.targets[batch.index.to(self.targets.device)]
        if target.shape != output.features.shape:
            raise UserError(
                f"method 'feature_matching': the features of teacher '{self.teacher}' have size {target.shape[1]}, "
                f"the student's {output.features.shape[1]}; give both networks the same width"
            )
        return target.to(output.features)
