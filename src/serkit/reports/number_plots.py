"""The charts of a report on predicted numbers; they look like those of `serkit.reports.plots`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serkit.reports.plots import INK, TRAINING, VALIDATION, WIDTH, draw


def scatter(target: str, truth: np.ndarray, predicted: np.ndarray) -> str:
    """Draw each prediction over its label, with the line on which both agree and that of least squares.

    Args:
        target: its name.
        truth: labels, shape (n,); those that are not a number are left out.
        predicted: shape (n,).
    """
    known = np.isfinite(truth)
    truth, predicted = truth[known], predicted[known]
    low, high = (bound([bound(truth), bound(predicted)]) for bound in (np.min, np.max))
    margin = 0.04 * ((high - low) or 1.0)
    ends = np.array([low - margin, high + margin])

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(xlim=ends, ylim=ends, aspect="equal")
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(truth, predicted, "o", color=TRAINING, markersize=3.2, alpha=0.55, markeredgewidth=0)
        if np.ptp(truth) > 0:
            slope, offset = np.polyfit(truth, predicted, 1)
            axes.plot(ends, slope * ends + offset, color=VALIDATION, linewidth=1.8)
        axes.set_xlabel(f"{target} as labelled")
        axes.set_ylabel("predicted")

    return draw(f"scatter-{target}", f"Predicted {target} over the labels", WIDTH, WIDTH, paint)


def speakers(values: Mapping[str, Mapping[str, float]], pooled: Mapping[str, float]) -> str:
    """Draw the mean CCC of each speaker as a dot, and that of all with its interval.

    Args:
        values: `ccc` by speaker, as in `scores.json`.
        pooled: `estimate`, `low` and `high`.
    """
    ordered = sorted(values, key=lambda name: (values[name]["ccc"], name))
    named = len(ordered) <= 40  # more names would make a chart longer than a page
    lowest = min(0.0, pooled["low"], *(values[name]["ccc"] for name in ordered))

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(xlim=(lowest - 0.02, 1.02), ylim=(-0.7, len(ordered) - 0.3))
        axes.axvspan(pooled["low"], pooled["high"], color=TRAINING, alpha=0.22, linewidth=0)
        axes.axvline(pooled["estimate"], color=TRAINING, linewidth=1.5)
        axes.plot([values[name]["ccc"] for name in ordered], range(len(ordered)), "o", color=INK, markersize=5)
        axes.set_yticks(range(len(ordered)) if named else [], ordered if named else [])
        axes.set_ylabel("" if named else f"{len(ordered)} speakers, ordered by CCC")
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        # Below the whole figure: long names leave the axes too little room for it.
        figure.supxlabel("mean CCC of the speaker; line and band: all, with the 95% interval", fontsize="medium")

    title = f"Concordance of each of {len(ordered)} speakers"
    return draw("speakers", title, WIDTH, 1.0 + (0.24 * len(ordered) if named else 4.0), paint)
