"""The attention-based convolutional LSTM network of Zhong et al. 2020."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import unknown
from serkit.networks.layers.pooling import AttentivePooling
from serkit.networks.layers.recurrent import Lstm
from serkit.networks.network import Batch, Network, Output, Shape, mask, silence

FREQ_COLLAPSES = ("mean", "max", "linear")

#: Channels of the convolutions, the single one of the input first.
_CHANNELS = (1, 32, 64, 128, 256)

#: What each block pools, along coefficients and time.
_POOLS = ((2, 2), (2, 2), (2, 2), (2, 1))

#: Factors by which all of them shorten coefficients and time.
_SHORTER = (16, 8)

#: Size of the LSTM's state, of the attention's hidden layer, and so of the feature.
HIDDEN = 128


class AclnBody(nn.Module):
    """Everything before the classifier: (batch, coefficients, time) to a feature (batch, `HIDDEN`).

    An item gives the same feature alone and in a batch padded to any length: what lies behind its end is set to
    zero in the input and after every block, as the padding of a convolution is, and the attention leaves it
    out. Only batch norm in training counts padded frames too.

    Args:
        coefficients: height of the input.
        frames: length every item is brought to; None: as it is.
        freq_collapse: see `Acln`.
    """

    def __init__(self, coefficients: int, frames: int | None, freq_collapse: str) -> None:
        super().__init__()
        if freq_collapse not in FREQ_COLLAPSES:
            raise unknown("freq_collapse", str(freq_collapse), FREQ_COLLAPSES)
        if coefficients < _SHORTER[0]:
            raise TypeError(f"pooling requires at least {_SHORTER[0]} coefficients, got {coefficients}")
        if frames is not None and frames < 1:
            raise TypeError(f"frames must be 1 or more, not {frames}")
        self.frames, self.freq_collapse = frames, freq_collapse
        self.blocks = nn.ModuleList(
            # ReLU behind the pooling gives the same as before it, from a quarter of the numbers.
            nn.Sequential(
                nn.Conv2d(channels, out, 5, padding=2), nn.BatchNorm2d(out), nn.MaxPool2d(pool), nn.ReLU(inplace=True)
            )
            for channels, out, pool in zip(_CHANNELS, _CHANNELS[1:], _POOLS, strict=False)
        )
        width = _CHANNELS[-1]
        if freq_collapse == "linear":
            self.collapse = nn.Linear(width * (coefficients // _SHORTER[0]), width)
        self.lstm = Lstm(width, HIDDEN)
        self.attention = AttentivePooling(HIDDEN, HIDDEN)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[2], device=x.device)
        if self.frames is None:
            x = x * mask(lengths, x.shape[2])[:, None]
        else:
            x, lengths = crop(x, lengths, self.frames, self.training)
        # Zeros up to a multiple of what the pooling shortens by: no end is lost, and no item is too short.
        x = F.pad(x, (0, _SHORTER[1] - 1 if self.frames is None else -self.frames % _SHORTER[1]))
        # Channels last in memory, which all maps then keep: a quarter less time on a CPU than channels first.
        x = x[..., None].permute(0, 3, 1, 2)
        for block, (_, pool) in zip(self.blocks, _POOLS, strict=True):
            x = block(x)
            lengths = (lengths + pool - 1) // pool
            x = silence(x, lengths)
        output: Tensor = self.attention(self.lstm(self._sequence(x)), mask(lengths, x.shape[3]))
        return output

    def _sequence(self, x: Tensor) -> Tensor:
        """Return (batch, time, channels) of maps (batch, channels, coefficients, time)."""
        if self.freq_collapse == "mean":
            return x.mean(2).transpose(1, 2)
        if self.freq_collapse == "max":
            return x.amax(2).transpose(1, 2)
        output: Tensor = self.collapse(x.flatten(1, 2).transpose(1, 2))
        return output


class Acln(Network):
    """Four 5x5 convolutions on cepstral coefficients over time, an LSTM, and attention over its states.

    The feature is the attention's weighted sum: the paper's automatically learned features.

    Source: Zhong, Yu & Zhang 2020, section III-B and Table 1. The table has no pooling, but an LSTM that reads
    256 numbers, the channels alone; pooling, what becomes of the coefficients it leaves over, and the
    attention's formula are chosen here.

    Args:
        inputs: one view of shape (coefficients, None).
        outputs: number of outputs by target.
        frames: length of a clip: longer items are cropped, in training at a place drawn anew for each, otherwise
            in the middle, and shorter ones padded with zeros. The paper's databases, at 12 ms: 625 (IEMOCAP,
            7.5 s), 250 (EMODB, 3 s), 167 (CASIA, 2 s), which are chosen here too. None: the whole item.
        freq_collapse: how the coefficients left over become one: their `mean`, their `max`, or a `linear`
            layer on channels and coefficients.
        dropout: before the classifier.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        frames: int | None = None,
        freq_collapse: str = "mean",
        dropout: float = 0.25,
    ) -> None:
        super().__init__(inputs, outputs)
        self.body = AclnBody(coefficients_of(self.only, self.inputs[self.only]), frames, freq_collapse)
        self.dropout = nn.Dropout(dropout)
        self.head = self.heads(HIDDEN)

    def forward(self, batch: Batch) -> Output:
        features = self.body(batch.views[self.only], batch.lengths.get(self.only))
        hidden = self.dropout(features)
        return Output({target: head(hidden) for target, head in self.head.items()}, features)


def coefficients_of(view: str, shape: Shape) -> int:
    """Return the number of coefficients of a view (coefficients, None).

    Raises:
        TypeError: it has another shape.
    """
    if len(shape) != 2 or shape[0] is None or shape[1] is not None:
        raise TypeError(f"view '{view}' must have shape (coefficients, None), got {shape}")
    return shape[0]


def crop(x: Tensor, lengths: Tensor, frames: int, random: bool) -> tuple[Tensor, Tensor]:
    """Cut or zero-pad each item to a number of frames.

    Args:
        x: (batch, coefficients, time).
        lengths: valid frames of each item, (batch,).
        frames: wanted.
        random: whether each item's stretch is drawn (from torch's global generator) or its middle.

    Returns:
        (batch, coefficients, frames), and the valid frames of each.
    """
    room = (lengths - frames).clamp_min(0)
    start = (torch.rand(x.shape[0]).to(x.device) * (room + 1)).long() if random else room // 2
    place = start[:, None] + torch.arange(frames, device=x.device)
    # A place behind the array's end is behind the item's end too, and set to zero.
    place = place.clamp_max(x.shape[2] - 1)
    kept = lengths.clamp_max(frames)
    cropped = x.gather(2, place[:, None].expand(-1, x.shape[1], -1))
    return cropped * mask(kept, frames)[:, None], kept
