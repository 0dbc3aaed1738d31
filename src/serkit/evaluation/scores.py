"""All scores of a run in one record, of one shape for classes and for numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from serkit.errors import unknown
from serkit.evaluation.calibration import ece
from serkit.evaluation.intervals import Ends, Interval, interval, mean_interval
from serkit.evaluation.metrics import CLASSES, METRICS, NUMBERS, Metric, confusion, recalls, sums
from serkit.evaluation.nested import Calibration
from serkit.evaluation.predictions import Answers, NumberPredictions, Predictions
from serkit.evaluation.unsure import Sure
from serkit.flags import Flag
from serkit.recognition.presentation import html_table
from serkit.records import Flags, Record


class Values(Record):
    """Values of metrics by key, in the file next to the fields of the record."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics by key."""
        return self.__pydantic_extra__


class Constant(Values):
    """Metrics of a constant answer.

    Args:
        answer: the answer.
        of: what it was learned from: `training labels` or `truth`.
    """

    answer: str
    of: str


class Speaker(Values):
    """Metrics of one speaker; `n` is the number of predictions."""

    n: int


class Table(Record):
    """Metrics with their intervals by key, in the file next to the fields of the record.

    Args:
        n: number of predictions.
        constant: metrics of a constant answer.
        recalls: recall by class; None for a class that does not occur. Empty for numbers.
        confusion: number of predictions, rows true, columns predicted; empty for numbers.
        ece: expected calibration error of classes.
        targets: for each target of numbers its table; the table above has only their mean CCC.
        range: lowest and highest label of a target.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Interval] = Field(init=False)

    n: int = 0
    constant: Constant | None = None
    recalls: dict[str, float | None] = Field({})
    confusion: list[list[int]] = Field([])
    ece: float | None = None
    targets: dict[str, Table] = Field({})
    range: tuple[float, float] | None = None

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, document: Any) -> Any:
        """Convert the constant answers of older files, and leave out what is neither a field nor a metric."""
        if not isinstance(document, Mapping):
            return document
        found = {key: value for key, value in document.items() if key in cls.model_fields or key in METRICS}
        if "mean_predictor" in document:
            source = {"answer": "the training mean", "of": "training labels"}
            found["constant"] = {**source, **document["mean_predictor"]}
        if majority := document.get("majority"):
            source = {"answer": majority["class"], "of": majority.get("of", "truth")}
            found["constant"] = {**source, **_always(document, majority)}
        return found

    @property
    def metrics(self) -> Mapping[str, Interval]:
        """The metrics by key."""
        return self.__pydantic_extra__

    def tables(self) -> Mapping[str, Table]:
        """Return the tables of metrics by target; classes have one without a name."""
        return self.targets or {"": self}


class Summary(Record):
    """Metrics of classes with the ends of their intervals by key, and the expected calibration error."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Ends] = Field(init=False)

    ece: float

    @classmethod
    def of(cls, predictions: Predictions, **fields: Any) -> Self:
        """Score predictions; `fields` are those of the class."""
        metrics = {metric: interval(predictions, metric).ends for metric in CLASSES}
        return cls(ece=ece(predictions.probabilities, predictions.truth), **metrics, **fields)

    @property
    def metrics(self) -> Mapping[str, Ends]:
        """The metrics by key."""
        return self.__pydantic_extra__


class Baseline(Table):
    """Metrics of the baseline on the same folds; `system` is its name."""

    system: str


class Seeds(Record):
    """Metrics of each seed, and over several seeds their mean and standard deviation (n - 1)."""

    each: dict[str, dict[str, float]]
    mean: dict[str, float] = Field({})
    sd: dict[str, float] = Field({})


