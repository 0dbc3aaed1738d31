"""Cross-entropy on items that are given other voices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from serkit.data.items import Item, label
from serkit.errors import UserError
from serkit.methods.discriminant import Sample, effects, grouped, voice_of
from serkit.methods.many_corpora import ManyCorpora
from serkit.methods.method import Context
from serkit.networks.network import Batch, Model, Output


class SwappedVoices(ManyCorpora):
    """The loss of `many_corpora`, on items whose voice is replaced by another one, drawn anew in each step.

    An item is the mean of its class, plus the offset of its voice, plus a rest, as in the method `discriminant`. The
    offset of its own voice is removed, and a share of another one's is added: the network learns that a voice says
    nothing about an emotion, and does so for voices to which it is adapted (a share of 0) and for those to which it is
    not (1).

    Args:
        voices: earlier stage trained by `discriminant` on the same views and items; its normalization is taken over.
        label_smoothing: as in `many_corpora`.
        least: lowest share of the other voice's offset, in [0, 1]; shares are drawn evenly from there to 1.
    """

    stage_options = ("voices",)

    def __init__(self, voices: str, label_smoothing: float = 0.0, least: float = 0.0) -> None:
        super().__init__(label_smoothing)
        if not 0 <= least <= 1:
            raise ValueError(f"least must be from 0 to 1, got {least:g}")
        self.voices = voices
        self.least = least
        self._offsets: dict[str, Tensor] = {}
        self._voice = torch.empty(0, dtype=torch.long)

    def identity(self, items: Sequence[Item]) -> list[Any]:
        """Return corpus and voice of each item."""
        return [[item.utterance.corpus, voice_of(item)] for item in items]

    def prepare(self, model: Model, context: Context) -> None:
        super().prepare(model, context)
        inputs = context.outputs(self.voices).double().numpy()[: len(context.training)]
        earlier = context.finished[self.voices].model
        views = sorted(model.network.inputs)
        if sorted(earlier.network.inputs) != views or set(model.normalisations) != set(views):
            raise UserError(
                f"method 'swapped_voices' requires the views of stage '{self.voices}' "
                f"({', '.join(sorted(earlier.network.inputs))}), with normalise = 'band'; got {', '.join(views)}"
            )
        for view in views:
            model.normalisation(view).load_state_dict(earlier.normalisation(view).state_dict())
        [(target, classes)] = context.classes.items()
        truth = np.array([classes.index(str(label(item.utterance, target))) for item in context.training])
        corpora, voices = grouped(context.training)
        _, offsets = effects(Sample(inputs, truth, voices, corpora), np.ones(corpora.max() + 1), len(classes))
        self._voice = torch.from_numpy(voices)
        sizes = [model.normalisation(view).mean.numel() for view in views]
        for view, part in zip(views, torch.from_numpy(offsets).float().split(sizes, dim=1), strict=True):
            deviation = model.normalisation(view).deviation
            self._offsets[view] = part.reshape(-1, *deviation.shape) * deviation

    def forward(self, model: Model, batch: Batch) -> Output:
        assert batch.index is not None
        own = self._voice[batch.index.cpu()]
        other = torch.randint(len(next(iter(self._offsets.values()))), own.shape)
        share = self.least + (1 - self.least) * torch.rand(len(own))
        moved = {}
        for view, offsets in self._offsets.items():
            x = batch.views[view]
            added = share.reshape(-1, *[1] * (offsets.dim() - 1)) * offsets[other] - offsets[own]
            moved[view] = x + added.to(x)
        output: Output = model(dataclasses.replace(batch, views={**batch.views, **moved}))
        return output
