"""The only training loop.

Every step draws its random numbers anew from (seed, epoch, step), and the learning rate is a function of the
position. A checkpoint therefore needs no generator state: a training killed at any moment and resumed yields
the same weights, bit for bit, as an uninterrupted one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from serkit.errors import UserError
from serkit.evaluation.metrics import CLASSES, NUMBERS, ccc, confusion
from serkit.methods.method import Method
from serkit.networks.network import Batch, Model, Output, output_of
from serkit.options import first_line
from serkit.progress import EpochDone, tell
from serkit.systems.schema import Trainer
from serkit.training import memory, optimizer_state, perturb, schedules, stopping
from serkit.training.batches import ItemData
from serkit.training.checkpoint import (
    UNSEEN,
    Average,
    Progress,
    keep_best,
    load_weights,
    precision_of,
    resume,
    save_checkpoint,
)
from serkit.training.history import write_history
from serkit.training.normalization import refit
from serkit.training.precision import make_fabric, resolve
from serkit.training.trackers import Tracking

#: The validation score that is told: of classes or of numbers.
_SCORES = {"validation_uar": CLASSES["uar"], "validation_ccc": NUMBERS["ccc"]}

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


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
    continues: Path | None = None,
    keep_optimizer: bool = False,
) -> Progress:
    """Train a model, resuming from the folder's checkpoint if there is one.

    The model ends with the selected weights. The folder receives `history.jsonl`, during training
    `checkpoint.safetensors` (and `best.safetensors`), and after it `optimizer.safetensors` if a later stage continues
    with the optimizer.

    Args:
        model: trained in place.
        method: defines the loss.
        data: items and views.
        training: positions of the training items.
        validation: positions of the validation items; may be empty.
        trainer: settings.
        folder: location of the checkpoint.
        seed: source of all random numbers.
        accelerator: `auto`, `cpu`, `cuda`, ...: passed to Lightning Fabric.
        continues: folder of an earlier stage whose optimizer continues; None: the optimizer starts anew.
        keep_optimizer: whether to save the optimizer's state after the last epoch.

    Raises:
        UserError: selection on validation without a validation part; an unsupported precision or accelerator; a
            batch that the network cannot compute; a loss that is not finite.
    """
    if trainer.select != "last" and not validation:
        raise UserError(
            f"trainer.select = '{trainer.select}' requires a validation part; set the protocol's validation share"
        )
    folder.mkdir(parents=True, exist_ok=True)
    memory.keep_freed()
    tracking = Tracking(folder)
    loop = _Loop(model, method, data, training, validation, trainer, folder, seed, accelerator, continues)
    while loop.progress.epoch < trainer.epochs and not loop.progress.stopped:
        loop.train_epoch()
        tracking.log(loop.progress.history[-1])
        tell(loop.news())
    tracking.close()
    if keep_optimizer:
        optimizer_state.save(folder, model, loop.optimizer)
    loop.finish()
    return loop.progress


class _Loop:
    """A training in progress."""

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
        continues: Path | None,
    ) -> None:
        self.model, self.method, self.data, self.trainer = model, method, data, trainer
        self.training, self.validation = training, validation
        self.folder, self.seed = folder, seed
        self.rows = {position: row for row, position in enumerate(training)}
        # A training resumed elsewhere keeps its precision: `auto` could choose another one there.
        precision = precision_of(folder) or resolve(trainer.precision, accelerator)
        self.fabric = _fabric(accelerator, precision)
        self.schedule = schedules.build(trainer.schedule.name, **trainer.schedule.options)
        self.rule = stopping.build(trainer.stopping.name, **trainer.stopping.options) if trainer.stopping else None
        self.perturbations = [perturb.build(named.name, **named.options) for named in trainer.perturb]
        self.average = Average(model, trainer.average) if trainer.average else None
        self.wrapped, self.optimizer = self.fabric.setup(model, make_optimizer(model, trainer, precision))
        if continues:
            optimizer_state.load(continues, model, self.optimizer)
        # Set up last: the optimizer's state follows the device and precision of the weights.
        self.progress = resume(folder, model, self.optimizer, self.average, self.fabric.strategy.precision)
        self.progress.precision = precision
        self.saved = time.monotonic()

    def train_epoch(self) -> None:
        """Train the rest of the running epoch, validate, and decide whether to continue."""
        began, progress = time.monotonic(), self.progress
        self.wrapped.train()
        batches = order(self.training, self.trainer.batch_size, self.seed, progress.epoch)
        if progress.running is None:
            progress.running = torch.full((len(self.training),), UNSEEN, dtype=torch.uint8)
        while progress.step < len(batches):
            seed_step(self.seed, progress.epoch, progress.step)
            with _computing(len(batches[progress.step])):
                self._train_step(batches[progress.step], self._rate(progress.step / len(batches)))
            progress.step += 1
            if time.monotonic() - self.saved > self.trainer.checkpoint_seconds:
                precision = self.fabric.strategy.precision
                save_checkpoint(self.folder, self.model, self.optimizer, self.average, precision, progress)
                self.saved = time.monotonic()
        record = progress.close_epoch(self._rate((len(batches) - 1) / len(batches)), time.monotonic() - began)
        with _averaged(self.average, self.model):
            if self.validation:
                size = self.trainer.batch_size
                with _computing(size):
                    record |= evaluate(self.wrapped, self.method, self.data, self.validation, size, self.fabric)
            keep_best(self.folder, self.model, progress, self.trainer.select)
        progress.stopped = self.rule is not None and self.rule.after_epoch(progress.history) != "go"

    def news(self) -> EpochDone:
        """Return what is told of the last finished epoch."""
        progress, record = self.progress, self.progress.history[-1]
        scores = [metric.in_words(record[key]) for key, metric in _SCORES.items() if key in record]
        return EpochDone(
            stage=self.folder.name.rpartition("-")[0] or self.folder.name,
            epoch=progress.epoch,
            epochs=self.trainer.epochs,
            loss=record["training_loss"],
            score=scores[0] if scores else "",
            seconds=record["seconds"],
            stopped=progress.stopped or progress.epoch >= self.trainer.epochs,
        )

    def _rate(self, share: float) -> float:
        """Return the learning rate of a step that begins after the given share of the running epoch."""
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
        """Write the history, load the selected weights into the model, and refit its batch normalization."""
        write_history(self.folder, self.progress.history)
        if self.average:
            self.average.apply(self.model)
        if self.trainer.select != "last":
            load_weights(self.model, self.folder / "best.safetensors")
        if self.trainer.refit_normalization:
            # In the order of the epoch that does not follow: a resumed training has the same one.
            batches = order(self.training, self.trainer.batch_size, self.seed, self.progress.epoch)
            with _computing(self.trainer.batch_size):
                refit(self.model, (_to(self.fabric, self.data.batch(batch)) for batch in batches), self.wrapped)
        self.model.to("cpu", torch.float32).eval()


@contextmanager
def _computing(items: int) -> Iterator[None]:
    """Raise UserError if the network's options or the available memory do not allow a batch of this size."""
    try:
        yield
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        hint = ""
        if "more than 1 value per channel" in str(error):
            hint = "; batch normalization requires two items in a batch: use a larger batch_size, or more recordings"
        elif isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error):
            hint = "; use a smaller batch_size or network"
        raise UserError(f"the network cannot compute a batch of {items}: {first_line(error)}{hint}") from error


