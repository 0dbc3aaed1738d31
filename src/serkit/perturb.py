"""Random changes of a training batch: what costs nothing to draw anew in every epoch.

Each takes and returns a `Batch`; chance comes from torch's generator, which the training loop seeds for
every step. To add one, write its class and add its line to `PERTURBATIONS`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from serkit.errors import UserError, unknown
from serkit.networks.network import Batch


def _with_view(batch: Batch, view: str, values: Tensor, length: Tensor | None = None) -> Batch:
    lengths = dict(batch.lengths)
    lengths.pop(view, None)
    if length is not None:
        lengths[view] = length
    return dataclasses.replace(batch, views={**batch.views, view: values}, lengths=lengths)


PERTURBATIONS: dict[str, Any] = {}


def build(name: str, **options: Any) -> Any:
    """Make a perturbation by name."""
    if name not in PERTURBATIONS:
        raise unknown("perturbation", name, PERTURBATIONS)
    try:
        return PERTURBATIONS[name](**options)
    except TypeError as error:
        raise UserError(f"perturbation '{name}': {error}") from None
