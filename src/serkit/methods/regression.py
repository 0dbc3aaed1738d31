"""Learning of numbers: valence, arousal, dominance, or others."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from serkit.errors import unknown
from serkit.methods.method import Context, Method
from serkit.networks.network import Batch, Model, Output

# Below any variance of labels; keeps the loss finite for a batch without variance.
_LEAST = 1e-8


class Regression(Method):
    """One minus the concordance of the batch, or the mean squared error; summed over targets.

    The network's outputs and the labels are compared in units of the training labels' standard deviation, so that the
    loss does not depend on the scale of the ratings.

    Args:
        loss: `ccc`, 1 - concordance correlation coefficient of the batch's items (Lin 1989), which depends on order,
            spread and level; or `mse`, the mean squared error.
    """

    numbers: ClassVar[bool] = True

    def __init__(self, loss: str = "ccc") -> None:
        if loss not in LOSSES:
            raise unknown("loss", loss, LOSSES)
        self.name = loss
        self.deviations: dict[str, float] = {}

    def prepare(self, model: Model, context: Context) -> None:
        self.deviations = {target: float(model.scale(target).deviation) for target in context.classes}

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        terms = {}
        for target, values in output.predictions.items():
            known = batch.masks.get(target, torch.ones(len(batch), dtype=torch.bool, device=values.device))
            unit = self.deviations.get(target, 1.0)
            predicted, truth = values[known, 0].float() / unit, batch.targets[target][known] / unit
            name = self.name if len(output.predictions) == 1 else f"{self.name}_{target}"
            # A batch without any known label has no loss in this target.
            terms[name] = LOSSES[self.name](predicted, truth) if len(truth) else values.sum() * 0
        return terms


def one_minus_ccc(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - CCC of two series (items,), with moments divided by n, as in Lin 1989."""
    x, y = predicted - predicted.mean(), truth - truth.mean()
    spread = x.square().mean() + y.square().mean() + (predicted.mean() - truth.mean()).square()
    return 1 - 2 * (x * y).mean() / spread.clamp_min(_LEAST)


def mean_squared_error(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared difference of two series (items,)."""
    return (predicted - truth).square().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ccc": one_minus_ccc, "mse": mean_squared_error}