class Scores(Table):
    """The content of `scores.json`.

    Args:
        system: name of the system.
        protocol: name of the protocol.
        content: hash of the scored recordings by corpus.
        folds: number of folds.
        configurations: number of configurations tried.
        chosen_on: how one of them, and the epochs, were chosen.
        recipe: how the system's settings were found.
        precision: precisions of the folds' stages; empty if the file is older.
        task: `classes` or `numbers`.
        utterances: number of scored utterances.
        classes: class names in the order of `confusion`; empty for numbers.
        speakers: metrics of each speaker.
        corpora: metrics of each corpus, if there are several.
        mean: of classes, the mean of each metric over several corpora, each counting the same; `n` is their number.
        seeds: metrics of each seed.
        flags: leaks, and choices made on the test part.
        unsure: benefit of marking unsure answers.
        calibration: calibration error with temperatures fitted inside the folds.
        baseline: metrics of the baseline.
    """

    system: str = ""
    protocol: str = ""
    content: dict[str, str] = Field({})
    folds: int = 1
    configurations: int = 1
    chosen_on: str = "nothing to choose"
    recipe: str | None = None
    precision: list[str] = Field([])
    task: Literal["classes", "numbers"]
    utterances: int
    classes: list[str] = Field([])
    speakers: dict[str, Speaker] = Field({})
    corpora: dict[str, Table] = Field({})
    mean: Table | None = None
    seeds: Seeds
    flags: Flags
    unsure: Sure | None = None
    calibration: Calibration | None = None
    baseline: Baseline | None = None

    def __repr__(self) -> str:
        metric = METRICS[next(iter(self.metrics))]
        value = self.metrics[metric.key]
        interval = f" [{metric.range(value.low, value.high)}]" if value.low is not None else ""
        about = f"{self.system}, {self.protocol}, {self.utterances} utterances"
        return f"Scores({about}: {metric.in_words(value.estimate)}{interval}, {len(self.flags)} flags)"

    def _repr_html_(self) -> str:
        """Return the table of scores in HTML, with the flags below."""
        found = [metric for key, metric in METRICS.items() if any(key in row.values for row in rows(self))]
        cells = [
            [f"{row.target} {row.name or row.kind}".strip(), row.n, *(_shown(metric, row) for metric in found)]
            for row in rows(self)
        ]
        flags = "; ".join(flag.text for flag in self.flags)
        caption = f"{self.system}, {self.protocol}, {self.folds} folds{': ' if flags else ''}{flags}"
        return html_table(["", "n", *(metric.heading for metric in found)], cells, caption)

    @model_validator(mode="before")
    @classmethod
    def _named_task(cls, document: Any) -> Any:
        """Add the task to older files, in which only scores of numbers have targets."""
        if isinstance(document, Mapping) and "task" not in document:
            return {"targets": {}, **document, "task": "numbers" if "targets" in document else "classes"}
        return document


def scores(
    predictions: Answers, flags: Sequence[Flag] = (), learned: Sequence[str] | np.ndarray | None = None
) -> Scores:
    """Compute all scores that serkit reports.

    Args:
        predictions: predictions of all folds and seeds; metrics are computed over all of them together.
        flags: leaks, and choices made on the test part; stored with the scores.
        learned: basis of the constant answer: the class names of all training parts, of which the most common is
            answered; for numbers the mean label of each prediction's training part, shape (n, targets). None: the truth
            is the basis.

    Raises:
        UserError: the most common training label is not a class of the predictions, or a target of numbers has labels
            of fewer than two utterances.
    """
    names = np.array(predictions.corpora)
    parts = {str(name): predictions.select(names == name) for name in np.unique(names)}
    return Scores(
        task=predictions.task,
        n=len(predictions),
        utterances=len(set(predictions.ids)),
        classes=list(predictions.classes) if isinstance(predictions, Predictions) else [],
        speakers=_speakers(predictions),
        seeds=_seeds(predictions),
        flags=list(flags),
        **_corpora(parts),
        **_table(predictions, learned),
    )


