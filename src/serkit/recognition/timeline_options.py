"""Options of a timeline. Light, because the help of the command line shows their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

from serkit.errors import UserError

if TYPE_CHECKING:
    from serkit.recognition.bundle import Bundle

_WINDOW = 1.5
_SHORTEST_HOP = 0.05


@dataclass(frozen=True)
class TimelineOptions:
    """Options of a timeline. The defaults were chosen by measurement (docs/timeline.md).

    Args:
        window: length of a window in s; None: 1.5, or less if the bundle's maximum is less.
        hop: time between results, in s.
        detector: voice activity detector: `webrtc`, `silero` (an extra) or `none` (everything is speech).
        pause: time without speech that ends a segment, in s; not less than `hop`.
        lookahead: time after a moment that is read before its label is decided, in s.
        change: cost of a change of emotion, in nats times seconds; a higher cost yields fewer segments. See
            `change_for` for recognizers whose probabilities were flattened.
        adapt: whether each window is adapted to all speech so far (see `recognition.adaptation`): for one voice, or one
            channel of a call.

    Raises:
        UserError: a value is invalid.
    """

    window: float | None = None
    hop: float = 0.5
    detector: str = "webrtc"
    pause: float = 0.6
    lookahead: float = 1.0
    change: float = 1.0
    adapt: bool = False

    def __post_init__(self) -> None:
        for name in ("window", "hop", "pause", "lookahead", "change"):
            value = getattr(self, name)
            if value is None and name == "window":
                continue
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
                raise UserError(f"{name} must be a number from 0, got {value!r}")
        if not isinstance(self.adapt, bool):
            raise UserError(f"adapt must be True or False, got {self.adapt!r}")
        if not isinstance(self.detector, str):
            raise UserError(f"detector must be a name, got {self.detector!r}")
        if self.hop < _SHORTEST_HOP:
            raise UserError(f"hop must be at least {_SHORTEST_HOP:g} s, got {self.hop:g} s")
        if self.pause < self.hop:
            raise UserError(f"pause {self.pause:g} s is shorter than hop {self.hop:g} s")
        if self.window is not None and self.window < self.hop:
            raise UserError(f"window {self.window:g} s is shorter than hop {self.hop:g} s")

    def check(self, bundle: Bundle) -> None:
        """Raise UserError if a bundle does not support these options."""
        from serkit.recognition import activity

        self.window_for(bundle)
        activity.build(self.detector)

    def window_for(self, bundle: Bundle) -> float:
        """Return the length of a bundle's windows in s.

        Raises:
            UserError: the window exceeds the bundle's maximum.
        """
        longest = bundle.windowing.seconds or math.inf
        if self.window is None:
            return min(_WINDOW, longest)
        if self.window > longest:
            raise UserError(f"window {self.window:g} s exceeds the maximum of {longest:g} s of bundle '{bundle.name}'")
        return self.window

    def change_for(self, bundle: Bundle) -> float:
        """Return the cost of a change in terms of a bundle's probabilities, in nats times seconds.

        A temperature above 1 brings all log probabilities closer together, because answers on corpora never met are
        often wrong. It says nothing about when an emotion changes, so the cost becomes smaller with them.
        """
        return self.change / max(1.0, bundle.calibration.temperature if bundle.calibration else 1.0)
