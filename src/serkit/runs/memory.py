"""The memory of a training step, computed without any: the tensors of the step have shapes, but no content."""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from serkit import features
from serkit.networks.network import Batch
from serkit.runs.models import assemble, resolve
from serkit.runs.recurrent import Recurrent
from serkit.systems.schema import System

#: Length in s of an item of a system that takes whole recordings.
_SECONDS = 4.0

#: What a process takes for each byte that its tensors hold, because the allocator keeps what is freed in pieces:
#: 18 GB were seen where a step of `septr` (4 images, CPU) holds 12.9 GB.
_ALLOCATED = 1.4

#: Numbers that a recurrent layer keeps for the backward pass, per frame and direction, besides its input and its
#: states: times the size of its state, and times the larger of that and the size of its input. An LSTM keeps the
#: workspace of oneDNN's kernel, which holds its gates, its states and their gradients; the others have no kernel.
_KEPT = {"lstm": (9, 6), "gru": (8, 0), "rnn_tanh": (2, 0), "rnn_relu": (2, 0)}

#: Copies of the weights besides themselves: gradients, and two averages of Adam.
_COPIES = 3


class _Peak(TorchDispatchMode):
    """Adds up the storages that are alive while it is on; `peak` is the most that there were, in bytes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return found

    def _add(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in self._known:
            return
        self._known.add(place)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._drop, place, size)

    def _drop(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.alive -= size


class _Pass(torch.autograd.Function):
    """One direction of one recurrent layer: tensors of the right size at the right time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, size: int, kept: int) -> Tensor:
        states = x.new_empty(*x.shape[:-1], size)
        ctx.save_for_backward(x, states, x.new_empty(*x.shape[:-1], kept))
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return torch.empty_like(ctx.saved_tensors[0]), None, None, None


def _kept(kind: str, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Take the memory of one direction of one recurrent layer."""
    size = weights[1].shape[1]
    of_state, of_widest = _KEPT[kind]
    kept = of_state * size + of_widest * max(size, x.shape[-1])
    states: Tensor = _Pass.apply(x, weights[0], size, kept)  # type: ignore[no-untyped-call]
    return states


def step(system: System, name: str, items: int, classes: int = 7) -> int | None:
    """Return the bytes that the tensors of a training step take, forward and backward; None: they cannot be foretold.

    Only the stage's own network counts, in float32; not what a method adds, such as a teacher. The process takes more:
    see `misfit`.

    Args:
        system: the system.
        name: name of the stage.
        items: items of the step.
        classes: number of classes of every target.
    """
    stage = resolve(system, name)
    seconds = system.stage_data(stage).items.seconds or _SECONDS
    try:
        with torch.device("meta"):
            model, _ = assemble(system, name, classes)
        views = {}
        for view in stage.inputs:
            table = system.views[view]
            if table.feature is None:
                return None
            feature = features.build(table.feature.name, **table.feature.options)
            shape = feature(np.zeros(int(seconds * feature.rate), np.float32)).shape
            views[view] = torch.empty(items, *shape, device="meta")
        with _Peak() as counted, Recurrent(_kept):
            output = model.train()(Batch(views))
            torch.stack([found.float().sum() for found in output.predictions.values()]).sum().backward()
    except Exception:  # whatever a layer does that needs numbers, e.g. the lengths of a packed sequence
        return None
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return int(counted.peak + _COPIES * weights)


def misfit(system: System, processes: int = 1) -> str | None:
    """Return in one line why the steps of a system do not fit into the memory that is free; None: nothing is known.

    Args:
        system: the system.
        processes: folds that are trained at the same time.
    """
    found = (misfit_of(system, stage.name, stage.trainer.batch_size, processes) for stage in system.stages)
    return next(filter(None, found), None)


def misfit_of(system: System, name: str, items: int, processes: int = 1) -> str | None:
    """Return the same of one stage whose steps have a number of items."""
    free = available()
    found = None if free is None else step(system, name, items)
    if found is None or free is None or processes * _ALLOCATED * found <= free:
        return None
    folds = f" in each of {processes} folds at a time" if processes > 1 else ""
    hint = ""
    for fewest, takes in ((2, "two items take"), (1, "one item takes")):  # batch normalization requires two
        if held := step(system, name, fewest):
            setting = f"--jobs 1 --set stages.{name}.trainer.batch_size={fewest}"
            hint = f"; {takes} about {_ALLOCATED * held / 1e9:.1f} GB ({setting})"
    return (
        f"a step of stage '{name}' ({items} items) takes about {_ALLOCATED * found / 1e9:.1f} GB{folds}, and "
        f"{free / 1e9:.1f} GB are free{hint}"
    )


def available() -> int | None:
    """Return the bytes that this process can still take, of the GPU if there is one; None: unknown (not Linux)."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        [free] = re.findall(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except (OSError, ValueError):
        return None
    found = 1024 * int(free)
    group = Path("/sys/fs/cgroup")
    try:
        most, taken = (int((group / f"memory.{what}").read_text()) for what in ("max", "current"))
    except (OSError, ValueError):  # no limit is the word "max"
        return found
    return min(found, most - taken)
