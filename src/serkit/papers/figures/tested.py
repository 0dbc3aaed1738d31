"""The model of a run's first fold and the items it was tested on, made again from the run's folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serkit import corpora, features
from serkit.batches import ItemData
from serkit.features import Feature
from serkit.features.store import Store
from serkit.items import Item, Windowing
from serkit.protocols import Protocol
from serkit.protocols.splits import Split
from serkit.reports.run_folder import RunFolder
from serkit.systems.experiment import Experiment, prepare
from serkit.systems.models import Finished, leaves, rebuild
from serkit.systems.schema import System, View


@dataclass(frozen=True)
class Tested:
    """The deployed model of a run's first fold.

    Args:
        experiment: what the run learned from.
        split: the fold.
        finished: the trained stage, all that stands before it included.
    """

    experiment: Experiment
    split: Split
    finished: Finished

    @classmethod
    def load(cls, folder: Path) -> Tested:
        """Read a run.

        Raises:
            UserError: no finished run, or a corpus that is no longer where it was.
        """
        run = RunFolder.load(folder)
        split = run.splits[0]
        note = run.notes[split.name]
        system = System.model_validate(run.description["system"][note["chosen"]])
        protocol: dict[str, Any] = dict(run.description["protocol"])
        name = protocol.pop("name")
        found, also = (
            [corpora.load(corpus, place) for corpus, place in run.description.get(key, {}).items()]
            for key in ("folders", "also")
        )
        experiment = prepare(system, found, name, Store(), definitions={name: Protocol(**protocol)}, also=also)
        return cls(experiment, split, rebuild(run.stages / note["stage"], system))

    @property
    def target(self) -> str:
        """What is recognised."""
        return self.experiment.target

    @property
    def windowing(self) -> Windowing:
        """How utterances were cut."""
        return self.experiment.system.stage_data(self.finished.stage).items.windowing

    @property
    def views(self) -> dict[str, tuple[View, Feature]]:
        """The feature views the model reads."""
        tables = {
            name: self.experiment.system.views[name] for name in leaves(self.experiment.system, self.finished.stage)
        }
        return {
            name: (table, features.build(table.feature.name, **table.feature.options))
            for name, table in tables.items()
            if table.feature
        }

    def items(self, ids: Iterable[str]) -> list[Item]:
        """Return the items of utterances, by id."""
        by_id = {utterance.id: utterance for utterance in self.experiment.scored}
        return [item for name in ids for item in self.experiment.cut(by_id[name], self.windowing)]

    def label(self, item: Item) -> str:
        """Return the class an item belongs to."""
        return str(item.utterance.targets[self.target])

    def data(self, items: Sequence[Item]) -> ItemData:
        """Compute what the model reads of some items."""
        arrays: dict[str, list[np.ndarray]] = {
            name: [feature(item.signal(feature.rate, self.windowing, view.channel)) for item in items]
            for name, (view, feature) in self.views.items()
        }
        shapes = {name: feature.shape for name, (_, feature) in self.views.items()}
        return ItemData(items, arrays, shapes, self.finished.classes)
