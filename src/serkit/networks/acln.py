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

#: Channels of the convolutions, starting with the single input channel.
_CHANNELS = (1, 32, 64, 128, 256)

#: Pooling factors of each block along coefficients and time.
_POOLS = ((2, 2), (2, 2), (2, 2), (2, 1))

#: Total reduction along coefficients and time.
_SHORTER = (16, 8)

#: Size of the LSTM state, of the attention's hidden layer and therefore of the feature.
HIDDEN = 128


class AclnBody(nn.Module):
    """Everything before the classifier: (batch, coefficients, time) to a feature (batch, `HIDDEN`).

    An item yields the same feature alone and in a batch padded to any length: frames past its end are zeroed in the
    input and after every block, like the padding of a convolution, and the attention ignores them. Only batch norm in
    training counts padded frames too.

    Args:
        coefficients: height of the input.
        frames: length to which every item is cropped or padded; None: its own length.
        freq_collapse: see `Acln`.
    """

    def __init__(self, coefficients: int, frames: int | None, freq_collapse: str) -> None:
        super().__init__()
        if freq_collapse not in FREQ_COLLAPSES:
            raise unknown("freq_collapse", str(freq_collapse), FREQ_COLLAPSES)
        if coefficients < _SHORTER[0]:
            raise TypeError(f"pooling requires at least {_SHORTER[0]} coefficients, got {coefficients}")
        if frames is not None and frames < 1:
            raise TypeError(f"frames must be 1 or more, got {frames}")
        self.frames, self.freq_collapse = frames, freq_collapse
        self.blocks = nn.ModuleList(
            # ReLU after pooling gives the same result as before it, on a quarter of the values.
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
        # Pad with zeros to a multiple of the pooling's reduction, so that no end is lost and no item is too short.
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
        """Turn maps (batch, channels, coefficients, time) into (batch, time, channels)."""
        if self.freq_collapse == "mean":
            return x.mean(2).transpose(1, 2)
        if self.freq_collapse == "max":
            return x.amax(2).transpose(1, 2)
        output: Tensor = self.collapse(x.flatten(1, 2).transpose(1, 2))
        return output


class Acln(Network):
    """Four 5x5 convolutions on cepstral coefficients over time, an LSTM, and attention over its states.

    The feature is the attention's weighted sum: the paper's automatically learned features.

    Source: Zhong, Yu & Zhang 2020, section III-B and Table 1. The table lists no pooling, but its LSTM reads 256
    values, the channels alone. serkit therefore chooses the pooling, the reduction of the remaining coefficients and
    the attention's formula.

    Args:
        inputs: one view of shape (coefficients, None).
        outputs: number of outputs by target.
        frames: length of a clip. Longer items are cropped, at a random position in training and to the middle
            otherwise; shorter items are padded with zeros. For the paper's databases, at 12 ms: 625 (IEMOCAP,
            7.5 s), 250 (EMODB, 3 s), 167 (CASIA, 2 s); these lengths too are serkit's choice. None: the whole item.
        freq_collapse: how the remaining coefficients become one: their `mean`, their `max`, or a `linear` layer on
            channels and coefficients.
        dropout: applied before the classifier.
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
        TypeError: the view has another shape.
    """
    if len(shape) != 2 or shape[0] is None or shape[1] is not None:
        raise TypeError(f"view '{view}' must have shape (coefficients, None), got {shape}")
    return shape[0]


def crop(x: Tensor, lengths: Tensor, frames: int, random: bool) -> tuple[Tensor, Tensor]:
    """Cut or zero-pad each item to a number of frames.

    Args:
        x: (batch, coefficients, time).
        lengths: valid frames of each item, (batch,).
        frames: target length.
        random: whether to crop each item at a random position (from torch's global generator) or to its middle.

    Returns:
        (batch, coefficients, frames), and the number of valid frames of each item.
    """
    room = (lengths - frames).clamp_min(0)
    start = (torch.rand(x.shape[0]).to(x.device) * (room + 1)).long() if random else room // 2
    place = start[:, None] + torch.arange(frames, device=x.device)
    # A position past the array's end is also past the item's end and is zeroed.
    place = place.clamp_max(x.shape[2] - 1)
    kept = lengths.clamp_max(frames)
    cropped = x.gather(2, place[:, None].expand(-1, x.shape[1], -1))
    return cropped * mask(kept, frames)[:, None], kept
