"""Training on the items that an earlier stage got wrong most often."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from serkit.data.items import Item
from serkit.errors import UserError, unknown
from serkit.methods.method import Context
from serkit.methods.supervised import Supervised, class_counts
from serkit.networks.network import Batch, Model

#: Bins of the reported histogram. Most indices are small: an item that is wrong in 40 of 800 epochs has 0.008 if the
#: hardest is wrong in all but one.
BINS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

#: Bins of the reported numbers of errors; the last is open.
ERRORS = (0, 1, 2, 3, 4, 5, 10, 20, 50, 100, 200, 400)

# Batch norm cannot train on one item, which has no variance.
_FEWEST = 2


class HardExamples(Supervised):
    """Cross-entropy on the hard items of a finished stage, weighted by hardness and against common classes.

    An item is hard if its index h (see `hard_index`) reaches a threshold; the other items are not used. Its loss is -h
    (1 - alpha) log p (see `he_loss`), where alpha is the share of its class. Validation items have no index; for them,
    h is 1.

    Source: Zhong, Yu & Zhang 2020, equations 1 to 3. In the paper, p is "the classification error probability", whose
    logarithm would reward certain errors. Here, it is the probability of the true class, as in the focal loss on which
    the paper is based.

    Args:
        record: name of the finished stage whose training record is used; None: the stage that this one starts from.
        beta: threshold, in [0, 1); 0 keeps everything.
        hard_fraction: share of hard items, in (0, 1], instead of `beta`. The threshold is the index of the last of
            them. Ties are hard too, so the share may be larger; it is smaller if fewer items were ever wrong. Without
            either option, it is 0.5 (the paper's beta is not published; it made 50.6 % of IEMOCAP hard).
        alpha: items in which the shares of the classes are counted: the `hard` items, or `all` training items.
    """

    term = "hard_examples"

    stage_options = ("record",)

    def __init__(
        self,
        record: str | None = None,
        beta: float | None = None,
        hard_fraction: float | None = None,
        alpha: str = "hard",
    ) -> None:
        super().__init__()
        if beta is not None and hard_fraction is not None:
            raise ValueError(f"give either beta or hard_fraction, got {beta} and {hard_fraction}")
        if beta is not None and not 0 <= beta < 1:
            raise ValueError(f"beta must be from 0 to below 1, got {beta}")
        if hard_fraction is not None and not 0 < hard_fraction <= 1:
            raise ValueError(f"hard_fraction must be above 0 and at most 1, got {hard_fraction}")
        if alpha not in ("hard", "all"):
            raise unknown("alpha", str(alpha), ["hard", "all"])
        self.record = record
        self.beta = beta
        self.hard_fraction = 0.5 if hard_fraction is None else hard_fraction
        self.alpha = alpha
        self.shares: dict[str, Tensor] = {}
        self.hard = torch.empty(0)
        self._mined: dict[str, Any] = {}

    def select(self, items: Sequence[Item], context: Context) -> Sequence[Item]:
        name, passes = self._passes(items, context)
        wrong = np.array([np.count_nonzero(~right) for right in passes])
        index = hard_index(wrong, np.array([len(right) for right in passes]))
        beta = self.beta if self.beta is not None else threshold(index, self.hard_fraction)
        chosen = np.flatnonzero(index >= beta).tolist()
        _check(index, chosen, name, beta)
        hard = [items[row] for row in chosen]
        self.hard = torch.from_numpy(index[chosen].astype(np.float32))
        counted = hard if self.alpha == "hard" else items
        self.shares = {t: torch.from_numpy(class_shares(counted, t, c)) for t, c in context.classes.items()}
        self._mined = {
            "record": name,
            "beta": beta,
            "items": len(items),
            "hard": len(hard),
            "hard_fraction": len(hard) / len(items),
            "never_right": sum(not right.any() for right in passes),
            "shares_before": _named(items, context),
            "shares_after": _named(hard, context),
            "histogram": {"edges": list(BINS), "counts": np.histogram(index, BINS)[0].tolist()},
            **error_counts(passes),
        }
        return hard

    def kept(self, items: int) -> int:
        return items if self.beta is not None else max(_FEWEST, round(self.hard_fraction * items))

    def prepare(self, model: Model, context: Context) -> None:
        held = len(context.items) - len(self.hard)
        self.hard = torch.cat([self.hard, torch.ones(held)])
        size = context.stage.trainer.batch_size
        if self._mined["hard"] < size:
            warnings.warn(
                f"method 'hard_examples': {self._mined['hard']} hard items are fewer than a batch of {size}: "
                "one step per epoch",
                stacklevel=2,
            )

    def losses(self, target: str, logits: Tensor, batch: Batch) -> Tensor:
        if batch.index is None:
            raise TypeError("hard examples require batches with the indices of their items")
        hard = self.hard[batch.index.to(self.hard.device)].to(logits)
        return he_loss(logits, batch.targets[target], hard, self.shares[target].to(logits))

    def report(self) -> dict[str, Any]:
        return self._mined

    def _passes(self, items: Sequence[Item], context: Context) -> tuple[str, list[np.ndarray]]:
        """Return the name of the used stage and, for each item, whether each of its training passes was right."""
        name = self.record or context.stage.start_from
        if name is None or (self.record is None and name not in context.finished):
            raise UserError("method 'hard_examples' starts from no earlier stage; name a stage: record = ...")
        if name not in context.finished:
            raise unknown("earlier stage", name, context.finished)
        record = context.finished[name].record()
        missing = [item.id for item in items if item.id not in record]
        if missing:
            raise UserError(
                f"method 'hard_examples': {len(missing)} of {len(items)} items are not in the training record of "
                f"stage '{name}' (first: '{missing[0]}'); give both stages the same data"
            )
        return name, [record[item.id] for item in items]


def hard_index(wrong: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """Return the hardness of each item, in [0, 1]: -log2 of the share of epochs in which it was right, scaled to that
    range.

    Source: Zhong, Yu & Zhang 2020, equations 1 and 2. An item that was never right has index 1 (footnote 1), and does
    not affect the scaling, whose bounds must be finite. If all other items are equal, they have 0. An item in no epoch
    was never right.

    Args:
        wrong: number of misclassifications of each item, (items,).
        epochs: number of epochs with each item, (items,).
    """
    if np.any(wrong < 0) or np.any(wrong > epochs):
        raise ValueError("the number of errors of an item must be from 0 to its number of epochs")
    index = np.ones(len(wrong))
    some = wrong < epochs
    if some.any():
        information = -np.log2(1 - wrong[some] / epochs[some])
        low, high = information.min(), information.max()
        index[some] = (information - low) / (high - low) if high > low else 0.0
    return index


def threshold(index: np.ndarray, fraction: float) -> float:
    """Return the index of the last of the hardest `fraction` of the items (at least one).

    It is above 0 if any index is, because the easiest items would have no weight.
    """
    count = max(1, round(fraction * len(index)))
    last = float(np.sort(index)[len(index) - count])
    return last if last > 0 or not index.any() else float(index[index > 0].min())


def error_counts(passes: Sequence[np.ndarray]) -> dict[str, Any]:
    """Count the items by their number of errors, and say when the errors were made.

    Args:
        passes: for each item, whether each of its training passes was right.

    Returns:
        `errors`: lower `edges` of bins (the last is open) and `counts` of items; `median_errors` of an item;
        `early_errors`: share of all errors in the first tenth of the epochs.
    """
    wrong = np.array([np.count_nonzero(~right) for right in passes])
    early = sum(np.count_nonzero(~right[: max(1, len(right) // 10)]) for right in passes)
    counts = np.histogram(wrong, [*ERRORS, np.inf])[0].tolist()
    return {
        "errors": {"edges": list(ERRORS), "counts": counts},
        "median_errors": float(np.median(wrong)),
        "early_errors": early / max(1, int(wrong.sum())),
    }


def class_shares(items: Sequence[Item], target: str, classes: Sequence[str]) -> np.ndarray:
    """Return the share of each class among the items with a label of the target, (classes,)."""
    counts = np.array(class_counts(items, target, classes), dtype=np.float64)
    values: np.ndarray = counts / max(1.0, counts.sum())
    return values


def he_loss(logits: Tensor, truth: Tensor, hard: Tensor, shares: Tensor) -> Tensor:
    """Return -h (1 - alpha) log p of each item (items,).

    Args:
        logits: (items, classes).
        truth: class indices, (items,).
        hard: index h of the items, (items,).
        shares: alpha of each class, (classes,).
    """
    return hard * (1 - shares[truth]) * F.cross_entropy(logits, truth, reduction="none")


def _check(index: np.ndarray, chosen: Sequence[int], stage: str, beta: float) -> None:
    """Raise UserError if nothing can be learned from the hard items."""
    if len(chosen) < _FEWEST:
        raise UserError(
            f"method 'hard_examples': {len(chosen)} of {len(index)} items are hard by the record of stage '{stage}' "
            f"(h >= {beta:.4g}), but {_FEWEST} are required; set a lower beta, or a higher hard_fraction"
        )
    if not index[chosen].any():
        raise UserError(
            f"method 'hard_examples': stage '{stage}' got each of {len(index)} items wrong equally often, so none is "
            "harder than another; train it for more epochs"
        )


def _named(items: Sequence[Item], context: Context) -> dict[str, dict[str, float]]:
    """Return the share of each class by name, for each target."""
    return {
        target: dict(zip(classes, class_shares(items, target, classes).tolist(), strict=True))
        for target, classes in context.classes.items()
    }
