"""ResNet-18 on spectrograms of any length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import torch.nn.functional as F
from torch import Tensor, nn

from serkit.networks.network import Batch, Network, Output, Shape, maps_of, silence

#: Channel factor and stride of each of the eight blocks.
_BLOCKS = ((1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1))


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut around both; batch norm after each, ReLU after norm and shortcut.

    Where the map shrinks, the shortcut is a 1x1 convolution with batch norm.

    Args:
        channels: of the input.
        out: channels of the output.
        stride: of the first convolution, along bands and time.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = _convolution(channels, out, 3, stride)
        self.second = _convolution(out, out, 3, 1)
        self.shortcut = _convolution(channels, out, 1, stride) if stride > 1 or channels != out else nn.Identity()

    def compute(self, x: Tensor, lengths: Tensor | None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield what each convolution receives, and its map (batch, out, bands, time) before and after the ReLU.

        Args:
            x: map of the previous block.
            lengths: valid lengths along this block's time.
        """
        before = silence(self.first(x), lengths)
        inner = F.relu(before)
        yield x, before, inner
        before = silence(self.second(inner) + self.shortcut(x), lengths)
        yield inner, before, F.relu(before)


class Resnet18(Network):
    """Eight residual blocks on (bands, time), then the average over bands and time, which is the feature.

    An item yields the same feature alone and in a batch padded to any length: values past its end are zeroed after
    every layer, like the padding of a convolution, and the average ignores them. Only batch norm in training counts
    padded frames too.

    Source: He et al. 2016, table 1 and option B of its shortcuts, with weights drawn as by He et al. 2015 (fan
    out); on log-mel: Chen et al. 2022, section 2.1.1. No ImageNet weights.

    Args:
        inputs: one view of shape (bands, None).
        outputs: number of outputs by target.
        channels: 1, or 3 to repeat the view three times, like a gray picture.
        width: channels of the first blocks; the feature has eight times as many.
    """

    def __init__(
        self, inputs: Mapping[str, Shape], outputs: Mapping[str, int], channels: int = 1, width: int = 64
    ) -> None:
        super().__init__(inputs, outputs)
        if channels not in (1, 3):
            raise TypeError(f"channels must be 1 or 3, got {channels}")
        if width < 1:
            raise TypeError(f"width must be 1 or more, got {width}")
        shape = self.inputs[self.only]
        if len(shape) != 2 or shape[0] is None or shape[1] is not None:
            raise TypeError(f"view '{self.only}' must have shape (bands, None), got {shape}")
        self.channels = channels
        self.stem = _convolution(channels, width, 7, 2)
        self.blocks = nn.ModuleList()
        before = width
        for factor, stride in _BLOCKS:
            self.blocks.append(Block(before, factor * width, stride))
            before = factor * width
        self.head = self.heads(before)
        self.map_names = [name for number in range(1, 2 + 2 * len(_BLOCKS)) for name in maps_of(number)]

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        names = iter(self.map_names)
        lengths = batch.lengths.get(self.only)
        # Channels last in memory, which all maps then keep: less time on a CPU than channels first.
        x = batch.views[self.only][..., None].expand(-1, -1, -1, self.channels)
        x = silence(x.contiguous().permute(0, 3, 1, 2), lengths)
        lengths = _shorter(lengths, 2)
        before = silence(self.stem(x), lengths)
        after = F.relu(before)
        yield from zip(islice(names, 3), (x, before, after), strict=True)
        # After a ReLU, zeros affect a maximum no more than its own padding does.
        x = F.max_pool2d(after, 3, 2, 1)
        lengths = _shorter(lengths, 2)
        x = silence(x, lengths)
        for block in self.blocks:
            assert isinstance(block, Block)
            lengths = _shorter(lengths, block.stride)
            for maps in block.compute(x, lengths):
                yield from zip(islice(names, 3), maps, strict=True)
                x = maps[-1]
        yield "", x

    def forward(self, batch: Batch) -> Output:
        x, maps = self.run(batch)
        lengths = batch.lengths.get(self.only)
        # Values past an item's end are zero and add nothing to the sum.
        frames = x.shape[3] if lengths is None else ((lengths + 31) // 32)[:, None]
        features = x.float().mean(2).sum(2) / frames
        return Output({target: head(features) for target, head in self.head.items()}, features, maps)


def _convolution(channels: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    """A convolution with batch norm, padded so that the size is divided by the stride and rounded up."""
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(out))


def _shorter(lengths: Tensor | None, stride: int) -> Tensor | None:
    """Return the valid lengths after a layer with the given stride; None stays None."""
    return None if lengths is None else (lengths + stride - 1) // stride
