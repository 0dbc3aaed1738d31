"""The separable transformer: attention along the columns of an image, then along its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from serkit.networks.layers.patches import cut_patches, image_size, patch_size
from serkit.networks.layers.transformer import Block
from serkit.networks.network import Batch, Network, Output, Shape


class Line(nn.Module):
    """A transformer layer for lines of tokens: each line attends to itself and to a class token, not to other lines.

    Args:
        length: number of tokens in a line.
        width: of the tokens.
        heads: attention heads.
        head_size: width of each head.
        hidden: width of the perceptron.
        dropout: in attention and perceptron.
    """

    def __init__(self, length: int, width: int, heads: int, head_size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(1 + length, width))
        self.layer = Block(width, heads, head_size, hidden, dropout)

    def forward(self, x: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (batch, lines, length, width) and the class token (batch, width), averaged over all lines."""
        lines = x.shape[1]
        x = torch.cat([token[:, None, None].expand(-1, lines, -1, -1), x], 2) + self.places
        # The lines of all items form one batch: (batch * lines, 1 + length, width).
        x = self.layer(x.flatten(0, 1)).unflatten(0, (-1, lines))
        return x[:, :, 1:], x[:, :, 0].mean(1)


class Septr(Network):
    """Patches of an image through transformer layers that attend along columns and rows alternately.

    A column is one moment, a row one frequency. The class token of one layer enters the next; that of the last layer is
    the feature, with no final norm.

    Source: Ristea, Ionescu & Khan 2022; the sizes are their defaults. With 6 emotions and 128 x 128 pixels the network
    has 8,861,958 parameters.

    Args:
        inputs: one view of fixed shape (1, height, width).
        outputs: number of outputs by target.
        depth: number of vertical layers, and of horizontal layers.
        heads: attention heads of each.
        head_size: width of each head.
        hidden: width of each layer's perceptron.
        width: of the tokens.
        patch: height and width of a patch; must divide the image's.
        dropout: in attention and perceptrons.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        depth: int = 3,
        heads: int = 5,
        head_size: int = 256,
        hidden: int = 256,
        width: int = 256,
        patch: Sequence[int] = (1, 1),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs)
        if min(depth, heads, head_size, hidden, width) < 1:
            raise TypeError("depth, heads, head_size, hidden and width must be 1 or more")
        height, length = image_size(self.only, self.inputs[self.only])
        self.patch = patch_size(patch, height, length)
        rows, columns = self.grid = height // self.patch[0], length // self.patch[1]
        self.embedding = nn.Linear(self.patch[0] * self.patch[1], width)
        self.class_token = nn.Parameter(torch.randn(width))
        self.vertical, self.horizontal = (
            nn.ModuleList(Line(length, width, heads, head_size, hidden, dropout) for _ in range(depth))
            for length in (rows, columns)
        )
        self.head = self.heads(width)

    def forward(self, batch: Batch) -> Output:
        patches = cut_patches(batch.views[self.only], self.patch)
        x = self.embedding(patches).unflatten(1, self.grid)
        # len() would fix the batch size of the exported network.
        token = self.class_token.expand(x.shape[0], -1)
        for vertical, horizontal in zip(self.vertical, self.horizontal, strict=True):
            x, token = vertical(x.transpose(1, 2), token)
            x, token = horizontal(x.transpose(1, 2), token)
        return Output({target: head(token) for target, head in self.head.items()}, token)
