"""F0 of noisy, expressive or pauseless recordings: `f0_egg` with other options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from serkit.features.f0_egg import F0Egg, Level
from serkit.features.spectrum import Share


@dataclass(frozen=True)
class F0Robust(F0Egg):
    """F0 over time computed by `F0Egg`, with the options that suit most recordings.

    A frame is voiced if it is periodic, not because it is louder than the pauses, so noise down to 10 dB and
    recordings without pauses do no harm. Jumps of the voice are followed, where the reconstruction of the
    published smoothing ends a run. `docs/systems/chen2022.md` compares both.
    """

    above_noise: Level = -100.0
    periodicity: Share = 0.6
    estimator: str = "normalised"
    interpolate: bool = True
    breaks: str = "restart"

    name: ClassVar[str] = "f0_robust"
