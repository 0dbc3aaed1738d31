"""The report of a run: one HTML page that needs nothing else, neither a server nor a network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit import flags
from serkit.atomic import write_json, write_text
from serkit.evaluation import metrics
from serkit.reports import failures_page, plots
from serkit.reports.failures import SLICES, Failures, find
from serkit.runs import command
from serkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import Template

#: What papers call the metrics (the words of each paper, and serkit's).
NAMES_IN_PAPERS = {
    "chen2022": "its “unweighted accuracy” is accuracy here",
    "guizzo2023": "its “accuracy” is that of segments of 4 s, averaged over batches",
    "kim2024": "its “weighted accuracy” is accuracy here",
    "skoulidis2023": "its “accuracy” and “macro F1” are the same here",
    "zhong2020": "its WA is accuracy here, its UA is UAR",
}

#: In the fold table more names than this are only counted.
MOST_NAMES = 4


def write(run_folder: Path, failures: Failures | None = None, sound: bool = True) -> Path:
    """Write `report.html` into a finished run's folder, and `slices.json` where its recordings were found.

    Args:
        run_folder: as `serkit train` left it.
        failures: where it fails; None: that is looked for.
        sound: whether the errors can be heard: the page then holds recordings.

    Returns:
        The page's path.

    Raises:
        UserError: the folder holds no finished run.
    """
    run, path = RunFolder.load(run_folder), run_folder / "report.html"
    if run.numbers:
        from serkit.reports import number_report

        write_text(path, number_report.render(run))
        return path
    if failures is None:
        failures = find(run)
    if failures.slices:
        write_json(run_folder / SLICES, failures.slices)
    write_text(path, render(run, failures, sound))
    return path


def template(name: str) -> Template:
    """Return a page of this folder to be filled in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("serkit", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _in_percent
    environment.filters["score"] = _in_percent
    environment.filters["shell"] = _one_option_a_line
    return environment.get_template(name)


def render(run: RunFolder, failures: Failures, sound: bool = True) -> str:
    """Return the page."""
    return template("report.html").render(
        metric="UAR",
        run=run,
        scores=run.scores,
        title=run.system["system"]["title"] or run.system["system"]["name"],
        protocol=describe(run.description["protocol"]),
        rows=list(_rows(run)),
        names=NAMES_IN_PAPERS.get(run.system["system"]["paper"] or ""),
        flags=flags.read(run.scores["flags"]),
        verdict=flags.verdict(flags.read(run.scores["flags"])),
        configurations=configurations(run),
        folds=list(_folds(run)),
        command=command.command(run.description),
        charts=_charts(run),
        **failures_page.content(run, failures, sound),
    )


def _in_percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


def _one_option_a_line(command: str) -> str:
    words = [shlex.quote(word) for word in shlex.split(command)]
    return " ".join(f"\\\n  {word}" if word.startswith("--") else word for word in words)


def describe(protocol: Mapping[str, Any]) -> str:
    """Put a protocol, as in `run.json`, into words.

    >>> describe({"kind": "leave_one_group_out", "group": "speaker", "validation": 0.1, "repeats": 1,
    ...           "unit": "utterance"})
    'each speaker tested by a model trained on the others; 10% of the training part for validation'
    """
    groups = {"corpus": "corpora", "sex": "sexes"}.get(protocol["group"], f"{protocol['group']}s")
    text = {
        "random": lambda: f"{protocol['test']:.0%} of the utterances tested, drawn at random",
        "group_random": lambda: f"{protocol['test']:.0%} of the {groups} tested, drawn at random",
        "kfold": lambda: f"{protocol['folds']} folds of utterances, drawn at random",
        "group_kfold": lambda: f"{protocol['folds'] or 'up to five'} folds of whole {groups}",
        "leave_one_group_out": lambda: f"each {protocol['group']} tested by a model trained on the others",
        "fixed": lambda: "parts as listed in a file",
    }[protocol["kind"]]()
    if protocol["unit"] == "item":
        text += "; pieces and augmented copies are cut, not utterances"
    if protocol["validation"]:
        text += f"; {protocol['validation']:.0%} of the training part for validation"
    if protocol["repeats"] > 1:
        text += f"; {protocol['repeats']} times, each with another seed"
    return text


def _rows(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the rows of the score table."""
    scores = run.scores
    corpora = scores.get("corpora", {})
    yield {"name": "all corpora" if corpora else "this system", "n": scores["n"], **_metrics(scores)}
    for name, part in corpora.items():
        yield {"name": name, "n": part["n"], **_metrics(part)}
    if baseline := scores.get("baseline"):
        yield {"name": baseline["system"], "n": scores["n"], **_metrics(baseline)}
    majority = {metric: {"estimate": value} for metric, value in run.majority().items()}
    yield {"name": f"always “{scores['majority']['class']}”", "n": scores["n"], **majority}
    if "mean" in scores["seeds"]:
        seeds = scores["seeds"]
        cells = {metric: {"estimate": seeds["mean"][metric], "sd": seeds["sd"][metric]} for metric in metrics.METRICS}
        yield {"name": f"mean of {len(seeds['each'])} seeds", "n": scores["utterances"], **cells}


def _metrics(table: Mapping[str, Any]) -> dict[str, Any]:
    return {metric: table[metric] for metric in metrics.METRICS}


def configurations(run: RunFolder) -> list[dict[str, Any]]:
    """Return name, number of folds that took it and mean validation score of each configuration tried."""
    grid = run.description["system"]
    notes = list(run.notes.values())
    if len(grid) < 2:
        return []
    means = np.mean([note["validation"] for note in notes], axis=0)
    taken = [note["chosen"] for note in notes]
    return [
        {"name": name, "taken": taken.count(row), "validation": float(means[row])}
        for row, name in enumerate(command.rows(grid))
    ]


def _folds(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the rows of the fold table."""
    predictions = run.predictions
    names = command.rows(run.description["system"])
    trained = {fold: stage for fold, stage, _ in run.trained(run.deployed)}
    for split in run.splits:
        part = predictions.select((predictions.folds == split.fold) & (predictions.seeds == split.seed))
        tested = sorted({speaker or "unknown" for speaker in part.speakers})
        stage = trained.get(split.name, {})
        yield {
            "name": split.name,
            "speakers": ", ".join(tested) if len(tested) <= MOST_NAMES else f"{len(tested)} speakers",
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
            "accuracy": metrics.accuracy(part.truth, part.predicted),
            "uar": metrics.uar(part.truth, part.predicted),
            "epochs": stage.get("epochs"),
            "seconds": stage.get("seconds"),
            "chosen": names[run.notes[split.name]["chosen"]],
        }


def _charts(run: RunFolder) -> dict[str, Any]:
    """Draw the charts. They are marked as safe: what stands in them is escaped when it is drawn."""
    from markupsafe import Markup

    scores, predictions = run.scores, run.predictions
    charts = {
        "recalls": plots.recalls(scores["recalls"], scores["uar"]["estimate"]),
        "confusion": plots.confusion(np.array(scores["confusion"]), scores["classes"]),
        "speakers": plots.speakers(scores["speakers"], scores["uar"]),
        "reliability": plots.reliability(predictions.probabilities, predictions.truth),
    }
    grid = run.description["system"]
    if len(grid) > 1:
        notes = run.notes.values()
        values = np.array([note["validation"] for note in notes])
        charts["sweep"] = plots.sweep(command.rows(grid), values, [note["chosen"] for note in notes])
    return {**{name: Markup(svg) for name, svg in charts.items()}, "curves": curves(run)}


def curves(run: RunFolder) -> dict[str, Any]:
    """Draw the learning curves of each stage that was trained by epochs."""
    from markupsafe import Markup

    histories = {s["name"]: [h for _, _, h in run.trained(s["name"]) if h] for s in run.system["stages"]}
    return {name: Markup(plots.learning_curves(name, found)) for name, found in histories.items() if found}
