"""Timeline options that `serkit predict --timeline` and `serkit stream` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from serkit.errors import UserError
from serkit.recognition.timeline_options import TimelineOptions

_DEFAULTS = TimelineOptions()


def _option(help: str, metavar: str = "S") -> Any:
    return typer.Option(metavar=metavar, help=help, show_default=False, rich_help_panel="Timeline")


Window = Annotated[float | None, _option("Longest window, in s. Default: 1.5, or the recognizer's maximum.")]
Hop = Annotated[float | None, _option(f"Time between windows, in s. Default: {_DEFAULTS.hop:g}.")]
Detector = Annotated[
    str | None, _option("Speech detector: webrtc (default), silero (an extra), none (all is speech).", "NAME")
]
Pause = Annotated[float | None, _option(f"Pause that ends a segment, in s. Default: {_DEFAULTS.pause:g}.")]
Lookahead = Annotated[
    float | None, _option(f"Time to wait for later sound before a decision, in s. Default: {_DEFAULTS.lookahead:g}.")
]
Change = Annotated[
    float | None,
    _option(f"Cost of a change of emotion; a higher cost gives fewer segments. Default: {_DEFAULTS.change:g}.", "X"),
]
Running = Annotated[
    bool,
    typer.Option(
        "--adapt-running",
        help="Adapt each window to all speech before it, without labels; for one voice.",
        rich_help_panel="Timeline",
    ),
]


def given(**options: Any) -> dict[str, Any]:
    """Return the given options."""
    return {name: value for name, value in options.items() if value is not None}


def refuse(options: dict[str, Any]) -> None:
    """Raise UserError if a timeline option is given without --timeline."""
    for name in options:
        raise UserError(f"--{'adapt-running' if name == 'adapt' else name} requires --timeline")