def _fabric(accelerator: str, precision: str) -> Any:
    try:
        return make_fabric(accelerator, precision)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"accelerator '{accelerator}' with trainer.precision = '{precision}': {error}") from None


def evaluate(
    model: Any, method: Method, data: ItemData, positions: Sequence[int], batch_size: int, fabric: Any
) -> dict[str, float]:
    """Score a model on some items: the mean loss, and the metrics of classes of the first target.

    For numeric targets, the metric is the mean of their concordance correlation coefficients.
    """
    model.eval()
    total = 0.0
    answers: dict[str, list[tuple[Tensor, Tensor]]] = {}
    with torch.inference_mode():
        for batch in data.batches(positions, batch_size):
            batch = _to(fabric, batch)
            output = model(batch)
            total += float(sum(method.loss(output, batch).values())) * len(batch)
            for target in output.predictions.keys() & data.classes.keys():
                known = batch.masks.get(target, torch.ones(len(batch), dtype=torch.bool)).cpu()
                answer = output.predictions[target].cpu()[known], batch.targets[target].cpu()[known]
                answers.setdefault(target, []).append(answer)
    record = {"validation_loss": total / len(positions)}
    found = {
        target: tuple(map(torch.cat, zip(*answers[target], strict=True)))
        for target in data.classes
        if target in answers
    }
    if any(not data.classes[target] for target in found):
        agreements = [ccc(truth.numpy(), values[:, 0].float().numpy()) for values, truth in found.values()]
        record["validation_ccc"] = sum(agreements) / len(agreements)
    elif found:
        logits, truth = next(iter(found.values()))
        labels, guesses = truth.numpy(), logits.argmax(1).numpy()
        counts = confusion(labels, guesses)
        record |= {f"validation_{key}": float(metric.of(counts)) for key, metric in CLASSES.items()}
    return record


