"""From a network's output to the scale of the labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """Multiply by the training labels' standard deviation and add their mean.

    A network then starts near the mean and learns numbers of one magnitude, whatever the scale of the labels; the
    model's output is in the labels' units. Mean and deviation are buffers: checkpoints and exported models hold them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def fit(self, labels: Tensor) -> None:
        """Set mean and deviation from labels (items,); a deviation of 0 counts as 1."""
        self.mean.copy_(labels.double().mean())
        deviation = float(labels.double().std(unbiased=False))
        self.deviation.fill_(deviation or 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.deviation + self.mean
