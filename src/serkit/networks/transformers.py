"""A local checkpoint of Hugging Face's transformers as a network, to be fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from serkit.errors import UserError, unknown
from serkit.features import checkpoint
from serkit.networks.network import Batch, Network, Output, Shape

LAYERS = ("last", "weighted")

# Samples that the convolutions of every encoder need.
_SHORTEST = 1600


class Transformers(Network):
    """An encoder of speech, mean over time, and a linear classifier.

    Items of different lengths are encoded separately, because some encoders normalize over time, so padding would
    change their frames. Dropped layers and masks of transformers are switched off.

    Args:
        inputs: one view of the feature `waveform`, (hop, time).
        outputs: number of outputs by target.
        path: folder of the checkpoint; empty: the one that `SERKIT_CHECKPOINT` names.
        unfrozen: number of layers at the top that are trained; -1: all, and what is below them.
        layers: `last`: the last hidden state; `weighted`: learned weights of all of them.
        dropout: share of the classifier's inputs dropped in training.
        standardize: whether each item gets mean 0 and variance 1 first.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        path: str = "",
        unfrozen: int = 0,
        layers: str = "last",
        dropout: float = 0.1,
        standardize: bool = False,
    ) -> None:
        super().__init__(inputs, outputs)
        shape = self.inputs[self.only]
        if len(shape) != 2 or shape[0] is None or shape[1] is not None:
            raise UserError(f"view '{self.only}' must be a waveform of shape (hop, time), got {shape}")
        if layers not in LAYERS:
            raise unknown("layers", str(layers), LAYERS)
        folder = checkpoint.find(path)
        config = checkpoint.configuration(folder)
        count = config["num_hidden_layers"]
        if not -1 <= unfrozen <= count:
            raise ValueError(f"unfrozen must be from -1 to {count}, the layers of {folder}, got {unfrozen}")
        self.standardize = standardize
        self.encoder = checkpoint.load(folder)
        self._frozen = self._freeze(count, unfrozen)
        self.weights = nn.Parameter(torch.zeros(count + 1)) if layers == "weighted" else None
        self.dropout = nn.Dropout(dropout)
        self._size: int = config["hidden_size"]
        self.head = self.heads(self._size)

    @classmethod
    def content(cls, path: str = "", **options: Any) -> dict[str, Any]:
        """Return what options stand for besides their values: the hash of the checkpoint."""
        return {"checkpoint": checkpoint.sha256(checkpoint.find(path))}

    def train(self, mode: bool = True) -> Self:
        """Train the layers that are not frozen; frozen ones have no dropout."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, batch: Batch) -> Output:
        frames = batch.views[self.only]
        hop, lengths = frames.shape[1], batch.lengths.get(self.only)
        # Frames without overlap: one after the other, they are the signal.
        signal = frames.transpose(1, 2).flatten(1)
        if lengths is None:
            pooled = self._encode(signal)
        else:
            pooled = signal.new_zeros(len(signal), self._size)
            for length in sorted(set(lengths.tolist())):
                same = (lengths == length).nonzero()[:, 0]
                pooled = pooled.index_copy(0, same, self._encode(signal[same, : length * hop]).to(pooled.dtype))
        features = self.dropout(pooled)
        return Output({target: head(features) for target, head in self.head.items()}, features)

    def _encode(self, signal: Tensor) -> Tensor:
        """Return the mean of the frames of signals of one length: (batch, samples) to (batch, size)."""
        if self.standardize:
            variance, mean = torch.var_mean(signal, 1, keepdim=True, correction=0)
            signal = (signal - mean) / (variance + 1e-7).sqrt()
        if not torch.compiler.is_exporting() and signal.shape[1] < _SHORTEST:
            signal = nn.functional.pad(signal, (0, _SHORTEST - signal.shape[1]))
        found = self.encoder(signal, output_hidden_states=self.weights is not None)
        if self.weights is None:
            mean_of_last: Tensor = found.last_hidden_state.mean(1)
            return mean_of_last
        pooled = torch.stack([state.mean(1) for state in found.hidden_states])
        return torch.einsum("l,lbs->bs", self.weights.softmax(0), pooled)

    def _freeze(self, count: int, unfrozen: int) -> list[nn.Module]:
        """Freeze all but some layers at the top, and return what is frozen."""
        if unfrozen < 0:
            return []
        layers = [
            module for module in self.encoder.modules() if isinstance(module, nn.ModuleList) and len(module) == count
        ]
        if not layers:
            raise UserError(
                f"{type(self.encoder).__name__}: its layers are not found, so none can stay frozen; unfrozen = -1"
            )
        self.encoder.requires_grad_(False)
        # The convolutions of wav2vec 2.0 would ask for gradients of their input.
        extractor = getattr(self.encoder, "feature_extractor", None)
        if extractor is not None and hasattr(extractor, "_requires_grad"):
            extractor._requires_grad = False
        top = list(layers[-1])[count - unfrozen :]
        for layer in top:
            layer.requires_grad_(True)
        trained = {module for layer in top for module in layer.modules()}
        return [module for module in self.encoder.modules() if not list(module.children()) and module not in trained]
