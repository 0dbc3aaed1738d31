"""The pictures of a search, and the page that shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.atomic import write_text
from serkit.evaluation.metrics import CLASSES, named
from serkit.reports.plots import INK, TRAINING, VALIDATION, WIDTH, draw, save
from serkit.reports.report import template
from serkit.toml import write_value
from serkit.tuning import results
from serkit.tuning.conclusion import of_test
from serkit.tuning.results import HELD_OUT, Row, Search, best_over_time
from serkit.tuning.space import Parameter, parse_space, short_names

#: Trials in the page's table.
SHOWN = 20

#: Parameters beside each other in the parallel coordinates.
MOST = 10

#: Values of a parameter that are named at its axis.
_NAMED = 12

History = Mapping[str, Sequence[tuple[int, float, float, str]]]


def write(folder: Path, search: Search) -> None:
    """Write `search.html`, `history.png` and, if they are known, `importance.png`; nothing without a finished trial."""
    from markupsafe import Markup

    definition, best = search.definition, search.best
    if best is None:
        return
    history, importances = best_over_time(search), results.importances(search)
    caution = "No recording was held out for testing."
    if (folder / "held-out.csv").exists():
        caution = f"The score that counts is that of best.toml under its protocol {HELD_OUT}."
    if search.held_out is not None:
        caution = f"The score that counts: {of_test(search.held_out)}."
        if not search.best_is_tested:
            caution = f"It was not tested, unlike the one that was the best before: {of_test(search.held_out)}."
    report = f"{HELD_OUT}/report.html"
    metric = named(definition.metric, CLASSES)
    size, paint = _history(history, definition.metric, metric.name)
    save(folder / "history.png", *size, paint)
    charts = [
        {
            "title": "History",
            "caption": "The value of each finished trial, and the best so far.",
            "svg": Markup(draw("history", "Value of each trial", *size, paint)),
        }
    ]
    done = [row for row in search.rows if row.state == "done" and row.round == best.round]
    keys = list(importances) or list(dict.fromkeys(key for row in done for key in row.point))
    names = short_names(keys)
    if importances:
        size, paint = _importances(importances, names)
        save(folder / "importance.png", *size, paint)
        caption = "Share of each parameter in what tells the best points from the others (PED-ANOVA)."
        svg = draw("importance", "Importance of each parameter", *size, paint)
        charts.append({"title": "Importance", "caption": caption, "svg": Markup(svg)})
    axes = _axes(done, keys[:MOST], parse_space(definition.search, "search.json"))
    if len(done) > 1 and axes:
        size, paint = _parallel(done, axes, names, metric.name)
        caption = "Each line is a finished trial; the better, the darker, and the best one is orange."
        svg = draw("parallel", "Parallel coordinates of the trials", *size, paint)
        charts.append({"title": "Parallel coordinates", "caption": caption, "svg": Markup(svg)})
    shown = [row for row in search.rows if row.state == "done"][:SHOWN]
    page = template("search.html").render(
        system=definition.system,
        finished=sum(row.finished for row in search.rows),
        best=f"{metric.name} {best.value:.1%}",
        folds=len(best.folds),
        where="of all recordings" if definition.whole else "inside the training part",
        caution=caution,
        # On another machine, the run is in the folder of the command that has trained it.
        tested=report if search.best_is_tested and (folder / report).exists() else "",
        charts=charts,
        metric=metric.name,
        several=len(search.studies) > 1,
        names=names.values(),
        rows=[
            {
                "trial": row.slot,
                "round": row.round,
                "value": f"{row.value:.1%}",
                "folds": " ".join(f"{100 * fold[definition.metric]:.0f}" for fold in row.folds),
                "point": [_text(row.point[key]) if key in row.point else "" for key in keys],
            }
            for row in shown
        ],
    )
    write_text(folder / "search.html", page)


Painted = tuple[tuple[float, float], Callable[[Any], None]]


def _history(history: History, metric: str, title: str) -> Painted:
    """Return size and painter of the values over time; the rounds come latest first."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    values = [value for trials in history.values() for _, value, _, _ in trials]
    span = max(values) - min(values)
    # As many as tell the ticks apart: few trials often lie within one percent. Around a single value, steps are of 0.5.
    decimals = 0 if span > 0.06 else 1 if span > 0.006 or span == 0 else 2

    def paint(figure: Any) -> None:
        several = figure.subplots(1, len(history), sharey=True, squeeze=False)[0]
        for axes, (name, trials) in zip(several, reversed(list(history.items())), strict=True):
            for done, style in ((True, {"color": TRAINING}), (False, {"color": VALIDATION, "fillstyle": "none"})):
                some = [(number, value) for number, value, _, state in trials if (state == "done") is done]
                label = "done" if done else "ended early"
                axes.plot(*zip(*some, strict=True), "o", markersize=4, label=label, **style) if some else None
            known = [(number, best) for number, _, best, _ in trials if np.isfinite(best)]
            if known:
                axes.step(*zip(*known, strict=True), where="post", color=INK, linewidth=1.5, label="best")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals))
            axes.set_xlim(0.5, len(trials) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
            axes.set_xlabel("trial, in the order of their ends")
            if len(history) > 1:
                axes.set_title(name)
        several[0].set_ylabel(f"mean {title} of the inner folds")
        labelled = dict(zip(*reversed(several[0].get_legend_handles_labels()), strict=True))
        # Placed above the panels, where there are no trials.
        figure.legend(labelled.values(), labelled.keys(), loc="outside upper right", ncols=len(labelled))

    return (max(WIDTH, 3.0 * len(history)), 3.2), paint


def _importances(found: Mapping[str, float], names: Mapping[str, str]) -> Painted:
    """Return size and painter of the importances."""

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(xlim=(0, 1), ylim=(len(found) - 0.5, -0.5))
        for row, value in enumerate(found.values()):
            axes.barh(row, value, height=0.62, color=TRAINING)
            axes.text(1.02, row, f"{100 * value:.0f}%", va="center")
        axes.set_yticks(range(len(found)), [names[key] for key in found])
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("share in what tells the best points from the others (PED-ANOVA)")

    return (WIDTH + 1.0, 0.9 + 0.3 * len(found)), paint


class _Axis:
    """One vertical axis of the parallel coordinates.

    Args:
        key: key of the parameter.
        values: its values in the trials that have it.
        log: whether it is drawn on a logarithmic scale.
    """

    def __init__(self, key: str, values: Sequence[Any], log: bool) -> None:
        self.key = key
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        self.log = log and min(numbers, default=0) > 0
        different = list(dict.fromkeys(map(_text, values)))
        self._names = None if len(numbers) == len(values) and len(different) > 2 else sorted(different)
        self._ends = (self._scaled(min(numbers)), self._scaled(max(numbers))) if self._names is None else (0.0, 1.0)
        self._values = sorted(set(numbers))

    def _scaled(self, value: float) -> float:
        return float(np.log(value)) if self.log else float(value)

    def place(self, value: Any) -> float:
        """Return the height of a value, from 0 to 1."""
        if self._names is not None:
            return self._names.index(_text(value)) / max(1, len(self._names) - 1)
        low, high = self._ends
        return (self._scaled(value) - low) / ((high - low) or 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Return heights and texts of the values that are named."""
        if self._names is not None:
            return [(row / max(1, len(self._names) - 1), name) for row, name in enumerate(self._names[:_NAMED])]
        ends = self._values if len(self._values) <= 4 else [self._values[0], self._values[-1]]
        return [(self.place(value), _text(value)) for value in ends]


def _axes(rows: Sequence[Row], keys: Sequence[str], space: Mapping[str, Parameter]) -> list[_Axis]:
    """Return the axes of the parameters that differ between trials."""
    found = []
    for key in keys:
        values = [row.point[key] for row in rows if key in row.point]
        if len(set(map(_text, values))) > 1:
            found.append(_Axis(key, values, key in space and space[key].log))
    return found


def _parallel(rows: Sequence[Row], axes: Sequence[_Axis], names: Mapping[str, str], title: str) -> Painted:
    """Return size and painter of the parallel coordinates: the parameters, then the value."""
    values = np.array([row.value or 0.0 for row in rows])
    low, high = float(values.min()), float(values.max())
    share = (values - low) / ((high - low) or 1.0)

    def paint(figure: Any) -> None:
        plot = figure.add_subplot(xlim=(-0.1, len(axes) + 0.1), ylim=(-0.06, 1.06))
        # The best last, on top.
        for number in np.argsort(values, kind="stable"):
            point = rows[number].point
            # A parameter that does not apply interrupts the line.
            heights = [axis.place(point[axis.key]) if axis.key in point else np.nan for axis in axes]
            best = values[number] == high
            look = {"color": VALIDATION, "linewidth": 2.0} if best else {"color": TRAINING, "linewidth": 1.0}
            plot.plot([*heights, share[number]], alpha=1.0 if best else 0.15 + 0.6 * share[number], **look)
        for place, axis in enumerate(axes):
            plot.axvline(place, color=INK, linewidth=0.6)
            for height, text in axis.ticks():
                plot.annotate(text, (place, height), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
        plot.axvline(len(axes), color=INK, linewidth=0.6)
        for height, value in ((0.0, low), (1.0, high)):
            look = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
            plot.annotate(f"{100 * value:.1f}%", (len(axes), height), annotation_clip=False, **look)
        labels = [*(names[axis.key].replace(".", ".\n") for axis in axes), title]
        plot.set_xticks(range(len(axes) + 1), labels)
        plot.set_yticks([])
        plot.tick_params(axis="x", length=0)
        for side in ("left", "bottom"):
            plot.spines[side].set_visible(False)

    return (max(WIDTH, 1.3 * (len(axes) + 1)), 3.4), paint


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.3g}" if isinstance(value, float) else write_value(value)
