"""Which precision a training computes in: what `auto` stands for on this machine, and what the machine cannot do."""

from __future__ import annotations

import functools
import logging
import time
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from serkit.errors import UserError

#: What serkit trains in where bfloat16 is no gain.
FLOAT32 = "32-true"

#: bfloat16 for products, float32 for weights and sums.
BFLOAT16 = "bf16-mixed"

#: Runs of the probe of each precision; the fastest counts, so that other work on the machine does not.
_RUNS = 5


@dataclass(frozen=True)
class Choice:
    """What `precision = "auto"` stands for.

    Args:
        precision: as `trainer.precision` names it.
        reason: why, in a few words.
    """

    precision: str
    reason: str


@functools.cache
def automatic(accelerator: str = "auto") -> Choice:
    """Choose by what this machine does fast: a small convolution and a linear layer, forward and backward.

    On processors without instructions for bfloat16 it works, but takes 6 to 60 times as long as float32.

    Args:
        accelerator: `auto`, `cpu`, `cuda`, ...: as handed to Lightning Fabric.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice(BFLOAT16, "the GPU computes in bfloat16")
        return Choice(FLOAT32, "the GPU does not compute in bfloat16")
    if accelerator not in ("auto", "cpu") or (accelerator == "auto" and torch.backends.mps.is_available()):
        return Choice(FLOAT32, f"bfloat16 is not tried on accelerator '{accelerator}'")
    try:
        ratio = _seconds(torch.bfloat16) / _seconds(torch.float32)
    except RuntimeError:  # oneDNN has no such operation for this processor
        return Choice(FLOAT32, "this processor does not compute in bfloat16")
    text = f"bfloat16 takes {ratio:.2g} times as long as float32 on this processor"
    return Choice(BFLOAT16 if ratio < 1 else FLOAT32, text)


def resolve(precision: str, accelerator: str = "auto") -> str:
    """Return the precision to train in: the one stated, or what `auto` stands for here."""
    return automatic(accelerator).precision if precision == "auto" else precision


def check(precision: str, accelerator: str = "auto", recurrent: bool = False) -> None:
    """Try a stated precision on one small step.

    Args:
        precision: as `trainer.precision` names it.
        accelerator: as handed to Lightning Fabric.
        recurrent: whether the network has LSTM layers.

    Raises:
        UserError: unknown precision, or one that the machine cannot compute in.
    """
    if precision in ("auto", FLOAT32):
        return
    try:
        _try(precision, accelerator, recurrent)
    except (ValueError, TypeError, RuntimeError, ImportError) as error:  # whatever Fabric, torch or oneDNN raise
        reason = str(error).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        raise UserError(
            f"trainer.precision = '{precision}' does not work here ({reason}); use 'auto', '{FLOAT32}' or '{BFLOAT16}'"
        ) from None


def make_fabric(accelerator: str, precision: str) -> Any:
    """Make the Lightning Fabric that trains on one device.

    Raises:
        ValueError: unknown accelerator or precision, or one that the device does not have.
    """
    from lightning_fabric import Fabric

    # It reports on every start which precision was chosen.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    # On a CPU, Fabric puts bf16-mixed in the place of 16-mixed.
    if fabric.strategy.precision.precision != precision:
        raise ValueError(f"device '{fabric.device.type}' has no '{precision}'")
    return fabric


@functools.cache
def _try(precision: str, accelerator: str, recurrent: bool) -> None:
    """Run one training step of a small network, as the training loop does."""
    from serkit.networks.layers.recurrent import Lstm

    # New layers draw weights; what is trained later must not depend on the probe.
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
