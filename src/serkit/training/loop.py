"""The only training loop.

Every step draws its random numbers anew from (seed, epoch, step), and the learning rate is a function of the
position. A checkpoint therefore needs no generator state: a training killed at any moment and resumed yields
the same weights, bit for bit, as an uninterrupted one.
"""

from __future__ import annotations

import io
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from serkit.errors import UserError
from serkit.evaluation.metrics import CLASSES, NUMBERS, ccc, confusion
from serkit.methods.method import Method
from serkit.networks.network import Batch, Model, Output, output_of
from serkit.options import first_line
from serkit.progress import EpochDone, tell
from serkit.systems.schema import Trainer
from serkit.training import memory, normalization, optimizer_state, perturb, schedules, stopping, together
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
from serkit.training.precision import make_fabric, resolve
from serkit.training.trackers import Tracking

#: The validation score that is told: of classes or of numbers.
_SCORES = {"validation_uar": CLASSES["uar"], "validation_ccc": NUMBERS["ccc"]}

# Keeps the seeds of other processes apart from those of other runs.
_RANKS = 1 << 32

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
    """Train a model, resuming from the folder's checkpoint if there is one; on all devices of `together.group()`.

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
    # A training resumed elsewhere keeps its precision: `auto` could choose another one there.
    precision = precision_of(folder) or resolve(trainer.precision, accelerator)
    work = _Work(model, method, data, training, validation, trainer, folder, seed, accelerator, precision, continues)
    progress: Progress = together.run(_train, work, keep_optimizer)
    return progress


@dataclass(frozen=True)
class _Work:
    """The arguments of `fit`, and the precision."""

    model: Model
    method: Method
    data: ItemData
    training: Sequence[int]
    validation: Sequence[int]
    trainer: Trainer
    folder: Path
    seed: int
    accelerator: str
    precision: str
    continues: Path | None


def _train(work: _Work, keep_optimizer: bool) -> Progress:
    """Train in one of the processes of the group; only the first one writes."""
    first, trainer = together.group().first, work.trainer
    memory.keep_freed()
    if first:
        work.folder.mkdir(parents=True, exist_ok=True)
    tracking = Tracking(work.folder) if first else None
    loop = _Loop(work)
    while loop.progress.epoch < trainer.epochs and not loop.progress.stopped:
        loop.train_epoch()
        if tracking is not None:
            tracking.log(loop.progress.history[-1])
            tell(loop.news())
    if tracking is not None:
        tracking.close()
        if keep_optimizer:
            optimizer_state.save(work.folder, work.model, loop.optimizer)
        loop.finish()
    return loop.progress


class _InPrecision:
    """A model that computes in the precision of a training, as Fabric's wrapper lets it.

    Args:
        model: the model; other attributes are its own.
        precision: Fabric's precision.
    """

    def __init__(self, model: Model, precision: Any) -> None:
        self._model = model
        self._precision = precision

    def __call__(self, batch: Batch) -> Output:
        with self._precision.forward_context():
            output: Output = self._precision.convert_output(self._model(self._precision.convert_input(batch)))
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _Step(nn.Module):
    """One step of several processes: from a batch to its loss.

    The loss is inside of what Fabric wraps, so that only weights that the loss uses have a gradient, as in a single
    process.

    Args:
        model: the model.
        method: defines the loss.
        fabric: Fabric of this process.
    """

    def __init__(self, model: Model, method: Method, fabric: Any) -> None:
        super().__init__()
        self.model = model
        self.alone = _InPrecision(model, fabric.strategy.precision)
        self._method = method
        self._kind = fabric.device.type

    def compute(self, batch: Batch) -> Output:
        """Compute a batch for validation."""
        return together.group().compute(self.alone, batch)

    def forward(self, held: Callable[[], Batch]) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Return the loss, its terms and the predictions of the whole batch.

        Args:
            held: returns the batch, which the wrapper must not convert: the loss uses it as it is.
        """
        group, batch, model = together.group(), held(), cast(Model, self.alone)
        output = group.compute(lambda part: self._method.forward(model, part), batch)
        with torch.autocast(self._kind, enabled=False):
            terms = self._method.loss(output, batch)
            total = torch.stack(list(terms.values())).sum()
        # The wrapper averages the gradients of all processes, but they are parts of a sum.
        return total * group.size, _detached(terms), _detached(output.predictions)


def _detached(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in values.items()}