def _corpora(parts: Mapping[str, Answers]) -> Mapping[str, Any]:
    """Return the tables of several corpora, and for classes their mean."""
    if len(parts) < 2:
        return {}
    tables = {name: table for name, part in parts.items() if (table := _corpus(part))}
    of_classes = [part for part in parts.values() if isinstance(part, Predictions)]
    if not of_classes:
        return {"corpora": tables}
    means = {metric: mean_interval(of_classes, metric) for metric in CLASSES}
    return {"corpora": tables, "mean": Table(n=len(parts), **means)}


def _table(predictions: Answers, learned: Any) -> Mapping[str, Any]:
    """Return the fields of the table of all predictions."""
    if isinstance(predictions, NumberPredictions):
        mean = _mean(predictions)
        labels = dict(zip(predictions.targets, predictions.truth.T, strict=True))
        means = dict.fromkeys(labels) if learned is None else dict(zip(labels, learned.T, strict=True))
        targets = {name: _target(part, labels[name], means[name]) for name, part in predictions.parts()}
        return {**mean, "targets": targets}
    assert isinstance(predictions, Predictions)
    truth, count = predictions.truth, len(predictions.classes)
    of_class = zip(predictions.classes, recalls(truth, predictions.predicted, count), strict=True)
    return {
        **_metrics(predictions),
        "recalls": {name: None if np.isnan(recall) else float(recall) for name, recall in of_class},
        "confusion": confusion(truth, predictions.predicted, count).tolist(),
        "constant": _commonest(predictions, learned),
        "ece": ece(predictions.probabilities, truth),
        "targets": {},
    }


def _target(part: Answers, labels: np.ndarray, learned: np.ndarray | None) -> Table:
    """Score one target of numbers; `labels` and `learned` cover all predictions."""
    ends = float(np.nanmin(labels)), float(np.nanmax(labels))
    return Table(n=len(part), range=ends, constant=_mean_answer(labels, learned), **_metrics(part))


def _mean(predictions: NumberPredictions) -> Mapping[str, Interval]:
    return {predictions.metric().key: interval(predictions)}


def _metrics(predictions: Answers) -> Mapping[str, Interval]:
    return {metric: interval(predictions, metric) for metric in predictions.metrics}


def _corpus(predictions: Answers) -> Table | None:
    """Score one of several corpora; None if no target has enough labels."""
    if not isinstance(predictions, NumberPredictions):
        return Table(n=len(predictions), **_metrics(predictions))
    rated = predictions.rated()
    if rated is None:
        return None
    targets = {name: Table(n=len(part), **_metrics(part)) for name, part in rated.parts()}
    return Table(n=len(rated), targets=targets, **_mean(rated))


def _commonest(predictions: Predictions, learned: Sequence[str] | None) -> Constant:
    """Score a constant prediction of the most common class; of equally common ones the first."""
    truth, classes = predictions.truth, predictions.classes
    labels = [classes[index] for index in truth] if learned is None else learned
    name, _ = min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    if name not in classes:
        raise unknown("class", name, classes)
    always = confusion(truth, np.full(len(truth), classes.index(name)), len(classes))
    source = "truth" if learned is None else "training labels"
    return Constant(answer=name, of=source, **{key: float(metric.of(always)) for key, metric in CLASSES.items()})


def _mean_answer(labels: np.ndarray, learned: np.ndarray | None) -> Constant:
    """Score a constant prediction of the mean label, (n,), which differs between folds."""
    always = np.full(len(labels), np.nanmean(labels)) if learned is None else learned
    counts = sums(labels[:, None], always[:, None], np.zeros(len(labels), dtype=int))[0]
    answer, source = ("the mean", "truth") if learned is None else ("the training mean", "training labels")
    return Constant(answer=answer, of=source, **{key: float(metric.of(counts)) for key, metric in NUMBERS.items()})


def _overall(predictions: Answers) -> Sequence[str]:
    """Return the metrics that are valid for all predictions; for targets with different units, only the first."""
    keys = list(predictions.metrics)
    return keys[:1] if isinstance(predictions, NumberPredictions) else keys


