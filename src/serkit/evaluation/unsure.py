"""The threshold of unsure answers, and its benefit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import Field

from serkit.evaluation.calibration import ece, sharpened, temperature
from serkit.records import Record

#: Shares of the answers, in order of confidence, whose accuracy is reported.
COVERAGES = tuple(tenths / 10 for tenths in range(10, 0, -1))

#: Share of right answers among the sure ones that a threshold for corpora never met must reach on the corpora that it
#: is fitted on. On a further corpus the share is lower. With 0.9 it is no higher than with 0.75, but four times fewer
#: answers are sure (docs/evaluation.md has the table).
WANTED = 0.75


class Accuracy(Record):
    """Share of right answers: of all, of the sure and of the unsure ones; None if there are none."""

    all: float | None
    sure: float | None
    unsure: float | None


class SureOfCorpus(Record):
    """Calibration error after the temperature, share of sure answers and share of right ones, of one corpus."""

    ece: float
    coverage: float
    accuracy: Accuracy


class Sure(Record):
    """Calibration and sure answers, measured on held-out folds.

    Args:
        ece_before: calibration error before the temperature.
        ece_after: calibration error after the temperature.
        coverage: share of sure answers.
        accuracy: share of right answers.
        curve: pairs of a share of the answers, in order of confidence, and their accuracy.
        corpora: the same for each corpus, if there are several.
    """

    ece_before: float
    ece_after: float
    coverage: float
    accuracy: Accuracy
    curve: list[tuple[float, float | None]]
    corpora: dict[str, SureOfCorpus] = Field({})


def threshold(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the confidence below which an answer is wrong more often than right.

    The answers above this threshold have the largest surplus of right over wrong ones: Chow's rule for an error that
    costs as much as a right answer gains. The threshold lies halfway between two answers. It is 0 if even the least
    confident answers are mostly right, and above 1 if all answers should be unsure.

    Source: Chow, On optimum recognition error and reject tradeoff, 1970.

    Args:
        confidence: probability of the predicted class of answers on held-out speakers, shape (n,).
        right: whether each is right, bool, shape (n,).
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    surplus = np.concatenate(([0], np.cumsum(2 * right[order].astype(int) - 1)))
    # Answers of equal confidence are either all sure or all unsure.
    between = np.flatnonzero(np.diff(sorted_confidence, prepend=np.inf, append=-np.inf))
    # The last of equals, so that more answers are sure.
    best = between[len(between) - 1 - int(surplus[between][::-1].argmax())]
    if best == len(order):
        return 0.0
    if best == 0:
        return 1.0 + 1e-6
    return float(sorted_confidence[best - 1 : best + 1].mean())


def reliable(confidence: np.ndarray, right: np.ndarray, corpora: np.ndarray, wanted: float = WANTED) -> float:
    """Return the lowest threshold above which a wanted share of the answers is right; each corpus counts the same.

    It is above 1 if no threshold reaches that.

    Args:
        confidence: probability of the predicted class of answers on corpora that the model never met, shape (n,).
        right: whether each is right, bool, shape (n,).
        corpora: name of each answer's corpus, shape (n,).
        wanted: share of right answers.
    """
    _, place, counts = np.unique(corpora, return_inverse=True, return_counts=True)
    order = np.argsort(-confidence, kind="stable")
    weights = (1 / counts[place])[order]
    shares = np.cumsum(weights * right[order]) / np.cumsum(weights)
    # Answers of equal confidence are either all sure or all unsure.
    last = np.diff(confidence[order], append=-np.inf) < 0
    enough = np.flatnonzero(last & (shares >= wanted))
    if not len(enough):
        return 1.0 + 1e-6
    end = int(enough[-1])
    return 0.0 if end == len(order) - 1 else float(confidence[order][end : end + 2].mean())


def fitted(confidence: np.ndarray, right: np.ndarray, folds: np.ndarray, corpora: np.ndarray) -> float:
    """Return the threshold for the answers of folds: the higher one of `threshold` and, if each fold is a corpus that
    its model never met, of `reliable`.

    Args:
        confidence: probability of the predicted class, shape (n,).
        right: whether each answer is right, bool, shape (n,).
        folds: number of each answer's fold, shape (n,).
        corpora: name of each answer's corpus, shape (n,).
    """
    found = threshold(confidence, right)
    return max(found, reliable(confidence, right, corpora)) if by_corpus(folds, corpora) else found


def by_corpus(folds: np.ndarray, corpora: np.ndarray) -> bool:
    """Return whether there are several folds, and each is a corpus."""
    pairs = set(zip(folds.tolist(), corpora.tolist(), strict=True))
    return len(pairs) == len(set(folds.tolist())) == len(set(corpora.tolist())) > 1


def rules(
    probabilities: np.ndarray, truth: np.ndarray, folds: np.ndarray, corpora: np.ndarray, least: float = 0.0
) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield for each fold its answers, bool (n,), and temperature and threshold from the answers of the other folds.

    Args:
        probabilities, truth, folds, corpora: as in `held_out`, of two folds or more.
        least: lowest threshold.
    """
    right = probabilities.argmax(axis=1) == truth
    for fold in np.unique(folds):
        test, rest = folds == fold, folds != fold
        scale = temperature(np.log(np.maximum(probabilities[rest], 1e-12)), truth[rest])
        confidence = sharpened(probabilities[rest], scale).max(axis=1)
        yield test, scale, max(least, fitted(confidence, right[rest], folds[rest], corpora[rest]))


