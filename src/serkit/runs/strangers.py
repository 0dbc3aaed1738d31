"""What a run's models are worth on the corpora that they have not met, with and without adaptation to a voice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from serkit.evaluation import unsure
from serkit.evaluation.calibration import sharpened
from serkit.evaluation.metrics import uar
from serkit.recognition.adaptation import Voice, shifted
from serkit.recognition.bundle import Adaptation, Unseen
from serkit.runs.durations import Calibrated
from serkit.runs.folder import RunFolder
from serkit.runs.models import means
from serkit.runs.tested import Tested
from serkit.training.batches import ItemData
from serkit.training.loop import probabilities


def unseen(run: RunFolder, answers: Calibrated, adaptation: Adaptation | None, least: float) -> list[Unseen]:
    """Score the answers to each left-out corpus, language and sex.

    Args:
        run: a finished run with a single seed.
        answers: its calibrated answers.
        adaptation: spreads and strength of the adaptation; its means are those of each fold's model. None: answers are
            not adapted.
        least: lowest threshold of sure answers.

    Returns:
        Nothing unless each fold of the run is a corpus.
    """
    predictions = answers.predictions
    plain, truth, folds, names = answers.of_folds()
    if not unsure.by_corpus(folds, names):
        return []
    changed, (sexes, languages) = plain.copy(), np.full((2, len(truth)), "", dtype=object)
    place = {name: row for row, name in enumerate(predictions.ids)}
    for tested in Tested.folds(run):
        by_id = {utterance.id: utterance for utterance in tested.experiment.scored}
        for name in tested.split.test:
            sexes[place[name]] = by_id[name].sex or ""
            languages[place[name]] = by_id[name].language or ""
        if adaptation is not None:
            for stranger in Stranger.all(tested, answers.temperature, adaptation):
                everything = range(len(stranger.ids))
                changed[[place[name] for name in stranger.ids]] = stranger.adapted(everything, everything)
    if adaptation is not None:
        changed = answers.flattened(changed)
    sure, sure_adapted = np.empty((2, len(truth)), dtype=bool)
    for test, scale, limit in unsure.rules(plain, truth, folds, names, least):
        sure[test], sure_adapted[test] = (
            sharpened(given[test], scale).max(axis=1) >= limit for given in (plain, changed)
        )
    right, right_adapted = (given.argmax(axis=1) == truth for given in (plain, changed))
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


class Stranger:
    """A speaker whom a fold's model has not met, with all test utterances; an utterance's first window stands for it.

    Args:
        tested: the fold's model and test part.
        ids: the speaker's test utterances.
        temperature: temperature of the deployed model.
        adaptation: spreads and strength of the adaptation; its means are those of the fold's model.
    """

    def __init__(self, tested: Tested, ids: Sequence[str], temperature: float, adaptation: Adaptation) -> None:
        own = means(tested.finished.model)
        self._statistics = adaptation.model_copy(update={"means": {view: own[view] for view in adaptation.means}})
        self._tested, self._temperature = tested, temperature
        self.ids = list(ids)
        self._items = [tested.items([name])[0] for name in ids]
        self._arrays = {view: [tested.stored(view, [name])[0] for name in ids] for view in tested.views}
        rate = next(feature.rate for _, feature in tested.views.values())
        #: Duration of each utterance in s, (n,).
        self.seconds = np.array([len(item.signal(rate, tested.windowing)) / rate for item in self._items])
        #: Probabilities without adaptation and calibration, (n, classes).
        self.plain = self._answers(range(len(ids)), {})

    @classmethod
    def all(cls, tested: Tested, temperature: float, adaptation: Adaptation) -> Iterator[Stranger]:
        """Yield the speakers of a fold's test part; an utterance without a speaker is one of its own."""
        by_id = {utterance.id: utterance for utterance in tested.experiment.scored}
        speakers: dict[str, list[str]] = {}
        for name in tested.split.test:
            speakers.setdefault(by_id[name].speaker or name, []).append(name)
        for ids in speakers.values():
            yield cls(tested, ids, temperature, adaptation)

    def adapted(self, material: Sequence[int], rows: Sequence[int]) -> np.ndarray:
        """Return the probabilities of some utterances, adapted to others, without calibration: (rows, classes)."""
        voice = Voice(self._statistics)
        answers = sharpened(self.plain, self._temperature)
        for row in material:
            features = {view: array[row] for view, array in self._arrays.items()}
            voice.add(features, answers[row], self.seconds[row])
        return self._answers(rows, voice.shift())

    def _answers(self, rows: Sequence[int], shift: Mapping[str, np.ndarray]) -> np.ndarray:
        views = list(self._arrays)
        moved = [shifted([self._arrays[view][row] for view in views], views, shift) for row in rows]
        arrays = dict(zip(views, map(list, zip(*moved, strict=True)), strict=True))
        shapes = {view: feature.shape for view, (_, feature) in self._tested.views.items()}
        data = ItemData([self._items[row] for row in rows], arrays, shapes, self._tested.finished.classes)
        return probabilities(self._tested.finished.model, data, self._tested.target)
