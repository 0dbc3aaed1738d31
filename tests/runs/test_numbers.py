"""Targets that are numbers, from the system to the bundle, on generated speech."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from numbered import numbered
from preparation import prepare
from serkit import systems
from serkit.cli.tables import print_scores
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.evaluation.evaluate import evaluate
from serkit.evaluation.predictions import NumberPredictions
from serkit.flags import Flag
from serkit.protocols import Protocol
from serkit.recognition.recognizer import load
from serkit.reports import robustness
from serkit.reports.report import write
from serkit.runs.export import export
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.sizes import sizes

TWO = Protocol(kind="group_kfold", folds=2)
PROTOCOLS = {"two": TWO, "held": TWO.model_copy(update={"validation": 0.3})}
TARGETS = 'data.target=["arousal", "dominance"]'
SHORT = ("stages.main.trainer.epochs=40", "stages.main.trainer.learning_rate=0.02", TARGETS)


def request(corpus, system="linear-regression", **options):
    usual = {"protocol": "two", "protocols": PROTOCOLS, "sets": SHORT, "threads": 1, "jobs": 1}
    return Request(system, [corpus], **{**usual, **options})


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus(synthetic):
    """Ratings from 20 to 80 or so; one utterance lacks the second."""
    return numbered(synthetic, scale=30, offset=50, without={synthetic.utterances[3].id})


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    folder, lines = tmp_path_factory.mktemp("numbers") / "run", []
    return folder, run(request(corpus), folder, report=lines.append).to_dict(), lines


@pytest.fixture(scope="module")
def bundle(finished, corpus, tmp_path_factory):
    """Exported with the corpus given as it is: no reader gives generated speech numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serkit.corpora.load", lambda name, folder, reading: corpus)
        return export(finished[0], tmp_path_factory.mktemp("bundle") / "levels", recordings=6)


def test_numbers_are_learned_in_their_own_units(finished, corpus):
    folder, scores, lines = finished
    predictions = NumberPredictions.load(folder / "predictions.csv")
    assert predictions.targets == ("arousal", "dominance") and len(predictions) == 40
    by_id = {utterance.id: utterance.targets for utterance in corpus.utterances}
    for row, name in enumerate(predictions.ids):
        expected = [by_id[name].get(target, np.nan) for target in predictions.targets]
        np.testing.assert_array_equal(predictions.truth[row], expected)
    assert np.isnan(predictions.truth).sum() == 1
    assert scores["targets"]["arousal"]["n"] == 40 and scores["targets"]["dominance"]["n"] == 39
    assert scores["ccc"]["estimate"] == pytest.approx(predictions.value())
    # Emotions of generated speech are easy to tell, and what is told is in the ratings' units.
    arousal = scores["targets"]["arousal"]
    assert arousal["ccc"]["estimate"] > 0.5 and 30 < predictions.values.mean() < 70
    assert abs(arousal["constant"]["ccc"]) < 0.1
    assert lines[0].startswith("seed-0-fold-1: CCC 0.") and "No" not in lines[0]
    note = read(folder / "folds/seed-0-fold-1.json")
    assert note["ccc"] == pytest.approx(predictions.select(predictions.folds == 1).value())


def test_the_mean_of_each_training_part_stands_beside(finished, corpus):
    folder, scores, _ = finished
    predictions = NumberPredictions.load(folder / "predictions.csv")
    arousal = {utterance.id: utterance.targets["arousal"] for utterance in corpus.utterances}
    errors = []
    for split in read(folder / "splits.json"):
        mean = np.mean([arousal[name] for name in split["train"]])
        errors += [(arousal[name] - mean) ** 2 for name in split["test"]]
    assert len(errors) == len(predictions)
    assert scores["targets"]["arousal"]["constant"]["rmse"] == pytest.approx(np.sqrt(np.mean(errors)))


def test_the_scale_of_the_labels_is_that_of_the_training_part(finished, corpus):
    folder, *_ = finished
    note, [split, _] = read(folder / "folds/seed-0-fold-1.json"), read(folder / "splits.json")
    weights = load_file(folder / "stages" / note["stage"] / "weights.safetensors")
    learned = [u.targets["dominance"] for u in corpus.utterances if u.id in split["train"] and "dominance" in u.targets]
    assert float(weights["scales.dominance.mean"]) == pytest.approx(np.mean(learned), rel=1e-6)
    assert float(weights["scales.dominance.deviation"]) == pytest.approx(np.std(learned), rel=1e-6)


