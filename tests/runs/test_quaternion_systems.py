"""The systems of Guizzo et al. 2023: what they say, who learns from whom, small ones trained on generated speech."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from preparation import prepare
from serkit import systems
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.protocols.splits import splits
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.training import loop

RH_EMO = ["reconstruction", "rh-emo"]
STAGES = {
    "rh-emo": RH_EMO,
    "quaternion-vgg16": [*RH_EMO, "emotion"],
    "quaternion-vgg16-frozen": [*RH_EMO, "emotion"],
    "quaternion-at-speaker": [*RH_EMO, "speaker", "emotion"],
    "quaternion-at-speaker-librispeech": [*RH_EMO, "speaker", "emotion"],
    "quaternion-at-word": [*RH_EMO, "word", "emotion"],
    "quaternion-at-word-librispeech": [*RH_EMO, "word", "emotion"],
    "quaternion-at-speaker-word": [*RH_EMO, "speaker", "emotion", "word", "again"],
    "quaternion-at-word-speaker": [*RH_EMO, "word", "emotion", "speaker", "again"],
    "real-vgg16": ["emotion"],
    "real-at-speaker": ["speaker", "emotion"],
    "real-at-word": ["word", "emotion"],
    "real-at-speaker-word": ["speaker", "emotion", "word", "again"],
    "real-at-word-speaker": ["word", "emotion", "speaker", "again"],
}

IMAGE = '{ name = "stft_magnitude", rate = 4000, fft = 128, length = 128, hop = 64, size = [256, 64] }'


def small(name):
    """Overrides that make a system train in a moment."""
    sets = [f"views.image.feature={IMAGE}", "stages.*.trainer.epochs=1", "stages.*.trainer.batch_size=8"]
    for stage in systems.load(name).stages:
        if stage.network and stage.network.name == "vgg16":
            quaternion = "true" if stage.network.options.get("quaternion") else "false"
            options = f'name = "vgg16", quaternion = {quaternion}, channels = [4, 4, 4, 4, 4], hidden = 4'
            sets.append(f"stages.{stage.name}.network={{ {options} }}")
        elif stage.name == "rh-emo":
            sets.append("stages.rh-emo.network.hidden=4")
    return sets


def further(corpus, name, **targets):
    """The same recordings as another corpus, whose emotions are TAVA's."""
    utterances = tuple(
        dataclasses.replace(
            u,
            id=f"{name}/{u.id.partition('/')[2]}",
            speaker=f"{name}/{u.speaker.partition('/')[2]}",
            targets={**u.targets, **targets},
        )
        for u in corpus.utterances
    )
    return dataclasses.replace(corpus, facts=dataclasses.replace(corpus.facts, name=name), utterances=utterances)


def tava(corpus):
    """Half of it is rated high; an affect that is a class of the other corpora, too, and one that is none."""
    rated = further(corpus, "tava")
    return dataclasses.replace(
        rated,
        utterances=tuple(
            dataclasses.replace(
                u,
                sentence=None,
                targets={
                    "emotion": "anger" if "anger" in u.id else "serene",
                    "valence": (-1) ** n * 0.5,
                    "arousal": 0.25 * (n % 3 - 1),
                    "dominance": n / 40,
                },
            )
            for n, u in enumerate(rated.utterances)
        ),
    )


# --- what the files say


@pytest.mark.parametrize("name", STAGES)
def test_what_every_system_says(name):
    system = systems.load(name)
    assert system.system.paper == "guizzo2023"
    assert [stage.name for stage in system.stages] == STAGES[name]
    assert system.deployed.name == STAGES[name][-1]
    assert system.data.items.windowing.windows(9.5) == [(0, 4), (4, 8), (8, 9.5)]
    assert system.data.items.windowing.windows(8.5) == [(0, 4), (4, 8)]
    views, quaternion = system.views, not name.startswith("real")
    assert views["image"].feature.options == {"size": [512, 128]}
    assert views["image"].normalise == ("maximum" if quaternion else "global")
    for stage in system.stages:
        assert stage.trainer.select == "loss" and stage.trainer.stopping.name == "patience"
        if stage.name in ("speaker", "word"):
            assert (stage.trainer.batch_size, stage.trainer.learning_rate) == (40, 5e-5)
            assert stage.view == ("embedding" if quaternion else "image")
            assert system.stage_data(stage).validation == 0.1
        elif stage.name in ("emotion", "again"):
            trainer = stage.trainer
            assert (trainer.optimizer, trainer.learning_rate, trainer.batch_size) == ("adam", 1e-5, 20)
            assert (trainer.epochs, trainer.stopping.options) == (500, {"epochs": 20})
            # The protocol's own: this is what is scored.
            assert system.stage_data(stage).validation is None and system.stage_data(stage).corpora == "scored"
        if stage.network and stage.network.name == "vgg16":
            assert stage.network.options == ({"quaternion": True} if quaternion else {})
    if quaternion and "emotion" in STAGES[name]:
        assert views["tuned"].trainable == (name != "quaternion-vgg16-frozen")
    if "-at-" in name:
        first, *second = [stage for stage in STAGES[name] if stage in ("speaker", "word")]
        by_name = {stage.name: stage.method for stage in system.stages}
        assert by_name["emotion"].options == {"extractor": first, "layers": ["conv2"]}
        assert [by_name["again"].options] == [{"extractor": other} for other in second] if second else True


