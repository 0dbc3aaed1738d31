"""A local checkpoint of Hugging Face's transformers as a frozen front end, in the lab only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from serkit.errors import UserError, unknown
from serkit.features import checkpoint
from serkit.features.pooling import POOLINGS, pieces, pool
from serkit.options import Between


@dataclass(frozen=True)
class Transformers:
    """Hidden states of an encoder of speech, pooled over time: wav2vec 2.0, HuBERT, WavLM, data2vec, ...

    It needs torch, so no bundle can hold it: for recognition, export the encoder to ONNX and train with the feature
    `onnx`, or distill it.

    Args:
        path: folder of the checkpoint; empty: the one that `SERKIT_CHECKPOINT` names. Not part of the configuration.
        sha256: hash of the checkpoint; empty: it is computed. The checkpoint must have it.
        layer: index of the hidden state; 0 is the input of the first layer, -1 the last.
        all_layers: whether all hidden states are returned, for a network that weighs them; with `mean` only.
        pooling: as of the feature `onnx`.
        standardize: as of the feature `onnx`.
        chunk: as of the feature `onnx`.
    """

    path: InitVar[str] = ""
    sha256: str = ""
    layer: Annotated[int, Between(-200, 200)] = -1
    all_layers: bool = False
    pooling: str = "mean"
    standardize: bool = False
    chunk: Annotated[float, Between(1.0, 120.0)] = 20.0

    name: ClassVar[str] = "transformers"
    version: ClassVar[int] = 1
    #: Samples between frames.
    hop: ClassVar[int] = 320

    def __post_init__(self, path: str) -> None:
        if self.pooling not in POOLINGS:
            raise unknown("pooling", str(self.pooling), POOLINGS)
        if self.all_layers and self.pooling != "mean":
            raise ValueError(f"all_layers requires pooling 'mean', got '{self.pooling}'")
        folder = checkpoint.find(path)
        found = checkpoint.sha256(folder)
        if self.sha256 not in ("", found):
            raise UserError(f"{folder}: its hash begins with {found[:8]}, but {self.sha256[:8]} is required")
        config = checkpoint.configuration(folder)
        states = config["num_hidden_layers"] + 1
        if not -states <= self.layer < states:
            raise ValueError(f"layer must be from {-states} to {states - 1}, got {self.layer}")
        object.__setattr__(self, "sha256", found)
        object.__setattr__(self, "_folder", folder)
        object.__setattr__(self, "_size", config["hidden_size"])
        object.__setattr__(self, "_states", states)

    _folder: ClassVar[Path]
    _size: ClassVar[int]
    _states: ClassVar[int]

    @property
    def rate(self) -> int:
        """Sampling rate in Hz, of all encoders of speech in transformers."""
        return 16000

    @property
    def shape(self) -> tuple[int | None, ...]:
        if self.all_layers:
            return (self._states, self._size)
        if self.pooling == "none":
            return (self._size, None)
        return (2 * self._size if self.pooling == "mean_std" else self._size,)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the pooled hidden states of a float32 signal (samples,) at 16 kHz: float32 of `shape`."""
        found = pool(self._frames(signal), self.pooling)
        return found if self.all_layers else found.T if self.pooling == "none" else found.reshape(-1)

    def _frames(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the hidden states of each piece, (frames, size) or (frames, layers, size)."""
        import torch

        model = checkpoint.shared(str(self._folder), self.sha256)
        for piece in pieces(signal, self.rate, self.chunk, self.standardize):
            with torch.inference_mode():
                states = model(torch.from_numpy(piece)[None], output_hidden_states=True).hidden_states
            if self.all_layers:
                yield torch.stack(states, 2)[0].numpy()
            else:
                yield states[self.layer][0].numpy()
