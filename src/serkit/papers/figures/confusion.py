"""Confusion matrices side by side, each row of a matrix in shares of the true class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import UserError, unknown
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import confusion_side, paint_confusion, save, shares_of


def draw(ran: Sequence[Ran], path: Path, classes: Sequence[str] = ()) -> Numbers:
    """Draw one matrix for each run: rows true, columns predicted, with the same order of classes in all.

    Args:
        ran: the runs to show.
        path: path of the picture.
        classes: their order; as in the scores if empty.

    Returns:
        `classes`, and by row label `counts`, `shares` and the share on the diagonal of each class (`recalls`).

    Raises:
        UserError: the runs have different classes, or not the named ones.
    """
    order = list(classes) or list(ran[0].scores.classes)
    counts = {}
    for one in ran:
        found = list(one.scores.classes)
        for name in order:
            if name not in found:
                raise unknown(f"class of row '{one.label}'", name, found)
        if len(order) != len(found):
            left_out = ", ".join(sorted(set(found) - set(order)))
            raise UserError(f"a confusion matrix requires all classes; missing from row '{one.label}': {left_out}")
        places = [found.index(name) for name in order]
        counts[one.label] = np.array(one.scores.confusion)[np.ix_(places, places)]

    side = confusion_side(len(order))

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(counts), squeeze=False)[0]
        for axes, (label, matrix) in zip(panels, counts.items(), strict=True):
            paint_confusion(axes, matrix, order)
            axes.set_title(label)

    # The squares take the whole width; title and names need height of their own.
    save(path, side * len(counts), side + 0.5, paint)
    shares = {label: shares_of(matrix) for label, matrix in counts.items()}
    rows = {
        label: {
            "counts": matrix.tolist(),
            "shares": shares[label].tolist(),
            "recalls": dict(zip(order, np.diag(shares[label]).tolist(), strict=True)),
        }
        for label, matrix in counts.items()
    }
    return {"classes": order, "rows": rows}
