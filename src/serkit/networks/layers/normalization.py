"""Standardization of a network's input, fitted on the training part and kept as buffers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from serkit.errors import unknown

KINDS = ("band", "global", "maximum")


class Normalisation(nn.Module):
    """Subtract a mean and divide by a standard deviation.

    Args:
        shape: of the input without the batch axis; None for time.
        kind: `band` for one mean and deviation per element along every axis except time; `global` for a single
            pair; `maximum` for the largest value as the deviation and no mean, which maps values from 0 up to the
            maximum to 0 to 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: tuple[int | None, ...], kind: str) -> None:
        super().__init__()
        if kind not in KINDS:
            raise unknown("normalisation", kind, KINDS)
        self.time = shape.index(None) if None in shape else None
        self.kind = kind
        size = [1 if length is None or kind != "band" else length for length in shape]
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, arrays: Iterable[Tensor]) -> None:
        """Set mean and deviation from items of `shape`, read once, in double precision.

        Source: Chan, Golub & LeVeque 1983: the moments of each item are merged with those of earlier items. A plain
        sum of squares would give a constant band a deviation made of rounding errors.
        """
        if self.kind == "maximum":
            largest = max((float(array.max()) for array in arrays if array.numel()), default=1.0)
            self.deviation.fill_(largest if largest > 0 else 1.0)
            return
        axes = list(range(self.mean.dim())) if self.kind == "global" else [] if self.time is None else [self.time]
        count = 0
        mean, squares = (torch.zeros(self.mean.shape, dtype=torch.float64) for _ in range(2))
        for array in arrays:
            values = array.double()
            added = values.numel() // self.mean.numel()
            if not added:
                continue
            # A sum over no axes would sum over all of them.
            center = values.mean(axes, keepdim=True) if axes else values
            spread = (values - center).square().sum(axes, keepdim=True) if axes else 0.0
            step = center - mean
            count += added
            mean = mean + step * (added / count)
            squares = squares + spread + step.square() * (added * (count - added) / count)
        if not count:
            return
        deviation = (squares / count).sqrt()
        self.mean.copy_(mean)
        # A constant band (deviation 0) is only centered.
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Standardize `(batch, *shape)`; values past `lengths` along time become 0, the mean."""
        x = (x - self.mean) / self.deviation
        if lengths is None or self.time is None:
            return x
        valid = torch.arange(x.shape[self.time + 1], device=x.device) < lengths[:, None]
        size = [len(x)] + [1] * (x.dim() - 1)
        size[self.time + 1] = -1
        return x * valid.view(size)
