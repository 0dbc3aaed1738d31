"""The fully connected network of Zhong et al. 2020."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import unknown
from serkit.networks.network import Batch, Network, Output, Shape

FEATURES = ("after", "before")

_SIZES = (256, 512, 1024)

#: Size of the feature.
HIDDEN = _SIZES[-1]


class FcnBody(nn.Module):
    """Three linear layers, each with batch norm, and ReLU in between: (batch, size) to (batch, `HIDDEN`).

    The output is taken before the third ReLU.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in _SIZES:
            layers += [nn.Linear(size, width), nn.BatchNorm1d(width), nn.ReLU()]
            size = width
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layers(x)
        return output


class Fcn(Network):
    """Three linear layers on a vector, each with batch norm and ReLU, then the classifier.

    The feature is the third layer's output: the paper's empirically learned features.

    Source: Zhong, Yu & Zhang 2020, section III-B and Table 2. The paper does not name the activation.

    Args:
        inputs: one view of shape (size,).
        outputs: number of outputs by target.
        features: whether the feature is taken `after` the third ReLU or `before` it.
        dropout: applied before the classifier, which reads the output of the ReLU.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        features: str = "after",
        dropout: float = 0.25,
    ) -> None:
        super().__init__(inputs, outputs)
        if features not in FEATURES:
            raise unknown("features", str(features), FEATURES)
        self.features = features
        self.body = FcnBody(size_of(self.only, self.inputs[self.only]))
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(HIDDEN)

    def forward(self, batch: Batch) -> Output:
        before = self.body(batch.views[self.only])
        after = F.relu(before)
        hidden = self.dropout(after)
        predictions = {target: head(hidden) for target, head in self.head.items()}
        return Output(predictions, after if self.features == "after" else before)


def size_of(view: str, shape: Shape) -> int:
    """Return the size of a view that is a vector.

    Raises:
        TypeError: the view has another shape.
    """
    if len(shape) != 1 or shape[0] is None:
        raise TypeError(f"view '{view}' must be a vector (size,), got shape {shape}")
    return shape[0]
