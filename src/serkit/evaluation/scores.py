"""All scores of a run in one JSON document, of one shape for classes and for numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from serkit.errors import unknown
from serkit.evaluation.calibration import ece
from serkit.evaluation.intervals import interval, mean_interval
from serkit.evaluation.metrics import CLASSES, METRICS, NUMBERS, confusion, recalls, sums
from serkit.evaluation.predictions import Answers, NumberPredictions, Predictions
from serkit.flags import Flag


def scores(
    predictions: Answers, flags: Sequence[Flag] = (), learned: Sequence[str] | np.ndarray | None = None
) -> dict[str, Any]:
    """Compute all scores that serkit reports.

    Args:
        predictions: predictions of all folds and seeds; metrics are computed over all of them together.
        flags: leaks, and choices made on the test part; stored with the scores.
        learned: basis of the constant answer: the class names of all training parts, of which the most common is
            answered; for numbers the mean label of each prediction's training part, shape (n, targets). None: the truth
            is the basis.

    Returns:
        A JSON object: `task` (`classes` or `numbers`); counts `n` and `utterances`; `classes`, empty for numbers; a
        table; `speakers`, each with `n` and metrics; `corpora` if there are several, each with `n` and a table, and for
        classes `mean`, their number `n` and the mean of each metric over them, each corpus counting the same;
        `seeds`, the metrics of `each`, and if there are several their `mean` and `sd`; `flags`.

        A table holds the metrics with their intervals, and `constant`, the metrics of a constant answer, which `answer`
        names. For classes, it has `recalls` (None for a class that does not occur), `confusion` (rows true, columns
        predicted) and `ece` too; `targets` is empty. For numbers, there is a table for each of `targets`, with its `n`
        and the `range` of its labels; the table above has only the mean CCC.

    Raises:
        UserError: the most common training label is not a class of the predictions, or a target of numbers has labels
            of fewer than two utterances.
    """
    found: dict[str, Any] = {
        "task": predictions.task,
        "n": len(predictions),
        "utterances": len(set(predictions.ids)),
        "classes": list(predictions.classes) if isinstance(predictions, Predictions) else [],
        **_table(predictions, learned),
        "speakers": _speakers(predictions),
    }
    corpora = np.array(predictions.corpora)
    if len(set(corpora)) > 1:
        parts = {str(name): predictions.select(corpora == name) for name in np.unique(corpora)}
        found["corpora"] = {name: part for name, of_one in parts.items() if (part := _corpus(of_one))}
        if isinstance(predictions, Predictions):
            means = {metric: asdict(mean_interval(list(parts.values()), metric)) for metric in predictions.metrics}
            found["mean"] = {"n": len(parts), **means}
    found["seeds"] = _seeds(predictions)
    found["flags"] = [flag.to_dict() for flag in flags]
    return found


def _table(predictions: Answers, learned: Any) -> dict[str, Any]:
    """Score all predictions; see `scores`."""
    if isinstance(predictions, Predictions):
        truth, count = predictions.truth, len(predictions.classes)
        of_class = zip(predictions.classes, recalls(truth, predictions.predicted, count), strict=True)
        return {
            **_intervals(predictions),
            "recalls": {name: None if np.isnan(recall) else float(recall) for name, recall in of_class},
            "confusion": confusion(truth, predictions.predicted, count).tolist(),
            "constant": _commonest(predictions, learned),
            "ece": ece(predictions.probabilities, truth),
            "targets": {},
        }
    assert isinstance(predictions, NumberPredictions)
    found = _intervals(predictions)
    for column, (name, labels) in enumerate(zip(predictions.targets, predictions.truth.T, strict=True)):
        found["targets"][name] |= {
            "range": [float(np.nanmin(labels)), float(np.nanmax(labels))],
            "constant": _mean(labels, None if learned is None else learned[:, column]),
        }
    return found


def _intervals(predictions: Answers) -> dict[str, Any]:
    """Return the metrics with their intervals; for numbers the mean CCC, and all metrics of each target."""
    if isinstance(predictions, NumberPredictions):
        mean = asdict(interval(predictions))
        targets = {name: {"n": len(part), **_metrics(part)} for name, part in predictions.parts()}
        return {predictions.metric().key: mean, "targets": targets}
    return _metrics(predictions)


def _metrics(predictions: Answers) -> dict[str, Any]:
    return {metric: asdict(interval(predictions, metric)) for metric in predictions.metrics}


def _corpus(predictions: Answers) -> dict[str, Any] | None:
    """Score one of several corpora; None if no target has enough labels."""
    rated = predictions.rated() if isinstance(predictions, NumberPredictions) else predictions
    return None if rated is None else {"n": len(rated), **_intervals(rated)}


def _commonest(predictions: Predictions, learned: Sequence[str] | None) -> dict[str, Any]:
    """Score a constant prediction of the most common class; of equally common ones the first."""
    truth, classes = predictions.truth, predictions.classes
    labels = [classes[index] for index in truth] if learned is None else learned
    name, _ = min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    if name not in classes:
        raise unknown("class", name, classes)
    always = confusion(truth, np.full(len(truth), classes.index(name)), len(classes))
    source = "truth" if learned is None else "training labels"
    return {"answer": name, "of": source, **{key: float(metric.of(always)) for key, metric in CLASSES.items()}}


def _mean(labels: np.ndarray, learned: np.ndarray | None) -> dict[str, Any]:
    """Score a constant prediction of the mean label, (n,), which differs between folds."""
    always = np.full(len(labels), np.nanmean(labels)) if learned is None else learned
    counts = sums(labels[:, None], always[:, None], np.zeros(len(labels), dtype=int))[0]
    answer, source = ("the mean", "truth") if learned is None else ("the training mean", "training labels")
    return {"answer": answer, "of": source, **{key: float(metric.of(counts)) for key, metric in NUMBERS.items()}}


def _overall(predictions: Answers) -> Sequence[str]:
    """Return the metrics that are valid for all predictions; for targets with different units, only the first."""
    keys = list(predictions.metrics)
    return keys[:1] if isinstance(predictions, NumberPredictions) else keys


def _speakers(predictions: Answers) -> dict[str, dict[str, float]]:
    """Return number of predictions and metrics of each speaker; None is called `unknown`."""
    names, clusters = np.unique([speaker or "unknown" for speaker in predictions.speakers], return_inverse=True)
    counts, sizes = predictions.counts(clusters), np.bincount(clusters)
    values = {key: predictions.metrics[key].of(counts) for key in _overall(predictions)}
    return {
        str(name): {"n": int(sizes[row]), **{key: float(of_all[row]) for key, of_all in values.items()}}
        for row, name in enumerate(names)
    }


def _seeds(predictions: Answers) -> dict[str, Any]:
    """Return the metrics of each seed, and over several seeds their mean and standard deviation (n - 1)."""
    keys, each = _overall(predictions), {}
    for seed in np.unique(predictions.seeds):
        part = predictions.select(predictions.seeds == seed)
        each[str(seed)] = {key: part.value(key) for key in keys}
    if len(each) < 2:
        return {"each": each}
    values = {key: [of_seed[key] for of_seed in each.values()] for key in keys}
    return {
        "each": each,
        "mean": {key: float(np.mean(of_all)) for key, of_all in values.items()},
        "sd": {key: float(np.std(of_all, ddof=1)) for key, of_all in values.items()},
    }


@dataclass(frozen=True)
class Row:
    """A line of a table of scores.

    Args:
        target: target of numbers; empty for classes.
        name: name of the scored corpus, system or constant answer; empty: all.
        kind: `all`, `corpus`, `mean` (of the corpora), `baseline` or `constant`.
        n: number of predictions; of a mean, the number of corpora.
        values: by metric the `estimate`, and the ends `low` and `high` of its interval if known.
    """

    target: str
    name: str
    kind: str
    n: int
    values: Mapping[str, Mapping[str, Any]]


def tables(scored: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the tables of metrics of scores, of a corpus or of a baseline by target; classes have one without a
    name."""
    return dict(scored["targets"]) if scored.get("targets") else {"": scored}


