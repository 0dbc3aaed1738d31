"""Learning of features unlike those of a network trained on another task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from serkit.errors import UserError, unknown
from serkit.methods.method import Context, Method
from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Model, Output

_FORMS = ("paper", "reference")
_ACTIVATIONS = ("post", "pre")

#: Minimum length of a Gram matrix, so that a map of zeros is not divided by 0. The deepest layers of a new network with
#: faint sound are below this; their likeness is too small at first.
_EPS = 1e-8


class AntiTransfer(Method):
    """Cross-entropy plus `beta` times the similarity of a layer's maps to those of a finished stage.

    The similarity of an item is the squared cosine between the Gram matrices of its maps, 0 to 1 (see `likeness`). The
    finished stage, the extractor, receives the same input as the trained network; if another network before it is
    trained too, that is its output for the batch. The extractor computes nothing after the last of the layers, no
    gradient enters it or its input, and it is neither saved nor exported. If its input for an item is the same in all
    epochs (no other trained network, no random changes of the batch), its Gram matrices are computed once.

    Source: Guizzo et al. 2023, equations 1 and 2; Guizzo, Weyde & Tarroni 2021. The form `reference` is that of the
    public code (see `reference_likeness`). It compares the inputs of layers instead of their outputs, so that the term
    is constant at the first layer.

    Args:
        extractor: name of the finished stage; its network has the same layers.
        layers: names of convolutions: `conv1`, `conv2`, ... Their terms are added up. None: the layers of the stage
            that this one starts from.
        beta: factor of the similarity, >= 0.
        form: `paper` or `reference`.
        activation: whether maps are taken after (`post`) or before (`pre`) the ReLU; form `paper` only.
        validation: whether the term is part of the validation loss, by which epochs are chosen and training stops.
        cache: GB of memory that the extractor's Gram matrices may take, 4 bytes * channels^2 an item and layer; if a
            stage requires more, they are computed in every epoch. 0: always.
        label_smoothing, class_weights: of the cross-entropy, see `Supervised`.
    """

    stage_options = ("extractor",)

    def __init__(
        self,
        extractor: str,
        layers: Sequence[str] | None = None,
        beta: float = 1.0,
        form: str = "paper",
        activation: str = "post",
        validation: bool = False,
        cache: float = 1.0,
        label_smoothing: float = 0.0,
        class_weights: str | None = None,
    ) -> None:
        if form not in _FORMS:
            raise unknown("form", str(form), _FORMS)
        if activation not in _ACTIVATIONS:
            raise unknown("activation", str(activation), _ACTIVATIONS)
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be at least 0, got {beta}")
        if isinstance(layers, str) or (layers is not None and not layers):
            raise ValueError('layers must be a list of convolutions, such as ["conv2"]')
        self.layers = layers
        self.suffix = ".input" if form == "reference" else ".pre" if activation == "pre" else ""
        #: The map to compare, by layer.
        self.maps: dict[str, str] = {}
        self.extractor = extractor
        self.beta = beta
        self.form = form
        self.validation = validation
        self.cache = cache
        self.supervised = Supervised(label_smoothing, class_weights)
        self._source: Model | None = None
        self._grams: _Grams | None = None
        self._views: dict[str, str] = {}

    def prepare(self, model: Model, context: Context) -> None:
        if self.extractor not in context.finished:
            raise unknown("earlier stage", self.extractor, context.finished)
        self.supervised.prepare(model, context)
        self.maps = {layer: layer + self.suffix for layer in self.layers or _layers_before(context)}
        source = context.finished[self.extractor].model
        for network in (model.network, source.network):
            for layer, name in self.maps.items():
                if name not in network.map_names:
                    known = [known for known in network.map_names if known.startswith("conv") and "." not in known]
                    raise unknown(f"layer of {type(network).__name__}", layer, known)
        own, others = list(model.network.inputs.items()), list(source.network.inputs.items())
        if [shape for _, shape in own] != [shape for _, shape in others]:
            raise UserError(
                f"method 'anti_transfer': extractor '{self.extractor}' reads {dict(others)}, "
                f"the network to train {dict(own)}; give both the same input"
            )
        self._views = {name: view for (name, _), (view, _) in zip(others, own, strict=True)}
        # Without the networks before it, because the trained network provides their output.
        self._source = Model(source.network, {view: source.normalisation(view) for view in source.normalisations})
        self._source.eval()
        repeated = not model.upstream and not context.stage.trainer.perturb
        if self.form == "paper" and repeated:
            self._grams = _Grams(len(context.items), self.cache * 1e9)
        self._keep(model, self.validation)

    def forward(self, model: Model, batch: Batch) -> Output:
        self._keep(model, True)
        output: Output = model(batch)
        self._keep(model, self.validation)
        return output

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        terms = self.supervised.loss(output, batch)
        if not all(name in output.maps for name in self.maps.values()):
            return terms  # of the validation part
        found = {layer: output.maps[name].float() for layer, name in self.maps.items()}
        if self.form == "reference":
            others = self._extract(output, batch)
            likeness = {layer: reference_likeness(others[layer], maps) for layer, maps in found.items()}
        else:
            grams = {layer: gram(maps) for layer, maps in found.items()}
            others = self._extracted_grams(output, batch, grams)
            likeness = {layer: squared_cosine(others[layer], own).mean() for layer, own in grams.items()}
        for layer, value in likeness.items():
            terms["anti_transfer" if len(found) == 1 else f"anti_transfer_{layer}"] = self.beta * value
        return terms

    def finish(self, model: Model, batches: Iterable[Batch], held: Iterable[Batch] = ()) -> Model:
        self._keep(model, False)
        if self._source is not None:
            self._source.cpu()
        return model

    def report(self) -> dict[str, Any]:
        return {"grams_computed_once": bool(self._grams is not None and self._grams.kept)}

    def _keep(self, model: Model, wanted: bool) -> None:
        """Make the network's output hold the compared maps, and the output of another network before it."""
        model.network.keep = (*self.maps.values(), *self._views.values()) if wanted else ()

    def _extracted_grams(self, output: Output, batch: Batch, grams: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the Gram matrices of the extractor's maps, with the same shapes as those of the trained network."""

        def compute(output: Output, batch: Batch) -> dict[str, Tensor]:
            return {layer: gram(maps.float()) for layer, maps in self._extract(output, batch).items()}

        if self._grams is None or batch.index is None or not self._grams.fits(grams):
            found = compute(output, batch)
        else:
            for row in self._grams.missing(batch.index):
                # One by one, because in a batch the last digits depend on the other items.
                one = slice(row, row + 1)
                self._grams.save(batch.index[one], compute(output, item_of(batch, row)))
            found = self._grams.of(batch.index, next(iter(grams.values())))
        for layer, own in grams.items():
            if found[layer].shape != own.shape:
                raise UserError(
                    f"method 'anti_transfer': {layer} of extractor '{self.extractor}' has {found[layer].shape[1]} "
                    f"channels, but that of the network to train has {own.shape[1]}; give both the same number"
                )
        return found

    def _extract(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return the extractor's maps by layer."""
        if self._source is None:
            raise TypeError("anti-transfer needs prepare() first")
        views, lengths = {}, {}
        for name, view in self._views.items():
            views[name] = output.maps[view].detach() if view in output.maps else batch.views[view]
            if view in batch.lengths:
                lengths[name] = batch.lengths[view]
        precision = next(iter(output.predictions.values()))
        device = precision.device
        self._source.to(device)
        # In the precision of the trained network.
        with torch.no_grad(), torch.autocast(device.type, precision.dtype, precision.dtype != torch.float32):
            prepared = self._source.prepared(Batch(views, lengths))
            found = self._source.network.maps(prepared, set(self.maps.values()))
        return {layer: found[name] for layer, name in self.maps.items()}


def _layers_before(context: Context) -> Sequence[str]:
    """Return the layers of the nearest stage with layers, among the stages that a stage starts from."""
    name = start = context.stage.start_from
    while name is not None and name in context.finished:
        source = context.finished[name].stage
        if layers := source.method.options.get("layers"):
            result: Sequence[str] = layers
            return result
        name = source.start_from
    raise UserError(
        f"method 'anti_transfer': layers is missing here and in the stage it starts from ({start or 'none'})"
    )


class _Grams:
    """The extractor's Gram matrices of all items, computed on request.

    Args:
        items: number of items.
        limit: maximum memory in bytes.
    """

    def __init__(self, items: int, limit: float) -> None:
        self.items, self.limit = items, limit
        self.known = torch.zeros(items, dtype=torch.bool)
        self.kept: dict[str, Tensor] = {}

    def fits(self, like: dict[str, Tensor]) -> bool:
        return self.items * sum(4 * gram[0].numel() for gram in like.values()) <= self.limit

    def missing(self, index: Tensor) -> list[int]:
        """Return the rows of a batch that are still missing."""
        return (~self.known[index.cpu()]).nonzero()[:, 0].tolist()

    def save(self, index: Tensor, grams: dict[str, Tensor]) -> None:
        for layer, values in grams.items():
            if layer not in self.kept:
                self.kept[layer] = torch.empty(self.items, *values.shape[1:])
            self.kept[layer][index.cpu()] = values.cpu()
        self.known[index.cpu()] = True

    def of(self, index: Tensor, like: Tensor) -> dict[str, Tensor]:
        return {layer: values[index.cpu()].to(like.device) for layer, values in self.kept.items()}


def gram(maps: Tensor) -> Tensor:
    """Return the Gram matrix of each item's maps: (batch, channels, ...) to (batch, channels, channels).

    It is divided by the size of an item's maps, which keeps the numbers in range, and does not affect cosines above
    `_EPS`.
    """
    output: Tensor = _Gram.apply(maps.flatten(2)) / maps[0].numel()  # type: ignore[no-untyped-call]
    return output


class _Gram(torch.autograd.Function):
    """F F^T of (batch, channels, places); its gradient takes one matrix product instead of autograd's two."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.save_for_backward(maps)
        return maps @ maps.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (maps,) = ctx.saved_tensors
        output: Tensor = (gradient + gradient.transpose(1, 2)) @ maps
        return output


def squared_cosine(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared cosine between each item's numbers, (batch,); 0 if all numbers of one side are 0."""
    return F.cosine_similarity(first.flatten(1), second.flatten(1), eps=_EPS).square()


def reference_likeness(first: Tensor, second: Tensor) -> Tensor:
    """Return the similarity of maps (batch, channels, ...) as in the public code.

    The channels of all items form one Gram matrix, so that different items are compared too. The similarity is the
    square of the mean absolute cosine between its rows.
    """
    grams = [maps.flatten(0, 1).flatten(1) for maps in (first, second)]
    first, second = (rows @ rows.T / (rows.numel() * 0.001) for rows in grams)
    return F.cosine_similarity(first, second, eps=_EPS).abs().mean().square()


def item_of(batch: Batch, row: int) -> Batch:
    """Return one item of a batch without padding."""
    views = {}
    for view, x in batch.views.items():
        one = x[row : row + 1]
        if view in batch.lengths:
            one = one[..., : int(batch.lengths[view][row])]
        views[view] = one
    return Batch(views)
