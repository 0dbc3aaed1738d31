"""A linear classifier: the baseline for every network."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from serkit.networks.network import Batch, Network, Output, Shape


class Linear(Network):
    """One linear layer per target on views without time; multinomial logistic regression when trained
    with cross-entropy, a support vector machine or a discriminant when fitted by the method of that name.

    Args:
        inputs: views of fixed shape, concatenated in the order of their names, so that the weights do not depend on
            the order in which a stage lists them.
        outputs: number of outputs by target.
        dropout: share of inputs dropped in training.
        limit: inputs are clipped to -limit..limit; None: they are not. For a view normalized by band, the unit is one
            deviation; one extreme value of an unusual recording then cannot decide the result.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        dropout: float = 0.0,
        limit: float | None = None,
    ) -> None:
        super().__init__(inputs, outputs)
        if limit is not None and limit <= 0:
            raise ValueError(f"limit must be above 0, got {limit:g}")
        self.limit = limit
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(sum(_numbers(view, shape) for view, shape in self.inputs.items()))

    def forward(self, batch: Batch) -> Output:
        features = torch.cat([batch.views[view].flatten(1) for view in sorted(self.inputs)], 1)
        if self.limit is not None:
            features = features.clamp(-self.limit, self.limit)
        x = self.dropout(features)
        return Output({target: head(x) for target, head in self.head.items()}, features)


def _numbers(view: str, shape: Shape) -> int:
    """Return the number of values in a view."""
    known = [length for length in shape if length is not None]
    if len(known) < len(shape):
        raise TypeError(f"view '{view}' has a time axis; a linear network requires a fixed shape")
    return math.prod(known)
