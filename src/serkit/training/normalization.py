"""The statistics of batch normalization, estimated again from the training items when the weights are final."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from serkit.networks.layers.quaternion import QuaternionBatchNorm2d
from serkit.networks.network import Batch, Model

_KINDS = (_BatchNorm, QuaternionBatchNorm2d)


def layers(model: nn.Module) -> list[Any]:
    """Return the batch-normalization layers whose statistics a training of the model updates; not frozen ones."""
    training = model.training
    model.train()
    found = [layer for layer in model.modules() if isinstance(layer, _KINDS) and layer.training]
    model.train(training)
    return found


def synchronize(model: nn.Module) -> dict[nn.Module, type]:
    """Let the batch normalization of a model on GPUs use the statistics of all processes; return what `restore` needs.

    A layer changes its class and nothing else, so that weights, buffers and optimizer stay what they are.
    `QuaternionBatchNorm2d` has no such class: each process uses its own part of the batch.
    """
    before: dict[nn.Module, type] = {}
    for layer in model.modules():
        if type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            before[layer] = type(layer)
            layer.__class__ = nn.SyncBatchNorm
            cast(Any, layer).process_group = None
    return before


def restore(before: Mapping[nn.Module, type]) -> None:
    """Undo `synchronize`."""
    for layer, kind in before.items():
        layer.__class__ = kind
        del layer.process_group


def refit(model: Model, batches: Iterable[Batch], compute: Callable[[Batch], Any] | None = None) -> None:
    """Set the statistics of all batch-normalization layers that are not frozen to their means over some batches.

    During training they are moving averages over the last batches, most of them seen with other weights: after few
    steps, or with weights that still move fast, they are those of another network. Here, every item counts once, with
    the final weights and without dropout. Within a batch, values are normalized by the batch, as in training.

    Source: Izmailov et al. 2018 (stochastic weight averaging), section 3.2. A model without such layers does not
    change, and none of its batches is read.

    Args:
        model: changed in place; it ends in evaluation mode.
        batches: training items in random order.
        compute: runs the model on a batch; None: the model itself.
    """
    chosen = layers(model)
    model.eval()
    if not chosen:
        return
    momenta = [layer.momentum for layer in chosen]
    seen = 0
    with torch.no_grad():
        for layer in chosen:
            layer.train()
        for batch in batches:
            seen += len(batch)
            # A running mean over the items: the first batch replaces what was there.
            for layer in chosen:
                layer.momentum = len(batch) / seen
            (compute or model)(batch)
    for layer, momentum in zip(chosen, momenta, strict=True):
        layer.momentum = momentum
    model.eval()
