"""The models of a run's folds and their test material, rebuilt from the run's folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from serkit import audio, corpora, features
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.evaluation.robustness import Part
from serkit.features import Feature, interval
from serkit.protocols.splits import Split
from serkit.runs.experiment import Experiment
from serkit.runs.folder import RunFolder
from serkit.runs.models import Finished, leaves, rebuild
from serkit.runs.request import Request
from serkit.systems.schema import View
from serkit.training.batches import ItemData
from serkit.windowing import Windowing


@dataclass(frozen=True)
class Tested:
    """The deployed model of one fold.

    Args:
        experiment: experiment of the run.
        split: split of the fold.
        finished: the trained stage, including all stages before it.
    """

    experiment: Experiment
    split: Split
    finished: Finished

    @classmethod
    def load(cls, folder: Path) -> Tested:
        """Load the first fold of a run; errors are those of `folds`."""
        return next(cls.folds(RunFolder.load(folder)))

    @classmethod
    def folds(cls, run: RunFolder, places: Mapping[str, str] | None = None) -> Iterator[Tested]:
        """Yield the model of each fold of a run.

        Args:
            run: a finished run.
            places: folders from `run.places`; None: the folders of the run.

        Raises:
            UserError: a corpus has moved or changed, or trained stages are missing.
        """
        for split, experiment in experiments(run, places or run.places()):
            yield cls(experiment, split, rebuild(run.stages / run.notes[split.name].stage, experiment.system))

    @property
    def target(self) -> str:
        """The recognized target."""
        return self.experiment.target

    @property
    def windowing(self) -> Windowing:
        """The rules by which utterances were cut into windows."""
        return self.experiment.system.stage_data(self.finished.stage).items.windowing

    @cached_property
    def views(self) -> dict[str, tuple[View, Feature]]:
        """The feature views that the model reads."""
        tables = {
            name: self.experiment.system.views[name] for name in leaves(self.experiment.system, self.finished.stage)
        }
        return {
            name: (table, features.build(table.feature.name, **table.feature.options))
            for name, table in tables.items()
            if table.feature
        }

    def items(self, ids: Iterable[str]) -> list[Item]:
        """Return the items of utterances, given their ids."""
        return [item for name in ids for item in self.experiment.cut(self._by_id[name], self.windowing)]

    def stored(self, view: str, ids: Iterable[str]) -> list[np.ndarray]:
        """Return a view of the items of utterances, from the run's store of features or into it."""
        table, feature = self.views[view]
        store, hashes = self.experiment.store, self.experiment.hashes
        return list(store.features(feature, self.items(ids), hashes, self.windowing, table.channel))

    def label(self, item: Item) -> str:
        """Return the class of an item."""
        return str(item.utterance.targets[self.target])

    def data(self, items: Sequence[Item]) -> ItemData:
        """Compute the features of items."""
        arrays: dict[str, list[np.ndarray]] = {
            name: [feature(item.signal(feature.rate, self.windowing, view.channel)) for item in items]
            for name, (view, feature) in self.views.items()
        }
        shapes = {name: feature.shape for name, (_, feature) in self.views.items()}
        return ItemData(items, arrays, shapes, self.finished.classes)

    def hear(self, utterance: str) -> tuple[np.ndarray, int]:
        """Read an utterance; see `hear`."""
        return hear(self.experiment, self._by_id[utterance])

    def probabilities(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """Recognize samples of speech like an utterance; see `recognize`. Errors are those of `windows`."""
        return self.recognize(self.windows(signal, rate))

    def windows(self, signal: np.ndarray, rate: int) -> ItemData:
        """Compute the features of the windows of samples of speech.

        Raises:
            UserError: the model reads a channel other than speech.
        """
        windows = self.windowing.windows(len(signal) / rate)
        arrays: dict[str, list[np.ndarray]] = {}
        for name, (view, feature) in self.views.items():
            if view.channel is not None:
                raise UserError(f"view '{name}' reads channel '{view.channel}', which samples of speech lack")
            heard, hertz = audio.resample(signal, rate, feature.rate), feature.rate
            pieces = [heard[round(start * hertz) : round(end * hertz)] for start, end in windows]
            arrays[name] = [feature(self.windowing.fit(piece, hertz)) for piece in pieces]
        shapes = {name: feature.shape for name, (_, feature) in self.views.items()}
        # Only number and name of the items matter, because there are no labels.
        return ItemData([Item(Utterance("the signal", Path("signal")))] * len(windows), arrays, shapes)

    def recognize(self, windows: ItemData) -> np.ndarray:
        """Recognize the windows of a recording: probabilities (classes,), their mean."""
        with torch.inference_mode():
            logits = self.finished.model(windows.batch(range(len(windows)))).predictions[self.target]
        values: np.ndarray = logits.double().softmax(1).mean(0).numpy()
        return values

    def attention(self, utterance: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the model's attention to each moment of an utterance.

        Returns:
            For each window of the utterance, the edges of its moments in s (moments + 1,), and their weights as
            multiples of an even weight (moments,). Empty if the network does not weight the moments of a single view.
        """
        model = self.finished.model
        if not model.network.has_attention or len(self.views) != 1 or len(model.upstream):
            return []
        [(view, feature)] = self.views.values()
        items, found = self.items([utterance]), []
        data = self.data(items)
        kept, model.network.keep = model.network.keep, ("attention",)
        for number, item in enumerate(items):
            with torch.inference_mode():
                weights = model(data.batch([number])).maps["attention"][0].sum(0).double().numpy()
            signal = item.signal(feature.rate, self.windowing, view.channel)
            start, end = interval(feature, signal)
            # Times of a piece or a copy are relative to its own start.
            origin = 0.0 if self.experiment.pieces else item.start
            found.append((origin + np.linspace(start, end, len(weights) + 1), weights / weights.mean()))
        model.network.keep = kept
        return found

    @cached_property
    def _by_id(self) -> dict[str, Utterance]:
        return {utterance.id: utterance for utterance in self.experiment.scored}


def parts(run: RunFolder, places: Mapping[str, str] | None = None) -> Iterator[Part]:
    """Yield each fold of a run with its own predictions; arguments and errors are those of `Tested.folds`."""
    predictions = run.predictions
    for tested in Tested.folds(run, places):
        own = (predictions.folds == tested.split.fold) & (predictions.seeds == tested.split.seed)
        yield Part(predictions.select(own), tested.hear, tested.probabilities)


def experiments(run: RunFolder, places: Mapping[str, str]) -> Iterator[tuple[Split, Experiment]]:
    """Yield each fold of a run with the experiment of its chosen configuration.

    Args:
        run: a finished run.
        places: folders from `run.places`.

    Raises:
        UserError: a corpus has moved or changed.
    """
    made: dict[int, Experiment] = {}
    for split in run.splits:
        row = run.notes[split.name].chosen
        if row not in made:
            made[row] = _prepare(run, row, places)
        yield split, made[row]


def hear(experiment: Experiment, utterance: Utterance) -> tuple[np.ndarray, int]:
    """Read the speech of an utterance, or of its piece or copy: float32 (samples,), and its rate in Hz.

    Raises:
        AudioError: the recording is unreadable.
    """
    item = experiment.pieces.get(utterance.id) or Item(utterance)
    rate = audio.info(item.utterance.path).rate
    return item.signal(rate, Windowing()), rate


def _prepare(run: RunFolder, row: int, places: Mapping[str, str]) -> Experiment:
    """Prepare the experiment of a configuration of a run again."""
    described, system = run.description, run.description.system[row].resolved()
    name, protocol = described.protocol.name, described.protocol.definition()
    found, also = (
        [corpora.load(name, places[name], described.reading(name)) for name in names]
        for names in (described.folders, described.also)
    )
    request = Request([system], found, name, protocols={name: protocol}, also=also)
    experiment = request.prepare(system)
    for corpus in found:
        if experiment.content(corpus) != described.content[corpus.name]:
            raise UserError(
                f"{corpus.folder}: differs from corpus '{corpus.name}' of run '{run.path.name}' "
                "(other recordings, intervals or labels)"
            )
    return experiment
