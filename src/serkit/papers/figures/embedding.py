"""The deep features of the first fold's test items, projected onto a plane by t-SNE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.colours import colours_of
from serkit.errors import UserError, unknown
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import line, save
from serkit.runs.tested import Tested
from serkit.training import loop


def draw(
    ran: Sequence[Ran],
    path: Path,
    classes: Sequence[str] = (),
    hardest: int = 0,
    perplexity: float = 30.0,
    seed: int = 0,
) -> Numbers:
    """Draw a panel for each run: a dot for each item, with color and shape by true class.

    Positions in the plane have no scale, and their distances little meaning. The silhouette is computed from the
    features themselves: the mean over items of (b - a) / max(a, b), where a is the mean distance to the items of
    the same class and b that to the items of the nearest other class (Rousseeuw 1987). 1: the classes are apart; 0:
    they overlap.

    Args:
        ran: the runs to show.
        path: path of the picture.
        classes: the classes to show; all if empty.
        hardest: in place of `classes`, show this many classes: those with the lowest recall in the first run.
        perplexity: of t-SNE; reduced if there are few items.
        seed: of t-SNE.

    Returns:
        By row label: `silhouette`, also by class, number of items `n`, and `points`: id, class and position of each.

    Raises:
        UserError: an unknown class, or fewer than two classes with enough items.
    """
    if hardest:
        recalls = {name: recall for name, recall in ran[0].scores.recalls.items() if recall is not None}
        classes = sorted(sorted(recalls, key=lambda name: recalls[name])[:hardest])
    numbers = {one.label: _lay_out(one, classes, perplexity, seed) for one in ran}
    shown = list(classes) or sorted({point["class"] for row in numbers.values() for point in row["points"]})

    colours = colours_of(shown)

    def paint(figure: Any) -> None:
        for axes, (label, row) in zip(figure.subplots(1, len(numbers), squeeze=False)[0], numbers.items(), strict=True):
            for number, name in enumerate(shown):
                places = np.array([[p["x"], p["y"]] for p in row["points"] if p["class"] == name]).reshape(-1, 2)
                look = line(number)
                axes.scatter(
                    *places.T, s=18, color=colours[name], marker=look["marker"], alpha=0.75, linewidths=0, label=name
                )
            axes.set_title(f"{label}\nsilhouette {row['silhouette']:.2f}, {row['n']} items")
            axes.set(xticks=[], yticks=[])
            axes.set_box_aspect(1)
            axes.spines[:].set_visible(True)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=8.5)

    save(path, max(4.0, 3.3 * len(numbers)), 4.2, paint)
    return numbers


def _lay_out(one: Ran, classes: Sequence[str], perplexity: float, seed: int) -> dict[str, Any]:
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_samples

    tested = Tested.load(one.folder)
    for name in classes:
        if name not in tested.experiment.labels:
            raise unknown("class", name, tested.experiment.labels)
    items = [item for item in tested.items(tested.split.test) if not classes or tested.label(item) in classes]
    labels = np.array([tested.label(item) for item in items])
    if not 1 < len(set(labels)) < len(items):
        raise UserError(
            f"row '{one.label}': {len(items)} test items of {len(set(labels))} classes; "
            "a silhouette requires two classes and more items than classes"
        )
    found = loop.outputs(tested.finished.model, tested.data(items), "features")
    # t-SNE uses three times as many neighbors as its perplexity; few items need a smaller one.
    effective = min(perplexity, (len(items) - 1) / 3)
    places = TSNE(perplexity=effective, init="pca", random_state=seed).fit_transform(found)
    silhouettes = silhouette_samples(found, labels)
    return {
        "silhouette": float(silhouettes.mean()),
        "silhouettes": {name: float(silhouettes[labels == name].mean()) for name in sorted(set(labels))},
        "n": len(items),
        "perplexity": effective,
        "points": [
            {"id": item.id, "class": str(label), "x": float(x), "y": float(y)}
            for item, label, (x, y) in zip(items, labels, places, strict=True)
        ],
    }
