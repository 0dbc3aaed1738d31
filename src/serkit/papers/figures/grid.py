"""A score over two settings, as maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import UserError
from serkit.evaluation.metrics import CLASSES, named
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import save


def draw(
    ran: Sequence[Ran], path: Path, settings: Sequence[str] = ("first", "second"), metric: str = "accuracy"
) -> Numbers:
    """Draw a map for each group of runs, with a cell for each run at its row's `at`.

    Args:
        ran: the runs to show; the text before the first comma of a label names the map.
        path: path of the picture.
        settings: names of the horizontal and the vertical axis.
        metric: key of a metric of classes, over all folds.

    Returns:
        `metric`, and by map the values of both axes (`first`, `second`), the `estimates` (first, second), None where
        there is no run, and their `mean`.

    Raises:
        UserError: unknown metric, or a row without two values in `at`.
    """
    measure = named(metric, CLASSES)
    cells: dict[str, dict[tuple[float, float], float]] = {}
    for one in ran:
        if not isinstance(one.at, Sequence) or len(one.at) != 2:
            raise UserError(f"row '{one.label}' has no place in the map; give it a grid of two settings")
        place = (one.at[0], one.at[1])
        cells.setdefault(one.label.partition(",")[0], {})[place] = one.scores.metrics[metric].estimate
    axes = [sorted({place[axis] for found in cells.values() for place in found}) for axis in range(2)]
    maps = {
        name: np.array([[found.get((x, y), np.nan) for y in axes[1]] for x in axes[0]]) for name, found in cells.items()
    }
    low, high = (100 * bound([bound(list(found.values())) for found in cells.values()]) for bound in (min, max))

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(maps), squeeze=False)[0]
        for panel, (name, values) in zip(panels, maps.items(), strict=True):
            # Equal colors for equal scores in all maps.
            image = panel.imshow(100 * values.T, vmin=low, vmax=high, aspect="auto", origin="lower", cmap="viridis")
            for x, y in np.ndindex(values.shape):
                if np.isfinite(values[x, y]):
                    dark = 100 * values[x, y] < (low + high) / 2
                    text = f"{100 * values[x, y]:.0f}"
                    panel.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            panel.set_xticks(range(len(axes[0])), [f"{value:.3g}" for value in axes[0]], rotation=45)
            panel.set_yticks(range(len(axes[1])), [f"{value:.3g}" for value in axes[1]])
            panel.set_xlabel(settings[0])
            panel.set_title(name)
        panels[0].set_ylabel(settings[1])
        figure.colorbar(image, ax=panels, label=f"{measure.name} (%)")

    save(path, 1.6 + 2.9 * len(maps), 3.2, paint)
    numbers = {
        name: {
            "first": axes[0],
            "second": axes[1],
            "estimates": [[None if np.isnan(value) else float(value) for value in row] for row in values],
            "mean": float(np.nanmean(values)),
        }
        for name, values in maps.items()
    }
    return {"metric": metric, "maps": numbers}
