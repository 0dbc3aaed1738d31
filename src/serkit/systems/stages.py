"""The stages of one split: trained in order, or taken up where an earlier run has left them."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from serkit import features, methods, networks, training
from serkit.batches import ItemData
from serkit.corpora.corpus import Utterance
from serkit.errors import UserError
from serkit.features.store import Arrays, digest
from serkit.items import Item, copies, cut, label
from serkit.networks.layers.normalisation import Normalisation
from serkit.networks.network import Model, Shape
from serkit.protocols.splits import Split
from serkit.systems.experiment import Experiment
from serkit.systems.schema import Data, Named, Stage

#: What decides nothing about the weights.
_NOT_IN_KEY = {"checkpoint_seconds"}


@dataclass
class Finished:
    """A trained stage.

    Args:
        stage: its table, with what it inherited filled in.
        key: hash of all that decides its weights.
        folder: where weights, history and record lie.
        model: the trained model, in evaluation mode.
        classes: class names by target.
        shapes: of its own views, without the batch axis.
    """

    stage: Stage
    key: str
    folder: Path
    model: Model
    classes: Mapping[str, Sequence[str]]
    shapes: Mapping[str, Shape]

    def record(self) -> dict[str, np.ndarray]:
        """Return the training record: by item id, whether each epoch's training pass was right (epochs,)."""
        right = load_file(self.folder / "record.safetensors")["right"].numpy()
        ids = json.loads((self.folder / "stage.json").read_text(encoding="utf-8"))["items"]
        return {name: right[:, column].astype(bool) for column, name in enumerate(ids)}


