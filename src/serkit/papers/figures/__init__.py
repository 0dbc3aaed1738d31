"""Kinds of published figures: each draws finished runs of one corpus as a PNG file and returns the numbers drawn.

A kind is a function `draw(ran, path, **options) -> Numbers` that needs only the folders of the runs and the
corpora they name. To add one, write its file and add its line to `FIGURES`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serkit.errors import unknown
from serkit.evaluation.scores import Scores

FIGURES = {
    "attention": "serkit.papers.figures.attention:draw",
    "confusion": "serkit.papers.figures.confusion:draw",
    "embedding": "serkit.papers.figures.embedding:draw",
    "fold_scores": "serkit.papers.figures.fold_scores:draw",
    "grid": "serkit.papers.figures.grid:draw",
    "learning_curves": "serkit.papers.figures.learning_curves:draw",
    "mining": "serkit.papers.figures.mining:draw",
    "probe": "serkit.papers.figures.probe:draw",
    "sweep": "serkit.papers.figures.sweep:draw",
}


#: The numbers of a figure, as JSON; the kind defines their form.
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Ran:
    """A finished run that a figure shows.

    Args:
        label: of the figure's row.
        corpus: corpus of the run.
        folder: folder of the run.
        scores: its scores.
        at: the row's value on the axis of a sweep, or its two values on the axes of a grid.
        published: printed values in percent by metric, for this corpus.
    """

    label: str
    corpus: str
    folder: Path
    scores: Scores
    at: float | Sequence[float] | None = None
    published: Mapping[str, float] = field(default_factory=dict)


def drawing(kind: str, options: Mapping[str, Any]) -> Callable[[Sequence[Ran], Path], Numbers]:
    """Return the function that draws a kind of figure, with its options filled in.

    Args:
        kind: a key of `FIGURES`.
        options: options of that kind.

    Raises:
        UserError: unknown kind or option.
    """
    if kind not in FIGURES:
        raise unknown("kind of figure", kind, FIGURES)
    module, _, attribute = FIGURES[kind].partition(":")
    draw = getattr(importlib.import_module(module), attribute)
    known = [name for name in inspect.signature(draw).parameters if name not in ("ran", "path")]
    for option in options:
        if option not in known:
            raise unknown(f"option of figure '{kind}'", option, known)
    return functools.partial(draw, **options)
