"""What a run's recognisers still know of recordings that were degraded: UAR of its folds on copies of their test parts.

    python benchmarks/degraded.py RUN [--copies telephone codec coloured_noise level recorded] [--json FILE]

Each fold's own model hears its own test speakers; `original` is the run's score again. The copies are drawn with
another seed than those that were trained on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serkit import corpora, features
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item, copies, label
from serkit.evaluation.metrics import accuracy, uar
from serkit.runs.experiment import Experiment
from serkit.runs.folder import RunFolder
from serkit.runs.models import Finished, leaves, rebuild
from serkit.runs.request import Request
from serkit.training import loop
from serkit.training.batches import ItemData

#: Seed of the copies; trainings count theirs from 0.
SEED = 1_000_000


def measure(folder: Path, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return UAR and accuracy of a run by name of the copies."""
    run = RunFolder.load(folder)
    system, name = run.system.resolved(), run.description.protocol.name
    protocols = {name: run.description.protocol.definition()}
    found = [corpora.load(corpus, place) for corpus, place in run.description.folders.items()]
    experiment = Request([system], found, name, protocols=protocols).prepare(system)
    by_id = {utterance.id: utterance for utterance in experiment.scored}
    labels = list(experiment.labels)
    scores = {}
    for copy in ("original", *names):
        truth, predicted = [], []
        for split in run.splits:
            finished = rebuild(run.stages / run.notes[split.name].stage, system)
            tested = [by_id[id] for id in split.test]
            answers = _probabilities(experiment, finished, tested, None if copy == "original" else copy)
            predicted += answers.argmax(axis=1).tolist()
            truth += [labels.index(str(label(utterance, experiment.target))) for utterance in tested]
        right, guessed = np.array(truth), np.array(predicted)
        scores[copy] = {"uar": uar(right, guessed), "accuracy": accuracy(right, guessed)}
    return scores


def _probabilities(
    experiment: Experiment, finished: Finished, utterances: Sequence[Utterance], copy: str | None
) -> np.ndarray:
    """Return class probabilities of the utterances, or of their copies: (utterances, classes)."""
    system = experiment.system
    windowing = system.stage_data(finished.stage).items.windowing
    pieces = [(row, item) for row, u in enumerate(utterances) for item in experiment.cut(u, windowing)]
    items: list[Item] = [item for _, item in pieces]
    if copy is not None:
        items = copies(items, [copy], SEED)[len(items) :]
    arrays, shapes = {}, {}
    for view in leaves(system, finished.stage):
        source = system.views[view].feature
        assert source is not None
        feature = features.build(source.name, **source.options)
        shapes[view] = feature.shape
        arrays[view] = experiment.store.features(feature, items, experiment.hashes, windowing)
    found = loop.probabilities(finished.model, ItemData(items, arrays, shapes), experiment.target)
    rows = np.array([row for row, _ in pieces])
    total = np.zeros((len(utterances), found.shape[1]))
    np.add.at(total, rows, found)
    return total / np.bincount(rows)[:, None]


def main() -> None:
    """Measure a run and print a line for each kind of copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--copies", nargs="+", default=["telephone", "codec", "coloured_noise", "level", "recorded"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scores = measure(options.run, options.copies)
    print(f"{'copy':<16}{'UAR %':>7}{'accuracy %':>12}")
    for copy, values in scores.items():
        print(f"{copy:<16}{100 * values['uar']:>7.1f}{100 * values['accuracy']:>12.1f}")
    if options.json:
        options.json.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
