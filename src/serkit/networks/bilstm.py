"""A deep bidirectional LSTM on sequences such as an F0 contour."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from serkit.errors import unknown
from serkit.networks.layers.recurrent import Lstm, final
from serkit.networks.network import Batch, Network, Output, Shape, mask

POOLINGS = ("last", "mean", "max")


class BiLstm(Network):
    """Bidirectional LSTM layers over time; a linear layer reads one vector per item, the feature.

    An item yields the same result alone and in a batch padded to any length.

    Source: Chen et al. 2022, section 2.1.2 and table 3. The paper does not say how the last layer's states become one
    vector; serkit defaults to `last`. The features lie between -1 and 1.

    Args:
        inputs: one view of shape (n, None); F0 alone is (1, None).
        outputs: number of outputs by target.
        layers: number of layers; the paper compares 3, 4 and 5.
        hidden: size of each direction's state; the feature is twice as long.
        pooling: `last`: the final state of each direction, at the item's end for the forward one and at its start
            for the backward one; `mean` or `max`: over all states.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        layers: int = 4,
        hidden: int = 256,
        pooling: str = "last",
    ) -> None:
        super().__init__(inputs, outputs)
        if min(layers, hidden) < 1:
            raise TypeError("layers and hidden must be 1 or more")
        if pooling not in POOLINGS:
            raise unknown("pooling", str(pooling), POOLINGS)
        shape = self.inputs[self.only]
        if len(shape) != 2 or shape[0] is None or shape[1] is not None:
            raise TypeError(f"view '{self.only}' must have shape (n, None), got {shape}")
        self.pooling = pooling
        self.lstm = Lstm(shape[0], hidden, layers, bidirectional=True)
        self.head = self.heads(2 * hidden)

    def forward(self, batch: Batch) -> Output:
        x = batch.views[self.only].transpose(1, 2)
        lengths = batch.lengths.get(self.only)
        features = self._pool(self.lstm(x, lengths).float(), lengths)
        return Output({target: head(features) for target, head in self.head.items()}, features)

    def _pool(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Reduce each item's states (batch, time, 2 * hidden) to one vector."""
        if self.pooling == "last":
            hidden = self.lstm.hidden_size
            return torch.cat([final(states, lengths)[:, :hidden], states[:, 0, hidden:]], 1)
        if lengths is None:
            return states.mean(1) if self.pooling == "mean" else states.amax(1)
        padding = ~mask(lengths, states.shape[1])[:, :, None]
        if self.pooling == "mean":
            return states.masked_fill(padding, 0.0).sum(1) / lengths[:, None]
        return states.masked_fill(padding, -torch.inf).amax(1)
