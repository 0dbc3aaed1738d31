"""Checkpoints: the state of a training, in one file that is written completely or not at all."""

from __future__ import annotations

import json
import math
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from serkit.atomic import write_bytes
from serkit.errors import Damaged, UserError
from serkit.networks.network import Batch, Model
from serkit.training.history import Epoch, write_history

#: Value in `Progress.right` for an item that an epoch left out, or that has no label.
UNSEEN = 2

# Key of the checksum in a file's metadata.
_CHECKSUM = "checksum"


@dataclass
class Progress:
    """The state of a training: everything a checkpoint holds besides weights.

    Args:
        epoch: number of finished epochs.
        step: number of finished steps of the running epoch.
        history: one record per finished epoch.
        right: per finished epoch, whether the model was right about each training item (items,): 1, 0, or `UNSEEN`.
            For numeric targets all values are `UNSEEN`.
        running: the same for the running epoch.
        seen: number of items in the running epoch's finished steps.
        sums: sum of each loss term over those items.
        best: best validation value and its epoch.
        stopped: whether a stopping rule ended the training.
        precision: precision of the training.
    """

    epoch: int = 0
    step: int = 0
    history: list[Epoch] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)
    running: Tensor | None = None
    seen: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: tuple[float, int] | None = None
    stopped: bool = False
    precision: str = "32-true"

    def count(
        self, terms: dict[str, Tensor], predictions: dict[str, Tensor], batch: Batch, rows: Sequence[int]
    ) -> None:
        """Add a step to the running epoch: its loss terms, and which of its items (`rows`) were right."""
        for name, value in zip(terms, torch.stack(list(terms.values())).tolist(), strict=True):
            if not math.isfinite(value):
                raise UserError(
                    f"the loss '{name}' is {value} in epoch {self.epoch}, step {self.step}; "
                    "a lower learning rate or trainer.clip may help"
                )
            self.sums[name] = self.sums.get(name, 0.0) + value * len(batch)
        self.seen += len(batch)
        target = next((name for name in batch.targets if name in predictions), None)
        # A number is neither right nor wrong.
        if target is not None and self.running is not None and not batch.targets[target].is_floating_point():
            right = (predictions[target].detach().argmax(1) == batch.targets[target]).to(torch.uint8)
            if target in batch.masks:
                right = right.masked_fill(~batch.masks[target], UNSEEN)
            self.running[list(rows)] = right.cpu()

    def close_epoch(self, rate: float, seconds: float) -> Epoch:
        """Move the running epoch into the history, and return its record, to which validation is added."""
        if self.running is None:
            raise ValueError("no epoch is running")
        judged = bool((self.running != UNSEEN).any())
        terms = {f"training_{name}": value / self.seen for name, value in self.sums.items()}
        record: Epoch = {
            "epoch": self.epoch,
            "training_loss": sum(terms.values()),
            **(terms if len(terms) > 1 else {}),
            **({"training_accuracy": int((self.running == 1).sum()) / self.seen} if judged else {}),
            "learning_rate": rate,
            "seconds": round(seconds, 3),
        }
        self.history.append(record)
        self.right.append(self.running)
        self.epoch, self.step, self.running, self.seen, self.sums = self.epoch + 1, 0, None, 0, {}
        return record


