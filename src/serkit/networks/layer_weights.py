"""A learned weighting of an encoder's layers, and a classifier."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from serkit.errors import UserError
from serkit.networks.network import Batch, Network, Output, Shape


class LayerWeights(Network):
    """Softmax weights of the hidden states of an encoder, then a linear classifier (Yang et al. 2021, SUPERB).

    Args:
        inputs: one view (layers, size).
        outputs: number of outputs by target.
        hidden: size of a hidden layer with ReLU before the classifier; 0: none.
        dropout: share of the classifier's inputs dropped in training.
    """

    def __init__(
        self, inputs: Mapping[str, Shape], outputs: Mapping[str, int], hidden: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__(inputs, outputs)
        shape = self.inputs[self.only]
        if len(shape) != 2 or None in shape:
            raise UserError(f"view '{self.only}' must have shape (layers, size), got {shape}")
        layers, size = (length or 0 for length in shape)
        self.weights = nn.Parameter(torch.zeros(layers))
        self.body = nn.Sequential(nn.Linear(size, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(hidden or size)

    def forward(self, batch: Batch) -> Output:
        mixed = torch.einsum("l,bls->bs", self.weights.softmax(0), batch.views[self.only])
        features = self.dropout(self.body(mixed))
        return Output({target: head(features) for target, head in self.head.items()}, features)
