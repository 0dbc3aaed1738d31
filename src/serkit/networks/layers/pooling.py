"""Pooling over time that ignores padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over time, with separate weights for each channel.

    Source: Okabe, Koshinaka & Shinoda 2018.

    Args:
        channels: of the input.
        hidden: size of the layer that scores each frame.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Pool (batch, channels, time) to (batch, 2 * channels); `valid` is (batch, time) bool."""
        weights = self.weights(x, valid)
        x = x.float()
        mean = (x * weights).sum(dim=2, keepdim=True)
        variance = ((x - mean).square() * weights).sum(dim=2)
        # The floor keeps the square root's gradient finite where a channel is constant.
        return torch.cat([mean[:, :, 0], variance.clamp_min(1e-4).sqrt()], dim=1)

    def weights(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the weight of each frame in each channel, (batch, channels, time); weights sum to 1 over time."""
        scores = self.score(x.float()).float()
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None], -torch.inf)
        output: Tensor = scores.softmax(dim=2)
        return output


class AttentivePooling(nn.Module):
    """Weighted mean over time, with one weight for each frame: the softmax of v . tanh(W h + b).

    Source: Yang et al. 2016, "Hierarchical attention networks", equations 5 to 7.

    Args:
        size: of a frame.
        hidden: size of the layer that scores each frame.
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Pool (batch, time, size) to (batch, size); `valid` is (batch, time) bool."""
        return (x.float() * self.weights(x, valid)).sum(dim=1)

    def weights(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the weight of each frame, (batch, time, 1); the weights sum to 1."""
        scores = self.score(x.float()).float()
        if valid is not None:
            scores = scores.masked_fill(~valid[:, :, None], -torch.inf)
        output: Tensor = scores.softmax(dim=1)
        return output