def judged(
    probabilities: np.ndarray, truth: np.ndarray, folds: np.ndarray, corpora: np.ndarray, least: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Calibrate the answers of each fold, and mark the sure ones, by `rules`, whose arguments it takes.

    Returns:
        Calibrated probabilities (n, classes), and whether each answer is sure, bool (n,).
    """
    after = np.empty_like(probabilities)
    sure = np.empty(len(truth), dtype=bool)
    for test, scale, limit in rules(probabilities, truth, folds, corpora, least):
        after[test] = sharpened(probabilities[test], scale)
        sure[test] = after[test].max(axis=1) >= limit
    return after, sure


def held_out(probabilities: np.ndarray, truth: np.ndarray, folds: np.ndarray, corpora: np.ndarray) -> Sure | None:
    """Measure calibration and sure answers on each fold, with temperature and threshold fitted on the other folds.

    Args:
        probabilities: uncalibrated probabilities of the folds' test parts, shape (n, classes).
        truth: class indices, shape (n,).
        folds: number of each answer's fold, shape (n,).
        corpora: name of each answer's corpus, shape (n,).

    Returns:
        The measurements; None if there is only one fold.
    """
    if len(set(folds.tolist())) < 2:
        return None
    right = probabilities.argmax(axis=1) == truth
    after, sure = judged(probabilities, truth, folds, corpora)
    order = np.argsort(-after.max(axis=1), kind="stable")

    def share_right(chosen: np.ndarray) -> float | None:
        return float(right[chosen].mean()) if len(right[chosen]) else None

    def measured(of: np.ndarray) -> Mapping[str, Any]:
        accuracy = Accuracy(all=share_right(of), sure=share_right(of & sure), unsure=share_right(of & ~sure))
        return {"coverage": float(sure[of].mean()), "accuracy": accuracy}

    names = [str(name) for name in np.unique(corpora)]
    parts = {name: corpora == name for name in names} if len(names) > 1 else {}
    of_corpora = {name: SureOfCorpus(ece=ece(after[of], truth[of]), **measured(of)) for name, of in parts.items()}
    return Sure(
        ece_before=ece(probabilities, truth),
        ece_after=ece(after, truth),
        **measured(np.ones(len(truth), dtype=bool)),
        curve=[(share, share_right(order[: max(1, round(share * len(order)))])) for share in COVERAGES],
        **({"corpora": of_corpora} if of_corpora else {}),
    )
