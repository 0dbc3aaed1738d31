"""A forest plot of the differences between runs with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serkit.errors import UserError
from serkit.reports.comparison import Compared, cells
from serkit.reports.plots import INK, TRAINING, VALIDATION, save

#: Height of a row, and of the rest of the picture, in inches.
_ROW, _MARGIN = 0.55, 1.3


def draw(rows: Sequence[Compared], path: Path) -> None:
    """Draw the differences in UAR to the first run.

    A square is a difference with its 95 % interval; the dots below it are those of each seed.

    Args:
        rows: rows of `serkit.reports.comparison.table`.
        path: path of the PNG file.

    Raises:
        UserError: the path does not end in .png, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: --plot requires a file that ends in .png")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder (--plot)")
    compared = [row for row in rows if row.difference is not None]
    has_seeds = any(row.seeds for row in compared)

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        for place, row in enumerate(compared):
            middle, low, high = (
                100 * (end or 0.0) for end in (row.difference, row.difference_low, row.difference_high)
            )
            axes.plot([low, high], [place, place], color=TRAINING, linewidth=1.6, solid_capstyle="butt")
            axes.plot([middle], [place], "s", color=TRAINING, markersize=6)
            if row.seeds:
                each = [100 * value for value in row.seeds.differences]
                axes.plot(each, [place + 0.22] * len(each), "o", color=VALIDATION, markersize=3.5, alpha=0.8)
            *_, difference, interval, _, p = cells(row)
            text = f"{difference} ({interval})   p {p}"
            axes.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
        axes.set_yticks(range(len(compared)), [_name(row) for row in compared])
        # The first run is on top.
        axes.set_ylim(len(compared) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.25, linewidth=0.6)
        dots = "; dots: each seed" if has_seeds else ""
        axes.set_xlabel(f"points of UAR above {_name(rows[0])}\n(bars: 95 % interval{dots}; p: Holm)")

    save(path, 7.6, _MARGIN + _ROW * len(compared), paint)


def _name(row: Compared) -> str:
    return Path(row.run).name
