"""A small network that pools over time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from serkit.networks.network import Batch, Network, Output, Shape, mask


class Pool(Network):
    """A convolution over time, then mean and maximum.

    Args:
        inputs: one view (rows, time).
        outputs: number of outputs by target.
        units: channels of the convolution.
    """

    def __init__(self, inputs: Mapping[str, Shape], outputs: Mapping[str, int], units: int = 16) -> None:
        super().__init__(inputs, outputs)
        self.view, shape = next(iter(self.inputs.items()))
        self.convolution = nn.Conv1d(shape[0] or 1, units, 5, padding=2)
        self.head = self.heads(2 * units)

    def forward(self, batch: Batch) -> Output:
        frames, lengths = batch.views[self.view], batch.lengths.get(self.view)
        if lengths is None:
            hidden = torch.relu(self.convolution(frames))
            mean = hidden.mean(2)
        else:
            # Frames behind an item's end must not change its result.
            valid = mask(lengths, frames.shape[2])[:, None]
            hidden = torch.relu(self.convolution(frames * valid)) * valid
            mean = hidden.sum(2) / valid.sum(2)
        features = torch.cat([mean, hidden.amax(2)], 1)
        return Output({target: head(features) for target, head in self.head.items()}, features)
