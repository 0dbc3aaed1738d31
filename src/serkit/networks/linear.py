"""A linear classifier: the baseline every network has to beat."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from serkit.networks.network import Batch, Network, Output, Shape


class Linear(Network):
    """One linear layer per target on a view without time; multinomial logistic regression when trained
    with cross-entropy.

    Args:
        inputs: one view of fixed shape.
        outputs: number of outputs by target.
        dropout: share of inputs dropped in training.
    """

    def __init__(self, inputs: Mapping[str, Shape], outputs: Mapping[str, int], dropout: float = 0.0) -> None:
        super().__init__(inputs, outputs)
        shape = self.inputs[self.only]
        size = 1
        for length in shape:
            if length is None:
                raise TypeError(f"view '{self.only}' has a time axis; a linear network needs a fixed shape")
            size *= length
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(size)

    def forward(self, batch: Batch) -> Output:
        features = batch.views[self.only].flatten(1)
        x = self.dropout(features)
        return Output({target: head(x) for target, head in self.head.items()}, features)