def probabilities(
    model: Model, data: ItemData, target: str, batch_size: int = 64, accelerator: str = "cpu"
) -> np.ndarray:
    """Return class probabilities of all items: (items, classes) float64."""
    return _all_items(
        model, data, batch_size, accelerator, lambda output: output.predictions[target].double().softmax(1)
    )


def values(
    model: Model, data: ItemData, targets: Sequence[str], batch_size: int = 64, accelerator: str = "cpu"
) -> np.ndarray:
    """Return the predicted numbers of all items, in the units of the labels: (items, targets) float64."""
    return _all_items(
        model,
        data,
        batch_size,
        accelerator,
        lambda output: torch.cat([output.predictions[target].double() for target in targets], 1),
    )


def outputs(model: Model, data: ItemData, what: str, batch_size: int = 64, accelerator: str = "cpu") -> np.ndarray:
    """Return a model's `features` or `predictions` of all items: `(items, *shape)`."""
    if what == "features":
        model = model.headless()
    return _all_items(model, data, batch_size, accelerator, lambda output: output_of(output, what))


def each_output(model: Model, data: ItemData, what: str, accelerator: str = "cpu") -> Iterator[np.ndarray]:
    """Yield a model's `features` or `predictions` for one item after another: `(*shape)` each.

    Each item is computed separately: in a batch the last digits depend on the other items.
    """
    if what == "features":
        model = model.headless()
    with _placed(model, accelerator) as fabric:
        for batch in data.batches(range(len(data)), 1):
            with torch.inference_mode():
                values = output_of(model(_to(fabric, batch)), what)[0].cpu().numpy()
            yield values


def _all_items(
    model: Model, data: ItemData, batch_size: int, accelerator: str, read: Callable[[Output], Tensor]
) -> np.ndarray:
    # Items of similar length share a batch, which saves padding. The rows keep the caller's order.
    order = sorted(range(len(data)), key=lambda row: sum(arrays[row].size for arrays in data.arrays.values()))
    with _placed(model, accelerator) as fabric, torch.inference_mode():
        batches = data.batches(order, batch_size)
        found = torch.cat([read(model(_to(fabric, batch))).cpu() for batch in batches]).numpy()
    result = np.empty_like(found)
    result[order] = found
    return result


@contextmanager
def _placed(model: Model, accelerator: str) -> Iterator[Any]:
    """Move a model to the accelerator and set it to evaluation mode while the block runs."""
    fabric = _fabric(accelerator, "32-true")
    try:
        model.to(fabric.device).eval()
        yield fabric
    finally:
        model.to("cpu")


class _averaged:
    """Give the model its averaged weights while the block runs."""

    def __init__(self, average: Average | None, model: Model) -> None:
        self.average, self.model = average, model

    def __enter__(self) -> None:
        if self.average:
            self.kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.average.apply(self.model)

    def __exit__(self, *exception: object) -> None:
        if self.average:
            self.model.load_state_dict(self.kept)


def make_optimizer(model: Model, trainer: Trainer, precision: str) -> torch.optim.Optimizer:
    """Make the optimizer of a model's trainable weights."""
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
    # One kernel for all parameters saves a tenth of a small network's step. 16-bit scaling does not combine it
    # with clipping.
    fused = not precision.startswith("16")
    optimizer: torch.optim.Optimizer = OPTIMIZERS[trainer.optimizer](groups, lr=trainer.learning_rate, fused=fused)
    return optimizer


def order(training: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffle the training items into batches; a single item left over at the end is dropped.

    Batch norm cannot train on one item, which has no variance.
    """
    generator = torch.Generator().manual_seed(_mix(seed, epoch, -1))
    shuffled = [training[row] for row in torch.randperm(len(training), generator=generator).tolist()]
    batches = [shuffled[begin : begin + size] for begin in range(0, len(shuffled), size)]
    return batches[:-1] if len(batches[-1]) == 1 < min(size, len(batches)) else batches


def _mix(seed: int, epoch: int, step: int) -> int:
    """Spread (seed, epoch, step) over 63 bits, as NumPy's SeedSequence does."""
    return int(np.random.SeedSequence([seed, epoch, step + 1]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed all random generators for a step."""
    mixed = _mix(seed, epoch, step)
    torch.manual_seed(mixed)
    np.random.seed(mixed % 2**32)  # noqa: NPY002 (libraries that know only the global generator)
    random.seed(mixed)


def _to(fabric: Any, batch: Batch) -> Batch:
    return batch if fabric.device.type == "cpu" else fabric.to_device(batch)
