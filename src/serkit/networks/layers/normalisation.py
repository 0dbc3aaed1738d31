"""Standardisation of a network's input, fitted on the training part and kept as buffers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from serkit.errors import unknown

KINDS = ("band", "global")


class Normalisation(nn.Module):
    """Subtract a mean and divide by a standard deviation.

    Args:
        shape: of the input without the batch axis; None for time.
        kind: `band` for one mean and deviation per element along every axis but time; `global` for a
            single pair.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: tuple[int | None, ...], kind: str) -> None:
        super().__init__()
        if kind not in KINDS:
            raise unknown("normalisation", kind, KINDS)
        self.time = shape.index(None) if None in shape else None
        self.kind = kind
        size = [1 if length is None or kind == "global" else length for length in shape]
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, arrays: Iterable[Tensor]) -> None:
        """Set mean and deviation from items of `shape`, read once, in double precision."""
        count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        axes = (
            list(range(self.mean.dim()))
            if self.kind == "global"
            else []
            if self.time is None
            else [self.time]
        )
        origin: Tensor | None = None
        for array in arrays:
            values = array.double()
            # Sums around a value near the mean: levels near -60 dB would lose digits in their squares.
            origin = values.mean() if origin is None else origin
            values = values - origin
            count += values.numel() // self.mean.numel()
            total = total + (values.sum(axes, keepdim=True) if axes else values)
            squares = squares + (values.square().sum(axes, keepdim=True) if axes else values.square())
        if not count or origin is None:
            return
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean + origin)
        # A band that never changes (deviation 0) is only centred.
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Standardise (batch, *shape); what lies behind `lengths` along time becomes 0, the mean."""
        x = (x - self.mean) / self.deviation
        if lengths is None or self.time is None:
            return x
        valid = torch.arange(x.shape[self.time + 1], device=x.device) < lengths[:, None]
        size = [len(x)] + [1] * (x.dim() - 1)
        size[self.time + 1] = -1
        return x * valid.view(size)
