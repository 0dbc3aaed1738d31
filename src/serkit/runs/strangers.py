"""What a run's models are worth on the corpora that they have not met, with and without adaptation to a voice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from serkit import corpora
from serkit.data.items import Item
from serkit.evaluation import unsure
from serkit.evaluation.calibration import sharpened
from serkit.evaluation.metrics import uar
from serkit.recognition.adaptation import Voice, shifted
from serkit.recognition.bundle import Adaptation, Unseen
from serkit.runs.folder import RunFolder
from serkit.runs.models import means
from serkit.runs.tested import Tested
from serkit.training.batches import ItemData
from serkit.training.loop import probabilities


def unseen(run: RunFolder, temperature: float, adaptation: Adaptation | None, least: float) -> list[Unseen]:
    """Score the answers to each left-out corpus, language and sex.

    Args:
        run: a finished run with a single seed.
        temperature: temperature of the deployed model.
        adaptation: spreads and strength of the adaptation; its means are those of each fold's model. None: answers are
            not adapted.
        least: lowest threshold of sure answers.

    Returns:
        Nothing unless each fold of the run is a corpus.
    """
    predictions = run.predictions
    names = np.array(predictions.corpora)
    if not unsure.by_corpus(predictions.folds, names):
        return []
    plain, truth = predictions.probabilities, predictions.truth
    changed, sexes = plain.copy(), np.full(len(truth), "", dtype=object)
    place = {name: row for row, name in enumerate(predictions.ids)}
    for tested in Tested.folds(run):
        by_id = {utterance.id: utterance for utterance in tested.experiment.scored}
        for name in tested.split.test:
            sexes[place[name]] = by_id[name].sex or ""
        if adaptation is not None:
            for name, answer in adapted(tested, temperature, adaptation):
                changed[place[name]] = answer
    sure, sure_adapted = np.empty((2, len(truth)), dtype=bool)
    for test, scale, limit in unsure.rules(plain, truth, predictions.folds, names, least):
        sure[test], sure_adapted[test] = (
            sharpened(answers[test], scale).max(axis=1) >= limit for answers in (plain, changed)
        )
    right, right_adapted = (answers.argmax(axis=1) == truth for answers in (plain, changed))
    languages = np.array([corpora.facts(name).language or "" for name in names])
    kinds: dict[Any, np.ndarray] = {
        "all": np.full(len(truth), "all"),
        "corpus": names,
        "language": languages,
        "sex": sexes,
    }
    return [
        Unseen(
            kind=kind,
            name=str(value),
            n=int(of.sum()),
            uar=uar(truth[of], plain[of].argmax(axis=1)),
            sure=float(sure[of].mean()),
            right=_share(right[of & sure]),
            **(
                {
                    "adapted": uar(truth[of], changed[of].argmax(axis=1)),
                    "sure_adapted": float(sure_adapted[of].mean()),
                    "right_adapted": _share(right_adapted[of & sure_adapted]),
                }
                if adaptation
                else {}
            ),
        )
        for kind, values in kinds.items()
        for value in sorted(set(values) - {""})
        for of in [values == value]
    ]


def _share(values: np.ndarray) -> float | None:
    """Return the share of true values; None of none."""
    return float(values.mean()) if len(values) else None


def adapted(tested: Tested, temperature: float, adaptation: Adaptation) -> Iterator[tuple[str, np.ndarray]]:
    """Yield id and probabilities of each test utterance of a fold, adapted to all of its speaker's.

    The first window of an utterance stands for it. The probabilities are not calibrated; those by which the voice is
    judged are, by the temperature of the deployed model.
    """
    by_id = {utterance.id: utterance for utterance in tested.experiment.scored}
    speakers: dict[str, list[str]] = {}
    for name in tested.split.test:
        speakers.setdefault(by_id[name].speaker or name, []).append(name)
    own = means(tested.finished.model)
    statistics = adaptation.model_copy(update={"means": {view: own[view] for view in adaptation.means}})
    store, hashes = tested.experiment.store, tested.experiment.hashes
    for ids in speakers.values():
        items = [tested.items([name])[0] for name in ids]
        arrays = {
            view: list(store.features(feature, items, hashes, tested.windowing, table.channel))
            for view, (table, feature) in tested.views.items()
        }
        voice = Voice(statistics)
        for row, answer in enumerate(sharpened(_answers(tested, items, arrays), temperature)):
            rate = next(feature.rate for _, feature in tested.views.values())
            seconds = len(items[row].signal(rate, tested.windowing)) / rate
            voice.add({view: array[row] for view, array in arrays.items()}, answer, seconds)
        shift, views = voice.shift(), list(arrays)
        moved = [shifted(row, views, shift) for row in zip(*arrays.values(), strict=True)]
        columns = dict(zip(views, map(list, zip(*moved, strict=True)), strict=True))
        yield from zip(ids, _answers(tested, items, columns), strict=True)


def _answers(tested: Tested, items: Sequence[Item], arrays: Mapping[str, Sequence[np.ndarray]]) -> np.ndarray:
    """Return the probabilities of items, (items, classes)."""
    shapes = {view: feature.shape for view, (_, feature) in tested.views.items()}
    data = ItemData(items, arrays, shapes, tested.finished.classes)
    return probabilities(tested.finished.model, data, tested.target)