class _Loop:
    """A training in progress."""

    def __init__(self, work: _Work) -> None:
        self.model, self.method, self.data, self.trainer = work.model, work.method, work.data, work.trainer
        self.training, self.validation = work.training, work.validation
        self.folder, self.seed = work.folder, work.seed
        self.rows = {position: row for row, position in enumerate(self.training)}
        self.group = together.group()
        self.fabric = _fabric(work.accelerator, work.precision, self.group)
        trainer, model = self.trainer, self.model
        self.schedule = schedules.build(trainer.schedule.name, **trainer.schedule.options)
        self.rule = stopping.build(trainer.stopping.name, **trainer.stopping.options) if trainer.stopping else None
        self.perturbations = [perturb.build(named.name, **named.options) for named in trainer.perturb]
        self.average = Average(model, trainer.average) if trainer.average else None
        optimizer = make_optimizer(model, trainer, work.precision)
        precision = self.fabric.strategy.precision
        #: The step of several processes, which train one network; None: there is one process.
        self.step = None if self.group.alone else _Step(model, self.method, self.fabric)
        self.synchronized: dict[nn.Module, type] = {}
        if self.step is not None and self.fabric.device.type == "cuda":
            self.synchronized = normalization.synchronize(model)
        self.wrapped, self.optimizer = self.fabric.setup(self.step or model, optimizer)
        # Set up last: the optimizer's state follows the device and precision of the weights.
        self.progress = Progress()
        if self.group.first:
            if work.continues:
                optimizer_state.load(work.continues, model, self.optimizer)
            self.progress = resume(self.folder, model, self.optimizer, self.average, precision)
        if not self.group.alone:
            self._share_state(precision)
        self.progress.precision = work.precision
        self.saved = time.monotonic()

    def _share_state(self, precision: Any) -> None:
        """Continue in all processes from the state that the first one has read."""
        average = self.average and (self.average.state, self.average.steps)
        state = (self.model.state_dict(), self.optimizer.state_dict(), precision.state_dict(), average, self.progress)
        content = io.BytesIO()
        torch.save(state, content)
        content = io.BytesIO(self.group.share(content.getvalue()))
        if self.group.first:
            return
        weights, optimizer, scaling, average, self.progress = torch.load(content, "cpu", weights_only=False)
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(optimizer)
        precision.load_state_dict(scaling)
        if self.average and average:
            self.average.state, self.average.steps = average

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
            if self.group.first and time.monotonic() - self.saved > self.trainer.checkpoint_seconds:
                precision = self.fabric.strategy.precision
                save_checkpoint(self.folder, self.model, self.optimizer, self.average, precision, progress)
                self.saved = time.monotonic()
        record = progress.close_epoch(self._rate((len(batches) - 1) / len(batches)), time.monotonic() - began)
        with _averaged(self.average, self.model):
            if self.validation:
                size, began = self.trainer.batch_size, time.monotonic()
                with _computing(size):
                    if self.step is not None:
                        self.group.share_buffers(self.model)
                    compute = self.wrapped if self.step is None else self.step.compute
                    self.wrapped.eval()
                    record |= evaluate(compute, self.method, self.data, self.validation, size, self.fabric)
                record["validation_seconds"] = round(time.monotonic() - began, 3)
            if self.group.first:
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
            seconds=record["seconds"] + record.get("validation_seconds", 0.0),
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
        if self.step is not None:
            # What is random inside of the network, such as dropout, differs between the rows of a batch.
            seed_step(self.seed, self.progress.epoch, self.progress.step, self.group.rank)
            total, terms, predictions = self.wrapped(lambda: batch)
        else:
            output = self.method.forward(self.wrapped, batch)
            terms, predictions = self.method.loss(output, batch), output.predictions
            total = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        if self.trainer.clip:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.trainer.clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        if self.average:
            self.average.update(self.model)
        self.progress.count(terms, predictions, batch, [self.rows[position] for position in positions])

    def finish(self) -> None:
        """Write the history, load the selected weights into the model, and refit its batch normalization."""
        write_history(self.folder, self.progress.history)
        normalization.restore(self.synchronized)
        if self.average:
            self.average.apply(self.model)
        if self.trainer.select != "last":
            load_weights(self.model, self.folder / "best.safetensors")
        if self.trainer.refit_normalization:
            # In the order of the epoch that does not follow: a resumed training has the same one.
            batches = order(self.training, self.trainer.batch_size, self.seed, self.progress.epoch)
            compute = self.wrapped if self.step is None else self.step.alone
            with _computing(self.trainer.batch_size):
                moved = (_to(self.fabric, self.data.batch(batch)) for batch in batches)
                normalization.refit(self.model, moved, compute)
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


def _fabric(accelerator: str, precision: str, group: together.Group | None = None) -> Any:
    """Make a Fabric of one device, or of all devices of a group."""
    try:
        if group is None or group.alone:
            return make_fabric(accelerator, precision)
        return make_fabric(accelerator, precision, group.devices, group.size // group.devices)
    except (ValueError, RuntimeError, ImportError) as error:
        raise UserError(f"accelerator '{accelerator}' with trainer.precision = '{precision}': {error}") from None


def evaluate(
    model: Any, method: Method, data: ItemData, positions: Sequence[int], batch_size: int, fabric: Any
) -> dict[str, float]:
    """Score a model in evaluation mode on some items: the mean loss, and the metrics of classes of the first target.

    For numeric targets, the metric is the mean of their concordance correlation coefficients.
    """
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
    return [shuffled[begin : begin + size] for begin in range(0, steps_of(len(training), size) * size, size)]


def steps_of(items: int, size: int) -> int:
    """Return the number of steps of an epoch, the batches of `order`: items, items of a batch -> steps."""
    steps = math.ceil(items / size)
    return steps - 1 if items % size == 1 < min(size, steps) else steps


def _mix(seed: int, epoch: int, step: int) -> int:
    """Spread (seed, epoch, step) over 63 bits, as NumPy's SeedSequence does."""
    return int(np.random.SeedSequence([seed, epoch, step + 1]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_step(seed: int, epoch: int, step: int, rank: int = 0) -> None:
    """Seed all random generators for a step; in each of several processes differently."""
    mixed = _mix(seed, epoch, step) if rank == 0 else _mix(seed + rank * _RANKS, epoch, step)
    torch.manual_seed(mixed)
    np.random.seed(mixed % 2**32)  # noqa: NPY002 (libraries that know only the global generator)
    random.seed(mixed)


def _to(fabric: Any, batch: Batch) -> Batch:
    return batch if fabric.device.type == "cpu" else fabric.to_device(batch)
