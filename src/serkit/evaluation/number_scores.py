"""All numbers of a run that predicts numbers in one JSON document, each with its interval over speakers.

The interval is made as those of shares (see `serkit.evaluation.intervals`): the jackknife that leaves one speaker out
and Student's t. CCC and Pearson's correlation go through Fisher's z (Lin 1989 does so too), RMSE and MAE through the
logarithm: there their errors are nearly normal, and the ends stay where the metric can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from serkit.errors import UserError
from serkit.evaluation.agreement import AGREEMENT, score, sums
from serkit.evaluation.intervals import Clusters, Interval, by_speaker, jackknife, method, student
from serkit.evaluation.number_predictions import NumberPredictions
from serkit.flags import Flag

# Perfect agreement has an infinite z, no error at all an infinite logarithm.
_NEAR_ONE = 1 - 1e-12
_NEAR_ZERO = 1e-12


def scores(
    predictions: NumberPredictions, flags: Sequence[Flag] = (), constants: np.ndarray | None = None
) -> dict[str, Any]:
    """Score predicted numbers in every way serkit reports.

    Args:
        predictions: of all folds and seeds; metrics go over all of them together.
        flags: what leaked or was chosen on the test part; stored with the scores.
        constants: mean label of each prediction's training part, shape (n, targets): what has learned nothing
            predicts that. None: the mean of the truth.

    Returns:
        What `json.dump` takes: counts; no `classes`; `ccc`, the mean over the targets with its interval; `targets`,
        for each its `n`, `ccc`, `pearson`, `rmse` and `mae` with their intervals, the `range` of the labels, and the
        same metrics of the `mean_predictor` without; `speakers` with their `n` and mean `ccc`; `corpora` where there
        are several, each with the targets it has labels of; `seeds` with mean and standard deviation where there are
        several; `flags`.

    Raises:
        UserError: a single utterance, or a target without a label: nothing can agree.
    """
    truth, targets = predictions.truth, predictions.targets
    found: dict[str, Any] = {
        "n": len(predictions),
        "utterances": len(set(predictions.ids)),
        "classes": [],
        **_intervals(predictions),
        "speakers": _speakers(predictions),
    }
    if constants is None:
        constants = np.broadcast_to(np.nanmean(truth, axis=0), truth.shape)
    learned_nothing = tables(truth, constants, np.zeros(len(predictions), dtype=int))[0]
    for column, name in enumerate(targets):
        labels = truth[:, column]
        found["targets"][name] |= {
            "range": [float(np.nanmin(labels)), float(np.nanmax(labels))],
            "mean_predictor": {metric: float(score(metric, learned_nothing[column])) for metric in AGREEMENT},
        }
    corpora = np.array(predictions.corpora)
    if len(set(corpora)) > 1:
        parts = {str(name): _rated(predictions.select(corpora == name)) for name in np.unique(corpora)}
        found["corpora"] = {name: {"n": len(part), **_intervals(part)} for name, part in parts.items() if part}
    found["seeds"] = _seeds(predictions)
    found["flags"] = [flag.to_dict() for flag in flags]
    return found


def interval(metric: str, counts: np.ndarray, clusters: Clusters, level: float = 0.95) -> Interval:
    """Return the mean of a metric over targets, with its confidence interval over speakers.

    A target that only one cluster has labels of is missing when that one is left out; the mean then is over the rest.

    Args:
        metric: of `serkit.evaluation.agreement.AGREEMENT`.
        counts: sums of each cluster and target, shape (clusters, targets, 7).
        clusters: what they are clusters of.
        level: of confidence, 0 to 1.

    Raises:
        UserError: one utterance, or unknown metric.
    """
    if clusters.count < 2:
        raise UserError("one utterance was predicted: agreement needs two at least")
    there, back = _SCALES[metric]

    def statistic(found: np.ndarray) -> np.ndarray:
        return there(_mean(metric, found))

    estimate = float(_mean(metric, counts.sum(axis=0)))
    half = student(clusters.count - 1, level) * np.sqrt(jackknife(statistic, counts))
    middle = there(np.array(estimate))
    return Interval(estimate, float(back(middle - half)), float(back(middle + half)), method(clusters), clusters.count)


def tables(truth: np.ndarray, values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return the sums of `serkit.evaluation.agreement.sums` for each cluster and target: (clusters, targets, 7)."""
    columns = zip(truth.T, values.T, strict=True)
    return np.stack([sums(labels, predicted, clusters) for labels, predicted in columns], axis=1)


