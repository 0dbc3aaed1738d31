"""The contract of a training method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from serkit.data.items import Item
from serkit.errors import unknown
from serkit.networks.network import Batch, Model, Output
from serkit.systems.schema import Stage


class Earlier(Protocol):
    """A finished stage in the view of later stages' methods."""

    @property
    def stage(self) -> Stage:
        """The stage's table, including inherited settings."""

    @property
    def model(self) -> Model:
        """The trained model, in evaluation mode."""

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """Class names by target; None for a number."""

    def record(self) -> dict[str, np.ndarray]:
        """Return the training record: by item id, whether the prediction of each training pass was right (passes,).

        Raises:
            UserError: the stage was not trained by epochs.
        """


@dataclass(frozen=True)
class Context:
    """Information for a method on the stage that it trains.

    Args:
        stage: the stage's table, including inherited settings.
        items: training items, then validation items, with indices in `batch.index`. During selection, the items to
            select from.
        training: training items; during selection, the items to select from.
        classes: class names by target; None for a number.
        seed: seed of the training.
        finished: earlier stages by name.
        compute: function that returns an output of an earlier stage for items: `(stage, items, "features" or
            "predictions")`.
    """

    stage: Stage
    items: Sequence[Item]
    training: Sequence[Item]
    classes: Mapping[str, Sequence[str]]
    seed: int
    finished: Mapping[str, Earlier]
    compute: Callable[[str, Sequence[Item], str], Tensor]

    def outputs(self, stage: str, what: str = "features") -> Tensor:
        """Return an earlier stage's features, or predictions, for `items`: (items, size).

        The store keeps them, so that each is computed once for all epochs and stages.

        Raises:
            UserError: there is no earlier stage of this name.
        """
        if stage not in self.finished:
            raise unknown("earlier stage", stage, self.finished)
        return self.compute(stage, self.items, what)


class Method:
    """The minimized loss, and the steps before and after training. The trainer owns the loop.

    A subclass defines `loss`; the other steps do nothing by default. A method that is not trained by epochs sets
    `by_epochs = False`, and makes the deployed model in `finish`.
    """

    #: Increased when the same options train differently; part of every stage's key.
    version: ClassVar[int] = 1

    #: Options that name one or several earlier stages.
    stage_options: ClassVar[tuple[str, ...]] = ()

    #: Whether the targets are numbers instead of classes.
    numbers: ClassVar[bool] = False

    #: Whether the loop runs; without it, there is no history and no training record.
    by_epochs = True

    #: Whether it learns from its items; otherwise, none of their views is computed.
    learns = True

    def identity(self, items: Sequence[Item]) -> Any:
        """Return everything in the training items that affects training, besides samples and labels (JSON only)."""
        return None

    def select(self, items: Sequence[Item], context: Context) -> Sequence[Item]:
        """Select the training items of this stage, e.g. by an earlier stage's record."""
        return items

    def kept(self, items: int) -> int:
        """Return about how many of a number of items `select` keeps, for a forecast."""
        return items

    def prepare(self, model: Model, context: Context) -> None:
        """Prepare the loss from finished stages: teachers, extractors, records."""

    def forward(self, model: Model, batch: Batch) -> Output:
        """Run the model on a training batch; the loop takes its record from the result."""
        output: Output = model(batch)
        return output

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Compute the named terms whose sum is minimized, from the result of `forward`."""
        raise TypeError(f"{type(self).__name__} does not define a loss")

    def finish(self, model: Model, batches: Iterable[Batch], held: Iterable[Batch] = ()) -> Model:
        """Return the deployed model: the trained model, or a model made from it and the data.

        Args:
            model: the model after training, in evaluation mode.
            batches: training items in the order of `context.training`; empty if the method does not learn.
            held: validation items; empty if the protocol has none.
        """
        return model

    def report(self) -> dict[str, Any]:
        """Return the method's results and choices for `stage.json` (JSON only); called after `finish`."""
        return {}
