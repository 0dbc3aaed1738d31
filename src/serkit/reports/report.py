"""The report of a run: a self-contained HTML page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit import flags
from serkit.atomic import write_json, write_text
from serkit.evaluation import scores
from serkit.evaluation.metrics import ccc
from serkit.evaluation.predictions import Answers, NumberPredictions
from serkit.evaluation.scores import Row, Value
from serkit.protocols import Protocol
from serkit.reports import failures_page, plots
from serkit.reports.conclusion import of_run
from serkit.reports.failures import SLICES, Failures, find
from serkit.runs import command
from serkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import Template

#: Names of metrics in papers, and in serkit.
NAMES_IN_PAPERS = {
    "chen2022": "its “unweighted accuracy” is accuracy here",
    "guizzo2023": "its “accuracy” is that of segments of 4 s, averaged over batches",
    "kim2024": "its “weighted accuracy” is accuracy here",
    "skoulidis2023": "its “accuracy” and “macro F1” are the same here",
    "zhong2020": "its WA is accuracy here, its UA is UAR",
}

#: The fold table shows the number of more names.
MOST_NAMES = 4


def write(run_folder: Path, failures: Failures | None = None, sound: bool = True) -> Path:
    """Write `report.html` into a finished run's folder, and `slices.json` if its recordings exist.

    Args:
        run_folder: folder written by `serkit train`.
        failures: failures of the run; None: they are computed.
        sound: whether the page includes the sound of the errors.

    Returns:
        The path of the page.

    Raises:
        UserError: the folder does not hold a finished run.
    """
    run, path = RunFolder.load(run_folder), run_folder / "report.html"
    if failures is None and not run.numbers:
        failures = find(run)
    if failures and failures.slices:
        slices = {name: [row.to_dict() for row in rows] for name, rows in failures.slices.items()}
        write_json(run_folder / SLICES, slices)
    write_text(path, render(run, failures, sound))
    return path


def template(name: str = "report.html") -> Template:
    """Return the template of a page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("serkit", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _in_percent
    environment.filters["shell"] = _one_option_a_line
    return environment.get_template(name)


def render(run: RunFolder, failures: Failures | None = None, sound: bool = True) -> str:
    """Return the page; only runs of classes have `failures`."""
    found = flags.worst_first(run.scores.flags)
    about = run.system.system
    return template().render(
        metrics=run.task.metrics,
        main=run.task.metric(),
        run=run,
        scores=run.scores,
        title=about.title or about.name,
        protocol=describe(run.description.protocol.definition()),
        rows=list(_rows(run)),
        names=NAMES_IN_PAPERS.get(about.paper or ""),
        flags=found,
        conclusion=of_run(run),
        verdict=flags.verdict(found),
        configurations=configurations(run),
        folds=list(_folds(run)),
        command=command.command(run.description),
        charts=_charts(run),
        **(failures_page.content(run, failures, sound) if failures else {}),
    )


def _in_percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


def _one_option_a_line(command: str) -> str:
    words = [shlex.quote(word) for word in shlex.split(command)]
    return " ".join(f"\\\n  {word}" if word.startswith("--") else word for word in words)


def describe(protocol: Protocol) -> str:
    """Describe a protocol in words.

    >>> describe(Protocol(kind="leave_one_group_out", validation=0.1))
    'each speaker tested by a model trained on the others; 10% of the training part for validation'
    """
    groups = {"corpus": "corpora", "sex": "sexes"}.get(protocol.group, f"{protocol.group}s")
    texts: dict[str, Callable[[], str]] = {
        "random": lambda: f"{protocol.test:.0%} of the utterances tested, drawn at random",
        "group_random": lambda: f"{protocol.test:.0%} of the {groups} tested, drawn at random",
        "kfold": lambda: f"{protocol.folds} folds of utterances, drawn at random",
        "group_kfold": lambda: f"{protocol.folds or 'up to five'} folds of whole {groups}",
        "leave_one_group_out": lambda: f"each {protocol.group} tested by a model trained on the others",
        "fixed": lambda: "parts as listed in a file",
        "given": lambda: "parts as the corpus names them",
    }
    text = texts[protocol.kind]()
    if protocol.unit == "item":
        text += "; pieces and augmented copies are cut, not utterances"
    if protocol.validation:
        text += f"; {protocol.validation:.0%} of the training part for validation"
    if protocol.repeats > 1:
        text += f"; {protocol.repeats} times, each with another seed"
    return text


def _rows(run: RunFolder) -> Iterator[Row]:
    """Yield the rows of the score table."""
    scored = run.scores
    everything = "all corpora" if scored.corpora and not run.numbers else "this system"
    always = "always {}" if run.numbers else "always “{}”"
    for row in scores.rows(scored):
        names = {"all": everything, "mean": "mean of the corpora", "constant": always.format(row.name)}
        yield replace(row, name=names.get(row.kind, row.name))
    if (seeds := scored.seeds).mean:
        values = {key: Value(mean, sd=seeds.sd[key]) for key, mean in seeds.mean.items()}
        target = "mean of the targets" if run.numbers else ""
        yield Row(target, f"mean of {len(seeds.each)} seeds", "seeds", scored.utterances, values)


@dataclass(frozen=True)
class Configuration:
    """A configuration of a sweep: its name, the number of folds that chose it, and its mean validation score."""

    name: str
    taken: int
    validation: float


def configurations(run: RunFolder) -> list[Configuration]:
    """Return the configurations of a sweep; none if there is only one."""
    names, notes = command.rows(run.description), list(run.notes.values())
    if len(names) < 2:
        return []
    means = np.mean([note.validation for note in notes], axis=0)
    taken = [note.chosen for note in notes]
    return [Configuration(name, taken.count(row), float(means[row])) for row, name in enumerate(names)]


def _folds(run: RunFolder) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the fold table."""
    predictions = run.predictions
    names = command.rows(run.description)
    trained = {fold: stage for fold, stage, _ in run.trained(run.system.deployed)}
    for split in run.splits:
        part = predictions.select((predictions.folds == split.fold) & (predictions.seeds == split.seed))
        tested = sorted({speaker or "unknown" for speaker in part.speakers})
        stage = trained.get(split.name)
        yield {
            "name": split.name,
            "speakers": ", ".join(tested) if len(tested) <= MOST_NAMES else f"{len(tested)} speakers",
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
            "values": _values(part),
            "epochs": stage and stage.epochs,
            "seconds": stage and stage.seconds,
            "chosen": names[run.notes[split.name].chosen],
        }


def _values(part: Answers) -> dict[str, str]:
    """Return the shown scores of a fold's test part: all metrics of classes, or the first metric of each target of
    numbers."""
    if not isinstance(part, NumberPredictions):
        return {metric.name: metric.amount(part.value(key)) for key, metric in part.metrics.items()}
    columns = zip(part.targets, part.truth.T, part.values.T, strict=True)
    return {
        name: part.metric().text(ccc(labels, values) if np.isfinite(labels).any() else None)
        for name, labels, values in columns
    }


def _charts(run: RunFolder) -> Mapping[str, Any]:
    """Draw the charts. They are marked as safe, because their text is escaped when it is drawn."""
    from markupsafe import Markup

    scored, predictions, main = run.scores, run.predictions, run.task.metric()
    of_speaker = {name: speaker.metrics[main.key] for name, speaker in scored.speakers.items()}
    charts = {"speakers": plots.speakers(of_speaker, scored.metrics[main.key], main)}
    if run.numbers:
        columns = zip(predictions.targets, predictions.truth.T, predictions.values.T, strict=True)
        scatter = {name: Markup(plots.scatter(name, truth, values)) for name, truth, values in columns}
    else:
        scatter = {}
        charts["recalls"] = plots.recalls(scored.recalls, scored.metrics["uar"].estimate)
        charts["confusion"] = plots.confusion(np.array(scored.confusion), scored.classes)
        charts["reliability"] = plots.reliability(predictions.probabilities, predictions.truth)
    if len(names := command.rows(run.description)) > 1:
        notes = run.notes.values()
        values = np.array([note.validation for note in notes])
        charts["sweep"] = plots.sweep(names, values, [note.chosen for note in notes], main)
    return {**{name: Markup(svg) for name, svg in charts.items()}, "scatter": scatter, "curves": curves(run)}


def curves(run: RunFolder) -> Mapping[str, Any]:
    """Draw the learning curves of each stage that was trained by epochs."""
    from markupsafe import Markup

    histories = {s.name: [h for _, _, h in run.trained(s.name) if h] for s in run.system.stages}
    return {name: Markup(plots.learning_curves(name, found)) for name, found in histories.items() if found}
