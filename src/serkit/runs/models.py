"""A stage's model with the models of the stages before it, either new or loaded from the stage's folder."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from serkit import features, methods, networks
from serkit.errors import Damaged, UserError
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.layers.scale import Scale
from serkit.networks.network import Batch, Model, Shape, output_of
from serkit.recognition.bundle import Bundle
from serkit.runs import sealed
from serkit.runs.files import Final, StageNote
from serkit.systems.schema import Stage, System
from serkit.training.checkpoint import UNSEEN, read_weights


@dataclass
class Finished:
    """A trained stage.

    Args:
        stage: its table, including inherited settings.
        key: hash of everything that decides its weights.
        folder: folder with weights, history and record.
        model: the trained model, in evaluation mode.
        classes: class names by target; None for a number.
        shapes: shapes of its own views, without the batch axis.
    """

    stage: Stage
    key: str
    folder: Path
    model: Model
    classes: Mapping[str, Sequence[str]]
    shapes: Mapping[str, Shape]

    @cached_property
    def content(self) -> str:
        """Hash of the weights. Another machine or number of threads may yield other weights for the same key."""
        return sealed.hash_of(self.folder / "weights.safetensors")

    def record(self) -> dict[str, np.ndarray]:
        """Return the training record: by item id, whether the prediction of each training pass was right (passes,).

        There is one pass for each epoch; an item that an epoch leaves out (see `serkit.training.loop`) has fewer.

        Raises:
            UserError: the stage was not trained by epochs.
        """
        path = self.folder / "record.safetensors"
        if not path.exists():
            raise UserError(f"stage '{self.stage.name}' has no training record, because it is not trained by epochs")
        right = read_weights(path)["right"].numpy()
        ids = read_stage(self.folder).items
        return {name: passes[passes != UNSEEN] == 1 for name, passes in zip(ids, right.T, strict=True)}


def build_model(
    system: System,
    stage: Stage,
    shapes: Mapping[str, Shape],
    classes: Mapping[str, Sequence[str]],
    upstream: Mapping[str, Model],
) -> Model:
    """Build a stage's model with new weights: its network, the normalization of its views, and the models before it."""
    if stage.network is None:
        raise UserError(f"stage '{stage.name}' has no network")
    _check_names("view", shapes)
    _check_names("target", classes)
    outputs = {target: len(names) or 1 for target, names in classes.items()}  # a number has no classes
    network = networks.build(stage.network.name, shapes, outputs, **stage.network.options)
    views = system.views
    normalisations = {
        view: Normalisation(shapes[view], kind) for view in stage.inputs if (kind := views[view].normalise)
    }
    scales = {target: Scale() for target, names in classes.items() if not names}
    return Model(network, normalisations, upstream, {view: views[view].output for view in upstream}, scales)


def _check_names(kind: str, names: Iterable[str]) -> None:
    """Raise UserError for names that torch cannot use for a layer, or cannot export."""
    for name in names:
        if "." in name or keyword.iskeyword(name) or hasattr(nn.ModuleDict(), name):
            raise UserError(f"'{name}' cannot be the name of a {kind}: it has a dot, or is reserved in Python or torch")


def output_shape(model: Model, inputs: Mapping[str, Shape], what: str) -> Shape:
    """Return the shape of a model's `features` or `predictions` by running it once."""
    probe = Batch({view: torch.zeros(1, *[length or 64 for length in shape]) for view, shape in inputs.items()})
    if what == "features":
        model = model.headless()
    with torch.inference_mode():
        return tuple(output_of(model.eval()(probe), what).shape[1:])


def assemble(system: System, name: str, classes: int) -> tuple[Model, dict[str, Shape]]:
    """Build a stage's model with new weights and the models of all stages before it.

    Args:
        system: system of the stage.
        name: name of the stage.
        classes: number of classes of every target with classes.

    Returns:
        The model, and the shapes of the feature views it reads.
    """
    stage = resolve(system, name)
    shapes: dict[str, Shape] = {}
    upstream: dict[str, Model] = {}
    inputs: dict[str, Shape] = {}
    for view in stage.inputs:
        table = system.views[view]
        if table.feature is not None:
            inputs[view] = shapes[view] = features.build(table.feature.name, **table.feature.options).shape
        else:
            upstream[view], before = assemble(system, table.stage or "", classes)
            if table.output == "features":
                upstream[view] = upstream[view].headless()
            shapes[view] = output_shape(upstream[view], before, table.output)
            inputs |= before
    count = 0 if methods.method_class(stage.method.name).numbers else classes
    names = {target: [str(number) for number in range(count)] for target in system.stage_data(stage).target}
    return build_model(system, stage, shapes, names, upstream).eval(), inputs