def test_another_scale_gives_the_same_agreement(finished, synthetic, tmp_path):
    tiny = numbered(synthetic, scale=0.03, offset=-7, without={synthetic.utterances[3].id})
    scores = run(request(tiny, final=False), tmp_path / "tiny").to_dict()
    for target, table in scores["targets"].items():
        other = finished[1]["targets"][target]
        assert table["ccc"]["estimate"] == pytest.approx(other["ccc"]["estimate"], abs=1e-3)
        assert 1000 * table["rmse"]["estimate"] == pytest.approx(other["rmse"]["estimate"], rel=1e-2)


def test_a_run_is_taken_up_and_other_labels_are_refused(finished, corpus, synthetic, fits):
    folder, scores, _ = finished
    assert run(request(corpus), folder, resume=True).to_dict() == scores
    assert fits == []
    with pytest.raises(UserError, match="differs in: content, material"):
        run(request(numbered(synthetic, scale=30, offset=51)), folder, resume=True)


def test_a_network_learns_numbers_and_keeps_the_best_epoch_by_concordance(corpus, tmp_path):
    sets = (TARGETS, "stages.main.trainer.epochs=3", "stages.main.trainer.select=ccc", "data.copies=[]")
    asked = request(corpus, "compact-cnn-dimensions", protocol="held", sets=sets, final=False, baseline=True)
    scores = run(asked, tmp_path / "run").to_dict()
    history = tmp_path / "run/stages" / read(tmp_path / "run/folds/seed-0-fold-1.json")["stage"] / "history.jsonl"
    records = list(map(json.loads, history.read_text().splitlines()))
    assert len(records) == 3
    for record in records:
        assert {"training_ccc_arousal", "training_ccc_dominance", "validation_ccc", "validation_loss"} <= set(record)
        assert "training_accuracy" not in record and "validation_uar" not in record
    assert scores["baseline"]["system"] == "linear-regression"
    assert set(scores["baseline"]["targets"]) == {"arousal", "dominance"}
    assert {path.name for path in (tmp_path / "run/baseline/folds").glob("*.csv")} == {
        "seed-0-fold-1.csv",
        "seed-0-fold-2.csv",
    }
    page = write(tmp_path / "run").read_text(encoding="utf-8")
    assert "linear-regression" in page and "always the training mean" in page and "validation CCC" in page


def test_a_sweep_is_chosen_by_concordance(corpus, tmp_path):
    asked = request(corpus, protocol="held", sweep=["stages.main.trainer.learning_rate=1e-6,0.02"], final=False)
    scores = run(asked, tmp_path / "run").to_dict()
    note = read(tmp_path / "run/folds/seed-0-fold-1.json")
    assert scores["configurations"] == 2
    assert note["chosen"] == int(np.argmax(note["validation"])) == 1
    page = write(tmp_path / "run").read_text(encoding="utf-8")
    assert "Mean validation CCC of each" in page and f"{np.mean(note['validation'][1]):.0f}" in page


def test_a_corpus_may_lack_a_target(corpus, synthetic, tmp_path, capsys):
    unrated = numbered(synthetic, scale=30, offset=50, without={u.id for u in synthetic.utterances})
    other = dataclasses.replace(
        unrated,
        facts=dataclasses.replace(unrated.facts, name="other"),
        utterances=tuple(
            dataclasses.replace(u, id=f"other/{n}", speaker=u.speaker.replace("synthetic", "other"))
            for n, u in enumerate(unrated.utterances)
        ),
    )
    asked = request(corpus, sets=(*SHORT, "data.labels=any", "stages.main.trainer.epochs=1"), final=False)
    scored = run(dataclasses.replace(asked, corpora=[corpus, other]), tmp_path / "run")
    scores = scored.to_dict()
    assert {name: list(part["targets"]) for name, part in scores["corpora"].items()} == {
        "other": ["arousal"],
        "synthetic": ["arousal", "dominance"],
    }
    assert (scores["targets"]["arousal"]["n"], scores["targets"]["dominance"]["n"]) == (80, 39)
    page = write(tmp_path / "run").read_text(encoding="utf-8")
    assert page.count('<td class="text">other</td>') == 1 and page.count('<td class="text">synthetic</td>') == 2
    print_scores(scored)
    assert capsys.readouterr().out.count(" other ") == 1


