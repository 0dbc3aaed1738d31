"""A multilayer perceptron on a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from serkit.networks.fcn import size_of
from serkit.networks.network import Batch, Network, Output, Shape


class Mlp(Network):
    """Linear layers with batch norm, ReLU and dropout, then the classifier. The feature is the classifier's input.

    Args:
        inputs: one view of shape (size,).
        outputs: number of outputs by target.
        hidden: sizes of the layers.
        dropout: after each layer.
        input_dropout: share of the inputs dropped in training, so that the network relies on no single value.
        limit: inputs are clipped to -limit..limit. For a view normalized by band, the unit is one deviation;
            one extreme value of an unusual recording then cannot decide the result.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.5,
        input_dropout: float = 0.3,
        limit: float = 5.0,
    ) -> None:
        super().__init__(inputs, outputs)
        if not hidden or min(hidden) < 1:
            raise TypeError(f"hidden must have a size of 1 or more for each layer, got {hidden!r}")
        if limit <= 0:
            raise ValueError(f"limit must be above 0, got {limit:g}")
        self.limit = limit
        size = size_of(self.only, self.inputs[self.only])
        layers: list[nn.Module] = [nn.Dropout(input_dropout)]
        for width in hidden:
            layers += [nn.Linear(size, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
            size = width
        self.body = nn.Sequential(*layers)
        self.head = self.heads(size)

    def forward(self, batch: Batch) -> Output:
        x: Tensor = batch.views[self.only].clamp(-self.limit, self.limit)
        features = self.body(x)
        return Output({target: head(features) for target, head in self.head.items()}, features)
