import dataclasses
import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score

from serkit.corpora.corpus import Corpus
from serkit.errors import UserError
from serkit.evaluation.predictions import Predictions
from serkit.protocols import Protocol
from serkit.runs.export import export
from serkit.runs.models import rebuild
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.systems.schema import System

THREE = {"three": Protocol(kind="group_kfold", folds=3)}
SHORT = ("stages.main.trainer.epochs=3", "stages.main.trainer.batch_size=8")


def request(*corpora, **options):
    usual = {
        "system": "linear-baseline",
        "protocol": "three",
        "protocols": THREE,
        "sets": SHORT,
        "threads": 1,
        "jobs": 1,
    }
    return Request(**{**usual, "corpora": corpora, **options})


def changed(corpus, change, name=None):
    facts = dataclasses.replace(corpus.facts, name=name or corpus.name)
    return Corpus(facts, corpus.folder, tuple(map(change, corpus.utterances)))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, synthetic):
    """The folder of a finished run, its scores, and what it reported."""
    folder, lines = tmp_path_factory.mktemp("run") / "linear", []
    return folder, run(request(synthetic, command="serkit train"), folder, report=lines.append).to_dict(), lines


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run that a test may break."""
    return shutil.copytree(finished[0], tmp_path / "copy")


# --- what a run leaves behind


def test_the_folder(finished):
    folder, _, lines = finished
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    folds = {f"folds/seed-0-fold-{fold}.{kind}" for fold in (1, 2, 3) for kind in ("csv", "json")}
    assert folds | {"run.json", "splits.json", "predictions.csv", "scores.json", "card.json", "final.json"} <= names
    assert len([name for name in names if name.endswith("stage.json")]) == 4
    assert not [name for name in names if "tmp" in name or "checkpoint" in name]
    assert [line.partition(":")[0] for line in lines] == [
        "seed-0-fold-1",
        "seed-0-fold-2",
        "seed-0-fold-3",
        "final model trained on everything",
    ]


def test_every_utterance_is_tested_once_by_a_model_that_does_not_know_its_speaker(finished, synthetic):
    folder, _, _ = finished
    predictions = Predictions.load(folder / "predictions.csv")
    assert sorted(predictions.ids) == sorted(utterance.id for utterance in synthetic.utterances)
    emotion = {utterance.id: utterance.targets["emotion"] for utterance in synthetic.utterances}
    assert [predictions.classes[row] for row in predictions.truth] == [emotion[name] for name in predictions.ids]
    speaker = {utterance.id: utterance.speaker for utterance in synthetic.utterances}
    for split in read(folder / "splits.json"):
        learned = read(folder / "stages" / read(folder / "folds" / f"{split['name']}.json")["stage"] / "stage.json")[
            "items"
        ]
        assert sorted(learned) == split["train"]
        assert not {speaker[name] for name in learned} & {speaker[name] for name in split["test"]}
        tested = predictions.select(predictions.folds == split["fold"])
        assert sorted(tested.ids) == split["test"]


def test_the_scores_are_those_of_the_predictions(finished):
    folder, scores, _ = finished
    assert read(folder / "scores.json") == json.loads(json.dumps(scores))
    predictions = Predictions.load(folder / "predictions.csv")
    expected = balanced_accuracy_score(predictions.truth, predictions.predicted)
    assert scores["uar"]["estimate"] == pytest.approx(expected)
    assert scores["n"] == 40
    assert scores["folds"] == 3
    assert (scores["system"], scores["protocol"]) == ("linear-baseline", "three")
    assert (scores["configurations"], scores["chosen_on"]) == (1, "nothing to choose")
    assert not [flag for flag in scores["flags"] if flag["kind"] in ("speaker", "recording")]
    assert scores["constant"]["uar"] == pytest.approx(0.25)


def test_the_run_knows_what_was_asked_for(finished, synthetic):
    described = read(finished[0] / "run.json")
    (system,) = described["system"]
    assert system["stages"][0]["trainer"]["epochs"] == 3
    assert described["protocol"]["kind"] == "group_kfold"
    assert described["classes"] == ["anger", "fear", "neutral", "sadness"]
    assert described["folders"] == {"synthetic": str(synthetic.folder.absolute())}
    assert (described["seed"], described["threads"], described["command"]) == (0, 1, "serkit train")
    assert {"serkit", "torch", "numpy", "scikit-learn", "python"} <= set(described["versions"])


def test_the_final_model_has_learned_from_everything(finished, synthetic):
    folder, _, _ = finished
    final = read(folder / "final.json")
    described = read(folder / final["stage"] / "stage.json")
    assert sorted(described["items"]) == sorted(utterance.id for utterance in synthetic.utterances)
    assert len(final["recordings"]) == 40
    assert final["temperature"] > 0
    assert final["row"] == 0
    rebuilt = rebuild(folder / final["stage"], System.model_validate(read(folder / "run.json")["system"][0]))
    assert rebuilt.key == final["key"]
    assert list(rebuilt.classes["emotion"]) == read(folder / "run.json")["classes"]


def test_recordings_of_every_stage_are_listed(synthetic, tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(
        """
        extends = "linear-baseline"
        [system]
        deploy = "main"
        [data]
        classes = ["anger", "fear"]
        [[stages]]
        name = "who"
        view = "functionals"
        network = "linear"
        data = { target = "speaker", classes = "all" }
        trainer = { epochs = 1 }
        """
    )
    run(request(synthetic, system=path), tmp_path / "run")
    assert len(Predictions.load(tmp_path / "run" / "predictions.csv").ids) == 20
    # The other stage learns from all of them who speaks.
    assert len(read(tmp_path / "run" / "final.json")["recordings"]) == 40


# --- taking a run up again


def test_a_lost_fold_is_predicted_again_from_its_stage(copied, finished, synthetic, fits):
    for kind in ("csv", "json"):
        (copied / "folds" / f"seed-0-fold-2.{kind}").unlink()
    lines = []
    scores = run(request(synthetic), copied, resume=True, report=lines.append).to_dict()
    assert fits == []
    assert lines[0] == "2 of 3 folds are already done"
    assert lines[1].startswith("seed-0-fold-2: UAR")
    assert (copied / "predictions.csv").read_bytes() == (finished[0] / "predictions.csv").read_bytes()
    assert scores == finished[1]


def test_a_lost_stage_is_trained_again_alike(copied, finished, synthetic, fits):
    note = read(copied / "folds" / "seed-0-fold-3.json")
    (copied / "folds" / "seed-0-fold-3.json").unlink()
    (copied / "stages" / note["stage"] / "stage.json").unlink()
    run(request(synthetic), copied, resume=True)
    assert fits == ["main"]
    assert (copied / "predictions.csv").read_bytes() == (finished[0] / "predictions.csv").read_bytes()
    before, after = (
        load_file(folder / "stages" / note["stage"] / "weights.safetensors") for folder in (finished[0], copied)
    )
    assert all(before[name].equal(after[name]) for name in before)


def test_a_run_is_not_taken_up_unasked(copied, synthetic):
    with pytest.raises(UserError, match="already holds a run; continue it with --resume, or choose another --out"):
        run(request(synthetic), copied)


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"seed": 1}, "splits, seed"),
        ({"sets": ()}, "system"),
        ({"protocol": "clean"}, "protocol, splits"),
        ({"threads": 2}, "threads"),
    ],
)
def test_another_request_is_refused(copied, finished, synthetic, change, differing):
    before = (copied / "run.json").read_bytes()
    with pytest.raises(UserError, match=rf"holds a run that differs in: {differing}; choose another --out"):
        run(request(synthetic, **change), copied, resume=True)
    assert (copied / "run.json").read_bytes() == before
    assert (copied / "splits.json").read_bytes() == (finished[0] / "splits.json").read_bytes()


def test_other_labels_or_speakers_are_refused(copied, synthetic):
    def fearful(utterance):
        return dataclasses.replace(utterance, targets={"emotion": "fear"}) if "t1_anger" in utterance.id else utterance

    def other_speaker(utterance):
        new = utterance.speaker.replace("s01", "s06") if "t1" in utterance.id else utterance.speaker
        return dataclasses.replace(utterance, speaker=new)

    with pytest.raises(UserError, match="differs in: content, material"):
        run(request(changed(synthetic, fearful)), copied, resume=True)
    with pytest.raises(UserError, match="differs in: material, splits"):
        run(request(changed(synthetic, other_speaker)), copied, resume=True)


def test_the_same_recordings_elsewhere_are_accepted(copied, synthetic, tmp_path, fits):
    def moved(utterance):
        path = tmp_path / utterance.path.name
        path.write_bytes(utterance.path.read_bytes())
        return dataclasses.replace(utterance, path=path)

    run(request(changed(synthetic, moved), command="another command"), copied, resume=True)
    assert fits == []


# --- several corpora, several processes


SHARED = """
[system]
name = "shared"

