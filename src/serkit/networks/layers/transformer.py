"""The transformer layer and its attention."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention whose inner width, heads * head_size, is independent of the tokens' width.

    Args:
        width: of the tokens.
        heads: number of heads.
        head_size: width of each head.
        dropout: of the attention weights and of the result, in training.
        bias: whether queries, keys and values have a bias.
    """

    def __init__(self, width: int, heads: int, head_size: int, dropout: float, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.head_size = heads, head_size
        self.qkv = nn.Linear(width, 3 * heads * head_size, bias=bias)
        self.projection = nn.Linear(heads * head_size, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (batch, tokens, width) to tokens of the same shape."""
        query, key, value = self._split(x)
        dropout = self.dropout.p if self.training else 0.0
        if x.is_cuda:
            mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        else:
            # For a few hundred tokens on a CPU, torch's fused kernel is slower than explicit weights: in bfloat16 it
            # takes four times as long, mostly in the backward pass.
            weights = (query * self.head_size**-0.5 @ key.transpose(2, 3)).softmax(3)
            mixed = F.dropout(weights, dropout) @ value
        output: Tensor = self.dropout(self.projection(mixed.transpose(1, 2).flatten(2)))
        return output

    def of_class_token(self, x: Tensor) -> Tensor:
        """Return how much the first token attends to each other token, averaged over heads: (batch, tokens - 1).

        The weights are computed again, since the fused attention does not return them. The token's attention to itself
        is left out, so a row sums to less than 1.
        """
        query, key, _ = self._split(x)
        scores = query[:, :, :1] @ key.transpose(2, 3) * self.head_size**-0.5
        output: Tensor = scores.softmax(3).mean(1)[:, 0, 1:]
        return output

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value: (batch, heads, tokens, head_size) each."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, self.head_size)).permute(2, 0, 3, 1, 4)
        return query, key, value


class Block(nn.Module):
    """A pre-norm transformer layer: attention, then a perceptron with one hidden layer, each with a shortcut.

    Args:
        width: of the tokens.
        heads: number of heads.
        head_size: width of each head.
        hidden: width of the perceptron's hidden layer.
        dropout: in attention and perceptron, in training.
        bias: whether queries, keys and values have a bias.
    """

    def __init__(self, width: int, heads: int, head_size: int, hidden: int, dropout: float, bias: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, head_size, dropout, bias)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (batch, tokens, width) to tokens of the same shape."""
        x = x + self.attention(self.norm(x))
        output: Tensor = x + self.perceptron(x)
        return output
