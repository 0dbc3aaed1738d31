"""From items to the batches a network receives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from serkit.data.items import Item, label
from serkit.errors import UserError
from serkit.networks.network import Batch, Shape


@dataclass
class ItemData:
    """Items with the arrays of their views and the labels of their targets.

    Args:
        items: training and validation items together; positions refer to this order.
        arrays: one array per item, by view.
        shapes: shape of each view without the batch axis; None for time.
        classes: class names by target, empty for a numeric target; an item without a label of a target is masked
            for that target.
    """

    items: Sequence[Item]
    arrays: Mapping[str, Sequence[np.ndarray]]
    shapes: Mapping[str, Shape]
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._targets = {}
        self._known = {}
        for target, names in self.classes.items():
            labels = [label(item.utterance, target) for item in self.items]
            values = _indices(labels, names) if names else numbers(labels)
            self._known[target] = values >= 0 if names else ~values.isnan()
            self._targets[target] = torch.where(self._known[target], values, 0)

    def __len__(self) -> int:
        return len(self.items)

    def batch(self, positions: Sequence[int]) -> Batch:
        """Gather the items at the given positions, padded with zeros along time to the longest of them."""
        index = torch.as_tensor(positions, dtype=torch.int64)
        views, lengths = {}, {}
        for view, arrays in self.arrays.items():
            gathered = [arrays[position] for position in positions]
            for position, array in zip(positions, gathered, strict=True):
                if not array.size:
                    raise UserError(
                        f"{self.items[position].id}: shorter than one window of view '{view}'; it yields no frame"
                    )
            views[view], length = _stack(gathered, self.shapes[view])
            if length is not None:
                lengths[view] = length
        targets = {target: values[index] for target, values in self._targets.items()}
        masks = {target: known[index] for target, known in self._known.items() if not bool(known[index].all())}
        return Batch(views, lengths, targets, masks, index)

    def batches(self, positions: Sequence[int], size: int) -> Iterator[Batch]:
        """Gather batches of `size` items in the given order; the last may be smaller."""
        for begin in range(0, len(positions), size):
            yield self.batch(positions[begin : begin + size])

    def truth(self, target: str) -> np.ndarray:
        """Return the class index of each item of a target with classes, -1 where it has no label."""
        return torch.where(self._known[target], self._targets[target], -1).numpy()


def _indices(labels: Sequence[str | float | None], names: Sequence[str]) -> torch.Tensor:
    places = {name: place for place, name in enumerate(names)}
    return torch.tensor([places.get(str(value), -1) for value in labels], dtype=torch.int64)


def numbers(labels: Sequence[str | float | None]) -> torch.Tensor:
    """Return numeric labels, (items,) float32; NaN for an item without one."""
    return torch.tensor([value if isinstance(value, float | int) else math.nan for value in labels])


def _stack(arrays: Sequence[np.ndarray], shape: Shape) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Stack arrays into (batch, *shape), and return the valid lengths if any array had to be padded."""
    if None not in shape:
        return torch.from_numpy(np.stack(arrays)), None
    time = shape.index(None)
    lengths = [array.shape[time] for array in arrays]
    if min(lengths) == max(lengths):
        return torch.from_numpy(np.stack(arrays)), None
    size = [length if length is not None else max(lengths) for length in shape]
    padded = torch.zeros([len(arrays), *size], dtype=torch.float32)
    for row, array in enumerate(arrays):
        padded[row].narrow(time, 0, array.shape[time]).copy_(torch.from_numpy(array))
    return padded, torch.tensor(lengths)
