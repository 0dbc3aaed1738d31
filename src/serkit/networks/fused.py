"""The network that Zhong et al. 2020 compare theirs with: both channels trained as one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from serkit.networks import acln, fcn
from serkit.networks.network import Batch, Network, Output, Shape

#: Size of the feature.
HIDDEN = 1024


class Fused(Network):
    """The features of `Acln` and `Fcn` concatenated, through one linear layer and ReLU, to one classifier.

    The feature is the output of that ReLU.

    Source: Zhong, Yu & Zhang 2020, section IV-C, "fused training". The paper does not give the layer's width.

    Args:
        inputs: two views: one of shape (coefficients, None) for `Acln`, one of shape (size,) for `Fcn`.
        outputs: number of outputs by target.
        frames: as in `Acln`.
        freq_collapse: as in `Acln`.
        dropout: applied before the classifier.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        frames: int | None = None,
        freq_collapse: str = "mean",
        dropout: float = 0.25,
    ) -> None:
        super().__init__(inputs, outputs)
        # The vector comes first; any other view must be one that `Acln` accepts.
        views = sorted(self.inputs, key=lambda view: len(self.inputs[view]))
        if len(views) != 2:
            raise TypeError(
                f"fused requires two views, (coefficients, None) and (size,), got {len(views)}: {self.inputs}"
            )
        self.vector, self.sequence = views
        self.fcn = fcn.FcnBody(fcn.size_of(self.vector, self.inputs[self.vector]))
        coefficients = acln.coefficients_of(self.sequence, self.inputs[self.sequence])
        self.acln = acln.AclnBody(coefficients, frames, freq_collapse)
        self.join = nn.Linear(acln.HIDDEN + fcn.HIDDEN, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(HIDDEN)

    def forward(self, batch: Batch) -> Output:
        automatic = self.acln(batch.views[self.sequence], batch.lengths.get(self.sequence))
        empirical = F.relu(self.fcn(batch.views[self.vector]))
        features = F.relu(self.join(torch.cat([automatic, empirical], 1)))
        hidden = self.dropout(features)
        return Output({target: head(hidden) for target, head in self.head.items()}, features)
