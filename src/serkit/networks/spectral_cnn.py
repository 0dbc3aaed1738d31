"""Three convolutional networks on small square pictures: SquirtleNET, CharmaNET and BulbaNET.

Source: Skoulidis et al. 2023, figure 2. All have three convolutions, each followed by a pooling layer, and three linear
layers; they differ in activation, kind of pooling and regularization.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serkit.networks.network import Batch, Network, Output, Shape, maps_of

#: Padding of the convolutions: a kernel of 3 keeps the size, one of 2 adds a row and a column.
PADDING = 1


class SpectralCnn(Network):
    """Base of the three networks. The feature is the output of the second linear layer after its ReLU.

    Predictions are logits. The paper's networks end in a softmax whose output its loss treats as logits. serkit
    implements this as `loss_input = "softmax"` of the method `supervised`; probabilities then mean the same everywhere.

    Args:
        inputs: one view of shape (channels, rows, columns), all fixed.
        outputs: number of outputs by target.
        channels: output channels of each convolution.
        kernels: side of each convolution's kernel; stride 1, padding 1.
        pools: side of each pooling window; no padding.
        pool_strides: stride of each pooling layer.
        hidden: sizes of the first two linear layers.
        momentum: weight of a new batch in the running statistics of batch norm.
    """

    version = 2

    #: Kind of each pooling layer.
    poolings: Sequence[Callable[..., nn.Module]] = ()

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        channels: Sequence[int],
        kernels: Sequence[int],
        pools: Sequence[int],
        pool_strides: Sequence[int],
        hidden: Sequence[int],
        momentum: float,
    ) -> None:
        super().__init__(inputs, outputs)
        shape = self.inputs[self.only]
        if len(shape) != 3 or None in shape:
            raise TypeError(f"view '{self.only}' must have a fixed shape (channels, rows, columns), got {shape}")
        lists = {"channels": channels, "kernels": kernels, "pools": pools, "pool_strides": pool_strides}
        for name, values in {**lists, "hidden": hidden}.items():
            _check(name, values, 2 if name == "hidden" else 3)
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum must be above 0 and at most 1, got {momentum:g}")
        width, *size = [length or 0 for length in shape]
        for number, (out, kernel, pool, stride) in enumerate(zip(*lists.values(), strict=True), start=1):
            convolution = nn.Conv2d(width, out, kernel, padding=PADDING)
            # Channels last saves a fifth of a training step of the default network on a CPU, in either precision.
            convolution.weight.data = convolution.weight.data.contiguous(memory_format=torch.channels_last)
            setattr(self, f"conv{number}", convolution)
            setattr(self, f"pool{number}", self.poolings[number - 1](pool, stride))
            width, size = out, [smaller(number, side, kernel, pool, stride) for side in size]
        self.fc1 = nn.Linear(width * size[0] * size[1], hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.head = self.heads(hidden[1])
        self.map_names = [name for number in (1, 2, 3) for name in maps_of(number)]

    def activate(self, x: Tensor) -> Tensor:
        """Apply the activation after each convolution."""
        return F.relu(x)

    def normalise(self, x: Tensor) -> Tensor:
        """Apply the normalization after the first convolution's activation."""
        return x

    def regularise(self, x: Tensor) -> Tensor:
        """Apply the regularization after the first linear layer."""
        raise NotImplementedError

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        x = batch.views[self.only]
        for number in (1, 2, 3):
            names = maps_of(number)
            yield names[0], x
            x = getattr(self, f"conv{number}")(x)
            yield names[1], x
            x = self.activate(x)
            yield names[2], x
            x = getattr(self, f"pool{number}")(self.normalise(x) if number == 1 else x)
        yield "", x

    def forward(self, batch: Batch) -> Output:
        x, maps = self.run(batch)
        features = F.relu(self.fc2(self.regularise(self.fc1(x.flatten(1)))))
        return Output({target: head(features) for target, head in self.head.items()}, features, maps)


