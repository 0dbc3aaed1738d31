"""Confidence intervals of metrics that hold for new speakers, even if few speakers were tested.

Utterances of one speaker are not independent, so the unit is the speaker. The percentile bootstrap over speakers is too
narrow for the few that corpora have (with 4 speakers a "95 %" interval covers the truth in about 80 % of cases, with 10
in about 89 %); the method here covers it in 93 to 98 % (see `tests/evaluation/test_intervals.py`).

The variance is that of the leave-one-speaker-out jackknife. Quantiles are Student's, with one degree of freedom less
than speakers, because the variance is estimated from few speakers. The interval is Wilson's score interval for the
number of independent utterances with the same variance; it stays within 0 and 1, and is sensible near them. It is never
narrower than Wilson's interval for the actual number of utterances, because few speakers can have similar scores by
chance.

Metrics of numbers use the jackknife and Student's t too, on their own scale (see `metrics.Scale`).

Sources: Wilson, JASA 22:209 (1927); the effective number of utterances as in Korn and Graubard, Survey
Methodology 24:193 (1998); Efron and Stein, Annals of Statistics 9:586 (1981) for the jackknife.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from serkit.errors import UserError
from serkit.evaluation.metrics import SHARE
from serkit.evaluation.predictions import Answers


@dataclass(frozen=True)
class Ends:
    """A metric with the ends of its confidence interval.

    Args:
        estimate: the metric over all predictions.
        low: lower end, not below the metric's minimum (0 for a share).
        high: upper end, not above the metric's maximum (1 for a share).
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Interval(Ends):
    """A metric with its confidence interval.

    Args:
        method: method of the interval, and its independent units.
        clusters: number of independent units: speakers, or utterances if speakers are unknown.
    """

    method: str
    clusters: int

    @property
    def ends(self) -> Ends:
        """The metric and the ends alone."""
        return Ends(self.estimate, self.low, self.high)


@dataclass(frozen=True)
class Clusters:
    """Clusters of predictions.

    Args:
        numbers: the cluster of each prediction, from 0, shape (n,).
        count: number of clusters.
        unit: `speaker` or `utterance`.
        why: reason for utterances as units, for the method's name; empty for speakers.
    """

    numbers: np.ndarray
    count: int
    unit: str
    why: str = ""


def interval(predictions: Answers, metric: str | None = None, level: float = 0.95) -> Interval:
    """Return a metric with its confidence interval over speakers.

    The interval covers the choice of the tested speakers and their utterances, not that of the training material. If
    speakers are unknown, or there is only one, utterances count as independent, and the method names this. Such an
    interval holds only for new utterances of the same speakers, and is narrower. If only one speaker has labels of a
    target of numbers, the target is missing when that speaker is left out.

    Args:
        predictions: predictions for at least one utterance, or two for numbers; the seeds of an utterance stay
            together.
        metric: key of a metric of the predictions; None: the first.
        level: confidence level, 0 to 1.

    Raises:
        UserError: the metric is unknown, or there are numbers for only one utterance.
    """
    measure, clusters = predictions.metric(metric), by_speaker(predictions)
    counts = predictions.counts(clusters.numbers)
    estimate = float(measure.of(counts.sum(axis=0)))
    if clusters.count < 2:
        if measure.scale is not SHARE:
            raise UserError("only one utterance was predicted; agreement requires at least two")
        return Interval(estimate, 0.0, 1.0, "none: one utterance", 1)
    variance = jackknife(lambda left: measure.scale.there(measure.of(left)), counts)
    quantile = student(clusters.count - 1, level)
    if measure.scale is SHARE:
        # Seeds are not further utterances; they tell more about the training, not about the speech.
        floor = special.ndtri((1 + level) / 2) ** 2 / len(set(predictions.ids))
        binomial = estimate * (1 - estimate)
        # Wilson's z^2 / n, with Student's quantile and the n of the estimated variance.
        ratio = max(quantile**2 * variance / binomial, floor) if binomial > 0 else floor
        low, high = _wilson(estimate, ratio)
    else:
        middle, half = measure.scale.there(np.array(estimate)), quantile * np.sqrt(variance)
        low, high = float(measure.scale.back(middle - half)), float(measure.scale.back(middle + half))
    return Interval(estimate, low, high, method(clusters), clusters.count)