[views.flat]
feature = { name = "log_mel_functionals", bands = 8 }
normalise = "band"

[[stages]]
name = "first"
view = "flat"
network = "linear"
data = { where = { corpus = "other" } }
trainer = { epochs = 3, batch_size = 8 }

[[stages]]
name = "main"
start_from = "first"
data = { where = { corpus = "synthetic" } }
trainer = { epochs = 2, batch_size = 8 }
"""


def test_weights_that_know_the_test_part_are_flagged(finished, synthetic, tmp_path):
    folder = finished[0]
    bundle = tmp_path / "bundle"
    export(folder, bundle, recordings=2)
    stage = tmp_path / "stage"
    shutil.copytree(folder / read(folder / "final.json")["stage"], stage)
    leak = "recording leak: stage 'main' starts from {}, which was trained on 40 of the 40 recordings that are scored"
    unknown = "stage 'main' starts from stage: what that was trained on is not known"
    for place, expected in ((folder, leak.format("linear")), (bundle, leak.format("bundle")), (stage, unknown)):
        asked = request(synthetic, sets=[f"stages.main.start_from={place}", "stages.main.trainer.epochs=1"])
        scores = run(asked, tmp_path / f"from-{place.name}").to_dict()
        assert expected in [flag["text"] for flag in scores["flags"]]
    assert read(tmp_path / "from-linear/final.json")["recordings"] != []


@pytest.fixture
def other(synthetic):
    """The same recordings under other names."""

    def renamed(utterance):
        return dataclasses.replace(utterance, id=f"other/{utterance.id}", speaker=f"other/{utterance.speaker}")

    return changed(synthetic, renamed, "other")


def test_jobs_do_not_change_the_numbers(synthetic, other, tmp_path):
    # The folds share a stage: it learns from a corpus that is not cut, and only one process may train it.
    path = tmp_path / "shared.toml"
    path.write_text(SHARED)
    asked = {"system": path, "sets": ()}
    scores = [run(request(synthetic, other, **asked, jobs=jobs), tmp_path / str(jobs)).to_dict() for jobs in (1, 2)]
    one, two = ((tmp_path / str(jobs) / "predictions.csv").read_bytes() for jobs in (1, 2))
    assert one == two
    assert scores[0] == scores[1]
    for jobs in (1, 2):
        stages = sorted(path.name.split("-")[0] for path in (tmp_path / str(jobs) / "stages").iterdir())
        assert stages == ["first", "main", "main", "main", "main"]
    # What the first stage has learned from is in the test part under another name.
    leak = "recording leak: 80 recordings are bit-identical"
    assert [flag for flag in scores[0]["flags"] if flag["text"].startswith(leak)]
    assert list(scores[0]["content"]) == ["synthetic", "other"]


def test_runs_share_stages(finished, synthetic, tmp_path, fits):
    run(request(synthetic), tmp_path / "again", stages=finished[0] / "stages")
    assert fits == []
    assert not (tmp_path / "again" / "stages").exists()
    final = read(tmp_path / "again" / "final.json")
    assert (tmp_path / "again" / final["stage"] / "weights.safetensors").exists()


# --- sweeps


def lists(folder, synthetic):
    parts = ["train", "train", "validation", "test", "test"]
    rows = [f"{u.id},{parts[int(u.speaker[-1]) - 1]}" for u in synthetic.utterances]
    (folder / "lists.csv").write_text("\n".join(["id,part", *rows]))
    return {"listed": Protocol(kind="fixed", lists=folder / "lists.csv")}


def test_a_sweep_is_chosen_on_validation(synthetic, tmp_path):
    # In the test part the labels are the other way round: who learns well fails there.
    swap = {"anger": "sadness", "sadness": "anger"}

    def swapped(utterance):
        emotion = utterance.targets["emotion"]
        new = swap.get(emotion, emotion) if utterance.speaker[-1] in "45" else emotion
        return dataclasses.replace(utterance, targets={"emotion": new})

    asked = {
        "protocol": "listed",
        "protocols": lists(tmp_path, synthetic),
        "sets": (
            "data.classes=['anger', 'sadness']",
            "stages.main.trainer.epochs=10",
            "stages.main.trainer.batch_size=4",
        ),
        "final": True,
    }
    sweep = ("stages.main.trainer.learning_rate=1e-9,1e-2",)
    corpus = changed(synthetic, swapped)
    scores = run(request(corpus, **asked, sweep=sweep), tmp_path / "sweep").to_dict()
    note = read(tmp_path / "sweep" / "folds" / "seed-0-fold-1.json")
    assert note["validation"][1] > note["validation"][0]
    assert note["chosen"] == 1
    idle = {**asked, "sets": (*asked["sets"], "stages.main.trainer.learning_rate=1e-9"), "final": False}
    assert scores["uar"]["estimate"] < run(request(corpus, **idle), tmp_path / "idle").to_dict()["uar"]["estimate"]
    assert (scores["configurations"], scores["chosen_on"]) == (2, "validation part of each fold")
    final = read(tmp_path / "sweep" / "final.json")
    assert final["row"] == 1
    described = read(tmp_path / "sweep" / final["stage"] / "stage.json")
    assert described["stage"]["trainer"]["learning_rate"] == 1e-2


NESTED = "nested-leave-one-speaker-out"


def test_nothing_inside_a_fold_knows_the_test_speaker(synthetic, tmp_path):
    asked = {
        "protocol": NESTED,
        "sets": ("stages.main.trainer.epochs=2", "stages.main.trainer.select=uar"),
        "sweep": ("stages.main.trainer.learning_rate=1e-4,1e-2",),
        "final": False,
    }
    scores = run(request(synthetic, **asked), tmp_path / "true").to_dict()
    parts = read(tmp_path / "true" / "splits.json")
    speaker = {utterance.id: utterance.speaker for utterance in synthetic.utterances}
    speakers = [{speaker[name] for name in parts[0][part]} for part in ("train", "validation", "test")]
    assert [len(names) for names in speakers] == [len(parts) - 2, 1, 1] and len(set.union(*speakers)) == len(parts)

    tested = set(parts[0]["test"])
    turned = {"anger": "sadness", "sadness": "anger"}

    def mislabel(utterance):
        emotion = utterance.targets["emotion"]
        new = turned.get(emotion, emotion) if utterance.id in tested else emotion
        return dataclasses.replace(utterance, targets={"emotion": new})

    run(request(changed(synthetic, mislabel), **asked), tmp_path / "turned")
    true, other = (read(tmp_path / name / "folds" / "seed-0-fold-1.json") for name in ("true", "turned"))
    assert true.pop("uar") != other.pop("uar")
    # What hashes the predictions, which are scored otherwise.
    for note in (true, other):
        del note["table"], note["checksum"]
    # Weights (with their normalisation), epoch, row of the sweep and temperature.
    assert true == other and true["temperature"] > 0
    assert scores["chosen_on"] == "validation part of each fold; epochs on a validation part: main by uar"


def test_each_fold_is_calibrated_on_its_validation_part(synthetic, tmp_path):
    folder = tmp_path / "nested"
    scores = run(request(synthetic, protocol=NESTED, final=False), folder).to_dict()
    notes = {path.stem: read(path) for path in (folder / "folds").glob("*.json")}
    assert {name: fold["temperature"] for name, fold in scores["calibration"]["folds"].items()} == {
        name: note["temperature"] for name, note in notes.items()
    }
    assert scores["calibration"]["ece"]["before"] == scores["ece"]
    assert scores["calibration"]["log_loss"]["after"] != scores["calibration"]["log_loss"]["before"]


def test_a_temperature_is_not_fitted_on_the_test_part(finished, synthetic, tmp_path):
    assert "calibration" not in finished[1]
    both = {"both": Protocol(kind="random", validate_on_test=True)}
    scores = run(request(synthetic, protocol="both", protocols=both, final=False), tmp_path / "both").to_dict()
    assert "calibration" not in scores
    assert "temperature" not in read(tmp_path / "both" / "folds" / "seed-0-fold-1.json")


def test_a_grid():
    asked = request(sweep=("stages.main.trainer.epochs=1,2", "stages.main.network.dropout=0,0.5"))
    found = [(row.stages[0].trainer.epochs, row.stages[0].network.options["dropout"]) for row in asked.systems()]
    assert found == [(1, 0), (1, 0.5), (2, 0), (2, 0.5)]
    lists = request(sets=(), system="compact-cnn", sweep=("stages.main.network.channels=[8, 16, 16],[4, 4, 4]",))
    found = [row.stages[0].network.options["channels"] for row in lists.systems()]
    assert found == [[8, 16, 16], [4, 4, 4]]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        (
            "stages.main.trainer.learning_rate=1e-3,1e-4",
            "a sweep requires a validation part, but the protocol has none",
        ),
        ("data.classes=['anger','fear'],all", "a sweep cannot change what is scored"),
        ("data.map={},{anger='fear'}", "a sweep cannot change what is scored"),
        ("protocols.clean.validation=0.3,0.5", "a sweep cannot change a protocol"),
        ("stages.main.trainer.epochs", "--sweep stages.main.trainer.epochs: write KEY=A,B,..."),
        ("stages.main.trainer.epochs=", "write KEY=A,B,..."),
        ("stages.main.trainer.epoch=1,2", "Did you mean 'epochs'?"),
    ],
)
def test_sweeps_that_cannot_be(synthetic, tmp_path, sweep, message):
    with pytest.raises(UserError) as caught:
        run(request(synthetic, sweep=(sweep,)), tmp_path / "run")
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


# --- what may be wrong with a corpus or a request


def test_an_unreadable_recording_is_left_out_and_reported(synthetic, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")

    def spoiled(utterance):
        return dataclasses.replace(utterance, path=broken) if utterance.id.endswith("s03_t1_fear_1") else utterance

    lines = []
    scores = run(request(changed(synthetic, spoiled), final=False), tmp_path / "run", report=lines.append).to_dict()
    assert scores["n"] == 39
    assert lines[0].startswith(f"1 unreadable recordings are left out; the first: {broken}: not audio")
    assert not (tmp_path / "run" / "final.json").exists()


def test_a_row_whose_end_lies_past_its_file_is_left_out_and_reported(synthetic, tmp_path):
    def spoiled(utterance):
        return dataclasses.replace(utterance, end=99.0) if utterance.id.endswith("s03_t1_fear_1") else utterance

    lines = []
    scores = run(request(changed(synthetic, spoiled), final=False), tmp_path / "run", report=lines.append).to_dict()
    assert scores["n"] == 39
    assert lines[0].startswith("1 unreadable recordings are left out; the first: synthetic/s03_t1_fear_1: ")
    assert "has no interval 0 to 99 s; it lasts" in lines[0]
    assert list(read(tmp_path / "run" / "run.json")["skipped"]) == ["synthetic/s03_t1_fear_1"]


def test_a_random_protocol_is_flagged(synthetic, tmp_path):
    asked = request(synthetic, protocol="random", final=False)
    scores = run(asked, tmp_path / "run").to_dict()
    assert scores["n"] == 8
    assert scores["flags"][0]["text"] == "speakers may be in both parts"
    assert any(flag["text"].startswith("speaker leak: 1 of 1 folds share speakers") for flag in scores["flags"])
    assert read(tmp_path / "run" / "scores.json")["flags"] == scores["flags"]


def only(corpus, **wanted):
    return dataclasses.replace(
        corpus,
        utterances=tuple(
            u
            for u in corpus.utterances
            if all(
                (u.targets["emotion"] if name == "emotion" else getattr(u, name)) == value
                for name, value in wanted.items()
            )
        ),
    )


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda c: only(c, emotion="fear"), {}, "only one class of 'emotion' is left"),
        (
            lambda c: only(c, speaker="synthetic/s01"),
            {},
            "has only one, 'synthetic/s01'; give more, or choose --protocol random",
        ),
        (lambda c: c, {"protocol": "thre"}, "unknown protocol 'thre'. Did you mean 'three'?"),
        (lambda c: c, {"system": "linear-basline"}, "unknown system 'linear-basline'"),
        (
            lambda c: c,
            {"sets": ("stages.main.network=cnn",)},
            "network 'cnn': view 'functionals' must have shape (bands, None), got (200,)",
        ),
        (
            lambda c: c,
            {"sets": ("stages.main.trainer.select=uar",)},
            "trainer.select = 'uar' requires a validation part",
        ),
        (lambda c: c, {"sets": ("stages.main.trainer.learning_rate=1e38",)}, "the loss 'cross_entropy' is"),
        (lambda c: c, {"accelerator": "qpu"}, "--accelerator qpu: does not work here"),
    ],
)
def test_requests_that_cannot_be(synthetic, tmp_path, make, options, message):
    with pytest.raises(UserError) as caught:
        run(request(make(synthetic), **options), tmp_path / "run")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repeats_have_seeds_of_their_own(synthetic, tmp_path):
    repeated = {"twice": Protocol(kind="group_kfold", folds=2, repeats=2)}
    scores = run(request(synthetic, protocol="twice", protocols=repeated, final=False), tmp_path / "run").to_dict()
    assert (scores["n"], scores["utterances"], scores["folds"]) == (80, 40, 4)
    predictions = Predictions.load(tmp_path / "run" / "predictions.csv")
    first, second = (predictions.select(predictions.seeds == seed) for seed in (0, 1))
    assert first.ids == second.ids
    assert not np.array_equal(first.probabilities, second.probabilities)


def test_the_linear_baseline_runs_on_the_same_folds_and_classes(synthetic, tmp_path):
    sets = ["stages.main.trainer.epochs=1", "data.map.fear=anger", "data.copies=[]", "protocols.clean.folds=2"]
    request = Request("compact-cnn", [synthetic], sets=sets, final=False, jobs=1, threads=1, baseline=True)
    scores = run(request, tmp_path / "run").to_dict()
    own = Predictions.load(tmp_path / "run" / "predictions.csv")
    parts = [Predictions.load(path) for path in sorted((tmp_path / "run" / "baseline" / "folds").glob("*.csv"))]
    other = Predictions.concatenate(parts)
    assert other.classes == own.classes == ("anger", "neutral", "sadness")
    assert dict(zip(other.ids, other.folds, strict=True)) == dict(zip(own.ids, own.folds, strict=True))
    assert scores["baseline"]["system"] == "linear-baseline"
    assert scores["baseline"]["accuracy"]["estimate"] == pytest.approx(float((other.truth == other.predicted).mean()))
    # Itself has no baseline.
    request = dataclasses.replace(request, system="linear-baseline", sets=sets[:2] + sets[3:])
    assert "baseline" not in run(request, tmp_path / "itself").to_dict()


def test_a_run_of_before_a_setting_existed_is_taken_up(synthetic, tmp_path):
    asked = request(synthetic, final=False)
    scores = run(asked, tmp_path / "run").to_dict()
    described = read(tmp_path / "run/run.json")
    del described["also"], described["protocol"]["tested"]
    for row in described["system"]:
        for setting in ("corpora", "labels", "validation"):
            del row["data"][setting]
    (tmp_path / "run/run.json").write_text(json.dumps(described))
    assert run(asked, tmp_path / "run", resume=True).to_dict() == scores
    with pytest.raises(UserError, match="differs in: splits, seed;"):
        run(dataclasses.replace(asked, seed=1), tmp_path / "run", resume=True)


def test_a_class_absent_from_a_training_part_is_noted(synthetic, tmp_path):
    def change(utterance):
        fear = utterance.targets["emotion"] == "fear" and not utterance.speaker.endswith("s05")
        return dataclasses.replace(utterance, targets={"emotion": "anger"}) if fear else utterance

    lines = []
    asked = request(changed(synthetic, change), final=False, sets=("stages.main.trainer.epochs=1",))
    scores = run(asked, tmp_path / "run", report=lines.append).to_dict()
    (split,) = (part for part in read(tmp_path / "run" / "splits.json") if any("s05" in id for id in part["test"]))
    flag = f"classes absent from the training part: fear in 1 of 3 folds ({split['name']})"
    assert {"kind": "absent", "severity": "caution", "text": flag} in scores["flags"]
    assert read(tmp_path / "run" / "scores.json")["flags"] == scores["flags"]
    assert lines[0] == flag  # before anything is trained
    assert scores["recalls"]["fear"] == 0.0


def test_no_class_is_absent(finished):
    assert not any(flag["kind"] == "absent" for flag in finished[1]["flags"])