def test_steps_of_rh_emo_are_those_of_its_public_code():
    first, second = systems.load("rh-emo").stages
    assert first.method.options == {"beta": 0.0} and first.network.options == {"heads": False}
    assert (first.trainer.batch_size, first.trainer.learning_rate) == (50, 1e-3)
    assert first.trainer.stopping.options == {"epochs": 100}
    assert second.method.options == {"beta": 0.01, "beta_vad": 100.0, "threshold": 0.0}
    assert (second.trainer.batch_size, second.trainer.learning_rate, second.trainer.weight_decay) == (20, 1e-6, 1e-5)
    assert second.trainer.stopping.options == {"epochs": 30} and second.start_from == "reconstruction"


# --- who learns from whom


def prepared(name, corpora, protocol="actor", also=()):
    experiment = prepare(systems.load(name, small(name)), corpora, protocol, Store(), also=also)
    return experiment, splits(experiment.protocol, experiment.scored, experiment.target)


@pytest.mark.parametrize("protocol", ["paper", "actor", "clean", "leave-one-sentence-out"])
def test_no_stage_sees_the_test_part(synthetic, protocol):
    experiment, parts = prepared("quaternion-at-word-speaker", [synthetic], protocol, [tava(synthetic)])
    assert {u.corpus for u in experiment.scored} == {"synthetic"} and len(experiment.scored) == 40
    by_id = {u.id: u for chosen in experiment.utterances.values() for u in chosen}
    group = experiment.protocol.group
    for split in parts:
        assert {name.partition("/")[0] for name in (*split.train, *split.validation, *split.test)} == {"synthetic"}
        tested = {getattr(by_id[name], group) for name in split.test}
        for stage in experiment.system.stages:
            training_part, validation_part = experiment.parts(stage, split)
            learned, held = ({u.id for u in part} for part in (training_part, validation_part))
            assert not (learned | held) & set(split.test) and not learned & held
            if stage.name in ("emotion", "again"):
                assert (learned, held) == (set(split.train), set(split.validation))
            else:
                # A validation part of its own, out of the training part, whatever the protocol's is for.
                assert not (learned | held) & set(split.validation)
                own = {name for name in learned | held if name.startswith("synthetic/")}
                assert own == set(split.train) and held
            if experiment.protocol.grouped:
                assert not {getattr(u, group) for u in [*training_part, *validation_part]} & tested
            assert any(u.corpus == "tava" for u in training_part) == (stage.name in RH_EMO)


def test_the_speaker_task_is_validated_on_speakers_it_learned_from(synthetic):
    experiment, (split,) = prepared("quaternion-at-speaker", [synthetic])
    [stage] = [stage for stage in experiment.system.stages if stage.name == "speaker"]
    learned, held = experiment.parts(stage, split)
    # Of three speakers with eight utterances each a tenth is set aside, from different speakers.
    assert len({u.speaker for u in learned}) == 3 and len({u.speaker for u in held}) == 2
    assert (len(learned), len(held)) == (22, 2)
    assert experiment.parts(stage, split) == (learned, held)
    again = dataclasses.replace(split, seed=1)
    assert {u.id for u in experiment.parts(stage, again)[1]} != {u.id for u in held}


def test_rh_emo_learns_classes_here_and_ratings_there(synthetic):
    experiment, _ = prepared("quaternion-vgg16", [synthetic], also=[tava(synthetic)])
    assert set(experiment.classes["rh-emo"]) == {"emotion", "valence", "arousal", "dominance"}
    assert experiment.classes["rh-emo"]["emotion"] == ["anger", "fear", "neutral", "sadness"]
    assert experiment.classes["rh-emo"]["valence"] == ["-0.5", "0.5"]
    chosen = experiment.utterances["rh-emo"]
    rated = [u for u in chosen if u.corpus == "tava"]
    assert len(rated) == 40 and len(chosen) == 80
    # An affect that is no class of the other corpora is no label; one that is, is.
    assert {u.targets.get("emotion") for u in rated} == {None, "anger"}
    assert {u.targets.get("valence") for u in chosen if u.corpus == "synthetic"} == {None}
    # Step 1 needs no class: it gives all images back.
    assert len(experiment.utterances["reconstruction"]) == 80
    assert experiment.classes["emotion"] == {"emotion": ["anger", "fear", "neutral", "sadness"]}
    assert not experiment.flags


def test_rh_emo_without_ratings_says_so(synthetic):
    experiment, _ = prepared("quaternion-vgg16", [synthetic])
    assert list(experiment.classes["rh-emo"]) == ["emotion"]
    assert [flag.text for flag in experiment.flags] == [
        f"stage 'rh-emo' learns no {target}: no utterance has it" for target in ("valence", "arousal", "dominance")
    ]


