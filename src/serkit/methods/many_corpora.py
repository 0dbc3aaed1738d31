"""Cross-entropy over several corpora with uneven labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from serkit.data.items import Item, label
from serkit.errors import UserError
from serkit.methods.method import Context
from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Model


class ManyCorpora(Supervised):
    """Cross-entropy among the labels of an item's own corpus; corpora count the same, and so do the classes in each.

    A class that a corpus lacks is unknown there, not absent: its items say nothing about that class.

    Args:
        label_smoothing: share of the target probability spread evenly over the classes of the item's corpus, in [0, 1).
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        self._corpora = torch.empty(0, dtype=torch.long)
        self._counts = torch.empty(0)

    def identity(self, items: Sequence[Item]) -> list[Any]:
        """Return the corpus of each item."""
        return [item.utterance.corpus for item in items]

    def prepare(self, model: Model, context: Context) -> None:
        if len(context.classes) != 1:
            raise UserError(f"method 'many_corpora' requires one target, got {', '.join(context.classes)}")
        [(target, classes)] = context.classes.items()
        corpora = np.unique([item.utterance.corpus for item in context.items], return_inverse=True)[1]
        self._corpora = torch.from_numpy(corpora)
        self._counts = torch.zeros(int(corpora.max()) + 1, len(classes))
        for item, corpus in zip(context.training, corpora, strict=False):
            if (name := label(item.utterance, target)) is not None:
                self._counts[corpus, classes.index(str(name))] += 1

    def losses(self, target: str, logits: Tensor, batch: Batch) -> Tensor:
        assert batch.index is not None
        truth = batch.targets[target]
        corpora = self._corpora.to(truth.device)[batch.index.to(truth.device)]
        counts = self._counts.to(truth.device)
        possible = counts[corpora] > 0
        logarithms = logits.masked_fill(~possible, -torch.inf).log_softmax(1).masked_fill(~possible, 0.0)
        known = possible.gather(1, truth[:, None])[:, 0]
        right = logarithms.gather(1, truth[:, None])[:, 0]
        spread = logarithms.sum(1) / possible.sum(1).clamp_min(1)
        losses = -(1 - self.label_smoothing) * right - self.label_smoothing * spread
        # Each class of each corpus has the same share of all items.
        weights = counts.sum() / (_classes(counts) * (counts.sum(1) > 0).sum() * counts.clamp_min(1))
        return losses * weights[corpora, truth] * known


def _classes(counts: Tensor) -> Tensor:
    """Return the number of classes in each corpus, (corpora, 1)."""
    return (counts > 0).sum(1, keepdim=True).clamp_min(1)
