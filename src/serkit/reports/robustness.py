"""Robustness curves as JSON, CSV, a picture, and a chart of a report."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.atomic import writing
from serkit.corpora import Reading, load_all
from serkit.errors import UserError
from serkit.evaluation import robustness
from serkit.evaluation.evaluate import evaluate, hear
from serkit.evaluation.intervals import Ends
from serkit.evaluation.robustness import Measured, MeasuredCurve
from serkit.recognition.recognizer import load
from serkit.reports.plots import INK, TRAINING, VALIDATION, draw, percent_axis, save
from serkit.runs.folder import RunFolder

#: Name of the files without suffix.
NAME = "robustness"

# Size of a panel in the picture, and in the report's chart, in inches.
_WIDTH, _HEIGHT = 2.9, 2.25


def of_run(folder: Path, corpora: Sequence[str], curves: Sequence[str], seed: int = 0, jobs: int = 1) -> Measured:
    """Measure a run, with the model and the test part of each fold, so that no model is tested on its training
    material.

    Args:
        folder: folder of the run.
        corpora: `name=folder` of corpora that have moved.
        curves: names of `serkit.evaluation.robustness.CURVES`.
        seed: seed of all random numbers.
        jobs: number of threads.

    Returns:
        The measurement, with system, protocol, content and flags of the run.

    Raises:
        UserError: the folder does not hold a finished run, trained stages or corpora are missing, or the model reads a
            channel other than speech.
    """
    from serkit.runs.tested import parts

    run = RunFolder.load(folder)
    run.want_classes()
    about = {key: getattr(run.scores, key) for key in ("system", "protocol", "content", "flags")}
    measured = robustness.measure(parts(run, run.places(corpora)), curves, seed, jobs)
    return measured.model_copy(update={"model": folder.resolve().name, **about})


def of_bundle(
    name: str,
    corpora: Sequence[str],
    mapping: Mapping[str, str],
    curves: Sequence[str],
    seed: int = 0,
    jobs: int = 1,
    reading: Reading | None = None,
) -> tuple[Measured, Mapping[str, str]]:
    """Measure a bundle; recordings of its training material are flagged.

    Args:
        name: name or folder of the bundle.
        corpora: `name=folder` of each corpus.
        mapping: label -> label, or `drop`.
        curves, seed, jobs: see `of_run`.
        reading: how to read a user's own data.

    Returns:
        The measurement, with system, protocol and flags; and the reason by id for unreadable recordings.

    Raises:
        UserError: the bundle or a corpus does not exist, the bundle reads a channel other than speech, or no label
            belongs to the bundle.
    """
    recognizer = load(name)
    bundle = recognizer.bundle
    bundle.want_classes()
    if any(entry.channel for entry in bundle.inputs):
        raise UserError(f"{name}: reads the electroglottograph; robustness requires a bundle that reads only speech")
    found = load_all(corpora, reading)
    evaluation = evaluate(recognizer, found, mapping)
    by_id = {utterance.id: utterance for corpus in found for utterance in corpus.utterances}

    def recognise(signal: np.ndarray, rate: int) -> np.ndarray:
        probabilities = recognizer.predict_signal(signal, rate).probabilities
        return np.array([probabilities[label] for label in bundle.labels])

    part = robustness.Part(evaluation.predictions, lambda id: hear(bundle, by_id[id]), recognise)
    about = {"model": bundle.name, "system": bundle.system, "protocol": "the finished recogniser"}
    measured = robustness.measure([part], curves, seed, jobs)
    return measured.model_copy(update={**about, "flags": list(evaluation.flags)}), evaluation.failed


def write(measured: Measured, folder: Path) -> Measured:
    """Write `robustness.json`, `.csv` and `.png`, and keep earlier curves of the same measurement.

    Args:
        measured: result of `of_run` or `of_bundle`.
        folder: output folder; created if it does not exist.

    Returns:
        The content of the files.

    Raises:
        UserError: the folder's `robustness.json` is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    curves = {**_before(measured, folder / f"{NAME}.json"), **measured.curves}
    ordered = {name: curves[name] for name in robustness.CURVES if name in curves}
    measured = measured.model_copy(update={"curves": ordered})
    lines = list(robustness.rows(measured))
    # `open` is the inner block, so that the file is closed before the outer block renames it.
    with writing(folder / f"{NAME}.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
    columns, height = _grid(measured, 3)
    save(folder / f"{NAME}.png", columns * _WIDTH, height, lambda figure: _paint(figure, measured, columns))
    measured.save(folder / f"{NAME}.json")
    return measured


def _before(measured: Measured, path: Path) -> Mapping[str, MeasuredCurve]:
    """Return the curves of a file if it has the same model, recordings and seed; otherwise none."""
    if not path.exists():
        return {}
    found = Measured.load(path)
    return found.curves if found.model_copy(update={"curves": measured.curves}) == measured else {}


def chart(measured: Measured) -> str:
    """Draw the curves as an `<svg>` element."""
    columns, height = _grid(measured, 3)
    title = f"UAR under {len(measured.curves)} kinds of degradation"
    return draw(NAME, title, columns * _WIDTH, height, lambda figure: _paint(figure, measured, columns))


def _grid(measured: Measured, most: int) -> tuple[int, float]:
    """Return number of columns, and height in inches, of the panels."""
    count = len(measured.curves)
    columns = min(most, count)
    return columns, _HEIGHT * math.ceil(count / columns) + 0.3


def _paint(figure: Any, measured: Measured, columns: int) -> None:
    curves = list(measured.curves.values())
    panels = figure.subplots(math.ceil(len(curves) / columns), columns, sharey=True, squeeze=False)
    for axes, curve in zip(panels.flat, curves, strict=False):
        _paint_curve(axes, curve, measured.clean.metrics["uar"], 1 / len(measured.classes))
    for axes in panels.flat[len(curves) :]:
        axes.set_visible(False)
    for row in panels:
        row[0].set_ylabel("UAR")
    figure.supxlabel(
        "dot and band: UAR and its 95% interval; open dot, dashed line: original recordings; dotted: chance",
        fontsize=8,
    )


def _paint_curve(axes: Any, curve: MeasuredCurve, clean: Ends, chance: float) -> None:
    """Draw a curve from the original recordings to the strongest degradation, or through the neutral strength."""
    places, labels, scores, start = _points(curve, clean)
    axes.axhline(clean.estimate, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.axhline(chance, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    estimate = [score.estimate for score in scores]
    low, high = [score.low for score in scores], [score.high for score in scores]
    axes.fill_between(places, low, high, color=TRAINING, alpha=0.22, linewidth=0)
    axes.plot(places, estimate, color=TRAINING, marker="o", markersize=3.5, linewidth=1.4)
    axes.plot(places[start], estimate[start], "o", color=VALIDATION, fillstyle="none", markersize=6)
    axes.set_xticks(places, labels, fontsize=7.5)
    axes.margins(x=0.07)
    axes.set_title(curve.title)
    axes.set_xlabel(curve.axis, fontsize=8)
    axes.set_ylim(0, 1.02)
    percent_axis(axes.yaxis, 0.25)


def _points(curve: MeasuredCurve, clean: Ends) -> tuple[Sequence[float], Sequence[str], Sequence[Ends], int]:
    """Return positions, labels and scores of a curve's points, and the index of the original recordings."""
    scores = [point.metrics["uar"] for point in curve.points]
    if curve.neutral is None:
        # Bands have long names.
        found = [point.strength for point in curve.points]
        names = [text.replace(" Hz", "\nHz") if isinstance(text, str) else f"{text:g}" for text in found]
        return range(len(names) + 1), ["as is", *names], [clean, *scores], 0
    strengths = [float(point.strength) for point in curve.points]
    start = sum(strength < curve.neutral for strength in strengths)
    strengths.insert(start, curve.neutral)
    scores.insert(start, clean)
    return strengths, [f"{strength:g}" for strength in strengths], scores, start
