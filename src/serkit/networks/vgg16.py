"""VGG16, real or quaternion-valued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import unknown
from serkit.networks.layers.quaternion import QuaternionConv2d, QuaternionLinear
from serkit.networks.network import Batch, Network, Output, Shape, maps_of

#: Convolutions of each block; a 2x2 max pool follows each block.
_CONVOLUTIONS = (2, 2, 3, 3, 3)

_INITS = ("public", "he")

#: Rows and columns of the adaptive pool's output.
_POOLED = 7


class Vgg16(Network):
    """Thirteen 3x3 convolutions in five blocks, two hidden linear layers, one linear classifier.

    The feature is the second hidden layer's output. With `quaternion`, all layers except the classifier have quaternion
    weights, and a view of one channel is the real part of quaternions whose other parts are 0.

    Source: Simonyan & Zisserman 2015, configuration D. For speech: Guizzo et al. 2023, section 3.1. The paper says that
    the quaternion network has no adaptive pool; its printed sizes are those of a real network without one, too.

    Args:
        inputs: one view of fixed shape (channels, height, width); with `quaternion` 1 or 4 channels.
        outputs: number of outputs by target.
        quaternion: whether weights are quaternions.
        adaptive_pool: whether the linear layers read averages over a 7 x 7 grid instead of the whole map.
        channels: of each block.
        hidden: size of the linear layers.
        dropout: after each of them.
        init: initial weights of the convolutions. `public`: as in the authors' code, which leaves them to its
            libraries: Glorot's scheme for quaternions (see `serkit.networks.layers.quaternion`), PyTorch's for real
            weights. Each ReLU then makes the map's mean square 2 or 6 times smaller. `he` keeps it (He et al. 2015).
            The linear layers are those of the authors' code in both cases.
    """

    version = 2

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        quaternion: bool = False,
        adaptive_pool: bool = False,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        hidden: int = 4096,
        dropout: float = 0.5,
        init: str = "public",
    ) -> None:
        super().__init__(inputs, outputs)
        if len(channels) != len(_CONVOLUTIONS):
            raise TypeError(f"channels must have one number for each of 5 blocks, got {list(channels)}")
        if init not in _INITS:
            raise unknown("init", str(init), _INITS)
        depth, height, width = _image(self.only, self.inputs[self.only], quaternion)
        self.quaternion = quaternion
        self.blocks = nn.ModuleList()
        for count, out in zip(_CONVOLUTIONS, channels, strict=True):
            block = nn.ModuleList()
            for _ in range(count):
                block.append(
                    QuaternionConv2d(depth, out, 3, padding=1, scheme="he" if init == "he" else "glorot")
                    if quaternion
                    else nn.Conv2d(depth, out, 3, padding=1)
                )
                depth = out
            self.blocks.append(block)
        self.pool = nn.AdaptiveAvgPool2d(_POOLED) if adaptive_pool else nn.Identity()
        size = depth * (_POOLED**2 if adaptive_pool else (height // 32) * (width // 32))
        linear = QuaternionLinear if quaternion else nn.Linear
        self.hidden = nn.ModuleList([linear(size, hidden), linear(hidden, hidden)])
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(hidden)
        self.map_names = [name for number in range(1, 1 + sum(_CONVOLUTIONS)) for name in maps_of(number)]
        if init == "he":
            self.apply(_initialise)

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        x = batch.views[self.only]
        if self.quaternion and x.shape[1] == 1:
            x = F.pad(x, (0, 0, 0, 0, 0, 3))
        names = iter(self.map_names)
        for block in cast(Iterable[nn.ModuleList], self.blocks):
            for convolution in block:
                yield next(names), x
                x = convolution(x)
                yield next(names), x
                x = F.relu(x)
                yield next(names), x
            x = F.max_pool2d(x, 2)
        yield "", x

    def forward(self, batch: Batch) -> Output:
        x, maps = self.run(batch)
        x = self.pool(x).flatten(1)
        for layer in self.hidden:
            # Taken before the dropout, so that the feature is complete in training too.
            features = F.relu(layer(x))
            x = self.dropout(features)
        return Output({target: head(x) for target, head in self.head.items()}, features, maps)


def _image(view: str, shape: Shape, quaternion: bool) -> tuple[int, int, int]:
    """Return channels, height and width of what the first convolution receives."""
    sizes = [length for length in shape if length is not None]
    if len(shape) != 3 or len(sizes) != 3 or (quaternion and sizes[0] not in (1, 4)):
        channels = "1 or 4" if quaternion else "channels"
        raise TypeError(f"view '{view}' must have a fixed shape ({channels}, height, width), got {shape}")
    if min(sizes[1:]) < 32:
        raise TypeError(f"view '{view}' must be at least 32 x 32 for five pools, got {sizes[1]} x {sizes[2]}")
    return 4 if quaternion else sizes[0], sizes[1], sizes[2]


def _initialise(layer: nn.Module) -> None:
    """Draw a real convolution's weights by He's scheme."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
