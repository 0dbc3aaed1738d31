"""The only training loop.

Chance is drawn anew for every step from (seed, epoch, step), and the learning rate is a function of the
position, so that a checkpoint needs no state of any generator: a training killed at any moment and
resumed gives the same weights, bit for bit, as an undisturbed one.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from serkit import perturb, schedules, stopping
from serkit.atomic import write_bytes, write_text
from serkit.batches import ItemData
from serkit.errors import UserError
from serkit.evaluation.metrics import accuracy, uar
from serkit.methods.method import Method
from serkit.networks.network import Batch, Model, Output, output_of
from serkit.progress import bar
from serkit.systems.schema import Trainer

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@dataclass
class Progress:
    """Where a training stands: everything a checkpoint holds besides weights.

    Args:
        epoch: finished epochs.
        step: finished steps of the running epoch.
        history: one record per finished epoch.
        right: per finished epoch, whether each training item was right in the training pass (items,).
        running: the same for the running epoch.
        seen: items of the running epoch's steps so far.
        sums: sum of each loss term over them.
        best: best validation value and its epoch.
        stopped: whether a stopping rule ended it.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)
    running: Tensor | None = None
    seen: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: tuple[float, int] | None = None
    stopped: bool = False

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
        if target is not None and self.running is not None:
            right = predictions[target].detach().argmax(1) == batch.targets[target]
            if target in batch.masks:
                right &= batch.masks[target]
            self.running[list(rows)] = right.cpu().to(torch.uint8)

    def close_epoch(self, rate: float, seconds: float) -> dict[str, Any]:
        """Move the running epoch into the history; returns its record, to which validation is added."""
        if self.running is None:
            raise ValueError("no epoch is running")
        terms = {f"training_{name}": value / self.seen for name, value in self.sums.items()}
        record = {
            "epoch": self.epoch,
            "training_loss": sum(terms.values()),
            **(terms if len(terms) > 1 else {}),
            "training_accuracy": int(self.running.sum()) / self.seen,
            "learning_rate": rate,
            "seconds": round(seconds, 3),
        }
        self.history.append(record)
        self.right.append(self.running)
        self.epoch, self.step, self.running, self.seen, self.sums = self.epoch + 1, 0, None, 0, {}
        return record


def fit(
    model: Model,
    method: Method,
    data: ItemData,
    training: Sequence[int],
    validation: Sequence[int],
    trainer: Trainer,
    folder: Path,
    seed: int,
    accelerator: str = "auto",
) -> Progress:
    """Train a model, going on from the folder's checkpoint if there is one.

    The model ends with the selected weights. The folder receives `history.jsonl`, and while training runs
    `checkpoint.safetensors` (and `best.safetensors`).

    Args:
        model: what is trained, in place.
        method: what is minimised.
        data: items and views.
        training: positions of the training items.
        validation: positions of the validation items; may be empty.
        trainer: settings.
        folder: where the checkpoint lies.
        seed: what all chance is drawn from.
        accelerator: `auto`, `cpu`, `cuda`, ...: handed to Lightning Fabric.

    Raises:
        UserError: selection on validation without a validation part; a precision or an accelerator that cannot
            be; a loss that is not finite.
    """
    if trainer.select != "last" and not validation:
        raise UserError(
            f"trainer.select = '{trainer.select}' needs a validation part; set the protocol's validation share"
        )
    folder.mkdir(parents=True, exist_ok=True)
    loop = _Loop(model, method, data, training, validation, trainer, folder, seed, accelerator)
    with bar(f"training {folder.name}", trainer.epochs) as advance:
        advance(loop.progress.epoch)
        while loop.progress.epoch < trainer.epochs and not loop.progress.stopped:
            loop.train_epoch()
            advance(1)
    loop.finish()
    return loop.progress