def test_the_report_shows_every_target(finished):
    page = write(finished[0]).read_text(encoding="utf-8")
    arousal = finished[1]["targets"]["arousal"]
    assert f"arousal: CCC {arousal['ccc']['estimate']:.3f}" in page
    assert page.count("label of ") >= 2 and "UAR" not in page.partition("<style>")[0] + page.partition("</style>")[2]
    assert "src=" not in page and "http://" not in page.replace("http://www.w3.org", "")


# --- the bundle


def test_a_bundle_gives_what_torch_gives(bundle, finished, corpus):
    assert [number.name for number in bundle.numbers] == bundle.outputs == ["arousal", "dominance"]
    labels = [utterance.targets["arousal"] for utterance in corpus.utterances]
    assert (bundle.numbers[0].low, bundle.numbers[0].high) == (min(labels), max(labels))
    assert bundle.labels == [] and bundle.calibration is None
    assert bundle.parity.recordings == 6 and bundle.parity.max_difference < 1e-5
    assert [(score.metric, score.value) for score in bundle.scores] == [
        (f"ccc of {name}", finished[1]["targets"][name]["ccc"]["estimate"]) for name in bundle.outputs
    ]
    card = (bundle.folder / "CARD.md").read_text(encoding="utf-8")
    assert "| `arousal` |" in card and "## Calibration" not in card and 'recognizer("call.wav").values' in card


def test_a_bundle_is_scored_on_labelled_recordings(bundle, corpus):
    found = evaluate(load(bundle.folder), [corpus])
    assert found.predictions.targets == ("arousal", "dominance") and len(found.predictions) == 40
    assert found.flags[0].text.startswith("training leak: 40 of 40 recordings")
    # It was trained on them.
    assert found.predictions.value() > 0.5
    without = dataclasses.replace(
        corpus,
        utterances=tuple(
            dataclasses.replace(u, targets={"emotion": "fear"}) if n < 5 else u for n, u in enumerate(corpus.utterances)
        ),
    )
    found = evaluate(load(bundle.folder), [without])
    assert len(found.predictions) == 35
    text = "5 of 40 recordings have none of the numbers: left out"
    assert Flag("left out", "caution", text) in found.flags
    unrated = dataclasses.replace(corpus, utterances=without.utterances[:5])
    with pytest.raises(UserError, match=r"no recording has a number of 'levels' \(arousal, dominance\).*: emotion"):
        evaluate(load(bundle.folder), [unrated])


# --- what cannot be


def test_what_is_made_of_classes_refuses_numbers(bundle, finished):
    for made in (
        lambda: load(bundle.folder).stream(16000),
        lambda: robustness.of_bundle(str(bundle.folder), [], {}, ["gain"]),
    ):
        with pytest.raises(UserError, match=r"predicts numbers \(arousal, dominance\), not classes"):
            made()
    with pytest.raises(UserError, match=r"scores numbers .*classes are required"):
        robustness.of_run(finished[0], [], ["gain"])


def test_a_method_and_its_labels_must_be_of_one_kind(corpus):
    def make(name, *sets):
        return prepare(systems.load(name, sets), [corpus], "clean", Store())

    with pytest.raises(UserError, match=r"learns classes, but target 'arousal' holds .*main.method=regression"):
        make("linear-baseline", "data.target=arousal")
    with pytest.raises(UserError, match="method 'regression' learns numbers, but target 'emotion' holds '"):
        make("linear-regression", "data.target=emotion")
    assert make("linear-baseline", "data.target=arousal", "stages.main.method=regression").numbers == ["arousal"]


def test_labels_that_are_all_alike_are_refused(synthetic):
    with pytest.raises(UserError, match=r"'arousal' is 0\.0 for all utterances"):
        prepare(systems.load("linear-regression", [TARGETS]), [numbered(synthetic, scale=0.0)], "clean", Store())


def test_the_epoch_of_numbers_is_not_chosen_by_accuracy(corpus, tmp_path):
    for name, select, better in (("linear-regression", "uar", "ccc"), ("linear-baseline", "ccc", "uar")):
        target = TARGETS if name == "linear-regression" else "data.target=emotion"
        asked = request(corpus, name, sets=(target, f"stages.main.trainer.select={select}"), protocol="held")
        with pytest.raises(UserError, match=f"trainer.select = '{select}'.*choose 'loss', or '{better}'"):
            run(asked, tmp_path / name)


def test_a_network_of_numbers_has_one_output_for_each(corpus):
    classes, numbers = (systems.load(name) for name in ("linear-baseline", "linear-regression"))
    inputs = sizes(classes, classes=7)["main"]["parameters"] // 7
    assert sizes(numbers, classes=7)["main"]["parameters"] == 3 * inputs