def rows(scored: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of a table of `scores`: for each target all, corpora, their mean, the baseline, the constant."""
    baseline = scored.get("baseline")
    for target, table in tables(scored).items():

        def row(name: str, kind: str, part: Mapping[str, Any], n: int, target: str = target) -> Row:
            return Row(target, name, kind, n, {key: _value(part[key]) for key in METRICS if key in part})

        yield row("", "all", table, table["n"])
        for corpus, part in scored.get("corpora", {}).items():
            if target in (of_corpus := tables(part)):
                yield row(corpus, "corpus", of_corpus[target], of_corpus[target]["n"])
        if mean := scored.get("mean"):
            yield row("", "mean", mean, mean["n"])
        if baseline:
            yield row(baseline["system"], "baseline", tables(baseline)[target], table["n"])
        yield row(table["constant"]["answer"], "constant", table["constant"], table["n"])


def _value(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"estimate": value}


def upgraded(scored: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores of an older file in the shape of `scores`; scores in that shape do not change.

    Older files have no `task`, texts as flags, `majority` for classes, and `mean_predictor` for each target.
    """
    found = {**scored, "flags": [Flag.read(flag).to_dict() for flag in scored.get("flags", ())]}
    if "task" in scored:
        return found
    found["task"] = "numbers" if "targets" in scored else "classes"
    if "targets" in scored:
        found["targets"] = {name: _with_constant(table) for name, table in scored["targets"].items()}
        return found
    found["targets"] = {}
    if majority := found.pop("majority", None):
        values = _always(scored, majority)
        found["constant"] = {"answer": majority["class"], "of": majority.get("of", "truth"), **values}
    return found


def _with_constant(table: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(table)
    constant = {"answer": "the training mean", "of": "training labels", **found.pop("mean_predictor", {})}
    return {**found, "constant": constant}


def _always(scored: Mapping[str, Any], majority: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a constant answer of the majority class, from the confusion matrix."""
    if "confusion" not in scored:
        return {key: majority[key] for key in CLASSES if key in majority}
    counts = np.array(scored["confusion"])
    always = np.zeros_like(counts)
    always[:, scored["classes"].index(majority["class"])] = counts.sum(axis=1)
    return {key: float(metric.of(always)) for key, metric in CLASSES.items()}