class Squirtle(SpectralCnn):
    """SquirtleNET: ReLU, batch norm after the first convolution, one max pooling, two average poolings, dropout.

    The defaults are the paper's best network, ID 110 (table 4). Arguments are those of `SpectralCnn`, and `dropout`,
    applied after the first linear layer.
    """

    poolings: Sequence[Callable[..., nn.Module]] = (nn.MaxPool2d, nn.AvgPool2d, nn.AvgPool2d)

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        channels: Sequence[int] = (188, 156, 340),
        kernels: Sequence[int] = (3, 3, 3),
        pools: Sequence[int] = (2, 3, 3),
        pool_strides: Sequence[int] = (2, 2, 2),
        hidden: Sequence[int] = (3634, 2816),
        momentum: float = 0.4,
        dropout: float = 0.4,
    ) -> None:
        super().__init__(inputs, outputs, channels, kernels, pools, pool_strides, hidden, momentum)
        self.norm = nn.BatchNorm2d(channels[0], momentum=momentum)
        self.dropout = nn.Dropout(dropout)

    def normalise(self, x: Tensor) -> Tensor:
        output: Tensor = self.norm(x)
        return output

    def regularise(self, x: Tensor) -> Tensor:
        output: Tensor = self.dropout(F.relu(x))
        return output


class Charma(Squirtle):
    """CharmaNET: like SquirtleNET, but with leaky ReLU after the convolutions, and two max poolings before one average.

    The defaults are those of ID 000, the best of its kind (table 2). `slope` is the leaky ReLU's slope below 0. The
    paper tries two other slopes for some features, but does not say for which.
    """

    poolings = (nn.MaxPool2d, nn.MaxPool2d, nn.AvgPool2d)

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        channels: Sequence[int] = (388, 116, 116),
        kernels: Sequence[int] = (3, 2, 2),
        pools: Sequence[int] = (2, 3, 2),
        pool_strides: Sequence[int] = (2, 2, 2),
        hidden: Sequence[int] = (1664, 2688),
        momentum: float = 0.1,
        dropout: float = 0.3,
        slope: float = 0.01,
    ) -> None:
        super().__init__(inputs, outputs, channels, kernels, pools, pool_strides, hidden, momentum, dropout)
        self.slope = slope

    def activate(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope)


class Bulba(SpectralCnn):
    """BulbaNET: ReLU and average pooling only; batch norm replaces activation and dropout after the first linear layer.

    The paper prints no configuration of this network: the defaults are those of its best network, ID 110.
    """

    poolings = (nn.AvgPool2d, nn.AvgPool2d, nn.AvgPool2d)

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        channels: Sequence[int] = (188, 156, 340),
        kernels: Sequence[int] = (3, 3, 3),
        pools: Sequence[int] = (2, 3, 3),
        pool_strides: Sequence[int] = (2, 2, 2),
        hidden: Sequence[int] = (3634, 2816),
        momentum: float = 0.4,
    ) -> None:
        super().__init__(inputs, outputs, channels, kernels, pools, pool_strides, hidden, momentum)
        self.norm = nn.BatchNorm1d(hidden[0], momentum=momentum)

    def regularise(self, x: Tensor) -> Tensor:
        output: Tensor = self.norm(x)
        return output


def smaller(number: int, side: int, kernel: int, pool: int, stride: int) -> int:
    """Return the side of a map after a convolution and the pooling that follows it.

    Args:
        number: of the convolution, for the error.
        side: of the input.
        kernel: of the convolution (stride 1).
        pool: kernel of the pooling.
        stride: of the pooling.

    Raises:
        ValueError: nothing remains.
    """
    filtered = side + 2 * PADDING + 1 - kernel
    if filtered < 1:
        raise ValueError(f"conv{number} with kernel {kernel} leaves nothing of a side of {side}")
    if filtered < pool:
        raise ValueError(
            f"pool{number} with kernel {pool} does not fit the side of {filtered} that conv{number} leaves; "
            "use larger pictures, or smaller pools and pool_strides"
        )
    return (filtered - pool) // stride + 1


def _check(name: str, values: Any, count: int) -> None:
    if not isinstance(values, Sequence) or len(values) != count:
        raise TypeError(f"{name} must have {count} numbers, got {values!r}")
    for value in values:
        if not isinstance(value, int) or value < 1:
            raise TypeError(f"{name} must be whole numbers of 1 or more, got {value!r}")
