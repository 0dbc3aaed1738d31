"""The heat map of a cross-corpus matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from serkit.reports.plots import save
from serkit.runs.cross import Cell, Matrix
from serkit.writing import percent

#: Width of a cell, in inches.
_CELL = 1.45


def draw(found: Matrix, path: Path) -> None:
    """Draw a matrix as PNG: each cell has UAR, its interval and chance, and is darker further above chance.

    Args:
        found: result of `serkit.runs.cross.matrix`.
        path: path of the picture.
    """
    cells, names = found.rows, found.corpora
    # Chance depends on the classes, so cells are compared by their position between chance and 100 %.
    gain = np.array([[(cell.uar.estimate - cell.chance) / (1 - cell.chance) for cell in row] for row in cells])

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        image = axes.imshow(100 * gain, vmin=0, vmax=100, cmap="Blues")
        for (row, column), value in np.ndenumerate(gain):
            color = "white" if value > 0.55 else "black"
            for dy, size, text in zip((-0.2, 0.08, 0.28), (15, 8, 8), _texts(cells[row][column]), strict=True):
                axes.text(column, row + dy, text, ha="center", va="center", fontsize=size, color=color)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("tested on")
        axes.set_ylabel("trained on")
        axes.set_title(f"{found.system}: UAR in %, its 95% interval, and chance")
        figure.colorbar(image, ax=axes, label="position between chance and 100% UAR (%)", shrink=0.85)

    save(path, 2.4 + _CELL * len(names), 1.2 + _CELL * len(names), paint)


def _texts(cell: Cell) -> tuple[str, str, str]:
    return (
        percent(cell.uar.estimate),
        f"{percent(cell.uar.low)} to {percent(cell.uar.high)}",
        f"chance {percent(cell.chance)} ({len(cell.classes)} classes)",
    )