class Average:
    """Exponential moving average of a model's floating-point state (Polyak & Juditsky 1992).

    The factor grows with the number of steps n as (1 + n) / (10 + n) up to `factor`, so that the first steps fade out.
    """

    def __init__(self, model: Model, factor: float) -> None:
        self.factor = factor
        self.steps = 0
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def update(self, model: Model) -> None:
        self.steps += 1
        factor = min(self.factor, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            kept = self.state[name] = self.state[name].to(value.device)
            if value.dtype.is_floating_point:
                kept.lerp_(value.detach(), 1 - factor)
            else:
                kept.copy_(value)

    def apply(self, model: Model) -> None:
        model.load_state_dict(self.state)


def save_weights(tensors: dict[str, Tensor], path: Path, note: Mapping[str, Any] | None = None) -> None:
    """Write tensors, a JSON note and the checksum of both as safetensors, completely or not at all."""
    plain = json.loads(json.dumps(note or {}))
    # A single entry: safetensors writes several entries in an order that changes from file to file.
    metadata = {"note": json.dumps({**plain, _CHECKSUM: _checksum(tensors, plain)})}
    # Written as bytes: `save_file` creates a file that only its owner can read.
    write_bytes(path, save({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, metadata))


def load_weights(model: Model, path: Path) -> None:
    """Load the weights of a file that `save_weights` wrote into a model; errors are those of `read_weights`."""
    model.load_state_dict(read_weights(path))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that `save_weights` wrote, by name.

    Raises:
        Damaged: the file is missing or damaged.
    """
    return _read(path)[0]


def keep_best(folder: Path, model: Model, state: Progress, select: str) -> None:
    """Save the model as the best so far if the latest epoch's validation value is the best."""
    if select == "last":
        return
    value = state.history[-1][f"validation_{select}"] * (-1 if select == "loss" else 1)
    if math.isnan(value):  # NaN never compares as better
        value = -math.inf
    if state.best is None or value > state.best[0]:
        state.best = (value, state.epoch - 1)
        save_weights(model.state_dict(), folder / "best.safetensors", {"epoch": state.epoch - 1})


def save_checkpoint(
    folder: Path, model: Model, optimizer: Any, average: Average | None, precision: Any, state: Progress
) -> None:
    """Write a checkpoint: tensors and, in the same file, the rest as JSON."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    inner = optimizer.state_dict()
    for index, slots in inner["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    if average:
        tensors |= {f"average.{name}": value for name, value in average.state.items()}
    if state.right:
        tensors["right"] = torch.stack(state.right)
    if state.running is not None:
        tensors["running"] = state.running
    note = {
        "epoch": state.epoch,
        "step": state.step,
        "seen": state.seen,
        "history": state.history,
        "sums": state.sums,
        "best": state.best,
        "stopped": state.stopped,
        "averaged": average.steps if average else 0,
        "precision": precision.state_dict(),
        "trained_in": state.precision,
    }
    save_weights(tensors, folder / "checkpoint.safetensors", note)
    write_history(folder, state.history)


def resume(folder: Path, model: Model, optimizer: Any, average: Average | None, precision: Any) -> Progress:
    """Resume from the folder's checkpoint, or start from the beginning if it is missing or damaged."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return Progress()
    try:
        tensors, note = _read(path)
        if note["best"]:
            read_weights(folder / "best.safetensors")
    except Damaged as error:
        warnings.warn(f"{error}; training of the stage starts from the beginning", stacklevel=2)
        return Progress()

    def part(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

    model.load_state_dict(part("model."))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimizer.").items():
        index, _, slot = name.partition(".")
        slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    precision.load_state_dict(note.pop("precision"))
    steps = note.pop("averaged")
    if average:
        average.state, average.steps = part("average."), steps
    note.pop("trained_in", None)
    best = tuple(note.pop("best") or ()) or None
    right = list(tensors["right"]) if "right" in tensors else []
    return Progress(**note, best=best, right=right, running=tensors.get("running"))


def precision_of(folder: Path) -> str | None:
    """Return the precision of the folder's checkpoint; None: there is no readable checkpoint."""
    path = folder / "checkpoint.safetensors"
    try:
        return _read(path)[1].get("trained_in") if path.exists() else None
    except Damaged:  # `resume` warns about it and starts over
        return None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            note = json.loads((file.metadata() or {}).get("note", "{}"))
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None
    except (SafetensorError, ValueError) as error:  # a power failure can leave an empty or truncated file
        raise Damaged(f"{path}: damaged ({error})") from None
    # Files from older versions have no checksum.
    if note.pop(_CHECKSUM, None) not in (None, _checksum(tensors, note)):
        raise Damaged(f"{path}: damaged; its checksum does not match")
    return tensors, note


def _checksum(tensors: dict[str, Tensor], note: dict[str, Any]) -> str:
    checksum = zlib.crc32(json.dumps(note).encode())
    for name, tensor in sorted(tensors.items()):
        checksum = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), checksum)
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        checksum = zlib.crc32(flat.view(torch.uint8).numpy().data, checksum)
    return f"{checksum:08x}"
