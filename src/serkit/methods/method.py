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
    """A finished stage, as methods of later stages see it."""

    @property
    def stage(self) -> Stage:
        """Its table, with what it inherits filled in."""

    @property
    def model(self) -> Model:
        """The trained model, in evaluation mode."""

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """Class names by target; none where the target is a number."""

    def record(self) -> dict[str, np.ndarray]:
        """Return, by item id, whether each of its training passes was right: (passes,).

        Raises:
            UserError: the stage was not trained by epochs.
        """


@dataclass(frozen=True)
class Context:
    """What a method may ask about the stage that it trains.

    Args:
        stage: its table, with what it inherits filled in.
        items: training items, then validation items: `batch.index` counts them. While the method selects, the
            items it can select from.
        training: training items; likewise.
        classes: class names by target; none where the target is a number.
        seed: of the training.
        finished: earlier stages by name.
        compute: returns an output of an earlier stage for items: `(stage, items, "features" or "predictions")`.
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

        The store keeps them: each is computed once, however many epochs and stages ask for it.

        Raises:
            UserError: no earlier stage of this name.
        """
        if stage not in self.finished:
            raise unknown("earlier stage", stage, self.finished)
        return self.compute(stage, self.items, what)


class Method:
    """What is minimised, and what happens before and after. The trainer owns the loop.

    A subclass defines `loss`; the other steps do nothing unless it needs them. One that is not trained by
    epochs sets `by_epochs = False` and makes all of what is deployed in `finish`.
    """

    #: Raised whenever the same options train otherwise: it is part of every stage's key.
    version: ClassVar[int] = 1

    #: Options that name an earlier stage, or several.
    stage_options: ClassVar[tuple[str, ...]] = ()

    #: Whether the targets are numbers; otherwise they are classes.
    numbers: ClassVar[bool] = False

    #: Whether the loop runs; without it there is neither a history nor a training record.
    by_epochs = True

    #: Whether it learns from its items at all; without it none of their views is computed.
    learns = True

    def identity(self, items: Sequence[Item]) -> Any:
        """Return what of the training items, besides samples and labels, decides what is trained (JSON only)."""
        return None

    def select(self, items: Sequence[Item], context: Context) -> Sequence[Item]:
        """Choose which of the training items this stage trains on, e.g. by an earlier stage's record."""
        return items

    def prepare(self, model: Model, context: Context) -> None:
        """Take what the loss needs from finished stages: teachers, extractors, records."""

    def forward(self, model: Model, batch: Batch) -> Output:
        """Run the model on a training batch, by default as it is; the loop keeps its record from this."""
        output: Output = model(batch)
        return output

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Compute the named terms whose sum is minimised, from what `forward` returned."""
        raise TypeError(f"{type(self).__name__} does not say what it minimises")

    def finish(self, model: Model, batches: Iterable[Batch], held: Iterable[Batch] = ()) -> Model:
        """Return what is deployed: the trained model, or one made of it and the data.

        Args:
            model: as training left it, in evaluation mode.
            batches: the training items, in the order of `context.training`; none where the method does not learn.
            held: the validation items; none where the protocol has none.
        """
        return model

    def report(self) -> dict[str, Any]:
        """Say what the method found and chose, for `stage.json` (JSON only); asked after `finish`."""
        return {}
