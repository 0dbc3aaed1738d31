"""Protocols that cut items, as papers did that pooled augmented copies before the split."""

import json

import pytest

from preparation import prepare
from serkit.data.store import Store
from serkit.evaluation.predictions import Predictions
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.systems import load

SETS = [
    "stages.main.trainer.epochs=2",
    'data.copies=["noise"]',
    "data.items.seconds=1.0",
    "data.items.tail=first",
    "protocols.paper={ kind = 'random', unit = 'item' }",
]


@pytest.fixture(scope="module")
def finished(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper") / "run"
    request = Request("linear-baseline", [synthetic], "paper", SETS, final=False, jobs=1, threads=1)
    return run(request, folder).to_dict(), folder


def test_originals_and_copies_are_pooled_before_the_split(finished, synthetic):
    scores, folder = finished
    [split] = json.loads((folder / "splits.json").read_text())
    pooled = {*split["train"], *split["test"]}
    assert pooled == {f"{u.id}[0-1]{copy}" for u in synthetic.utterances for copy in ("", "+noise")}
    assert not set(split["train"]) & set(split["test"])
    assert len(split["test"]) == round(0.2 * 2 * len(synthetic)) == scores["n"]
    # A fifth of copies drawn at random leaves most of their originals in the training part.
    twins = {name.removesuffix("+noise") for name in split["test"]} & {n.removesuffix("+noise") for n in split["train"]}
    assert twins


def test_each_item_is_trained_on_and_scored_once(finished):
    _, folder = finished
    [split] = json.loads((folder / "splits.json").read_text())
    predictions = Predictions.load(folder / "predictions.csv")
    assert list(predictions.ids) == split["test"]
    [stage] = (folder / "stages").iterdir()
    assert sorted(json.loads((stage / "stage.json").read_text())["items"]) == split["train"]


def test_what_leaks_is_flagged(finished):
    flags = " ".join(flag["text"] for flag in finished[0]["flags"])
    assert "pieces and augmented copies of one utterance may be in both parts" in flags
    assert "recording leak" in flags or "bit-identical" in flags


def test_without_item_as_unit_nothing_changes(synthetic, tmp_path):
    experiment = prepare(load("linear-baseline", SETS), [synthetic], "random", Store(tmp_path))
    assert not experiment.pieces and len(experiment.scored) == len(synthetic)
