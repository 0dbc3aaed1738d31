"""Options of a timeline as parameters of a request; the names are those of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from serkit.errors import UserError
from serkit.recognition import TimelineOptions

_NUMBERS = ("window", "hop", "pause", "lookahead", "change")

#: Names of the parameters.
NAMES = (*_NUMBERS, "detector", "adapt")

# Maximum number of a client's characters that an error repeats.
_SHOWN = 40

_DEFAULTS = TimelineOptions()


def _seconds(text: str) -> Any:
    return Query(description=text, ge=0, allow_inf_nan=False)


def _of_request(
    window: Annotated[float | None, _seconds("Longest window, in s; default: 1.5, or the model's maximum.")] = None,
    hop: Annotated[float, _seconds("Time between windows, in s.")] = _DEFAULTS.hop,
    pause: Annotated[float, _seconds("Pause that ends a segment, in s.")] = _DEFAULTS.pause,
    lookahead: Annotated[float, _seconds("Time to wait for later sound, in s.")] = _DEFAULTS.lookahead,
    change: Annotated[float, _seconds("Cost of a change of emotion; higher: fewer segments.")] = _DEFAULTS.change,
    detector: Annotated[
        str, Query(max_length=_SHOWN, description="Speech detector: `webrtc`, `silero` (an extra), or `none`.")
    ] = _DEFAULTS.detector,
    adapt: Annotated[
        Literal["running"] | None, Query(description="`running`: adapt each window to all speech before it.")
    ] = None,
) -> TimelineOptions:
    return TimelineOptions(window, hop, detector, pause, lookahead, change, adapt is not None)


#: The options that an endpoint receives.
Options = Annotated[TimelineOptions, Depends(_of_request)]


def of_texts(asked: Mapping[str, str]) -> TimelineOptions:
    """Read the options from the parameters of a WebSocket, where FastAPI could not tell the client what is wrong.

    Raises:
        UserError: a value is not a number, or is out of range.
    """
    given: dict[str, Any] = {name: _number(name, asked[name]) for name in _NUMBERS if name in asked}
    if "detector" in asked:
        given["detector"] = asked["detector"][:_SHOWN]
    if asked.get("adapt", "running") != "running":
        raise UserError(f"adapt must be 'running', got {asked['adapt'][:_SHOWN]!r}")
    return TimelineOptions(**given, adapt="adapt" in asked)


def _number(name: str, text: str) -> float:
    try:
        return float(text[:_SHOWN])
    except ValueError:
        raise UserError(f"{name} must be a number from 0, got {text[:_SHOWN]!r}") from None
