"""A vision transformer for spectrogram images, with patches of any shape and no positional embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from serkit.errors import unknown
from serkit.networks.layers.patches import cut_patches, image_size, patch_size
from serkit.networks.layers.transformer import Block
from serkit.networks.network import Batch, Network, Output, Shape

#: Channels of the stem's convolutions.
_STEM = (1, 16, 32, 64, 32, 16, 1)

_POOLS = ("class", "mean")


class Stem(nn.Sequential):
    """Six 3x3 convolutions that keep the image's size: (batch, 1, height, width) to the same.

    Instance norm without weights and GELU follow each convolution, including the last.
    """

    def __init__(self) -> None:
        # Channels first: on a CPU, channels last makes the convolutions a fifth faster, but instance norm then copies,
        # and a training step of the stem takes 4/3 of the time.
        super().__init__(
            *(
                nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.InstanceNorm2d(out), nn.GELU())
                for channels, out in pairwise(_STEM)
            )
        )


class Vit(Network):
    """Patches of an image through a transformer with a class token.

    There is no positional embedding: without `coordinates` the order of the patches makes no difference.
    A patch as high as the image is a moment of all frequencies.

    The feature is the class token after the final layer norm. `attention` is how much the last layer's class token
    attends to each patch, averaged over heads.

    Source: Kim & Lee 2024, section 4: "student" (defaults with depth 3) and "teacher" (`stem`, `coordinates`).
    The paper gives the number of heads and the width, but not the size of the heads or of the perceptrons.

    Args:
        inputs: one view of fixed shape (1, height, width).
        outputs: number of outputs by target.
        depth: number of layers.
        heads: attention heads of each.
        head_size: width of each head.
        hidden: width of each layer's perceptron.
        width: of the tokens.
        patch: height and width of a patch; must divide the image's.
        stem: whether six convolutions precede the patches.
        coordinates: whether each pixel carries its vertical and horizontal position, -1 to 1, as two additional
            channels after the stem.
        pool: the feature: the `class` token, or the `mean` of all tokens, including the class token.
        dropout: in attention and perceptrons.
    """

    has_attention = True
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
        height, length = image_size(self.only, self.inputs[self.only])
        self.patch = patch_size(patch, height, length)
        self.pool = pool
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
        if "attention" in self.keep:
            last = cast(Block, self.blocks[-1])
            rows = image.shape[2] // self.patch[0]
            maps["attention"] = last.attention.of_class_token(last.norm(before)).unflatten(1, (rows, -1))
        return Output({target: head(features) for target, head in self.head.items()}, features, maps)


def _coordinates(height: int, width: int) -> Tensor:
    """Return each pixel's vertical and horizontal position, -1 to 1: (2, height, width)."""
    return torch.stack(torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"))
