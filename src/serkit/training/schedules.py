"""Learning-rate schedules: stateless functions of the position in training, so that resuming is exact.

To add one, write the function and add its line to `SCHEDULES`. `epoch` counts from 0 and moves by
fractions: 2.5 is the middle of the third epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from serkit.errors import UserError
from serkit.options import check
from serkit.registry import Registry

Schedule = Callable[[float, int], float]


def constant(epoch: float, epochs: int) -> float:
    """The same rate throughout."""
    return 1.0


def step(epoch: float, epochs: int, every: int = 10, factor: float = 0.5) -> float:
    """Multiply by `factor` after every `every` whole epochs."""
    if every < 1:
        raise ArithmeticError(f"every must be 1 or more, got {every}")
    return factor ** (int(epoch) // every)


def cosine(epoch: float, epochs: int, warmup: float = 0.0, end: float = 0.0) -> float:
    """Rise linearly over the first `warmup` epochs, then fall to `end` along half a cosine.

    Source: Loshchilov & Hutter 2017 (SGDR, without restarts).
    """
    if epoch < warmup:
        return epoch / warmup
    done = (epoch - warmup) / max(epochs - warmup, 1e-9)
    return end + (1 - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def one_cycle(epoch: float, epochs: int, peak: float = 0.3, start: float = 0.04, end: float = 4e-6) -> float:
    """Rise from `start` to 1 at `peak` of the training, then fall to `end`, both along half a cosine.

    Source: Smith & Topin 2018; defaults as PyTorch's OneCycleLR.
    """
    turn = peak * epochs
    if epoch < turn:
        return start + (1 - start) * (1 - math.cos(math.pi * epoch / turn)) / 2
    done = min((epoch - turn) / max(epochs - turn, 1e-9), 1.0)
    return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2


SCHEDULES = Registry(
    "schedule",
    {
        "constant": constant,
        "cosine": cosine,
        "one_cycle": one_cycle,
        "step": step,
    },
)


def build(name: str, **options: float) -> Schedule:
    """Make a schedule: a function of `(epoch, epochs)` that returns the factor of the learning rate.

    Raises:
        UserError: unknown name or option, or an invalid value.
    """
    SCHEDULES.check(name, options, 2)
    check(f"schedule '{name}'", SCHEDULES[name], options)
    schedule = partial(SCHEDULES[name], **options)
    try:
        factors = [schedule(epoch, 100) for epoch in range(101)]
    except (TypeError, ArithmeticError) as error:
        raise UserError(f"schedule '{name}': {error}") from None
    if min(factors) < -1e-9:
        raise UserError(f"schedule '{name}': with {options} the learning rate falls below 0")
    return schedule
