"""Input and output of a network, and the model: a network with everything that precedes it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from serkit.errors import UserError, unknown
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.layers.scale import Scale

Shape = tuple[int | None, ...]


@dataclass
class Batch:
    """A batch of items, ready for a network.

    Args:
        views: input by name, `(batch, *shape)`, padded with zeros along time.
        lengths: valid length along time by view, (batch,); missing where nothing was padded.
        targets: label by target, (batch,): class index or number.
        masks: by target, (batch,) bool: whether the label is known; missing where all labels are known.
        index: position of each item in its data, (batch,).
    """

    views: dict[str, Tensor]
    lengths: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)
    masks: dict[str, Tensor] = field(default_factory=dict)
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.views.values())))


@dataclass
class Output:
    """What a network returns.

    Args:
        predictions: by target, (batch, outputs): logits of classes, or numbers.
        features: deep feature of each item, (batch, size) or a map, for distillation, fusion or an SVM.
        maps: intermediate maps by name, only those requested (`Network.keep`).
    """

    predictions: dict[str, Tensor]
    features: Tensor
    maps: dict[str, Tensor] = field(default_factory=dict)


class Network(nn.Module):
    """Base of all networks: `forward(batch) -> Output`.

    Subclasses take `(inputs, outputs, **options)`: the shape of each view without the batch axis (None
    for time), and the number of outputs by target.

    A convolutional network names each convolution's maps in `map_names` and defines `compute`: `conv2` is the second
    convolution's output after its activation, `conv2.pre` before it, `conv2.input` what the layer receives.

    A network that weighs the parts of its view sets `has_attention`. If `keep` includes `attention`, the output's maps
    hold it: the weight of each part, (batch, rows, columns). Columns are spread evenly over the view's time, rows over
    its height; there is a single row if the network does not distinguish heights.
    """

    #: Increased whenever the same options give other numbers: it is part of every stage's key.
    version: ClassVar[int] = 1

    #: Names of the available intermediate maps.
    map_names: Sequence[str] = ()

    #: Whether the network can keep `attention`.
    has_attention: ClassVar[bool] = False

    #: Maps that the output holds, and views from a network trained along. Empty by default: they cost memory.
    keep: Collection[str] = ()

    def __init__(self, inputs: Mapping[str, Shape], outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)

    @property
    def only(self) -> str:
        """Name of the single view of a network that takes one."""
        if len(self.inputs) != 1:
            raise UserError(f"{type(self).__name__} takes one view, got {len(self.inputs)}: {', '.join(self.inputs)}")
        return next(iter(self.inputs))

    @classmethod
    def content(cls, **options: Any) -> dict[str, Any]:
        """Return what options stand for besides their values, such as a hash of a file that they name (JSON only)."""
        return {}

    def heads(self, size: int) -> nn.ModuleDict:
        """Make one linear layer from a feature of `size` to the outputs of each target."""
        return nn.ModuleDict({target: nn.Linear(size, count) for target, count in self.outputs.items()})

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Compute the maps of `map_names` in turn, then the classifier's input (under an empty name)."""
        raise TypeError(f"{type(self).__name__} has no convolutions")

    def run(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the classifier's input and the maps to keep."""
        maps: dict[str, Tensor] = {}
        for name, x in self.compute(batch):
            if name in self.keep:
                maps[name] = x
        return x, maps

    def maps(self, batch: Batch, names: Collection[str]) -> dict[str, Tensor]:
        """Compute some of the maps of `map_names`, and nothing after the last of them."""
        found = {}
        for name, x in self.compute(batch):
            if name in names:
                found[name] = x
            if len(found) == len(names):
                break
        return found

    def headless(self) -> Network:
        """Return the network without the parts that only its predictions need, for readers of its features."""
        return self

    def forward(self, batch: Batch) -> Output:
        raise TypeError(f"{type(self).__name__} defines no forward method")


def maps_of(number: int) -> list[str]:
    """Return the names of a convolution's maps; `number` counts from 1."""
    return [f"conv{number}.input", f"conv{number}.pre", f"conv{number}"]


class Model(nn.Module):
    """A network, preceded by the normalization of its views and by the trainable networks it reads.

    This is what is trained, saved and exported: a checkpoint or an ONNX file holds all of it.

    Args:
        network: the stage's own network.
        normalisations: by view, for the views that are normalized.
        upstream: by view, the model of an earlier stage whose output is this view; it reads its own views from the
            same batch. In training it holds only models trained along (the output of a frozen model is computed
            once and stored); in an exported model it holds all of them.
        sources: by view of `upstream`, which output is the view: `features` (default) or `predictions`.
        scales: by numeric target, the layer that converts the network's output to the labels' units.
    """

    def __init__(
        self,
        network: Network,
        normalisations: Mapping[str, Normalisation] | None = None,
        upstream: Mapping[str, Model] | None = None,
        sources: Mapping[str, str] | None = None,
        scales: Mapping[str, Scale] | None = None,
    ) -> None:
        super().__init__()
        self.sources = dict(sources or {})
        self.network = network
        self.normalisations = nn.ModuleDict(dict(normalisations or {}))
        self.upstream = nn.ModuleDict(dict(upstream or {}))
        self.scales = nn.ModuleDict(dict(scales or {}))
        self._frozen: list[str] = []

    def forward(self, batch: Batch) -> Output:
        made = {
            view: output_of(model(batch), self.sources.get(view, "features")) for view, model in self.upstream.items()
        }
        output: Output = self.network(self.prepared(dataclasses.replace(batch, views={**batch.views, **made})))
        output.maps |= {view: x for view, x in made.items() if view in self.network.keep}
        output.predictions |= {
            target: scale(output.predictions[target])
            for target, scale in self.scales.items()
            if target in output.predictions
        }
        return output

    def prepared(self, batch: Batch) -> Batch:
        """Normalize a batch that holds all views, and keep the views that the network reads."""
        normalised = {
            view: normalisation(batch.views[view], batch.lengths.get(view))
            for view, normalisation in self.normalisations.items()
        }
        return dataclasses.replace(batch, views={**batch.views, **normalised})

    def headless(self) -> Model:
        """Return the model without the parts that only its predictions need; weights are shared, not copied."""
        normalisations = cast(Mapping[str, Normalisation], self.normalisations)
        upstream, scales = cast(Mapping[str, Model], self.upstream), cast(Mapping[str, Scale], self.scales)
        return Model(self.network.headless(), normalisations, upstream, self.sources, scales)

    def normalisation(self, view: str) -> Normalisation:
        """Return the normalization of a normalized view."""
        return cast(Normalisation, self.normalisations[view])

    def scale(self, target: str) -> Scale:
        """Return the scale of a numeric target."""
        return cast(Scale, self.scales[target])

    def fit_normalisation(self, view: str, arrays: Iterable[Tensor]) -> None:
        """Set a view's mean and deviation from the training part, one item at a time."""
        if view in self.normalisations:
            self.normalisation(view).fit(arrays)

    def freeze(self, names: Sequence[str]) -> None:
        """Freeze some layers of the network: weights, batch-norm statistics and dropout.

        Args:
            names: dotted names of layers; a name freezes everything below it.
        """
        for name in names:
            layer_of(self.network, name).requires_grad_(False)
        self._frozen = list(names)
        self.train(self.training)

    def thawed(self) -> Model:
        """Return a copy whose layers are all trainable, including those that its own stage froze."""
        model = copy.deepcopy(self).requires_grad_(True)
        model.freeze([])
        return model

    def train(self, mode: bool = True) -> Model:
        super().train(mode)
        for name in self._frozen:
            layer_of(self.network, name).eval()
        return self


def layer_of(network: nn.Module, name: str) -> nn.Module:
    """Return a layer by its dotted name.

    Raises:
        UserError: no layer has this name.
    """
    layers = dict(network.named_modules())
    if name not in layers:
        raise unknown(f"layer of {type(network).__name__}", name, filter(None, layers))
    module: nn.Module = layers[name]
    return module


def output_of(output: Output, what: str) -> Tensor:
    """Return an output's `features`, or its `predictions` of all targets concatenated: (batch, size)."""
    return output.features if what == "features" else torch.cat(list(output.predictions.values()), 1)


def mask(lengths: Tensor, size: int) -> Tensor:
    """Convert valid lengths (batch,) to a mask of valid positions, (batch, size) bool."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def silence(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Zero maps (batch, channels, bands, time) past each item's end; None: nothing is padded."""
    return x if lengths is None else x * mask(lengths, x.shape[3])[:, None, None]
