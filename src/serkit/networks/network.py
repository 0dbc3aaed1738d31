"""What goes into a network, what comes out, and the model: a network with all that stands before it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from serkit.errors import UserError, unknown
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.layers.scale import Scale

Shape = tuple[int | None, ...]


@dataclass
class Batch:
    """Some items, ready for a network.

    Args:
        views: input by name, (batch, *shape), padded with zeros along time.
        lengths: valid length along time by view, (batch,); missing where nothing was padded.
        targets: label by target, (batch,): class index, or number.
        masks: by target, (batch,) bool: where the label is known; missing where it is for all.
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
        features: deep feature of each item, (batch, size) or a map: what papers distil, fuse or feed to an SVM.
        maps: intermediate maps by name, only those asked for (`Network.keep`).
    """

    predictions: dict[str, Tensor]
    features: Tensor
    maps: dict[str, Tensor] = field(default_factory=dict)


class Network(nn.Module):
    """Base of all networks: `forward(batch) -> Output`.

    Subclasses take `(inputs, outputs, **options)`: the shape of each view without the batch axis (None
    for time), and the number of outputs by target.

    A network of convolutions names each one's maps in `map_names` and defines `compute`: `conv2` is the second
    convolution's output behind its activation, `conv2.pre` before it, `conv2.input` what the layer receives.

    A network that weighs the parts of its view sets `has_attention`. Where `attention` is among what to keep, the
    output's maps hold it: how much each part counts, (batch, rows, columns), columns spread evenly over the view's
    time and rows over its height, a single one where the network does not tell heights apart.
    """

    #: Raised whenever the same options give other numbers: it is part of every stage's key.
    version: ClassVar[int] = 1

    #: Names of the intermediate maps there are.
    map_names: Sequence[str] = ()

    #: Whether `attention` can be kept.
    has_attention: ClassVar[bool] = False

    #: Which of them the output holds, and views that come from a network trained along. None: they cost memory.
    keep: Collection[str] = ()

    def __init__(self, inputs: Mapping[str, Shape], outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)

    @property
    def only(self) -> str:
        """Name of the single view of a network that takes one."""
        if len(self.inputs) != 1:
            raise UserError(f"{type(self).__name__} takes one view, not {len(self.inputs)}: {', '.join(self.inputs)}")
        return next(iter(self.inputs))

    def heads(self, size: int) -> nn.ModuleDict:
        """One linear layer from a feature of `size` to each target's outputs."""
        return nn.ModuleDict({target: nn.Linear(size, count) for target, count in self.outputs.items()})

    def compute(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Compute the maps of `map_names` one after the other, then what the classifier reads (its name is empty)."""
        raise TypeError(f"{type(self).__name__} has no convolutions")

    def run(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute what the classifier reads, and the maps to keep."""
        maps: dict[str, Tensor] = {}
        for name, x in self.compute(batch):
            if name in self.keep:
                maps[name] = x
        return x, maps

    def maps(self, batch: Batch, names: Collection[str]) -> dict[str, Tensor]:
        """Compute some of the maps of `map_names`, and nothing behind the last of them."""
        found = {}
        for name, x in self.compute(batch):
            if name in names:
                found[name] = x
            if len(found) == len(names):
                break
        return found

    def headless(self) -> Network:
        """Return the network without what only its predictions need, for one that reads its features."""
        return self

    def forward(self, batch: Batch) -> Output:
        raise TypeError(f"{type(self).__name__} does not say what it computes")


def maps_of(number: int) -> list[str]:
    """Return the names of a convolution's maps, counted from 1."""
    return [f"conv{number}.input", f"conv{number}.pre", f"conv{number}"]


class Model(nn.Module):
    """A network with the normalisation of its views, and the trainable networks, in front of it.

    This is what is trained, saved and exported: a checkpoint or an ONNX file holds all of it.

    Args:
        network: the stage's own network.
        normalisations: by view, those that have one.
        upstream: by view, the model of an earlier stage whose output is this view; it reads the views it
            was made for from the same batch. In training only those trained along are here (what a frozen
            one puts out is computed once and kept); in an exported model all are.
        sources: by view of `upstream`, which output is the view: `features` (default) or `predictions`.
        scales: by target, what turns the network's output into the labels' units; those that are numbers have one.
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
        """Normalise a batch that holds all views, as the network wants it."""
        normalised = {
            view: normalisation(batch.views[view], batch.lengths.get(view))
            for view, normalisation in self.normalisations.items()
        }
        return dataclasses.replace(batch, views={**batch.views, **normalised})

    def headless(self) -> Model:
        """Return the model without what only its predictions need; it has the same weights, not copies of them."""
        normalisations = cast(Mapping[str, Normalisation], self.normalisations)
        upstream, scales = cast(Mapping[str, Model], self.upstream), cast(Mapping[str, Scale], self.scales)
        return Model(self.network.headless(), normalisations, upstream, self.sources, scales)

    def normalisation(self, view: str) -> Normalisation:
        """Return the normalisation of a view that has one."""
        return cast(Normalisation, self.normalisations[view])

    def scale(self, target: str) -> Scale:
        """Return the scale of a target that is a number."""
        return cast(Scale, self.scales[target])

    def fit_normalisation(self, view: str, arrays: Iterable[Tensor]) -> None:
        """Set a view's mean and deviation from the training part, one item at a time."""
        if view in self.normalisations:
            self.normalisation(view).fit(arrays)

    def freeze(self, names: Sequence[str]) -> None:
        """Stop training some layers of the network: weights, batch-norm statistics and dropout.

        Args:
            names: dotted names of layers; a name freezes all below it.
        """
        for name in names:
            layer_of(self.network, name).requires_grad_(False)
        self._frozen = list(names)
        self.train(self.training)

    def thawed(self) -> Model:
        """Return a copy whose layers are all trained, also those that were frozen in its own stage."""
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
        UserError: there is none of this name.
    """
    layers = dict(network.named_modules())
    if name not in layers:
        raise unknown(f"layer of {type(network).__name__}", name, filter(None, layers))
    module: nn.Module = layers[name]
    return module


def output_of(output: Output, what: str) -> Tensor:
    """Return an output's `features`, or its `predictions` of all targets side by side: (batch, size)."""
    return output.features if what == "features" else torch.cat(list(output.predictions.values()), 1)


def mask(lengths: Tensor, size: int) -> Tensor:
    """Return which positions are valid, (batch, size) bool, from valid lengths (batch,)."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def silence(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Set maps (batch, channels, bands, time) to zero behind each item's end; None: nothing is padded."""
    return x if lengths is None else x * mask(lengths, x.shape[3])[:, None, None]