def mean_ccc(predictions: NumberPredictions) -> float:
    """Return the mean of the concordance correlation coefficients of the targets that there are labels of."""
    everything = np.zeros(len(predictions), dtype=int)
    return float(_mean("ccc", tables(predictions.truth, predictions.values, everything)[0]))


def _mean(metric: str, counts: np.ndarray) -> np.ndarray:
    """Return the mean of a metric over the targets that have labels, from sums of shape (..., targets, 7)."""
    rated = counts[..., 0] > 0
    return np.where(rated, score(metric, counts), 0).sum(axis=-1) / np.maximum(rated.sum(axis=-1), 1)


def _rated(predictions: NumberPredictions) -> NumberPredictions | None:
    """Return the predictions of those targets that two utterances at least have labels of; None if there are none."""
    ids = np.array(predictions.ids)
    known = [len(set(ids[labels])) > 1 for labels in np.isfinite(predictions.truth).T]
    if not any(known):
        return None
    targets = tuple(name for name, there in zip(predictions.targets, known, strict=True) if there)
    return replace(predictions, truth=predictions.truth[:, known], values=predictions.values[:, known], targets=targets)


def _intervals(predictions: NumberPredictions) -> dict[str, Any]:
    """Return the mean CCC, and all metrics of each target."""
    clusters = by_speaker(predictions)
    mean = interval("ccc", tables(predictions.truth, predictions.values, clusters.numbers), clusters)
    targets: dict[str, Any] = {}
    for column, name in enumerate(predictions.targets):
        known = np.isfinite(predictions.truth[:, column])
        if known.sum() < 2:
            raise UserError(f"fewer than two predictions have a label of '{name}': nothing to agree with")
        # Speakers without a label of it say nothing of it, and are no degrees of freedom.
        part = predictions.select(known)
        own = by_speaker(part)
        counts = tables(part.truth[:, [column]], part.values[:, [column]], own.numbers)
        targets[name] = {"n": len(part), **{metric: asdict(interval(metric, counts, own)) for metric in AGREEMENT}}
    return {"ccc": asdict(mean), "targets": targets}


def _speakers(predictions: NumberPredictions) -> dict[str, dict[str, float]]:
    """Return number of predictions and mean CCC of each speaker, over what is labelled; None is called `unknown`."""
    names, clusters = np.unique([speaker or "unknown" for speaker in predictions.speakers], return_inverse=True)
    found = _mean("ccc", tables(predictions.truth, predictions.values, clusters))
    counts = np.bincount(clusters)
    return {str(name): {"n": int(counts[row]), "ccc": float(found[row])} for row, name in enumerate(names)}


def _seeds(predictions: NumberPredictions) -> dict[str, Any]:
    """Return the mean CCC of each seed, and over several seeds their mean and standard deviation (n - 1)."""
    seeds = np.unique(predictions.seeds)
    each = {str(seed): {"ccc": mean_ccc(predictions.select(predictions.seeds == seed))} for seed in seeds}
    values = [value["ccc"] for value in each.values()]
    found: dict[str, Any] = {"each": each}
    if len(each) > 1:
        found |= {"mean": {"ccc": float(np.mean(values))}, "sd": {"ccc": float(np.std(values, ddof=1))}}
    return found


def _fisher(correlation: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(correlation, -_NEAR_ONE, _NEAR_ONE))


def _logarithm(error: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(error, _NEAR_ZERO))


#: By metric, to the scale on which its interval is made, and back.
_SCALES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "ccc": (_fisher, np.tanh),
    "pearson": (_fisher, np.tanh),
    "rmse": (_logarithm, np.exp),
    "mae": (_logarithm, np.exp),
}