def _speakers(predictions: Answers) -> dict[str, Speaker]:
    """Return number of predictions and metrics of each speaker; None is called `unknown`."""
    names, clusters = np.unique([speaker or "unknown" for speaker in predictions.speakers], return_inverse=True)
    counts, sizes = predictions.counts(clusters), np.bincount(clusters)
    values = {key: predictions.metrics[key].of(counts) for key in _overall(predictions)}
    return {
        str(name): Speaker(n=int(sizes[row]), **{key: float(of_all[row]) for key, of_all in values.items()})
        for row, name in enumerate(names)
    }


def _seeds(predictions: Answers) -> Seeds:
    """Return the metrics of each seed, and their mean and deviation if there are several."""
    keys, each = _overall(predictions), {}
    for seed in np.unique(predictions.seeds):
        part = predictions.select(predictions.seeds == seed)
        each[str(seed)] = {key: part.value(key) for key in keys}
    if len(each) < 2:
        return Seeds(each=each)
    values = {key: [of_seed[key] for of_seed in each.values()] for key in keys}
    mean = {key: float(np.mean(of_all)) for key, of_all in values.items()}
    return Seeds(each=each, mean=mean, sd={key: float(np.std(of_all, ddof=1)) for key, of_all in values.items()})


@dataclass(frozen=True)
class Value:
    """A value in a table of scores; None: not known.

    Args:
        estimate: the metric.
        low: lower end of its interval.
        high: upper end.
        method: method of the interval.
        sd: standard deviation over seeds.
    """

    estimate: float
    low: float | None = None
    high: float | None = None
    method: str | None = None
    sd: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of a table of scores.

    Args:
        target: target of numbers; empty for classes.
        name: name of the scored corpus, system or constant answer; empty: all.
        kind: `all`, `corpus`, `mean` (of the corpora), `baseline`, `constant` or `seeds`.
        n: number of predictions; of a mean, the number of corpora.
        values: values by metric.
    """

    target: str
    name: str
    kind: str
    n: int
    values: Mapping[str, Value]


def rows(scored: Scores) -> Iterator[Row]:
    """Yield the rows of a table of scores: for each target all, the corpora, their mean, the baseline, the constant."""
    baseline = scored.baseline
    for target, table in scored.tables().items():
        yield Row(target, "", "all", table.n, _values(table))
        for corpus, part in scored.corpora.items():
            if of_corpus := part.tables().get(target):
                yield Row(target, corpus, "corpus", of_corpus.n, _values(of_corpus))
        if mean := scored.mean:
            yield Row(target, "", "mean", mean.n, _values(mean))
        if baseline:
            yield Row(target, baseline.system, "baseline", table.n, _values(baseline.tables()[target]))
        if constant := table.constant:
            values = {key: Value(value) for key, value in constant.metrics.items()}
            yield Row(target, constant.answer, "constant", table.n, values)


def _shown(metric: Metric, row: Row) -> str:
    """Return a value with its interval."""
    value = row.values.get(metric.key)
    if value is None or value.low is None:
        return metric.text(value.estimate if value else None)
    return f"{metric.text(value.estimate)} [{metric.range(value.low, value.high)}]"


def _values(table: Table) -> Mapping[str, Value]:
    found = table.metrics.items()
    return {key: Value(value.estimate, value.low, value.high, value.method) for key, value in found}


def _always(scored: Mapping[str, Any], majority: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the metrics of a constant answer of the majority class, from the confusion matrix."""
    if "confusion" not in scored:
        return {key: majority[key] for key in CLASSES if key in majority}
    counts = np.array(scored["confusion"])
    always = np.zeros_like(counts)
    always[:, scored["classes"].index(majority["class"])] = counts.sum(axis=1)
    return {key: float(metric.of(always)) for key, metric in CLASSES.items()}
