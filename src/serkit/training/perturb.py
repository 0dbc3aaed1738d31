"""Random changes of a training batch, cheap enough to be drawn anew in every epoch.

Each class takes and returns a `Batch`; random numbers come from torch's generator, which the training loop seeds for
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
from serkit.registry import Registry


def _view(batch: Batch, name: str) -> tuple[Tensor, Tensor]:
    """Return a view and the valid length of each of its items."""
    if name not in batch.views:
        raise unknown("view", name, batch.views)
    x = batch.views[name]
    if x.dim() != 3:
        raise UserError(f"view '{name}' has shape {tuple(x.shape[1:])}; only (bands, time) can be perturbed")
    return x, batch.lengths.get(name, torch.full((len(x),), x.shape[2]))


def _changed(batch: Batch, name: str, values: Tensor, lengths: Tensor) -> Batch:
    """Return the batch with other values in a view; values past an item's length stay 0."""
    valid = torch.arange(values.shape[2]) < lengths[:, None]
    return dataclasses.replace(batch, views={**batch.views, name: values * valid[:, None]})


@dataclass(frozen=True)
class Crop:
    """A random segment of each item; a shorter item is repeated to fill the segment.

    Args:
        view: a view of shape (bands, time).
        frames: length of the segment.
    """

    view: str
    frames: int

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, got {self.frames}")

    def __call__(self, batch: Batch) -> Batch:
        x, lengths = _view(batch, self.view)
        room = (lengths - self.frames + 1).clamp_min(1)
        # A short item may begin anywhere, since it repeats.
        room = torch.where(lengths < self.frames, lengths, room)
        start = (torch.rand(len(x)) * room).long()
        frames = (start[:, None] + torch.arange(self.frames)) % lengths[:, None]
        cropped = x.gather(2, frames[:, None].expand(-1, x.shape[1], -1))
        views = {**batch.views, self.view: cropped}
        others = {name: length for name, length in batch.lengths.items() if name != self.view}
        return dataclasses.replace(batch, views=views, lengths=others)


@dataclass(frozen=True)
class Tilt:
    """Another spectral color: a random slope and a random slow wave over the bands.

    Args:
        view: a view of shape (bands, time) in dB.
        decibels: largest slope from the middle to either edge; the wave reaches at most half of it.
    """

    view: str
    decibels: float

    def __call__(self, batch: Batch) -> Batch:
        x, lengths = _view(batch, self.view)
        axis = torch.linspace(-1, 1, x.shape[1])[None]
        slope, height, speed, phase = torch.rand(4, len(x), 1)
        wave = torch.cos(torch.pi * (axis * (0.5 + speed) + 2 * phase))
        change = self.decibels * ((2 * slope - 1) * axis + 0.5 * (2 * height - 1) * wave)
        return _changed(batch, self.view, x + change[:, :, None], lengths)


@dataclass(frozen=True)
class Warp:
    """Another vocal tract: the bands are stretched and shifted by a random amount, with interpolation.

    Source: vocal tract length perturbation, Jaitly & Hinton 2013.

    Args:
        view: a view of shape (bands, time).
        stretch: largest relative stretch.
        shift: largest shift in bands.
    """

    view: str
    stretch: float = 0.0
    shift: float = 0.0

    def __call__(self, batch: Batch) -> Batch:
        x, lengths = _view(batch, self.view)
        stretch, shift = 2 * torch.rand(2, len(x), 1) - 1
        place = torch.arange(x.shape[1])[None] * (1 + self.stretch * stretch) + self.shift * shift
        place = place.clamp(0, x.shape[1] - 1)
        below = place.floor().long()
        weight = (place - below)[:, :, None]

        def at(band: Tensor) -> Tensor:
            return x.gather(1, band[:, :, None].expand_as(x))

        # The last band has no upper neighbor and needs none.
        warped = at(below) * (1 - weight) + at((below + 1).clamp_max(x.shape[1] - 1)) * weight
        return _changed(batch, self.view, warped, lengths)


@dataclass(frozen=True)
class Mask:
    """Mask random bands and segments of time with the item's mean level in each band.

    Source: SpecAugment, Park et al. 2019.

    Args:
        view: a view of shape (bands, time).
        bands: largest width of a masked group of bands.
        frames: largest length of a masked segment of time.
        count: number of masks of each kind.
    """

    view: str
    bands: int = 0
    frames: int = 0
    count: int = 1

    def __call__(self, batch: Batch) -> Batch:
        x, lengths = _view(batch, self.view)
        hidden = torch.zeros(x.shape, dtype=torch.bool)
        for _ in range(self.count):
            hidden |= _strip(len(x), x.shape[1], self.bands)[:, :, None]
            hidden |= _strip(len(x), x.shape[2], self.frames)[:, None, :]
        # Values past an item's length are 0 and add nothing to the sum.
        mean = (x.sum(dim=2) / lengths[:, None])[:, :, None]
        return _changed(batch, self.view, torch.where(hidden, mean, x), lengths)


@dataclass(frozen=True)
class MixStyle:
    """Level and spread of an item's bands, mixed with those of another item of the batch: another voice and channel.

    Source: MixStyle, Zhou et al. 2021; over bands of the input, Kim et al. 2022 ("Freq-MixStyle").

    Args:
        view: a view of shape (bands, time).
        share: share of the items that are changed.
        alpha: both parameters of the beta distribution of the own share; below 1, one of the two items mostly prevails.
    """

    view: str
    share: float = 0.5
    alpha: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {self.share}")
        if not self.alpha > 0:
            raise ValueError(f"alpha must be above 0, got {self.alpha}")

    def __call__(self, batch: Batch) -> Batch:
        x, lengths = _view(batch, self.view)
        mean, spread = _statistics(x, lengths)
        own = torch.distributions.Beta(self.alpha, self.alpha).sample((len(x),))
        own = torch.where(torch.rand(len(x)) < self.share, own, 1.0)[:, None, None]
        other = torch.randperm(len(x))
        level = own * mean + (1 - own) * mean[other]
        width = own * spread + (1 - own) * spread[other]
        return _changed(batch, self.view, (x - mean) / spread * width + level, lengths)


def _statistics(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each item's bands over its valid frames, (items, bands, 1)."""
    valid = (torch.arange(x.shape[2]) < lengths[:, None])[:, None]
    count = lengths[:, None, None]
    mean = torch.where(valid, x, 0.0).sum(2, keepdim=True) / count
    squares = torch.where(valid, x - mean, 0.0).square().sum(2, keepdim=True)
    # A band that never changes has no spread to divide by.
    return mean, (squares / count).sqrt().clamp_min(1e-3)


def _strip(items: int, size: int, widest: int) -> Tensor:
    """Draw a segment of random width and position on an axis for each item: (items, size) bool."""
    width = torch.rand(items, 1) * widest
    start = torch.rand(items, 1) * (size - width)
    place = torch.arange(size)[None]
    return (place >= start) & (place < start + width)


Perturbation = Crop | Mask | MixStyle | Tilt | Warp

PERTURBATIONS = Registry(
    "perturbation",
    {
        "crop": Crop,
        "mask": Mask,
        "mix_style": MixStyle,
        "tilt": Tilt,
        "warp": Warp,
    },
)


def build(name: str, **options: Any) -> Perturbation:
    """Make a perturbation by name."""
    perturbation: Perturbation = PERTURBATIONS.make(name, options)
    return perturbation
