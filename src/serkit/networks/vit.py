"""A vision transformer for spectrogram images, with patches of any shape and without positional embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import unknown
from serkit.networks.network import Batch, Network, Output, Shape

#: Channels of the stem's convolutions.
_STEM = (1, 16, 32, 64, 32, 16, 1)

_POOLS = ("class", "mean")


class Stem(nn.Sequential):
    """Six 3x3 convolutions that keep the image's size: (batch, 1, height, width) to the same.

    Instance norm without weights and GELU follow each, the last one too.
    """

    def __init__(self) -> None:
        # Channels first: on a CPU channels last makes the convolutions a fifth faster, but instance norm
        # copies there, and the stem's training step takes 4/3 of the time.
        super().__init__(
            *(
                nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.InstanceNorm2d(out), nn.GELU())
                for channels, out in pairwise(_STEM)
            )
        )


class Attention(nn.Module):
    """Multi-head self-attention whose inner width, heads * head_size, is independent of the tokens' width.

    Args:
        width: of the tokens.
        heads: number of heads.
        head_size: width of each head.
        dropout: of the attention weights and of the result, in training.
    """

    def __init__(self, width: int, heads: int, head_size: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_size = heads, head_size
        self.qkv = nn.Linear(width, 3 * heads * head_size, bias=False)
        self.projection = nn.Linear(heads * head_size, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, width) of tokens (batch, tokens, width)."""
        query, key, value = self._split(x)
        dropout = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.dropout(self.projection(mixed.transpose(1, 2).flatten(2)))

    def of_class_token(self, x: Tensor) -> Tensor:
        """Return how much the first token attends to each other one, mean over heads: (batch, tokens - 1).

        Computed once more, since the fused attention does not return its weights. What the token pays to
        itself is left out: a row adds up to less than 1.
        """
        query, key, _ = self._split(x)
        scores = query[:, :, :1] @ key.transpose(2, 3) * self.head_size**-0.5
        return scores.softmax(3).mean(1)[:, 0, 1:]

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value: (batch, heads, tokens, head_size) each."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, self.head_size)).permute(2, 0, 3, 1, 4)
        return query, key, value


class Block(nn.Module):
    """A pre-norm transformer layer: attention, then a perceptron with one hidden layer, both with a shortcut."""

    def __init__(self, width: int, heads: int, head_size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, head_size, dropout)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x))
        return x + self.perceptron(x)


class Vit(Network):
    """Patches of an image through a transformer with a class token.

    There is no positional embedding: without `coordinates` the order of the patches makes no difference.
    A patch as high as the image is a moment of all frequencies.

    The feature is the class token after the final layer norm. With `keep_attention` set to True the output's
    maps hold `attention`: how much the class token of the last layer attends to each patch, mean over heads,
    (batch, patches), row by row of the image.

    Source: Kim & Lee 2024, section 4: "student" (defaults with depth 3) and "teacher" (`stem`, `coordinates`).
    The paper gives heads and width, but not the size of the heads and of the perceptrons.

    Args:
        inputs: one view of fixed shape (1, height, width).
        outputs: number of outputs by target.
        depth: number of layers.
        heads: attention heads of each.
        head_size: width of each head.
        hidden: width of each layer's perceptron.
        width: of the tokens.
        patch: height and width of a patch; they divide the image's.
        stem: whether six convolutions stand before the patches.
        coordinates: whether each pixel brings its vertical and horizontal place along, -1 to 1, as two
            further channels behind the stem.
        pool: what is the feature: the `class` token, or the `mean` of all tokens, the class token included.
        dropout: in attention and perceptrons.
    """

    coordinates: Tensor | None

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        depth: int = 6,
        heads: int = 5,
        head_size: int = 64,
        hidden: int = 768,
        width: int = 256,
        patch: Sequence[int] = (128, 1),
        stem: bool = False,
        coordinates: bool = False,
        pool: str = "class",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs)
        if min(depth, heads, head_size, hidden, width) < 1:
            raise TypeError("depth, heads, head_size, hidden and width must be 1 or more")
        if pool not in _POOLS:
            raise unknown("pool", str(pool), _POOLS)
        height, length = _image(self.only, self.inputs[self.only])
        self.patch = _patch(patch, height, length)
        self.pool = pool
        self.keep_attention = False
        self.stem = Stem() if stem else nn.Identity()
        places = _coordinates(height, length) if coordinates else None
        self.register_buffer("coordinates", places, persistent=False)
        size = self.patch[0] * self.patch[1] * (3 if coordinates else 1)
        self.embedding = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width), nn.LayerNorm(width))
        self.class_token = nn.Parameter(torch.randn(width))
        self.blocks = nn.ModuleList(Block(width, heads, head_size, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = self.heads(width)

    def forward(self, batch: Batch) -> Output:
        image = self.stem(batch.views[self.only])
        items = image.shape[0]  # len() would fix the batch size of the exported network
        if self.coordinates is not None:
            image = torch.cat([image, self.coordinates.expand(items, -1, -1, -1)], 1)
        patches = self.embedding(cut_patches(image, self.patch))
        x = before = torch.cat([self.class_token.expand(items, 1, -1), patches], 1)
        for block in self.blocks:
            before = x
            x = block(x)
        x = self.norm(x)
        features = x[:, 0] if self.pool == "class" else x.mean(1)
        maps = {}
        if self.keep_attention:
            last = cast(Block, self.blocks[-1])
            maps["attention"] = last.attention.of_class_token(last.norm(before))
        return Output({target: head(features) for target, head in self.head.items()}, features, maps)


def cut_patches(image: Tensor, patch: tuple[int, int]) -> Tensor:
    """Cut an image (batch, channels, height, width) into patches, row by row: (batch, patches, size).

    A patch's numbers run over (row, column, channel), the channel fastest.
    """
    rows, columns = image.shape[2] // patch[0], image.shape[3] // patch[1]
    parts = image.unflatten(3, (columns, patch[1])).unflatten(2, (rows, patch[0]))
    return parts.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def _coordinates(height: int, width: int) -> Tensor:
    """Return each pixel's vertical and horizontal place, -1 to 1: (2, height, width)."""
    return torch.stack(torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"))


def _image(view: str, shape: Shape) -> tuple[int, int]:
    sizes = [length for length in shape if length is not None]
    if len(shape) != 3 or len(sizes) != 3 or sizes[0] != 1:
        raise TypeError(f"view '{view}' has shape {shape}; a fixed (1, height, width) is wanted")
    return sizes[1], sizes[2]


def _patch(patch: Sequence[int], height: int, width: int) -> tuple[int, int]:
    if len(patch) != 2 or min(patch) < 1:
        raise TypeError(f"patch = {list(patch)}; its height and width are wanted, e.g. [{height}, 1]")
    if height % patch[0] or width % patch[1]:
        raise TypeError(f"patch = {list(patch)} does not divide the image, {height} x {width}; try [{height}, 1]")
    return patch[0], patch[1]
