"""Charts: SVG elements for pages with light or dark background, and PNG pictures on white.

Lines and text have the page's text color (`currentColor`), the background is transparent, and text stays text. Equal
input yields equal bytes. Ids begin with the chart's name, so that several charts can share a page.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.atomic import writing
from serkit.colours import colours_of
from serkit.evaluation.intervals import Ends
from serkit.evaluation.metrics import Metric

# All have a contrast above 3 to both white and #16191d, and differ in lightness or line too.
TRAINING = "#3d85c6"
VALIDATION = "#d9730d"
BALANCED = "#2e9d6a"
#: Near black, and not used for anything else; in a page, it becomes `currentColor`.
INK = "#010203"
# Maximum strength behind text that keeps the text readable in both modes.
_STRONGEST = 0.7

#: Style of a chart in a page, without background.
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be named `$`
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
#: Pixels per inch.
RESOLUTION = 200

_COLOURS = (TRAINING, VALIDATION, BALANCED, "#a64d79", INK, "#8e7cc3", "#b58900", "#777777")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_MARKERS = "osD^vP*X"
#: Width of a phone in inches, so that the text keeps its size there.
WIDTH = 4.7


def confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    """Draw a confusion matrix, with the share of the true class and the number in each cell.

    Args:
        counts: counts with true classes in rows and predicted classes in columns, shape (classes, classes).
        classes: names of the classes.
    """
    side = confusion_side(len(classes))
    title = f"Confusion matrix of {len(classes)} classes, {int(counts.sum())} predictions"
    return draw(
        "confusion", title, side, side - 0.2, lambda figure: paint_confusion(figure.add_subplot(), counts, classes)
    )


def confusion_side(classes: int) -> float:
    """Return the minimum width of a confusion matrix for its text, in inches."""
    return max(WIDTH, 1.2 + 0.48 * classes)


def shares_of(counts: np.ndarray) -> np.ndarray:
    """Return the share of each cell of a confusion matrix in its row; 0 in an empty row."""
    values: np.ndarray = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return values


def paint_confusion(axes: Any, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a confusion matrix into empty axes; the arguments are those of `confusion`."""
    from matplotlib.patches import Rectangle

    shares = shares_of(counts)
    axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5))
    axes.set_aspect("equal")
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, color=TRAINING, alpha=_STRONGEST * share, linewidth=0))
        if count:
            axes.text(column, row - 0.12, f"{100 * share:.0f}%", ha="center", va="center", fontsize=9)
            axes.text(column, row + 0.26, f"{count}", ha="center", va="center", fontsize=7.5)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def recalls(values: Mapping[str, float | None], uar: float) -> str:
    """Draw the recall of each class as a bar, and their mean as a line; None: a class without utterances."""

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(xlim=(0, 1), ylim=(len(values) - 0.5, -0.5))
        colours = colours_of(list(values))
        for row, (name, value) in enumerate(values.items()):
            # The outline shows a dark color on a dark page.
            axes.barh(row, value or 0.0, height=0.62, color=colours[name], edgecolor=INK, linewidth=0.6)
            # In a separate column, without bars and lines.
            text = "none" if value is None else f"{100 * value:.0f}%"
            look = {"va": "center", "ha": "right", "annotation_clip": False}
            axes.annotate(text, (1, row), xytext=(34, 0), textcoords="offset points", **look)
        axes.axvline(uar, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_title(f"UAR {100 * uar:.1f}%", x=uar)
        axes.set_yticks(range(len(values)), list(values))
        percent_axis(axes.xaxis, 0.25)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("recall")

    return draw("recalls", "Recall of each class", WIDTH, 1.1 + 0.29 * len(values), paint)


def speakers(values: Mapping[str, float], pooled: Ends, metric: Metric) -> str:
    """Draw a metric of each speaker as a dot, and the pooled metric with its interval.

    Args:
        values: the metric by speaker.
        pooled: the pooled metric.
        metric: the metric.
    """
    ordered = sorted(values, key=lambda name: (values[name], name))
    # More names would make the chart longer than a page.
    named = len(ordered) <= 40
    lowest = min(0.0, pooled.low, *values.values())

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(xlim=(lowest - 0.02, 1.02), ylim=(-0.7, len(ordered) - 0.3))
        axes.axvspan(pooled.low, pooled.high, color=TRAINING, alpha=0.22, linewidth=0)
        axes.axvline(pooled.estimate, color=TRAINING, linewidth=1.5)
        axes.plot([values[name] for name in ordered], range(len(ordered)), "o", color=INK, markersize=5)
        axes.set_yticks(range(len(ordered)) if named else [], ordered if named else [])
        axes.set_ylabel("" if named else f"{len(ordered)} speakers, ordered by {metric.name}")
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        if metric.unit == "%":
            percent_axis(axes.xaxis, 0.25)
        # Below the figure, because long names leave the axes too little room.
        figure.supxlabel(f"{metric.name} of the speaker; line and band: all, with the 95% interval", fontsize="medium")

    title = f"{metric.name} of each of {len(ordered)} speakers"
    return draw("speakers", title, WIDTH, 1.0 + (0.24 * len(ordered) if named else 4.0), paint)


def scatter(target: str, truth: np.ndarray, predicted: np.ndarray) -> str:
    """Draw each prediction over its label, with the identity line and the least-squares line.

    Args:
        target: name of the target.
        truth: labels, shape (n,); NaN is left out.
        predicted: predictions, shape (n,).
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
        axes.set_xlabel(f"label of {target}")
        axes.set_ylabel("predicted")

    return draw(f"scatter-{target}", f"Predicted {target} over the labels", WIDTH, WIDTH, paint)


def reliability(probabilities: np.ndarray, truth: np.ndarray, bins: int = 15) -> str:
    """Draw accuracy over confidence; calibrated predictions lie on the diagonal.

    The bins are those of `serkit.evaluation.calibration.ece`.

    Args:
        probabilities: probabilities, shape (n, classes).
        truth: class indices, shape (n,).
        bins: number of bins.
    """
    mean, accuracy, size = _binned(probabilities, truth, bins)
    there = size > 0

    def paint(figure: Any) -> None:
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(3.4, 1))
        upper.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        upper.plot(mean[there], accuracy[there], color=TRAINING, linewidth=1)
        # The area of a dot shows the number of predictions.
        areas = 6 + 60 * size[there] / size.max()
        upper.scatter(mean[there], accuracy[there], s=areas, color=TRAINING, clip_on=False)
        upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="of these, right")
        percent_axis(upper.yaxis, 0.25)
        lower.bar((np.arange(bins) + 0.5) / bins, size, width=0.86 / bins, color=TRAINING)
        lower.set(ylabel="predictions", xlabel="probability of the predicted class")
        lower.locator_params(axis="y", nbins=3, integer=True)
        percent_axis(lower.xaxis, 0.25)
        figure.align_ylabels()

    return draw("reliability", "Reliability diagram", WIDTH, 4.3, paint)


def learning_curves(stage: str, histories: Sequence[Sequence[Mapping[str, float]]]) -> str:
    """Draw loss and accuracy of a stage over the epochs: a thin line for each fold, a thick one for the mean.

    The mean ends when fewer than half of the folds are left.

    Args:
        stage: name of the stage.
        histories: records of `history.jsonl` of each fold.
    """
    panels = {
        "loss": {"training": "training_loss", "validation": "validation_loss"},
        "accuracy, UAR": {
            "training accuracy": "training_accuracy",
            "validation accuracy": "validation_accuracy",
            "validation UAR": "validation_uar",
        },
        "CCC": {"validation CCC": "validation_ccc"},
    }
    recorded = {key for history in histories for record in history for key in record}
    panels = {title: lines for title, lines in panels.items() if recorded & {*lines.values()}}
    looks = {
        "training": (TRAINING, "-"),
        "validation": (VALIDATION, (0, (5, 2))),
        "training accuracy": (TRAINING, "-"),
        "validation accuracy": (VALIDATION, (0, (5, 2))),
        "validation UAR": (BALANCED, (0, (1.5, 1.5))),
        "validation CCC": (VALIDATION, (0, (5, 2))),
    }

    def paint(figure: Any) -> None:
        rows = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for axes, (title, lines) in zip(rows, panels.items(), strict=True):
            for label, key in lines.items():
                curves = [[record[key] for record in history if key in record] for history in histories]
                curves = [curve for curve in curves if curve]
                color, dashes = looks[label]
                # A single epoch is drawn as a dot.
                marker = "o" if curves and max(map(len, curves)) == 1 else None
                look = {"color": color, "marker": marker}
                for curve in curves:
                    axes.plot(range(1, len(curve) + 1), curve, linewidth=0.6, alpha=0.4, **look)
                if curves:
                    mean = _mean(curves)
                    axes.plot(range(1, len(mean) + 1), mean, linewidth=2, linestyle=dashes, label=label, **look)
            axes.set_ylabel(title)
            axes.legend(fontsize=8.5, handlelength=2.6)
        if title == "accuracy, UAR":
            percent_axis(axes.yaxis, 0.25)
            axes.set_ylim(0, 1.02)
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        figure.align_ylabels()

    title = f"Learning curves of stage {stage}, {len(histories)} folds"
    return draw(f"curves-{stage}", title, WIDTH, 0.6 + 2.0 * len(panels), paint)


def sweep(rows: Sequence[str], values: np.ndarray, chosen: Sequence[int], metric: Metric) -> str:
    """Draw the validation scores of configurations: a dot for each fold, a line for the mean.

    Args:
        rows: names of the configurations.
        values: values of the metric, shape (folds, rows).
        chosen: chosen row of each fold; its dot is filled.
        metric: the metric.
    """

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(ylim=(len(rows) - 0.5, -0.5))
        for row in range(len(rows)):
            taken = np.array(chosen) == row
            axes.plot(values[~taken, row], [row] * int((~taken).sum()), "o", color=VALIDATION, fillstyle="none")
            axes.plot(values[taken, row], [row] * int(taken.sum()), "o", color=VALIDATION)
            axes.plot([values[:, row].mean()] * 2, [row - 0.2, row + 0.2], color=INK, linewidth=2)
        # Long names are above their dots; next to them, they would leave no room on a phone.
        for row, name in enumerate(rows):
            axes.text(0.0, row - 0.27, name, transform=axes.get_yaxis_transform(), va="bottom", fontsize=8.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if metric.unit == "%":
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(f"{metric.name} on the validation part; filled: taken; line: mean")

    title = f"Validation {metric.name} of {len(rows)} configurations in {len(values)} folds"
    return draw("sweep", title, WIDTH, 0.9 + 0.55 * len(rows), paint)


def _binned(probabilities: np.ndarray, truth: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean confidence, accuracy (both 0 for an empty bin) and number of predictions of each bin."""
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    numbers = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    size = np.bincount(numbers, minlength=bins)
    mean, accuracy = (
        np.bincount(numbers, weights=weights, minlength=bins) / np.maximum(size, 1) for weights in (sure, right)
    )
    return mean, accuracy, size


def _mean(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """Average curves of different lengths, as long as half of them continue."""
    return np.array([np.mean(values) for values in by_epoch(curves)])


def by_epoch(curves: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the values of each epoch, as long as half of the curves continue."""
    lengths = sorted(map(len, curves), reverse=True)
    end = lengths[(len(curves) - 1) // 2]
    return [[curve[epoch] for curve in curves if epoch < len(curve)] for epoch in range(end)]


def percent_axis(axis: Any, step: float) -> None:
    """Label an axis from 0 to 1 in percent."""
    axis.set_ticks(np.arange(0, 1 + step / 2, step), [f"{100 * v:.0f}%" for v in np.arange(0, 1 + step / 2, step)])


def draw(name: str, title: str, width: float, height: float, paint: Callable[[Any], None]) -> str:
    """Paint a figure and return it as an `<svg>` element.

    Args:
        name: unique name in a page; ids in the element begin with it.
        title: description of the figure for screen readers.
        width, height: size in inches.
        paint: function that draws into the empty figure.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), io.StringIO() as file:
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        return _fit(file.getvalue(), name, title)


def line(number: int) -> dict[str, Any]:
    """Return color, dashes and marker of a picture's n-th line, which differ without color too."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def save(path: Path, width: float, height: float, paint: Callable[[Any], None]) -> None:
    """Paint a figure and write it as PNG; the size is in inches, and equal input yields equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "figure.facecolor": "white", "savefig.facecolor": "white"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure)
        with writing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=RESOLUTION, metadata={"Software": None})


def _fit(svg: str, name: str, title: str) -> str:
    """Convert matplotlib's document to an element that can share a page with others."""
    svg = svg[svg.index("<svg") :].strip()
    # A style element would apply to the whole page.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", name)

    def fit_tag(match: re.Match[str]) -> str:
        tag = match[0].replace(INK, "currentColor")
        tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
        tag = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}-", tag)
        return re.sub(r"font-family: '[^;\"]*", "font-family: sans-serif", tag)

    # Only in tags, because a class may have such a name.
    svg = re.sub(r"<[^>]+>", fit_tag, svg)
    label = f'<title id="{prefix}-title">{html.escape(title)}</title>'
    opening = f'<svg role="img" aria-labelledby="{prefix}-title" stroke-linejoin="round" '
    head, end, rest = svg.partition(">")
    return head.replace("<svg ", opening, 1) + end + label + rest
