"""The precision a training computes in: what `auto` means on this machine, and what the machine supports."""

from __future__ import annotations

import functools
import logging
import os
import time
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from serkit.errors import UserError
from serkit.options import first_line

#: Precision of a training where bfloat16 brings no gain.
FLOAT32 = "32-true"

#: bfloat16 for products, float32 for weights and sums.
BFLOAT16 = "bf16-mixed"

#: Processes that may train together on the processors of any machine, however few it has.
_PROCESSES = 8

#: Runs of the probe for each precision; the fastest counts, so that other load on the machine does not matter.
_RUNS = 5


@dataclass(frozen=True)
class Choice:
    """The meaning of `precision = "auto"` on a machine.

    Args:
        precision: as in `trainer.precision`.
        reason: reason for the choice, in a few words.
    """

    precision: str
    reason: str


@functools.cache
def automatic(accelerator: str = "auto") -> Choice:
    """Choose the faster precision on this machine: a small convolution and a linear layer, forward and backward.

    bfloat16 works on processors without instructions for it, but takes 6 to 60 times as long as float32.

    Args:
        accelerator: `auto`, `cpu`, `cuda`, ...: passed to Lightning Fabric.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice(BFLOAT16, "the GPU computes in bfloat16")
        return Choice(FLOAT32, "the GPU does not support bfloat16")
    if accelerator not in ("auto", "cpu") or (accelerator == "auto" and torch.backends.mps.is_available()):
        return Choice(FLOAT32, f"bfloat16 is not tried on accelerator '{accelerator}'")
    try:
        ratio = _seconds(torch.bfloat16) / _seconds(torch.float32)
    except RuntimeError:  # oneDNN lacks such an operation for this processor
        return Choice(FLOAT32, "this processor does not support bfloat16")
    text = f"bfloat16 takes {ratio:.2g} times as long as float32 on this processor"
    return Choice(BFLOAT16 if ratio < 1 else FLOAT32, text)


def resolve(precision: str, accelerator: str = "auto") -> str:
    """Return the precision to train in: the given one, or what `auto` means here."""
    return automatic(accelerator).precision if precision == "auto" else precision


def check(precision: str, accelerator: str = "auto", recurrent: bool = False) -> None:
    """Try a given precision on one small step.

    Args:
        precision: as in `trainer.precision`.
        accelerator: passed to Lightning Fabric.
        recurrent: whether the network has LSTM layers.

    Raises:
        UserError: unknown precision, or one that the machine does not support.
    """
    if precision in ("auto", FLOAT32):
        return
    try:
        _try(precision, accelerator, recurrent)
    except (ValueError, TypeError, RuntimeError, ImportError) as error:  # anything Fabric, torch or oneDNN raises
        reason = str(error).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        raise UserError(
            f"trainer.precision = '{precision}' does not work here ({reason}); use 'auto', '{FLOAT32}' or '{BFLOAT16}'"
        ) from None


def check_device(accelerator: str, devices: int = 1) -> None:
    """Raise UserError if this machine has no such accelerator, or fewer devices; or serkit does not know it."""
    try:
        kind = make_fabric(accelerator, FLOAT32).device.type
    except (ValueError, RuntimeError, ImportError) as error:  # anything Fabric raises
        raise UserError(f"--accelerator {accelerator}: does not work here ({first_line(error)})") from None
    # Processors are no devices: any number of processes can share them, but each takes memory before it does anything.
    most = max(os.cpu_count() or 1, _PROCESSES) if kind == "cpu" else _count(kind)
    if devices > most:
        raise UserError(f"--devices {devices}: at most {most} work here, with accelerator '{kind}'")


def _count(kind: str) -> int:
    return torch.cuda.device_count() if kind == "cuda" else 1


def make_fabric(accelerator: str, precision: str, devices: int = 1, nodes: int = 1) -> Any:
    """Make the Lightning Fabric that trains on one device, or on this process's device of several.

    Args:
        accelerator: `auto`, `cpu`, `cuda`, ...
        precision: as in `trainer.precision`, but not `auto`.
        devices: devices of each machine; of several, each has its process, whose environment says which it is.
        nodes: machines.

    Raises:
        ValueError: unknown accelerator or precision, or one that the device does not support.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    # On every start it reports the chosen precision.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    several = devices * nodes > 1
    # A frozen layer, or a head that the loss does not use, has no gradient.
    strategy = DDPStrategy(find_unused_parameters=True) if several else "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy, precision=precision
        )
        if several:
            fabric.launch()
    # On a CPU, Fabric replaces 16-mixed with bf16-mixed.
    if fabric.strategy.precision.precision != precision:
        raise ValueError(f"device '{fabric.device.type}' does not support '{precision}'")
    return fabric


@functools.cache
def _try(precision: str, accelerator: str, recurrent: bool) -> None:
    """Run one training step of a small network, as the training loop does."""
    from serkit.networks.layers.recurrent import Lstm

    # New layers draw random weights; the probe must not affect later training.
    with torch.random.fork_rng(devices=[]):
        layers: list[nn.Module] = [nn.Conv1d(4, 4, 3, padding=1), nn.Linear(4, 4)]
        if recurrent:
            layers.insert(1, Lstm(4, 4))
    model = nn.Sequential(*layers)
    fabric = make_fabric(accelerator, precision)
    wrapped, _ = fabric.setup(model, torch.optim.SGD(model.parameters()))
    fabric.backward(wrapped(fabric.to_device(torch.ones(2, 4, 4))).float().sum())


def _seconds(kind: torch.dtype) -> float:
    """Return the least time of a forward and backward pass through a convolution and a linear layer."""
    with torch.random.fork_rng(devices=[]):
        convolution, linear = nn.Conv2d(16, 32, 3, padding=1), nn.Linear(32 * 16, 256)
        x = torch.randn(16, 16, 32, 16)
    least = float("inf")
    for _ in range(_RUNS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            maps: Tensor = convolution(x)
            answer = linear(maps.transpose(1, 2).flatten(2))
        answer.float().square().mean().backward()
        least = min(least, time.perf_counter() - began)
    return least
