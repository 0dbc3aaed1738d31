"""The options of a timeline, which `serkit predict --timeline` and `serkit stream` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from serkit.errors import UserError
from serkit.recognition import TimelineOptions

_DEFAULTS = TimelineOptions()


def _option(help: str, metavar: str = "S") -> Any:
    return typer.Option(metavar=metavar, help=help, show_default=False, rich_help_panel="Timeline")


Window = Annotated[
    float | None, _option("Longest stretch recognised at once, in s. Default: 1.5, or what the recogniser can.")
]
Hop = Annotated[float | None, _option(f"From result to result, in s. Default: {_DEFAULTS.hop:g}.")]
Detector = Annotated[
    str | None, _option("Finds the speech: webrtc (default), silero (an extra), none (all is speech).", "NAME")
]
Pause = Annotated[
    float | None, _option(f"Time without speech that ends a segment, in s. Default: {_DEFAULTS.pause:g}.")
]
Lookahead = Annotated[
    float | None, _option(f"Time heard beyond a moment before it is decided, in s. Default: {_DEFAULTS.lookahead:g}.")
]
Change = Annotated[
    float | None,
    _option(f"Price of a change of emotion; more gives fewer segments. Default: {_DEFAULTS.change:g}.", "X"),
]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def refuse(options: dict[str, Any]) -> None:
    """Raise UserError if an option of the timeline was given without it."""
    for name in options:
        raise UserError(f"--{name} is an option of the timeline: add --timeline")