@dataclass
class Stages:
    """The stages of one split so far, and what a method may ask of them.

    Args:
        experiment: system, utterances and store.
        split: which utterances are for what.
        folder: where stages lie, each under its key; several runs may share it.
        seed: of the training.
        jobs: threads that compute features.
        accelerator: handed to Lightning Fabric.
        items: training and validation items of the stage being trained, as `batch.index` counts them.
        training: its training items.
        classes: its class names by target.
    """

    experiment: Experiment
    split: Split
    folder: Path
    seed: int
    jobs: int = 1
    accelerator: str = "auto"
    finished: dict[str, Finished] = field(default_factory=dict)
    items: Sequence[Item] = ()
    training: Sequence[Item] = ()
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def train(self) -> Finished:
        """Train all stages, or take up those that are there; returns the deployed one."""
        for stage in self.experiment.system.stages:
            self.finished[stage.name] = self._train(stage)
        return self.finished[self.experiment.system.deployed.name]

    def outputs(self, stage: str, what: str = "features") -> torch.Tensor:
        """Return an earlier stage's features, or predictions, for `items`: (items, size).

        Computed once per item, whatever number of epochs and stages asks for it.
        """
        arrays = self._stage_outputs(self.finished[stage], self.items, self._data(self.finished[stage].stage), what)
        return torch.from_numpy(np.stack(list(arrays)))

    def probabilities(self, finished: Finished, utterances: Sequence[Utterance], target: str) -> np.ndarray:
        """Return class probabilities (utterances, classes): the mean over each utterance's items."""
        table = self._data(finished.stage)
        pieces = [(row, item) for row, u in enumerate(utterances) for item in cut(u, table.items.windowing)]
        data = self._item_data(finished.stage, [item for _, item in pieces], table, finished.classes)
        found = training.predict(finished.model, data, range(len(pieces)), target)
        rows = np.array([row for row, _ in pieces])
        total = np.zeros((len(utterances), found.shape[1]))
        np.add.at(total, rows, found)
        return total / np.bincount(rows, minlength=len(utterances))[:, None]

    def item_data(self, finished: Finished, items: Sequence[Item]) -> ItemData:
        """Return a finished stage's inputs for some items."""
        return self._item_data(finished.stage, items, self._data(finished.stage), finished.classes)

    def _train(self, stage: Stage) -> Finished:
        stage = self._inherit(stage)
        table = self._data(stage)
        self.classes = self.experiment.classes[stage.name]
        learned, validated = self.experiment.parts(stage, self.split)
        if not learned:
            raise UserError(f"stage '{stage.name}': no utterance is left to train on in {self.split.name}")
        method = methods.build(stage.method.name, **stage.method.options)
        pieces = [item for utterance in learned for item in cut(utterance, table.items.windowing)]
        pieces = list(method.select(copies(pieces, table.copies, self.seed), self))
        held = [item for utterance in validated for item in cut(utterance, table.items.windowing)]
        self.training, self.items = pieces, [*pieces, *held]

        key = self._key(stage, table, pieces, held)
        folder = self.folder / f"{stage.name}-{key[:16]}"
        shapes = {view: self._shape(view) for view in stage.inputs}
        torch.manual_seed(self.seed)
        model = self._build(stage, shapes, self.classes)
        finished = Finished(stage, key, folder, model, self.classes, shapes)
        if (folder / "stage.json").exists():
            training.load_weights(model, folder / "weights.safetensors")
            model.eval()
            return finished

        self._start_from(stage, model)
        data = self._item_data(stage, self.items, table, self.classes)
        if stage.start_from is None or stage.refit:
            self._fit_normalisation(stage, model, data, len(pieces))
        model.freeze(stage.freeze)
        method.prepare(model, self)
        began = time.monotonic()
        positions = range(len(self.items))
        progress = training.fit(
            model,
            method,
            data,
            positions[: len(pieces)],
            positions[len(pieces) :],
            stage.trainer,
            folder,
            self.seed,
            self.accelerator,
        )
        finished.model = method.finish(model, data.batches(positions[: len(pieces)], stage.trainer.batch_size))
        self._save(finished, progress, time.monotonic() - began)
        return finished

    def _inherit(self, stage: Stage) -> Stage:
        """Fill in view and network of the stage a stage starts from."""
        source = self.finished.get(stage.start_from or "")
        if source is None:
            return stage
        changes: dict[str, Any] = {}
        if not stage.inputs:
            changes["views"] = source.stage.inputs
        if stage.network is None:
            changes["network"] = source.stage.network
        return stage.model_copy(update=changes)

    def _data(self, stage: Stage) -> Data:
        return self.experiment.system.stage_data(stage)

    def _shape(self, view: str) -> Shape:
        table = self.experiment.system.views[view]
        if table.feature is not None:
            return features.build(table.feature.name, **table.feature.options).shape
        source = self.finished[table.stage or ""]
        probe = {name: torch.zeros(1, *[n or 64 for n in shape]) for name, shape in self._leaf_shapes(source).items()}
        with torch.inference_mode():
            output = source.model(training.Batch(probe))
        found = output.features if table.output == "features" else torch.cat(list(output.predictions.values()), 1)
        return tuple(found.shape[1:])

    def _leaves(self, stage: Stage) -> list[str]:
        """Return the views whose arrays a stage's batches must hold: its own, or those of networks trained along."""
        leaves: list[str] = []
        for view in stage.inputs:
            table = self.experiment.system.views[view]
            leaves += self._leaves(self.finished[table.stage].stage) if table.stage and table.trainable else [view]
        return list(dict.fromkeys(leaves))

    def _leaf_shapes(self, finished: Finished) -> dict[str, Shape]:
        return {view: self._shape(view) for view in self._leaves(finished.stage)}

    def _build(self, stage: Stage, shapes: Mapping[str, Shape], classes: Mapping[str, Sequence[str]]) -> Model:
        assert stage.network is not None
        outputs = {target: len(names) for target, names in classes.items()}
        network = networks.build(stage.network.name, shapes, outputs, **stage.network.options)
        views = self.experiment.system.views
        normalisations = {
            view: Normalisation(shapes[view], kind) for view in stage.inputs if (kind := views[view].normalise)
        }
        upstream = {
            view: copy.deepcopy(self.finished[views[view].stage or ""].model)
            for view in stage.inputs
            if views[view].trainable
        }
        return Model(network, normalisations, upstream)

    def _start_from(self, stage: Stage, model: Model) -> None:
        """Copy the weights of an earlier stage, or of a folder with weights, into a new model."""
        if stage.start_from is None:
            return
        if stage.start_from in self.finished:
            source = self.finished[stage.start_from].model.state_dict()
        else:
            source = load_file(weights_file(stage.start_from))
        reset = tuple(f"network.{name}." for name in stage.reset)
        wanted = {name: value for name, value in source.items() if not name.startswith(reset)} if reset else source
        own = model.state_dict()
        for name, value in wanted.items():
            if name not in own or own[name].shape != value.shape:
                layer = name.removeprefix("network.").rpartition(".")[0]
                found = tuple(own[name].shape) if name in own else "nothing"
                raise UserError(
                    f"stage '{stage.name}' starts from '{stage.start_from}', whose layer '{layer}' is "
                    f"{tuple(value.shape)} where this network has {found}; name it in reset = [\"{layer}\"]"
                )
        model.load_state_dict(wanted, strict=False)

    def _fit_normalisation(self, stage: Stage, model: Model, data: ItemData, training_items: int) -> None:
        for view in stage.inputs:
            if view in data.arrays:
                arrays = data.arrays[view]
                model.fit_normalisation(view, (torch.from_numpy(arrays[i]) for i in range(training_items)))

    def _item_data(
        self, stage: Stage, items: Sequence[Item], table: Data, classes: Mapping[str, Sequence[str]]
    ) -> ItemData:
        arrays, shapes = {}, {}
        for view in self._leaves(stage):
            source = self.experiment.system.views[view]
            shapes[view] = self._shape(view)
            if source.feature is not None:
                feature = features.build(source.feature.name, **source.feature.options)
                arrays[view] = self.experiment.store.features(
                    feature, items, self.experiment.hashes, table.items.windowing, source.channel, self.jobs
                )
            else:
                arrays[view] = self._stage_outputs(self.finished[source.stage or ""], items, table, source.output)
        return ItemData(items, arrays, shapes, classes)

    def _stage_outputs(self, finished: Finished, items: Sequence[Item], table: Data, what: str) -> Arrays:
        """Return a frozen stage's output for each item, computing only what the store does not have."""
        store = self.experiment.store
        windowing = table.items.windowing
        keys = [
            digest([finished.key, what, store.identity(item, self.experiment.hashes, windowing)]) for item in items
        ]
        missing = [row for row, key in enumerate(keys) if key not in store]
        if missing:
            wanted = [items[row] for row in missing]
            data = self._item_data(finished.stage, wanted, table, finished.classes)
            name = "features" if what == "features" else next(iter(finished.classes))
            for row, values in zip(missing, training.outputs(finished.model, data, range(len(wanted)), name), strict=True):
                store.save(keys[row], values)
        return Arrays(store, keys)

    def _key(self, stage: Stage, table: Data, pieces: Sequence[Item], held: Sequence[Item]) -> str:
        """Hash everything that decides the stage's weights."""
        system = self.experiment.system
        windowing = table.items.windowing

        def identify(item: Item) -> list[Any]:
            labels = [label(item.utterance, target) for target in table.target]
            return [self.experiment.store.identity(item, self.experiment.hashes, windowing), labels]

        views = {}
        for view in stage.inputs:
            source = system.views[view]
            views[view] = source.model_dump()
            if source.feature is not None:
                feature = features.build(source.feature.name, **source.feature.options)
                views[view]["feature"] = features.config(feature)
            else:
                views[view]["stage"] = self.finished[source.stage or ""].key
        start = stage.start_from
        if start is not None:
            start = self.finished[start].key if start in self.finished else digest(weights_file(start).read_bytes().hex())
        own = stage.model_dump(exclude={"name", "view", "views", "data", "start_from", "trainer"})
        teachers = [value for value in stage.method.options.values() if value in self.finished]
        return digest(
            {
                "stage": own,
                "trainer": stage.trainer.model_dump(exclude=_NOT_IN_KEY),
                "views": views,
                "start": start,
                "upstream": [self.finished[name].key for name in teachers],
                "classes": self.classes,
                "training": [identify(item) for item in pieces],
                "validation": [identify(item) for item in held],
                "seed": self.seed,
            }
        )

    def _save(self, finished: Finished, progress: training.Progress, seconds: float) -> None:
        """Write weights and record, then `stage.json`, whose presence says that the stage is done."""
        folder = finished.folder
        training.save_weights(finished.model.state_dict(), folder / "weights.safetensors")
        training.save_weights({"right": torch.stack(progress.right)}, folder / "record.safetensors")
        description = {
            "name": finished.stage.name,
            "key": finished.key,
            "stage": finished.stage.model_dump(mode="json"),
            "classes": finished.classes,
            "shapes": finished.shapes,
            "parameters": sum(parameter.numel() for parameter in finished.model.parameters()),
            "epochs": progress.epoch,
            "seed": self.seed,
            "threads": torch.get_num_threads(),
            "seconds": round(seconds, 2),
            "items": [item.id for item in self.training],
        }
        temporary = folder / "stage.json.tmp"
        temporary.write_text(json.dumps(description, indent=1), encoding="utf-8")
        os.replace(temporary, folder / "stage.json")
        for leftover in ("checkpoint.safetensors", "best.safetensors"):
            (folder / leftover).unlink(missing_ok=True)


def weights_file(place: str) -> Path:
    """Return the weights of a run, stage or bundle folder.

    Raises:
        UserError: there is no such folder, or no weights in it.
    """
    folder = Path(place)
    final = folder / "final.json"
    if final.exists():
        folder = folder / json.loads(final.read_text(encoding="utf-8"))["stage"]
    path = folder / "weights.safetensors"
    if not path.exists():
        raise UserError(f"start_from = '{place}': no earlier stage of this name, and no weights.safetensors there")
    return path


def describe(named: Named | None) -> dict[str, Any]:
    """Return the table of a part chosen by name."""
    return {} if named is None else {"name": named.name, **named.options}