def rebuild(folder: Path, system: System) -> Finished:
    """Load a trained stage with all stages before it, so that its model requires only features.

    Args:
        folder: folder of the stage.
        system: system of the stage.
    """
    if not (folder / "stage.json").exists():
        raise UserError(f"{folder}: holds no finished stage (stage.json is missing)")
    try:
        note, own = read_stage(folder), read_weights(folder / "weights.safetensors")
    except Damaged as error:
        raise Damaged(f"{error}; continue the run with --resume to train the stage again") from None
    stage = note.stage
    before = {view: rebuild(folder.parent / name, system).model for view, name in note.sources.items()}
    before = {
        view: model.headless() if system.views[view].output == "features" else model for view, model in before.items()
    }
    model = build_model(system, stage, note.shapes, note.classes, before)
    # The file holds the networks that were trained together; frozen networks have their own weights.
    missing, unexpected = model.load_state_dict(own, strict=False)
    if unexpected or [name for name in missing if not name.startswith(_frozen(system, stage))]:
        raise UserError(f"{folder / 'weights.safetensors'}: does not fit the stage's network")
    model.eval()
    return Finished(stage, note.key, folder, model, note.classes, note.shapes)


def read_stage(folder: Path) -> StageNote:
    """Return the content of a finished stage's `stage.json`, and check that the weights belong to it.

    Raises:
        Damaged: the file or the weights are damaged.
    """
    note = sealed.read(folder / "stage.json", StageNote)
    sealed.check(folder / "weights.safetensors", note.content)
    return note


def _frozen(system: System, stage: Stage) -> tuple[str, ...]:
    """Return the prefixes of the weights that belong to frozen stages before a rebuilt stage."""
    found: list[str] = []
    for view in stage.inputs:
        table = system.views[view]
        if table.stage is not None:
            inner = _frozen(system, resolve(system, table.stage)) if table.trainable else ("",)
            found += [f"upstream.{view}.{name}" for name in inner]
    return tuple(found)


def leaves(system: System, stage: Stage) -> list[str]:
    """Return the feature views that a rebuilt stage reads, including those of the stages before it."""
    found: list[str] = []
    for view in stage.inputs:
        source = system.views[view].stage
        found += [view] if source is None else leaves(system, resolve(system, source))
    return list(dict.fromkeys(found))


def resolve(system: System, name: str) -> Stage:
    """Return a stage of a system; a missing view or network is that of the stage it starts from."""
    stage = next(stage for stage in system.stages if stage.name == name)
    if stage.start_from not in [other.name for other in system.stages]:
        return stage
    source = resolve(system, stage.start_from or "")
    changes: dict[str, Any] = {}
    if not stage.inputs:
        changes["views"] = source.inputs
    if stage.network is None:
        changes["network"] = source.network
    return stage.model_copy(update=changes)


def learned_from(place: str) -> set[str] | None:
    """Return the hashes of the training material of a run's or bundle's weights, cut to 16 digits; None: unknown."""
    folder = Path(place)
    if (folder / "final.json").exists():
        recordings = sealed.read(folder / "final.json", Final).recordings
    elif (folder / "bundle.json").exists():
        recordings = Bundle.load(folder).trained_on.recordings
    else:
        return None
    return {digest[:16] for digest in recordings}


def weights_file(place: str) -> Path:
    """Return the weights of a run, stage or bundle folder.

    Raises:
        UserError: the folder does not exist, or its weights are missing or damaged.
    """
    folder = Path(place)
    final = folder / "final.json"
    if final.exists():
        folder = folder / sealed.read(final, Final).stage
    path = folder / "weights.safetensors"
    if not path.exists():
        raise UserError(f"start_from = '{place}' is neither an earlier stage nor a folder with weights.safetensors")
    if (folder / "bundle.json").exists():
        Bundle.load(folder)
    elif (folder / "stage.json").exists():
        read_stage(folder)
    return path


def means(model: Model) -> dict[str, list[float]]:
    """Return the training mean of each row, by view of a model and of the models that it reads."""
    found: dict[str, list[float]] = {}
    for upstream in model.upstream.values():
        found |= means(cast(Model, upstream))
    for view in model.normalisations:
        normalisation = model.normalisation(view)
        if normalisation.kind == "band" and normalisation.mean.numel() == normalisation.mean.shape[0]:
            found[view] = normalisation.mean.flatten().tolist()
    return found
