"""The Audio Spectrogram Transformer: overlapping square patches with learned position embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from serkit.networks.layers.patches import image_size, pair
from serkit.networks.layers.transformer import Block
from serkit.networks.network import Batch, Network, Output, Shape

#: Standard deviation of new weights (Touvron et al. 2021).
_SPREAD = 0.02


class Ast(Network):
    """Overlapping patches of an image through a transformer with two special tokens.

    The tokens are the class token, the distillation token, then the patches, row by row. The network ignores pixels
    to the right of the last whole patch and below it. The feature is the mean of the two special tokens after the
    final layer norm. Each target has its own layer norm and linear layer.

    Source: Gong, Chung & Glass 2021, with the architecture of Touvron et al. 2021 (DeiT). Their network starts from
    ImageNet weights; this one starts from random weights. Layer norms use torch's epsilon, 1e-5 (DeiT: 1e-6).

    Args:
        inputs: one view of fixed shape (1, height, width).
        outputs: number of outputs by target.
        depth: number of layers.
        heads: attention heads of each layer; must divide the width.
        width: of the tokens.
        hidden: width of each layer's perceptron; None: four times the token width.
        patch: height and width of a patch.
        stride: distance between patches along height and width.
        dropout: in attention and perceptrons.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        depth: int = 12,
        heads: int = 12,
        width: int = 768,
        hidden: int | None = None,
        patch: Sequence[int] = (16, 16),
        stride: Sequence[int] = (10, 10),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs)
        hidden = 4 * width if hidden is None else hidden
        if min(depth, heads, width, hidden) < 1:
            raise TypeError("depth, heads, width and hidden must be 1 or more")
        if width % heads:
            raise TypeError(f"width must be a multiple of heads ({heads}), got {width}")
        image = image_size(self.only, self.inputs[self.only])
        size, step = pair("patch", patch, [16, 16]), pair("stride", stride, [10, 10])
        if size[0] > image[0] or size[1] > image[1]:
            raise TypeError(f"patch = {list(size)} is larger than the image, {image[0]} x {image[1]}")
        rows, columns = ((image[axis] - size[axis]) // step[axis] + 1 for axis in (0, 1))
        self.embedding = nn.Conv2d(1, width, size, step)
        self.special_tokens = nn.Parameter(torch.zeros(2, width))
        self.places = nn.Parameter(torch.zeros(2 + rows * columns, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, width // heads, hidden, dropout, bias=True) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.ModuleDict(
            {target: nn.Sequential(nn.LayerNorm(width), head) for target, head in self.heads(width).items()}
        )
        self._initialise()

    def forward(self, batch: Batch) -> Output:
        patches = self.embedding(batch.views[self.only]).flatten(2).transpose(1, 2)
        # len() would fix the batch size of the exported network.
        tokens = torch.cat([self.special_tokens.expand(patches.shape[0], -1, -1), patches], 1)
        x: Tensor = self.dropout(tokens + self.places)
        for block in self.blocks:
            x = block(x)
        features = self.norm(x)[:, :2].mean(1)
        return Output({target: head(features) for target, head in self.head.items()}, features)

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=_SPREAD)
                nn.init.zeros_(layer.bias)
        for tokens in (self.special_tokens, self.places):
            nn.init.trunc_normal_(tokens, std=_SPREAD)
