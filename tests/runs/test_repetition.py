import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serkit.corpora.corpus import Corpus
from serkit.errors import UserError
from serkit.evaluation.scores import rows
from serkit.protocols import Protocol
from serkit.runs.card import Card, is_card, placeless
from serkit.runs.repetition import repeat
from serkit.runs.request import Request
from serkit.runs.runner import run

SHORT = ("stages.main.trainer.epochs=2", "stages.main.trainer.batch_size=8")
THREE = {"three": Protocol(kind="group_kfold", folds=3, validation=0.3)}


@pytest.fixture(scope="module")
def corpus(synthetic, tmp_path_factory):
    """A copy of the generated corpus whose files a test may change."""
    folder = tmp_path_factory.mktemp("copy")

    def moved(utterance):
        shutil.copy(utterance.path, folder / utterance.path.name)
        return dataclasses.replace(utterance, path=folder / utterance.path.name)

    return Corpus(synthetic.facts, folder, tuple(map(moved, synthetic.utterances)))


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    """A run of two configurations with its baseline; its protocol is no standard one."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    sweep = ("stages.main.trainer.learning_rate=1e-3,1e-2",)
    request = Request("linear-baseline", [corpus], "three", SHORT, sweep, 3, False, 1, 1, protocols=THREE)
    run(request, folder)
    return folder


@pytest.fixture
def card(finished, tmp_path):
    """The run's card alone, as somebody else receives it."""
    return shutil.copy(finished / "card.json", tmp_path / "sent.json")


def changed(corpus, change):
    return Corpus(corpus.facts, corpus.folder, tuple(change(utterance) for utterance in corpus.utterances))


# --- the card


def test_a_card_says_what_the_score_depends_on_and_nothing_of_this_machine(finished, corpus, tmp_path):
    card = Card.load(finished / "card.json")
    assert card.run.classes == ["anger", "fear", "neutral", "sadness"]
    assert card.run.splits == json.loads((finished / "run.json").read_text())["splits"]
    assert card.run.protocol.definition().folds == 3 and list(card.run.content) == ["synthetic"]
    assert (card.run.seed, list(card.scores.seeds.each)) == (3, ["3"])
    assert (card.scores.configurations, card.scores.chosen_on) == (2, "validation part of each fold")
    assert [system.stages[0].trainer.learning_rate for system in card.run.systems] == [1e-3, 1e-2]
    assert sorted(card.recordings) == sorted(utterance.id for utterance in corpus.utterances)
    assert card.cost["parameters"] == 804 and card.cost["macs"] == 800 and card.cost["seconds"] > 0
    text = (finished / "card.json").read_text()
    assert str(corpus.folder) not in text and str(finished.parent) not in text
    assert "--corpus synthetic=CORPORA/synthetic" in card.run.command


def test_it_is_read_as_it_was_written(finished, tmp_path):
    card = Card.of(finished)
    card.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (finished / "card.json").read_text()


def test_a_run_of_before_there_were_cards_has_one_without_fingerprints(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "old")
    (copy / "card.json").unlink()
    found, whole = Card.of(copy), Card.of(finished)
    assert found.recordings == {}
    assert found.model_copy(update={"recordings": whole.recordings}) == whole


def test_cards_of_published_results_have_the_shape_of_today():
    results = Path(__file__).parents[2] / "docs" / "results"
    cards = [path for path in sorted(results.glob("*.json")) if is_card(json.loads(path.read_text()))]
    assert len(cards) > 20
    for path in cards:
        scores = Card.load(path).scores
        found = list(rows(scores))
        assert {"all", "constant"} <= {row.kind for row in found} and all(row.values for row in found), path
        assert "other" not in [flag.kind for flag in scores.flags], path


