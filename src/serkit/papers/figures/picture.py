"""What the pictures of all kinds share: the look of the reports' charts on white ground, and line styles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from serkit.atomic import writing
from serkit.reports.plots import BALANCED, INK, STYLE, TRAINING, VALIDATION

#: Pixels per inch.
RESOLUTION = 200

_COLOURS = (TRAINING, VALIDATION, BALANCED, "#a64d79", INK, "#8e7cc3", "#b58900", "#777777")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_MARKERS = "osD^vP*X"


def line(number: int) -> dict[str, Any]:
    """Return colour, dashes and marker of a picture's n-th line: told apart without colour too."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def save(path: Path, width: float, height: float, paint: Callable[[Any], None]) -> None:
    """Paint a figure of some inches and write it as PNG; equal input gives equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "figure.facecolor": "white", "savefig.facecolor": "white"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        with writing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=RESOLUTION, metadata={"Software": None})
