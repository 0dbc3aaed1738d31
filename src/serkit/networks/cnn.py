"""A compact convolutional network for spectrograms of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from serkit.networks.layers.pooling import AttentiveStatistics
from serkit.networks.network import Batch, Network, Output, Shape, maps_of, mask, silence


class Block(nn.Module):
    """A strided convolution, then residual convolutions; batch norm and ReLU after each.

    Args:
        channels: of the input.
        out: channels of the output.
        kernel: size of the strided convolution.
        stride: along bands and time.
        residual: number of 3x3 convolutions with a shortcut.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: tuple[int, int], residual: int) -> None:
        super().__init__()
        self.stride = stride
        self.convolution = nn.Sequential(
            nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out),
        )
        self.residual = nn.ModuleList(
            nn.Sequential(nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)) for _ in range(residual)
        )

    def compute(self, x: Tensor, lengths: Tensor | None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield what each convolution receives, and its map (batch, out, bands, time) before and after the ReLU.

        Args:
            x: map of the previous block.
            lengths: valid lengths along the input's time.
        """
        before = silence(self.convolution(x), lengths)
        after = F.relu(before)
        yield x, before, after
        for layer in self.residual:
            x = after
            before = silence(x + layer(x), lengths)
            after = F.relu(before)
            yield x, before, after

    def shorten(self, lengths: Tensor | None) -> Tensor | None:
        """Convert valid lengths along the input's time to lengths along the block's time."""
        return None if lengths is None else (lengths + self.stride[1] - 1) // self.stride[1]


class Cnn(Network):
    """Strided 2-D convolutions on (bands, time), then attentive statistics over time.

    Frames past an item's end are zeroed after every layer, like the padding of a convolution, so that an item yields
    the same result alone and in a padded batch. `attention` is the pooling's weights, averaged over its channels.

    Args:
        inputs: one view of shape (bands, None).
        outputs: number of outputs by target.
        channels: of each block.
        strides: of each block along (bands, time).
        residual: residual convolutions of each block.
        attention: hidden size of the layer that scores frames for the pooling.
        dropout: applied before the classifier.
    """

    has_attention = True

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        channels: Sequence[int] = (32, 64, 96),
        strides: Sequence[Sequence[int]] = ((4, 2), (2, 2), (2, 2)),
        residual: Sequence[int] = (0, 0, 1),
        attention: int = 64,
        dropout: float = 0.4,
    ) -> None:
        super().__init__(inputs, outputs)
        if not len(channels) == len(strides) == len(residual):
            raise TypeError("channels, strides and residual must have one entry for each block")
        shape = self.inputs[self.only]
        if len(shape) != 2 or shape[0] is None or shape[1] is not None:
            raise TypeError(f"view '{self.only}' must have shape (bands, None), got {shape}")
        bands, width = shape[0], 1
        self.blocks = nn.ModuleList()
        for index, (out, stride, extra) in enumerate(zip(channels, strides, residual, strict=True)):
            # The first filters are wider because they read the spectrogram itself.
            kernel = 5 if index == 0 else 3
            self.blocks.append(Block(width, out, kernel, (stride[0], stride[1]), extra))
            width, bands = out, -(-bands // stride[0])
        self.pooling = AttentiveStatistics(width * bands, attention)
        self.norm = nn.BatchNorm1d(2 * width * bands)
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(2 * width * bands)
        self.map_names = [name for number in range(1, 1 + sum(residual) + len(residual)) for name in maps_of(number)]

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        x, lengths = batch.views[self.only][:, None], batch.lengths.get(self.only)
        names = iter(self.map_names)
        for block in cast(Iterable[Block], self.blocks):
            lengths = block.shorten(lengths)
            for maps in block.compute(x, lengths):
                yield from zip(islice(names, len(maps)), maps, strict=True)
                x = maps[-1]
        yield "", x

    def forward(self, batch: Batch) -> Output:
        x, maps = self.run(batch)
        x = x.flatten(1, 2)
        lengths = batch.lengths.get(self.only)
        for block in cast(Iterable[Block], self.blocks):
            lengths = block.shorten(lengths)
        valid = None if lengths is None else mask(lengths, x.shape[2])
        pooled = self.pooling(x, valid)
        if "attention" in self.keep:
            maps["attention"] = self.pooling.weights(x, valid).mean(1, keepdim=True)
        features = self.norm(pooled)
        hidden = self.dropout(features)
        return Output({target: head(hidden) for target, head in self.head.items()}, features, maps)
