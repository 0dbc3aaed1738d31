"""Recurrent layers."""

from __future__ import annotations

import functools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Lstm(nn.LSTM):
    """LSTM layers: (batch, time, size) to all states of the last layer, (batch, time, hidden).

    If bidirectional, (batch, time, 2 * hidden): forward states, then backward states.

    Args:
        size: of the input.
        hidden: size of the state in each direction.
        layers: number of layers.
        bidirectional: whether each layer also reads backward; the next layer then reads both directions.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, size: int, hidden: int, layers: int = 1, bidirectional: bool = False) -> None:
        super().__init__(size, hidden, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Compute the states; those of an item's valid frames do not depend on frames past its `lengths`.

        States past an item's end are meaningless.
        """
        if torch.onnx.is_in_onnx_export():
            return self._as_operator(x)
        if _is_rounded(x) and not lstm_in_bfloat16():
            with torch.autocast("cpu", enabled=False):
                return self._states(x.float(), lengths)
        return self._states(x, lengths)

    def _states(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the states in the precision of `x`, or of autocast."""
        if lengths is None or not self.bidirectional:
            return super().forward(x)[0]
        return self._packed(x, lengths) if x.is_cuda else self._in_turn(x, lengths)

    def _packed(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Compute without the padding, with CUDA's kernel for all layers."""
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _in_turn(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Compute each direction separately, the backward one as forward on reversed items.

        On a CPU this takes half the time of packed sequences, which the fast kernel does not support.
        """
        for layer in self._weights():
            forward, backward = layer
            reverse = self._one(turned(x, lengths), backward)
            x = torch.cat([self._one(x, forward), turned(reverse, lengths)], 2)
        return x

    def _one(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        """Compute one layer in one direction, forward in time."""
        zeros = x.new_zeros(1, x.shape[0], self.hidden_size)
        return torch.lstm(x, (zeros, zeros), weights, True, 1, 0.0, self.training, False, True)[0]

    def _weights(self) -> list[list[list[Tensor]]]:
        """Return the input weights, the state weights and their two biases, by layer and direction."""
        flat = cast(list[list[Tensor]], self.all_weights)
        directions = 2 if self.bidirectional else 1
        return [flat[place : place + directions] for place in range(0, len(flat), directions)]

    def _as_operator(self, x: Tensor) -> Tensor:
        """Compute the same with ONNX's own operator.

        torch's exporter writes this operator only once per process. After that it unrolls the loop over time, which
        fixes the number of steps.
        """
        steps = x.transpose(0, 1)
        for layer in self._weights():
            inputs, states = (torch.stack([self._in_onnx_order(way[kind]) for way in layer]) for kind in (0, 1))
            biases = [torch.cat([self._in_onnx_order(bias) for bias in way[2:]]) for way in layer]
            found = torch.onnx.ops.symbolic(
                "LSTM",
                [steps, inputs, states, torch.stack(biases)],
                {
                    "hidden_size": self.hidden_size,
                    "direction": "bidirectional" if self.bidirectional else "forward",
                },
                dtype=x.dtype,
                # The second axis holds the directions.
                shape=(steps.shape[0], len(layer), steps.shape[1], self.hidden_size),
            )
            steps = found.transpose(1, 2).flatten(2)
        return steps.transpose(0, 1)

    def _in_onnx_order(self, weight: Tensor) -> Tensor:
        """Reorder gates from torch's input, forget, cell, output to ONNX's input, output, forget, cell."""
        gates = weight.unflatten(0, (4, self.hidden_size))
        return torch.cat([gates[0], gates[3], gates[1], gates[2]])


def _is_rounded(x: Tensor) -> bool:
    """Return whether a CPU should compute with `x` in bfloat16."""
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16
    return x.device.type == "cpu" and (autocast or x.dtype is torch.bfloat16)


@functools.cache
def lstm_in_bfloat16() -> bool:
    """Return whether this processor supports an LSTM in bfloat16: oneDNN requires AVX-512."""
    try:
        # New layers draw random weights, which must not affect training.
        with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(4, 4)(torch.zeros(2, 1, 4))
    except RuntimeError:
        return False
    return True


def turned(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the valid frames of each item (batch, time, size); frames past its end stay in place."""
    place = torch.arange(x.shape[1], device=x.device)
    source = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)
    return x.gather(1, source[:, :, None].expand(-1, -1, x.shape[2]))


def final(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the state at each item's end, (batch, size), from states (batch, time, size)."""
    return states[:, -1] if lengths is None else states[torch.arange(len(lengths), device=states.device), lengths - 1]
