"""The stages of one split, trained in order or loaded from an earlier run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from serkit import features, methods, networks
from serkit.auditing.provenance import Used
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item, copies, label, replaced
from serkit.data.store import Arrays, digest
from serkit.errors import Damaged, UserError
from serkit.locks import alone
from serkit.methods.method import Context, Method
from serkit.networks.network import Model, Shape, layer_of
from serkit.protocols.splits import Split
from serkit.records import whole
from serkit.runs import sealed
from serkit.runs.experiment import Experiment
from serkit.runs.files import StageNote
from serkit.runs.models import Finished, build_model, leaves, output_shape, read_stage, resolve, weights_file
from serkit.systems.schema import Data, Stage
from serkit.training import checkpoint, loop, normalization, optimizer_state
from serkit.training.batches import ItemData, numbers
from serkit.training.checkpoint import Progress
from serkit.training.history import write_history


@dataclass
class Stages:
    """The stages of one split so far.

    Args:
        experiment: system, utterances and store.
        split: parts of the utterances.
        folder: folder of stages, each under its key; several runs may share it.
        seed: seed of the training.
        jobs: number of threads that compute features.
        accelerator: accelerator for Lightning Fabric.
        finished: trained stages by name.
    """

    experiment: Experiment
    split: Split
    folder: Path
    seed: int
    jobs: int = 1
    accelerator: str = "auto"
    finished: dict[str, Finished] = field(default_factory=dict)

    def train(self) -> Finished:
        """Train all stages, or load those that exist; return the deployed stage."""
        for stage in self.experiment.system.stages:
            self.finished[stage.name] = self._train(stage)
        return self.finished[self.experiment.system.deployed.name]

    def begin(self, name: str) -> tuple[Method, Context]:
        """Return a stage's method, and its context: its training items, and the stages finished so far.

        Args:
            name: name of the stage; all stages before it are finished.

        Raises:
            UserError: no utterance or item is left to train on.
        """
        stage = resolve(self.experiment.system, name)
        method = methods.build(stage.method.name, **stage.method.options)
        candidates, held = self._cut(stage)
        classes = self.experiment.classes[stage.name]
        finished = MappingProxyType(dict(self.finished))
        context = Context(stage, candidates, candidates, classes, self.seed, finished, self._outputs)
        training = list(method.select(candidates, context))
        if not training:
            raise UserError(f"stage '{stage.name}': method '{stage.method.name}' selects no item to train on")
        return method, replace(context, items=[*training, *held], training=training)

    def probabilities(self, finished: Finished, utterances: Sequence[Utterance], target: str) -> np.ndarray:
        """Return class probabilities (utterances, classes): the mean over each utterance's items."""
        return self._mean_over_items(finished, utterances, target, loop.probabilities)

    def values(self, finished: Finished, utterances: Sequence[Utterance], targets: Sequence[str]) -> np.ndarray:
        """Return predicted numbers (utterances, targets): the mean over each utterance's items."""
        return self._mean_over_items(finished, utterances, targets, loop.values)

    def _mean_over_items(
        self, finished: Finished, utterances: Sequence[Utterance], what: Any, compute: Callable[..., np.ndarray]
    ) -> np.ndarray:
        table = self._data(finished.stage)
        pieces = [
            (row, item) for row, u in enumerate(utterances) for item in self.experiment.cut(u, table.items.windowing)
        ]
        data = self._item_data(finished.stage, [item for _, item in pieces], table, finished.classes)
        size = finished.stage.trainer.batch_size
        found = compute(finished.model, data, what, size, self.accelerator)
        rows = np.array([row for row, _ in pieces])
        total = np.zeros((len(utterances), found.shape[1]))
        np.add.at(total, rows, found)
        return total / np.bincount(rows, minlength=len(utterances))[:, None]

    def item_data(self, finished: Finished, items: Sequence[Item]) -> ItemData:
        """Return a finished stage's inputs for some items."""
        return self._item_data(finished.stage, items, self._data(finished.stage), finished.classes)

    def _train(self, stage: Stage) -> Finished:
        method, context = self.begin(stage.name)
        stage = context.stage
        model, shapes = self._new_model(context)
        key = self._key(method, context, model)
        folder = self.folder / f"{stage.name}-{key[:16]}"
        finished = Finished(stage, key, folder, model, context.classes, shapes)
        folder.mkdir(parents=True, exist_ok=True)
        # One of several processes trains the stage, and the others wait. Not SQLite's lock: this folder may be on a
        # network drive.
        with alone(folder, wait=True):
            if not _take_up(finished, self.experiment.system.continued(stage.name)):
                self._fit(finished, method, context)
        return finished

    def _cut(self, stage: Stage) -> tuple[list[Item], list[Item]]:
        """Return the training items of a stage, with copies, and its validation items.

        Raises:
            UserError: no utterance is left to train on.
        """
        learned, validated = self.experiment.parts(stage, self.split)
        if not learned:
            raise UserError(f"stage '{stage.name}': no utterance is left to train on in {self.split.name}")
        table = self._data(stage)
        pieces, held = (
            [item for utterance in part for item in self.experiment.cut(utterance, table.items.windowing)]
            for part in (learned, validated)
        )
        if swap := table.replace:
            pieces = replaced(pieces, swap.name, swap.corpora, swap.share, self.seed)
            if swap.validation:
                held = replaced(held, swap.name, swap.corpora, swap.share, self.seed)
        # If a protocol splits items, they include their copies.
        return copies(pieces, () if self.experiment.pieces else table.copies, self.seed), held

    def _fit(self, finished: Finished, method: Method, context: Context) -> None:
        """Train a stage with a new model, and save it."""
        stage, model = finished.stage, finished.model
        kept = self._start_from(stage, model)
        data = self.item_data(finished, context.items if method.learns else [])
        learned = range(len(context.training) if method.learns else 0)
        normalised: dict[str, list[str] | None] = {}
        for view in model.normalisations:
            if view in kept:
                normalised[view] = self._normalised_before(stage, view)
            else:
                model.fit_normalisation(view, (torch.from_numpy(data.arrays[view][row]) for row in learned))
                normalised[view] = [context.items[row].id for row in learned]
        for target in model.scales:
            labels = numbers([label(item.utterance, target) for item in context.training])
            model.scale(target).fit(labels[~labels.isnan()])
        model.freeze(stage.freeze)
        method.prepare(model, context)
        began = time.monotonic()
        held = range(len(learned), len(data))
        progress = Progress()
        continued = self.experiment.system.continued(stage.name)
        if continued and not method.by_epochs:
            raise UserError(f"stage '{stage.name}': method '{stage.method.name}' has no optimizer to keep")
        if method.by_epochs:
            try:
                progress = loop.fit(
                    model,
                    method,
                    data,
                    learned,
                    held,
                    stage.trainer,
                    finished.folder,
                    self.seed,
                    self.accelerator,
                    self.finished[stage.start_from or ""].folder if stage.keep_optimizer else None,
                    continued,
                )
            except UserError as error:
                raise UserError(f"stage '{stage.name}': {error}") from error
        size = stage.trainer.batch_size
        finished.model = method.finish(model.eval(), data.batches(learned, size), data.batches(held, size)).eval()
        used = Used(
            name=stage.name,
            items=[item.id for item in context.training],
            normalised_on=normalised,
            selected_on=[context.items[row].id for row in held],
        )
        self._save(finished, used, progress, method.report(), time.monotonic() - began)

    def _normalised_before(self, stage: Stage, view: str) -> list[str] | None:
        """Return the ids on which the normalization of a stage's first weights was fitted; None: unknown."""
        start = stage.start_from or ""
        folder = self.finished[start].folder if start in self.finished else weights_file(start).parent
        path = folder / "stage.json"
        used = sealed.read(path, Used) if path.exists() else None
        return ((used and used.normalised_on) or {}).get(view)

    def _data(self, stage: Stage) -> Data:
        return self.experiment.system.stage_data(stage)

    def _shape(self, view: str) -> Shape:
        table = self.experiment.system.views[view]
        if table.feature is not None:
            return features.build(table.feature.name, **table.feature.options).shape
        source = self.finished[table.stage or ""]
        return output_shape(
            source.model, {leaf: self._shape(leaf) for leaf in self._leaves(source.stage)}, table.output
        )

    def _leaves(self, stage: Stage) -> list[str]:
        """Return the views whose arrays a stage's batches must hold, including those of networks trained together."""
        leaves: list[str] = []
        for view in stage.inputs:
            table = self.experiment.system.views[view]
            leaves += self._leaves(self.finished[table.stage].stage) if table.stage and table.trainable else [view]
        return list(dict.fromkeys(leaves))

    def _new_model(self, context: Context) -> tuple[Model, dict[str, Shape]]:
        """Build the model of a stage with its initial weights, and the shapes of its own views."""
        views, stage = self.experiment.system.views, context.stage
        shapes = {view: self._shape(view) for view in stage.inputs}
        upstream = {
            view: self.finished[views[view].stage or ""].model.headless().thawed()
            for view in stage.inputs
            if views[view].trainable
        }
        torch.manual_seed(self.seed)
        return build_model(self.experiment.system, stage, shapes, context.classes, upstream), shapes

    def _start_from(self, stage: Stage, model: Model) -> set[str]:
        """Copy the weights of an earlier stage, or of a folder with weights, into a new model.

        Returns:
            The views whose normalization was copied too.
        """
        if stage.start_from is None:
            return set()
        if stage.start_from in self.finished:
            source = self.finished[stage.start_from].model.state_dict()
        else:
            source = checkpoint.read_weights(weights_file(stage.start_from))
        for name in stage.reset:
            layer_of(model.network, name)
        new = tuple(f"network.{name}." for name in stage.reset)
        own = model.state_dict()
        fitted = {view for view in model.normalisations if f"normalisations.{view}.mean" in source and not stage.refit}
        names = {name for name in {*source, *own} if name.startswith("network.") and not name.startswith(new)}
        names |= {name for name in source if name.startswith("upstream.")}
        names |= {name for name in own if name.startswith(tuple(f"normalisations.{view}." for view in fitted))}
        for name in sorted(names):
            if name not in own or name not in source or own[name].shape != source[name].shape:
                there, here = (str(tuple(state[name].shape)) if name in state else "nothing" for state in (source, own))
                layer = name.removeprefix("network.").rpartition(".")[0]
                hint = f'; name it in reset = ["{layer}"]' if name.startswith("network.") else ""
                raise UserError(
                    f"stage '{stage.name}' starts from '{stage.start_from}', whose layer '{layer}' is {there} "
                    f"where this network has {here}{hint}"
                )
        model.load_state_dict({name: source[name] for name in names}, strict=False)
        return fitted

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

    def _outputs(self, stage: str, items: Sequence[Item], what: str) -> torch.Tensor:
        """Return an earlier stage's output for some items: (items, size)."""
        finished = self.finished[stage]
        return torch.from_numpy(np.stack(list(self._stage_outputs(finished, items, self._data(finished.stage), what))))

    def _stage_outputs(self, finished: Finished, items: Sequence[Item], table: Data, what: str) -> Arrays:
        """Return a frozen stage's output for each item, computing only what the store does not have."""
        store = self.experiment.store
        identities = [self._identity(finished.stage, item, table) for item in items]
        # The key as well as the weights, because an option, such as the layer of the feature, may not change the
        # weights.
        keys = [digest([finished.key, finished.content, what, identity]) for identity in identities]

        def compute(rows: Sequence[int]) -> None:
            data = self._item_data(finished.stage, [items[row] for row in rows], table, finished.classes)
            # Stored at once, so that a kill loses only one. Computed one by one, so that they do not depend on the
            # batch.
            found = loop.each_output(finished.model, data, what, self.accelerator)
            for row, values in zip(rows, found, strict=True):
                store.save(keys[row], values)

        if missing := [row for row, key in enumerate(keys) if key not in store]:
            compute(missing)
        return Arrays(store, keys, lambda row: compute([row]))

    def _identity(self, stage: Stage, item: Item, table: Data) -> list[Any]:
        """Return everything that decides the samples that a stage, and the stages before it, read from an item."""
        views = self.experiment.system.views
        channels = dict.fromkeys(views[leaf].channel for leaf in leaves(self.experiment.system, stage))
        identity, windowing = self.experiment.store.identity, table.items.windowing
        return [identity(item, self.experiment.hashes, windowing, channel) for channel in channels]

    def _key(self, method: Method, context: Context, model: Model) -> str:
        """Hash everything that decides a stage's weights.

        Settings that are newer than the first keys take part only where they have an effect, so that older stages keep
        their keys.
        """
        system, stage = self.experiment.system, context.stage
        ineffective = {"checkpoint_seconds"}
        if not (stage.trainer.refit_normalization and normalization.layers(model)):
            ineffective.add("refit_normalization")
        table = self._data(stage)

        def identify(item: Item) -> list[Any]:
            return [self._identity(stage, item, table), [label(item.utterance, target) for target in table.target]]

        views = {}
        for view in stage.inputs:
            source = system.views[view]
            views[view] = source.model_dump(exclude={"fallback"})  # if a view fell back, its channel is None
            if source.feature is not None:
                feature = features.build(source.feature.name, **source.feature.options)
                views[view]["feature"] = features.config(feature)
            else:
                views[view]["stage"] = self.finished[source.stage or ""].key
        start = stage.start_from
        if start is not None:
            start = (
                self.finished[start].key if start in self.finished else digest(weights_file(start).read_bytes().hex())
            )
        own = stage.model_dump(exclude={"name", "view", "views", "network", "method", "data", "start_from", "trainer"})
        if not stage.keep_optimizer:
            del own["keep_optimizer"]
        network = stage.network and networks.config(stage.network.name, stage.network.options)
        # Any text that is a stage's name, in whatever option, so that a key does not rely on the method's author.
        teachers = sorted(_texts(stage.method.options) & set(self.finished))
        return digest(
            {
                "stage": own,
                "network": network,
                "method": methods.config(stage.method.name, stage.method.options),
                "identity": method.identity(context.training),
                "trainer": stage.trainer.model_dump(exclude=ineffective),
                "views": views,
                "start": start,
                "upstream": [self.finished[name].key for name in teachers],
                "classes": context.classes,
                "training": [identify(item) for item in context.training],
                "validation": [identify(item) for item in context.items[len(context.training) :]],
                "seed": self.seed,
            }
        )

    def _save(
        self, finished: Finished, used: Used, progress: Progress, report: Mapping[str, Any], seconds: float
    ) -> None:
        """Write weights and record, then `stage.json`, which marks the stage as finished."""
        folder = finished.folder
        checkpoint.save_weights(finished.model.state_dict(), folder / "weights.safetensors")
        write_history(folder, progress.history)
        if progress.right:
            checkpoint.save_weights({"right": torch.stack(progress.right)}, folder / "record.safetensors")
        note = StageNote(
            **dict(used),
            key=finished.key,
            stage=whole(finished.stage),
            classes={target: list(names) for target, names in finished.classes.items()},
            shapes=dict(finished.shapes),
            sources={
                view: self.finished[source].folder.name
                for view in finished.stage.inputs
                if (source := self.experiment.system.views[view].stage)
            },
            parameters=sum(parameter.numel() for parameter in finished.model.parameters()),
            method=dict(report),
            epochs=progress.epoch,
            seed=self.seed,
            threads=torch.get_num_threads(),
            precision=progress.precision,
            seconds=round(seconds, 2),
            content=finished.content,
        )
        sealed.write(folder / "stage.json", note)
        for leftover in ("checkpoint.safetensors", "best.safetensors"):
            (folder / leftover).unlink(missing_ok=True)


def _take_up(finished: Finished, continued: bool) -> bool:
    """Load the weights of an earlier training into a stage's model; return whether an intact one exists.

    If a later stage continues with the optimizer, its state must exist, too; an earlier run may not have kept it.
    """
    if not (finished.folder / "stage.json").exists():
        return False
    try:
        read_stage(finished.folder)
        if continued:
            optimizer_state.read(finished.folder)
        checkpoint.load_weights(finished.model, finished.folder / "weights.safetensors")
    except Damaged as error:
        warnings.warn(f"{error}; the stage is trained again", stacklevel=2)
        (finished.folder / "stage.json").unlink()
        return False
    finished.model.eval()
    return True


def _texts(value: Any) -> set[str]:
    """Return all texts in an option of a method, also in nested lists and tables."""
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return {text for part in parts for text in _texts(part)}
