"""A stand-in for recurrent layers where only shapes matter, because torch would run them frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_LAYERS = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})


class Recurrent(TorchFunctionMode):
    """While it is on, a function takes the place of each direction of each recurrent layer.

    Args:
        one: receives the kind (`lstm`, `gru`, `rnn_tanh`, `rnn_relu`), the input (frames, items, size) and the weights
            in torch's order: of the input, of the state, then others. It returns states (frames, items, hidden).
    """

    def __init__(self, one: Callable[[str, Tensor, Sequence[Tensor]], Tensor]) -> None:
        super().__init__()
        self.one = one

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = getattr(func, "__name__", "")
        if kind not in _LAYERS:
            return func(*args, **(kwargs or {}))
        x, states, weights, _, layers, dropout, training, both, items_first = args
        if items_first:  # the kernels read frame by frame
            x = x.transpose(0, 1).contiguous()
        directions = 2 if both else 1
        each = len(weights) // (layers * directions)
        for layer in range(layers):
            if layer:
                x = torch.dropout(x, dropout, training)
            places = [each * (directions * layer + way) for way in range(directions)]
            found = [self.one(kind, x, weights[place : place + each]) for place in places]
            x = torch.cat(found, -1) if both else found[0]
        if items_first:
            x = x.transpose(0, 1)
        return (x, *states) if kind == "lstm" else (x, states)
