"""How well a linear probe reads another target, such as the speaker, from the deployed network's features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serkit.corpora.corpus import Utterance
from serkit.data.items import label
from serkit.errors import UserError, unknown
from serkit.evaluation.comparison import compare
from serkit.evaluation.intervals import interval
from serkit.evaluation.predictions import Predictions
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import line, save
from serkit.runs.tested import Tested
from serkit.training import loop

_PARTS = ("train", "test")

#: Folds of a probe that learns from the test part, and inverse regularization strengths to choose from.
FOLDS = 5
STRENGTHS = (1e-4, 1e-2, 1.0)


def draw(ran: Sequence[Ran], path: Path, target: str = "speaker", learn: str = "train", seed: int = 0) -> Numbers:
    """Draw a bar for each run: the probe's accuracy on utterances that it was not fitted on.

    The network of a run's first fold stays unchanged. The probe is logistic regression on its features, averaged over
    an utterance's windows and divided by their deviation; its regularization is chosen by cross-validation on the
    utterances it learns from. The lower its accuracy, the less of the target the features hold.

    Args:
        ran: the runs to show; the others are compared with the first.
        path: path of the picture.
        target: the target that the probe predicts.
        learn: the part of the fold to learn from. `train`: the probe is tested on the `test` part's utterances of the
            same classes. `test`: the probe is cross-validated in five folds (fewer if a class has fewer utterances),
            for protocols that keep speakers apart. The network has learned the target's labels from neither part, but
            it has seen the training part.
        seed: of the folds.

    Returns:
        By row label: `accuracy` and `uar` (estimate, low, high), `chance` (accuracy of always answering the most
        frequent class), `classes`, `n` utterances tested, and from the second row on `difference` to the first
        (accuracy, with its interval and `p` of the paired permutation test).

    Raises:
        UserError: no utterance with the target to learn from, or to test on.
    """
    if learn not in _PARTS:
        raise unknown("part to learn from", learn, _PARTS)
    numbers: dict[str, Any] = {}
    first: Predictions | None = None
    for one in ran:
        found = _probe(one, target, learn, seed)
        numbers[one.label] = _numbers(found)
        if first is not None:
            against = compare(found, first, "accuracy")
            numbers[one.label]["difference"] = {
                "estimate": against.difference,
                "low": against.low,
                "high": against.high,
                "p": against.p,
            }
        first = first or found

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        for place, row in enumerate(numbers.values()):
            value = row["accuracy"]
            # An interval need not contain the estimate, and rounding errors may be negative.
            bar = [
                [max(0.0, 100 * (value["estimate"] - value["low"]))],
                [max(0.0, 100 * (value["high"] - value["estimate"]))],
            ]
            axes.bar(place, 100 * value["estimate"], 0.6, yerr=bar, capsize=4, color=line(0)["color"])
            axes.hlines(100 * row["chance"], place - 0.4, place + 0.4, color=line(4)["color"], linestyle="--")
        axes.set_xticks(range(len(numbers)), list(numbers), rotation=20, ha="right")
        axes.set_ylabel(f"{target} read by a linear probe, accuracy (%)\nbar: 95 % interval; dashes: chance")
        axes.grid(axis="y", alpha=0.25, linewidth=0.6)

    save(path, max(4.0, 1.4 * len(numbers)), 3.8, paint)
    return numbers


@dataclass(frozen=True)
class _Probed:
    """Utterances with their features (n, size) and labels of the target (n,)."""

    utterances: Sequence[Utterance]
    features: np.ndarray
    labels: np.ndarray

    def of(self, classes: Sequence[str]) -> _Probed:
        """Return the utterances of some classes."""
        rows = np.flatnonzero(np.isin(self.labels, classes)).tolist()
        return _Probed([self.utterances[row] for row in rows], self.features[rows], self.labels[rows])


def _probe(one: Ran, target: str, learn: str, seed: int) -> Predictions:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    tested = Tested.load(one.folder)
    test = _features(tested, tested.split.test, target)
    if learn == "test":
        # A class of one utterance cannot be both learned and tested.
        counts = Counter(test.labels.tolist())
        test = test.of([name for name, count in counts.items() if count > 1])
        _check(one, target, test, "test part, twice each")
        folds = StratifiedKFold(min(FOLDS, *Counter(test.labels.tolist()).values()), shuffle=True, random_state=seed)
        classes = np.unique(test.labels)
        probabilities = cross_val_predict(_machine(seed), test.features, test.labels, cv=folds, method="predict_proba")
    else:
        train = _features(tested, tested.split.train, target)
        _check(one, target, train, "training part")
        machine = _machine(seed).fit(train.features, train.labels)
        classes = machine.classes_
        test = test.of(classes)
        if not len(test.labels):
            raise UserError(
                f"row '{one.label}': the test part shares no {target} with the training part; "
                'let the probe learn from it with options = { learn = "test" }'
            )
        probabilities = machine.predict_proba(test.features)
    return Predictions(
        ids=tuple(utterance.id for utterance in test.utterances),
        # If speakers are the classes, the interval is for other recordings of these speakers, not for other speakers.
        speakers=tuple(None if target == "speaker" else utterance.speaker for utterance in test.utterances),
        truth=np.searchsorted(classes, test.labels),
        probabilities=probabilities,
        classes=tuple(classes.tolist()),
        folds=np.full(len(test.labels), tested.split.fold),
        seeds=np.full(len(test.labels), tested.split.seed),
    )


def _features(tested: Tested, ids: Sequence[str], target: str) -> _Probed:
    """Compute the features of the utterances that have the target."""
    items = [item for item in tested.items(ids) if label(item.utterance, target) is not None]
    if not items:
        return _Probed([], np.empty((0, 0)), np.array([]))
    of_items = loop.outputs(tested.finished.model, tested.data(items), "features").reshape(len(items), -1)
    utterances = {item.utterance.id: item.utterance for item in items}
    rows = np.array([item.utterance.id for item in items])
    means = np.stack([of_items[rows == name].mean(0) for name in utterances])
    labels = np.array([str(label(utterance, target)) for utterance in utterances.values()])
    return _Probed(list(utterances.values()), means, labels)


def _check(one: Ran, target: str, found: _Probed, part: str) -> None:
    classes = len(set(found.labels.tolist()))
    if classes < 2:
        raise UserError(f"row '{one.label}': {classes} {target} in the {part}; a probe requires two classes")


def _machine(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return GridSearchCV(probe, {"logisticregression__C": STRENGTHS}, cv=KFold(3, shuffle=True, random_state=seed))


def _numbers(found: Predictions) -> dict[str, Any]:
    values = {}
    for metric in ("accuracy", "uar"):
        value = asdict(interval(found, metric))
        values[metric] = {key: value[key] for key in ("estimate", "low", "high")}
    chance = np.bincount(found.truth).max() / len(found)
    return {**values, "chance": float(chance), "classes": len(found.classes), "n": len(found)}