def mean_interval(parts: Sequence[Answers], metric: str | None = None, level: float = 0.95) -> Interval:
    """Return the unweighted mean of a metric over corpora, with its interval over the speakers of each corpus.

    The corpora are fixed: the interval says nothing about other corpora. Their variances add up, and the degrees of
    freedom of the sum are Satterthwaite's.

    Source: Satterthwaite, Biometrics Bulletin 2:110 (1946).

    Args:
        parts: predictions of each corpus; a metric of shares, e.g. UAR.
        metric: as in `interval`.
        level: confidence level, 0 to 1.
    """
    measure = parts[0].metric(metric)
    estimate = float(np.mean([part.value(metric) for part in parts]))
    groups = [by_speaker(part) for part in parts]
    if min(group.count for group in groups) < 2:
        return Interval(estimate, 0.0, 1.0, "none: a corpus has one utterance", 1)
    tables = [part.counts(group.numbers) for part, group in zip(parts, groups, strict=True)]
    variances = np.array([jackknife(measure.of, counts) for counts in tables])
    freedom = np.array([group.count - 1 for group in groups])
    total = float(variances.sum())
    degrees = total**2 / float((variances**2 / freedom).sum()) if total else float(freedom.sum())
    floor = special.ndtri((1 + level) / 2) ** 2 / sum(len(set(part.ids)) for part in parts)
    binomial = estimate * (1 - estimate)
    ratio = max(student(degrees, level) ** 2 * total / len(parts) ** 2 / binomial, floor) if binomial > 0 else floor
    clusters = sum(group.count for group in groups)
    units = " and ".join(dict.fromkeys(f"{group.unit}s" for group in groups))
    text = f"leave-one-out jackknife over the {units} of each corpus, Student t with {degrees:.1f} degrees of freedom"
    return Interval(estimate, *_wilson(estimate, ratio), text, clusters)


def by_speaker(predictions: Answers) -> Clusters:
    """Group the predictions by speaker, or by utterance if speakers are not usable."""
    unknown = sum(speaker is None for speaker in predictions.speakers)
    speakers, numbers = np.unique([speaker or "" for speaker in predictions.speakers], return_inverse=True)
    if unknown:
        return by_utterance(predictions, f"speaker unknown for {unknown} of {len(predictions)}")
    if len(speakers) < 2:
        return by_utterance(predictions, "only one speaker")
    return Clusters(numbers, len(speakers), "speaker")


def by_utterance(predictions: Answers, why: str) -> Clusters:
    """Group the predictions by utterance; the seeds of an utterance stay together."""
    ids, numbers = np.unique(predictions.ids, return_inverse=True)
    return Clusters(numbers, len(ids), "utterance", why)


def method(clusters: Clusters) -> str:
    """Return the name of the method in one line."""
    name = f"leave-one-{clusters.unit}-out jackknife, Student t with {clusters.count - 1} degrees of freedom"
    return f"{name} ({clusters.why}: utterances taken for independent)" if clusters.why else name


def jackknife(statistic: Callable[[np.ndarray], np.ndarray], counts: np.ndarray) -> float:
    """Return the jackknife variance of a statistic of summed counts; each cluster is left out once.

    A class of only one cluster is missing when that cluster is left out; metrics then cover the other classes.

    Args:
        statistic: counts of shape (clusters, ...) -> values of shape (clusters,).
        counts: counts of each cluster, shape (clusters, ...), for at least two clusters.
    """
    left = statistic(counts.sum(axis=0) - counts)
    count = len(counts)
    return float((count - 1) / count * np.square(left - left.mean()).sum())


def student(degrees: float, level: float) -> float:
    """Return the two-sided quantile of Student's t distribution."""
    return float(special.stdtrit(degrees, (1 + level) / 2))


def _wilson(estimate: float, ratio: float) -> tuple[float, float]:
    """Return the score interval; `ratio` is the squared quantile over the number of independent trials."""
    middle = (estimate + ratio / 2) / (1 + ratio)
    half = np.sqrt(ratio * estimate * (1 - estimate) + ratio**2 / 4) / (1 + ratio)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
