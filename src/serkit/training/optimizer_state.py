"""The optimizer's state after a stage, for a later stage that continues with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from serkit.networks.network import Model
from serkit.training.checkpoint import read_weights, save_weights

_FILE = "optimizer.safetensors"


def save(folder: Path, model: Model, optimizer: torch.optim.Optimizer) -> None:
    """Write the state of each weight under the weight's name: for Adam, two tensors of its size, and the steps."""
    state = optimizer.state_dict()["state"]
    tensors = {
        f"{slot}.{name}": torch.as_tensor(value)
        for place, name in _places(model, optimizer)
        for slot, value in state.get(place, {}).items()
        if value is not None
    }
    save_weights(tensors, folder / _FILE)


def read(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each weight's state by slot, by the weight's name.

    Raises:
        Damaged: the file is missing or damaged.
    """
    state: dict[str, dict[str, Tensor]] = {}
    for key, value in read_weights(folder / _FILE).items():
        slot, _, name = key.partition(".")
        state.setdefault(name, {})[slot] = value
    return state


def load(folder: Path, model: Model, optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer the state that a stage's folder holds.

    Weights that the earlier stage did not train, or that have another shape now (a new classifier), start anew.
    """
    kept, shapes = read(folder), {name: parameter.shape for name, parameter in model.named_parameters()}
    state = {
        place: kept[name]
        for place, name in _places(model, optimizer)
        if name in kept and all(value.shape in ((), shapes[name]) for value in kept[name].values())
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _places(model: Model, optimizer: torch.optim.Optimizer) -> Iterator[tuple[int, str]]:
    """Yield each weight's number in the optimizer and its name in the model."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for place, parameter in enumerate(trained):
        yield place, names[parameter]
