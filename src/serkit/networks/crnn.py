"""Convolutions on a spectrogram, then an LSTM: the network that Chen et al. 2022 compare ResNet-18 with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import UserError
from serkit.networks.layers.recurrent import Lstm, final
from serkit.networks.network import Batch, Network, Output, Shape, maps_of, silence

#: Pooling factors of each block along bands and time.
_POOLS = ((2, 2), (4, 4), (4, 4), (4, 4))


class Crnn(Network):
    """Four convolutions with pooling on (bands, time), then an LSTM over time whose last state is the feature.

    The published pools shorten time by 128: a spectrogram of 3 s leaves two steps for the LSTM, one of 128 bands and
    251 frames a single step. The pools ignore the incomplete remainder at the end of a map. An item yields the same
    feature alone and in a batch padded to any length; only batch norm in training counts padded frames too.

    Source: Zhao, Mao & Chen 2019, "2D CNN LSTM network"; LSTM of 256 states: Chen et al. 2022, section 3.2. The last
    pool spans all remaining bands (2 of 80), where the published pool of 4 would leave none.

    Args:
        inputs: one view of shape (bands, None).
        outputs: number of outputs by target.
        channels: of each block.
        pools: bands and frames that each block pools; None: the published ones. With [4, 2] in the last two blocks,
            for instance, the LSTM has four times as many steps.
        hidden: size of the LSTM's state.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        channels: Sequence[int] = (64, 64, 128, 128),
        pools: Sequence[Sequence[int]] | None = None,
        hidden: int = 256,
    ) -> None:
        super().__init__(inputs, outputs)
        shape = self.inputs[self.only]
        if len(shape) != 2 or shape[0] is None or shape[1] is not None:
            raise TypeError(f"view '{self.only}' must have shape (bands, None), got {shape}")
        wanted = _POOLS if pools is None else pools
        if len(wanted) != len(channels) or any(len(pool) != 2 or min(pool) < 1 for pool in wanted):
            raise TypeError("pools must have [bands, frames] of 1 or more for each entry of channels")
        bands, before = shape[0], 1
        self.blocks, self.pools = nn.ModuleList(), []
        for out, (high, long) in zip(channels, wanted, strict=True):
            self.blocks.append(nn.Sequential(nn.Conv2d(before, out, 3, padding=1), nn.BatchNorm2d(out)))
            self.pools.append((min(high, bands), long))
            before, bands = out, bands // min(high, bands)
        self.lstm = Lstm(before * bands, hidden)
        self.head = self.heads(hidden)
        self.map_names = [name for number in range(1, 1 + len(channels)) for name in maps_of(number)]

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        names = iter(self.map_names)
        lengths = batch.lengths.get(self.only)
        # Channels last in memory, which all maps then keep: less time on a CPU than channels first.
        x = silence(batch.views[self.only][..., None].permute(0, 3, 1, 2), lengths)
        for block, pool in zip(self.blocks, self.pools, strict=True):
            before = block(x)
            after = F.elu(before)
            yield from zip(islice(names, 3), (x, before, after), strict=True)
            lengths = None if lengths is None else lengths // pool[1]
            x = silence(F.max_pool2d(after, pool), lengths)
        yield "", x

    def forward(self, batch: Batch) -> Output:
        view, lengths = batch.views[self.only], batch.lengths.get(self.only)
        shorter = math.prod(frames for _, frames in self.pools)
        if not torch.onnx.is_in_onnx_export():
            shortest = view.shape[2] if lengths is None else int(lengths.min())
            if shortest < shorter:
                raise UserError(
                    f"network 'crnn': an item has {shortest} frames; the pools require {shorter} or more. Pad items "
                    f'to a fixed length (data.items = {{ seconds = 3.0, tail = "first" }}), or pool fewer frames'
                )
        x, maps = self.run(batch)
        states = self.lstm(x.flatten(1, 2).transpose(1, 2)).float()
        features = final(states, None if lengths is None else lengths // shorter)
        return Output({target: head(features) for target, head in self.head.items()}, features, maps)