class _Loop:
    """A training under way."""

    def __init__(
        self,
        model: Model,
        method: Method,
        data: ItemData,
        training: Sequence[int],
        validation: Sequence[int],
        trainer: Trainer,
        folder: Path,
        seed: int,
        accelerator: str,
    ) -> None:
        self.model, self.method, self.data, self.trainer = model, method, data, trainer
        self.training, self.validation = training, validation
        self.folder, self.seed = folder, seed
        self.rows = {position: row for row, position in enumerate(training)}
        self.fabric = _fabric(accelerator, trainer.precision)
        self.schedule = schedules.build(trainer.schedule.name, **trainer.schedule.options)
        self.rule = stopping.build(trainer.stopping.name, **trainer.stopping.options) if trainer.stopping else None
        self.perturbations = [perturb.build(named.name, **named.options) for named in trainer.perturb]
        self.average = _Average(model, trainer.average) if trainer.average else None
        self.wrapped, self.optimizer = self.fabric.setup(model, _optimizer(model, trainer))
        # Last: the optimizer's state goes where the weights are, and takes their precision.
        self.progress = _resume(folder, model, self.optimizer, self.average, self.fabric.strategy.precision)
        self.saved = time.monotonic()

    def train_epoch(self) -> None:
        """Train the rest of the running epoch, validate, and judge whether to go on."""
        began, progress = time.monotonic(), self.progress
        self.wrapped.train()
        batches = _order(self.training, self.trainer.batch_size, self.seed, progress.epoch)
        if progress.running is None:
            progress.running = torch.zeros(len(self.training), dtype=torch.uint8)
        while progress.step < len(batches):
            _seed_step(self.seed, progress.epoch, progress.step)
            self._train_step(batches[progress.step], self._rate(progress.step / len(batches)))
            progress.step += 1
            if time.monotonic() - self.saved > self.trainer.checkpoint_seconds:
                precision = self.fabric.strategy.precision
                _save(self.folder, self.model, self.optimizer, self.average, precision, progress)
                self.saved = time.monotonic()
        record = progress.close_epoch(self._rate((len(batches) - 1) / len(batches)), time.monotonic() - began)
        with _averaged(self.average, self.model):
            if self.validation:
                size = self.trainer.batch_size
                record |= evaluate(self.wrapped, self.method, self.data, self.validation, size, self.fabric)
            _keep_best(self.folder, self.model, progress, self.trainer.select)
        progress.stopped = self.rule is not None and self.rule.after_epoch(progress.history) != "go"

    def _rate(self, share: float) -> float:
        """Return the learning rate of a step, which begins after a share of the running epoch."""
        return self.trainer.learning_rate * self.schedule(self.progress.epoch + share, self.trainer.epochs)

    def _train_step(self, positions: Sequence[int], rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.data.batch(positions)
        for change in self.perturbations:
            batch = change(batch)
        batch = _to(self.fabric, batch)
        output = self.method.forward(self.wrapped, batch)
        terms = self.method.loss(output, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(torch.stack(list(terms.values())).sum())
        if self.trainer.clip:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.trainer.clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        if self.average:
            self.average.update(self.model)
        self.progress.count(terms, output.predictions, batch, [self.rows[position] for position in positions])

    def finish(self) -> None:
        """Write the history and leave the selected weights in the model."""
        write_history(self.folder, self.progress.history)
        if self.average:
            self.average.apply(self.model)
        if self.trainer.select != "last":
            load_weights(self.model, self.folder / "best.safetensors")
        self.model.to("cpu", torch.float32).eval()


def _fabric(accelerator: str, precision: str) -> Any:
    from lightning_fabric import Fabric

    # It says on every start which precision was asked for.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        return Fabric(accelerator=accelerator, devices=1, precision=precision)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"accelerator '{accelerator}' with trainer.precision = '{precision}': {error}") from None


def evaluate(
    model: Any, method: Method, data: ItemData, positions: Sequence[int], batch_size: int, fabric: Any
) -> dict[str, float]:
    """Score a model on some items: mean loss, and accuracy and UAR of the first target."""
    model.eval()
    total, right, truth = 0.0, [], []
    target = next(iter(data.classes), None)
    with torch.inference_mode():
        for batch in data.batches(positions, batch_size):
            batch = _to(fabric, batch)
            output = model(batch)
            total += float(sum(method.loss(output, batch).values())) * len(batch)
            if target is not None and target in output.predictions:
                known = batch.masks.get(target, torch.ones(len(batch), dtype=torch.bool)).cpu()
                right.append(output.predictions[target].argmax(1).cpu()[known])
                truth.append(batch.targets[target].cpu()[known])
    record = {"validation_loss": total / len(positions)}
    if truth:
        labels, guesses = torch.cat(truth).numpy(), torch.cat(right).numpy()
        record["validation_accuracy"] = accuracy(labels, guesses)
        record["validation_uar"] = uar(labels, guesses)
    return record


def probabilities(model: Model, data: ItemData, target: str, batch_size: int = 64) -> np.ndarray:
    """Return class probabilities of all items: (items, classes) float64."""
    return _all_items(model, data, batch_size, lambda output: output.predictions[target].double().softmax(1))


def outputs(model: Model, data: ItemData, what: str, batch_size: int = 64) -> np.ndarray:
    """Return a model's `features` or `predictions` of all items: (items, size)."""
    return _all_items(model, data, batch_size, lambda output: output_of(output, what))


def _all_items(model: Model, data: ItemData, batch_size: int, read: Callable[[Output], Tensor]) -> np.ndarray:
    model.eval()
    # Items of like length share a batch: less padding. The order of the rows is the caller's.
    order = sorted(range(len(data)), key=lambda row: sum(arrays[row].size for arrays in data.arrays.values()))
    with torch.inference_mode():
        found = torch.cat([read(model(batch)) for batch in data.batches(order, batch_size)]).numpy()
    result = np.empty_like(found)
    result[order] = found
    return result


def write_history(folder: Path, history: Sequence[dict[str, Any]]) -> None:
    """Write the history as JSON lines, whole or not at all."""
    write_text(folder / "history.jsonl", "".join(json.dumps(record) + "\n" for record in history))


def save_weights(tensors: dict[str, Tensor], path: Path, note: dict[str, Any] | None = None) -> None:
    """Write tensors and a JSON note as safetensors, whole or not at all."""
    metadata = {"note": json.dumps(note)} if note is not None else None
    # As bytes: `save_file` makes a file that nobody else may read.
    write_bytes(path, save({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, metadata))


def load_weights(model: Model, path: Path) -> None:
    """Give a model the weights of a file that `save_weights` wrote."""
    tensors, _ = _read(path)
    model.load_state_dict(tensors)


class _Average:
    """Exponential moving average of a model's floating-point state (Polyak & Juditsky 1992).

    Up to `factor` it grows with the steps n as (1 + n) / (10 + n), so that the first ones do not stay in it.
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


class _averaged:
    """While the block runs, the model has its averaged weights."""

    def __init__(self, average: _Average | None, model: Model) -> None:
        self.average, self.model = average, model

    def __enter__(self) -> None:
        if self.average:
            self.kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.average.apply(self.model)

    def __exit__(self, *exception: object) -> None:
        if self.average:
            self.model.load_state_dict(self.kept)


def _optimizer(model: Model, trainer: Trainer) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise UserError("every layer is frozen: there is nothing to train")
    groups: list[dict[str, Any]] = [{"params": parameters, "weight_decay": trainer.weight_decay}]
    if trainer.decay == "matrices":
        matrices = [parameter for parameter in parameters if parameter.dim() > 1]
        others = [parameter for parameter in parameters if parameter.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": trainer.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
    # One kernel for all parameters: a tenth of a small network's step. 16-bit scaling cannot be combined
    # with clipping there.
    fused = not trainer.precision.startswith("16")
    return OPTIMIZERS[trainer.optimizer](groups, lr=trainer.learning_rate, fused=fused)


def _order(training: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffle the training items into batches; a single item that is left over at the end is left out.

    Batch norm cannot train on one item: it has no variance.
    """
    generator = torch.Generator().manual_seed(_mix(seed, epoch, -1))
    shuffled = [training[row] for row in torch.randperm(len(training), generator=generator).tolist()]
    batches = [shuffled[begin : begin + size] for begin in range(0, len(shuffled), size)]
    return batches[:-1] if len(batches[-1]) == 1 < min(size, len(batches)) else batches


def _mix(seed: int, epoch: int, step: int) -> int:
    """Spread (seed, epoch, step) over 63 bits, as NumPy's SeedSequence does."""
    return int(np.random.SeedSequence([seed, epoch, step + 1]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _seed_step(seed: int, epoch: int, step: int) -> None:
    mixed = _mix(seed, epoch, step)
    torch.manual_seed(mixed)
    np.random.seed(mixed % 2**32)  # noqa: NPY002 (libraries that know only the global generator)
    random.seed(mixed)


def _to(fabric: Any, batch: Batch) -> Batch:
    return batch if fabric.device.type == "cpu" else fabric.to_device(batch)


def _keep_best(folder: Path, model: Model, state: Progress, select: str) -> None:
    if select == "last":
        return
    value = state.history[-1][f"validation_{select}"] * (-1 if select == "loss" else 1)
    if state.best is None or value > state.best[0]:
        state.best = (value, state.epoch - 1)
        save_weights(model.state_dict(), folder / "best.safetensors", {"epoch": state.epoch - 1})


def _save(
    folder: Path, model: Model, optimizer: Any, average: _Average | None, precision: Any, state: Progress
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
    }
    save_weights(tensors, folder / "checkpoint.safetensors", note)
    write_history(folder, state.history)


def _resume(folder: Path, model: Model, optimizer: Any, average: _Average | None, precision: Any) -> Progress:
    """Take up the folder's checkpoint, or begin."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return Progress()
    tensors, note = _read(path)

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
    best = tuple(note.pop("best") or ()) or None
    right = list(tensors["right"]) if "right" in tensors else []
    return Progress(**note, best=best, right=right, running=tensors.get("running"))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return tensors, json.loads((file.metadata() or {}).get("note", "{}"))