def test_rh_emo_by_itself_is_scored_where_there_are_classes(synthetic):
    experiment, _ = prepared("rh-emo", [synthetic, tava(synthetic)])
    assert {u.id for u in experiment.scored if u.corpus == "tava"} == {
        u.id for u in experiment.utterances["rh-emo"] if u.corpus == "tava" and "anger" in u.id
    }
    assert all(u.targets.get("emotion") for u in experiment.scored)
    # Where the same corpus is given to learn from only, the deployed stage learns from it, and it is not scored.
    experiment, _ = prepared("rh-emo", [synthetic], also=[tava(synthetic)])
    assert {u.id for u in experiment.scored} == {u.id for u in synthetic.utterances}
    assert {u.corpus for u in experiment.utterances["rh-emo"]} == {"synthetic", "tava"}


@pytest.mark.parametrize(("task", "corpus"), [("speaker", "librispeech"), ("word", "librispeech-words")])
def test_librispeech_teaches_the_other_task_and_is_not_scored(synthetic, task, corpus):
    name = f"quaternion-at-{task}-librispeech"
    with pytest.raises(UserError, match=rf"stage '{task}' learns from corpus '{corpus}'.*: --also {corpus}=FOLDER"):
        prepared(name, [synthetic])
    read = further(synthetic, corpus)
    words = tuple(
        dataclasses.replace(u, targets={"speaker": u.speaker, "word": "house" if "t1" in u.id else "garden"})
        for u in read.utterances
    )
    read = dataclasses.replace(read, utterances=words)
    experiment, (split,) = prepared(name, [synthetic], also=[read])
    assert {u.corpus for u in experiment.scored} == {"synthetic"}
    assert {u.corpus for u in experiment.utterances[task]} == {corpus}
    [stage] = [stage for stage in experiment.system.stages if stage.name == task]
    learned, held = experiment.parts(stage, split)
    # Whole: none of it is in the split. A tenth of each class is for validation.
    assert len(learned) + len(held) == 40 and len(held) == 4
    # It has no emotions, so RH-emo does not learn from it.
    assert {u.corpus for u in experiment.utterances["rh-emo"]} == {"synthetic"}


# --- trained


@pytest.fixture(scope="module")
def trained(synthetic, tmp_path_factory):
    """Runs of all rows but single W, in one folder of stages; what was trained, and from which weights."""
    folder = tmp_path_factory.mktemp("guizzo2023")
    began, original = [], loop.fit

    def fit(model, *arguments):
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        began.append((arguments[5].name.rpartition("-")[0], weights, arguments[0]))
        return original(model, *arguments)

    runs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "fit", fit)
        for name in ("quaternion-vgg16", "quaternion-at-speaker", "quaternion-at-speaker-word", "real-at-word-speaker"):
            also = [tava(synthetic)] if name.startswith("quat") else []
            settings = {"final": False, "jobs": 1, "threads": 1, "also": also, "store": Store(folder / "store")}
            request = Request(name, [synthetic], "actor", small(name), **settings)
            scores = run(request, folder / name, stages=folder / "stages").to_dict()
            runs[name] = (scores, json.loads((folder / name / "folds/seed-0-fold-1.json").read_text())["stages"])
    return folder, began, runs


def test_rows_share_what_they_have_in_common(trained):
    _, began, runs = trained
    quaternion = [name for name, _, _ in began][: -len(STAGES["real-at-word-speaker"])]
    assert quaternion == ["reconstruction", "rh-emo", "emotion", "speaker", "emotion", "word", "again"]
    plain, single, dual = (runs[f"quaternion-{name}"][1] for name in ("vgg16", "at-speaker", "at-speaker-word"))
    assert plain["rh-emo"] == single["rh-emo"] == dual["rh-emo"]
    assert single["emotion"] == dual["emotion"] != plain["emotion"]
    assert [name for name, _, _ in began[-4:]] == STAGES["real-at-word-speaker"]


@pytest.mark.parametrize(
    ("name", "second"), [("quaternion-at-speaker-word", "word"), ("real-at-word-speaker", "speaker")]
)
def test_dual_anti_transfer_begins_where_single_ended(trained, name, second):
    folder, began, runs = trained
    stages = runs[name][1]
    weights = load_file(folder / "stages" / stages["emotion"] / "weights.safetensors")
    again = [entry for entry in began if entry[0] == "again"]
    _, start, method = again[0] if name.startswith("quat") else again[1]
    assert start.keys() == weights.keys()
    assert all(torch.equal(start[key], value) for key, value in weights.items())
    assert method.extractor == second and method.maps == {"conv2": "conv2"}


def test_the_rated_corpus_is_in_the_run_but_not_in_its_scores(trained):
    folder, _, runs = trained
    scores, _ = runs["quaternion-at-speaker"]
    described = json.loads((folder / "quaternion-at-speaker/run.json").read_text())
    assert list(described["also"]) == ["tava"] and list(described["folders"]) == ["synthetic"]
    assert list(scores["content"]) == ["synthetic"] and scores["n"] == 8
    # The very same recordings under another name: the audit finds them among what earlier stages learned from.
    assert any("bit-identical" in flag["text"] for flag in scores["flags"])