def test_what_is_no_card_is_refused(finished, tmp_path):
    whole = json.loads((finished / "card.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**whole, "card": 9}))
    (tmp_path / "more.json").write_text(json.dumps({**whole, "notes": ""}))
    for path, message in [
        (tmp_path / "nowhere.json", "nowhere.json: no such file"),
        (finished / "scores.json", "not a protocol card"),
        (finished / "predictions.csv", "not JSON"),
        (tmp_path / "other.json", "has format 9, but this serkit reads format 1"),
        (tmp_path / "more.json", "more.json: unknown field 'notes'. Did you mean 'note'"),
    ]:
        with pytest.raises(UserError, match=message):
            Card.load(path)


def test_folders_become_a_word():
    line = "serkit train x.toml --corpus 'emodb=/a b/emodb' --also tess=/t --set data.map.calm=neutral"
    assert placeless(line) == (
        "serkit train x.toml --corpus emodb=CORPORA/emodb --also tess=CORPORA/tess --set data.map.calm=neutral"
    )


# --- repeating it


def test_the_same_recordings_give_every_score_again(card, corpus, tmp_path):
    found = repeat(card, [corpus], tmp_path / "again", jobs=1)
    assert found.differences == [] and found.compared > 50
    assert not list((tmp_path / "again").glob("final.json"))
    with pytest.raises(UserError, match="again: holds a finished run; choose a new folder for the repetition"):
        repeat(card, [corpus], tmp_path / "again")


def test_a_score_that_is_not_the_same_is_named(card, corpus, tmp_path):
    document = json.loads(card.read_text())
    document["scores"]["uar"]["estimate"] = 0.99
    document["run"]["versions"]["torch"] = "1.0"
    card.write_text(json.dumps(document))
    lines = []
    found = repeat(card, [corpus], tmp_path / "again", jobs=1, report=lines.append)
    ((name, before, now),) = found.differences
    assert (name, before) == ("uar.estimate", 0.99) and now == found.scores.metrics["uar"].estimate != 0.99
    assert [line for line in lines if line.endswith(" here, 1.0 in the card")]


def test_a_card_of_the_older_shape_is_repeated_too(card, corpus, tmp_path):
    document = json.loads(card.read_text())
    scores = document["scores"]
    constant = scores.pop("constant")
    scores["majority"] = {"class": constant["answer"], "of": constant["of"], "accuracy": constant["accuracy"]}
    scores["flags"] = [flag["text"] for flag in scores["flags"]]
    del scores["task"], scores["targets"]
    for of_speaker in scores["speakers"].values():
        del of_speaker["macro_f1"]
    card.write_text(json.dumps(document))
    found = repeat(card, [corpus], tmp_path / "again", jobs=1)
    assert found.differences == [] and found.compared > 50


def tampered(path):
    """Write another sound of the same length."""
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, samples.shape), rate)


def test_recordings_that_differ_are_named_and_nothing_is_trained(card, corpus, tmp_path):
    one, two, three = sorted(corpus.utterances, key=lambda utterance: utterance.id)[:3]

    def mend(utterance):
        if utterance.id == two.id:
            return dataclasses.replace(utterance, targets={"emotion": "sadness"})
        return utterance

    kept = one.path.read_bytes()
    try:
        tampered(one.path)
        left = Corpus(corpus.facts, corpus.folder, tuple(u for u in corpus.utterances if u.id != three.id))
        with pytest.raises(UserError) as caught:
            repeat(card, [changed(left, mend)], tmp_path / "again")
    finally:
        one.path.write_bytes(kept)
    assert str(caught.value) == (
        f"{card}: 3 of the card's 40 recordings differ here: {one.id}: another sound; "
        f"{two.id}: another label, speaker or interval; {three.id}: missing or unreadable"
    )
    assert not (tmp_path / "again").exists()


def test_other_corpora_and_other_folds_are_refused(card, corpus, tmp_path):
    other = Corpus(dataclasses.replace(corpus.facts, name="other"), corpus.folder, corpus.utterances)
    with pytest.raises(UserError, match=r"the card's corpora are synthetic \(--corpus\); received other"):
        repeat(card, [other], tmp_path / "again")
    with pytest.raises(UserError, match=r"the card's corpora are none \(--also\); received other"):
        repeat(card, [corpus], tmp_path / "again", also=[other])
    document = json.loads(card.read_text())
    document["run"]["splits"] = "0" * 32
    card.write_text(json.dumps(document))
    with pytest.raises(UserError, match="its protocol yields other folds here"):
        repeat(card, [corpus], tmp_path / "again")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: run.pop("content"), r"sent.json: run\.content is missing"),
        (
            lambda run: run["system"][0].pop("stages"),
            "sent.json: this serkit does not support system 'linear-baseline': stages: Field required",
        ),
        (
            lambda run: run["protocol"].update(kind="x"),
            "sent.json: this serkit does not support protocol 'three': kind: Input should be",
        ),
    ],
)
def test_a_card_that_is_not_whole_is_refused(card, corpus, tmp_path, spoil, message):
    document = json.loads(card.read_text())
    spoil(document["run"])
    card.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        repeat(card, [corpus], tmp_path / "again")


def test_listed_folds_are_looked_for_beside_the_card(corpus, tmp_path):
    rows = [f"{u.id},{'test' if u.speaker[-1] in '45' else 'train'}" for u in corpus.utterances]
    (tmp_path / "mine.csv").write_text("\n".join(["id,part", *rows]))
    listed = {"listed": Protocol(kind="fixed", lists=tmp_path / "mine.csv")}
    run(
        Request("linear-baseline", [corpus], "listed", SHORT, final=False, jobs=1, threads=1, protocols=listed),
        tmp_path / "run",
    )
    with pytest.raises(UserError, match=r"run/mine.csv: missing; this file lists the card's folds"):
        repeat(tmp_path / "run" / "card.json", [corpus], tmp_path / "again")
    shutil.copy(tmp_path / "mine.csv", tmp_path / "run" / "mine.csv")
    assert repeat(tmp_path / "run" / "card.json", [corpus], tmp_path / "again", jobs=1).differences == []
