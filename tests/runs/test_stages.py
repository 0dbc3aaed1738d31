import dataclasses
import inspect
import json
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from serkit import features, methods
from serkit.auditing.provenance import Used, trace
from serkit.corpora.corpus import Channel
from serkit.data.items import cut
from serkit.errors import UserError
from serkit.methods import method_class
from serkit.methods.supervised import Supervised
from serkit.networks import network_class
from serkit.protocols import Protocol
from serkit.runs import sealed
from serkit.runs.files import StageNote
from serkit.runs.models import leaves, rebuild
from serkit.runs.stages import Stages
from serkit.training import checkpoint, loop
from serkit.training.batches import ItemData

MAIN = {"name": "main"}
LINEAR = {"name": "main", "view": "flat", "network": "linear"}
#: No step changes a weight.
STILL = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-30, "optimizer": "sgd"}
DEEP = {"deep": {"stage": "front"}}
ALONG = {"deep": {"stage": "front", "trainable": True}}
ON_DEEP = {"name": "main", "view": "deep", "network": "linear"}


def weights(finished):
    return {name: value.clone() for name, value in finished.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def held_out(made):
    names = set(made.split.test)
    return [utterance for utterance in made.experiment.scored if utterance.id in names]


def from_features(made, finished, utterances):
    """Probabilities of a model that needs features only, computed one item at a time."""
    system, store = made.experiment.system, made.experiment.store
    windowing = system.stage_data(finished.stage).items.windowing
    found = []
    for utterance in utterances:
        items, arrays, shapes = cut(utterance, windowing), {}, {}
        for name in leaves(system, finished.stage):
            view = system.views[name]
            feature = features.build(view.feature.name, **view.feature.options)
            shapes[name] = feature.shape
            arrays[name] = store.features(feature, items, made.experiment.hashes, windowing, view.channel)
        data = ItemData(items, arrays, shapes)
        with torch.inference_mode():
            rows = [finished.model(data.batch([row])).predictions["emotion"][0] for row in range(len(items))]
        found.append(torch.stack(rows).double().softmax(1).mean(0).numpy())
    return np.array(found)


# --- one stage


def test_what_a_stage_leaves_behind(bench):
    made = bench.train(MAIN, data={"copies": ["noise"]})
    finished = made.finished["main"]
    files = {path.name for path in finished.folder.iterdir()}
    assert {"weights.safetensors", "record.safetensors", "history.jsonl", "stage.json"} <= files
    assert not {"checkpoint.safetensors", "best.safetensors"} & files
    described = json.loads((finished.folder / "stage.json").read_text())
    assert described["epochs"] == len((finished.folder / "history.jsonl").read_text().splitlines()) == 2
    assert described["classes"] == {"emotion": ["anger", "fear", "neutral", "sadness"]}
    assert described["parameters"] == sum(parameter.numel() for parameter in finished.model.parameters())
    assert finished.folder.name == f"main-{finished.key[:16]}"
    record = finished.record()
    assert set(record) == {f"{name}{copy}" for name in made.split.train for copy in ("", "+noise")}
    assert all(len(right) == 2 for right in record.values())
    assert not finished.model.training


def test_probabilities_are_means_over_the_windows(bench):
    made = bench.train(MAIN, data={"items": {"seconds": 0.4, "tail": "keep", "minimum": 0.2}})
    utterances = held_out(made)
    assert len({len(cut(u, made.experiment.system.data.items.windowing)) for u in utterances}) > 1
    found = made.probabilities(made.finished["main"], utterances, "emotion")
    np.testing.assert_allclose(found, from_features(made, made.finished["main"], utterances), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1)


def test_normalisation_is_fitted_on_the_training_part(bench):
    protocol = Protocol(kind="group_kfold", folds=5, validation=0.25)
    made = bench.train(MAIN, protocol="own", definitions={"own": protocol})
    stage = made.experiment.system.stages[0]
    learned, held = made.experiment.parts(stage, made.split)
    assert held
    data = made.item_data(
        made.finished["main"], [item for u in learned for item in cut(u, made.experiment.system.data.items.windowing)]
    )
    joined = np.concatenate(list(data.arrays["mel"]), axis=1).astype(np.float64)
    normalisation = made.finished["main"].model.normalisations["mel"]
    np.testing.assert_allclose(normalisation.mean[:, 0], joined.mean(1), rtol=1e-5)
    np.testing.assert_allclose(normalisation.deviation[:, 0], joined.std(1), rtol=1e-5)


def test_what_a_stage_was_normalised_and_chosen_by_is_written_down(bench):
    protocol = Protocol(kind="group_kfold", folds=5, validation=0.25)
    made = bench.train(MAIN, protocol="own", definitions={"own": protocol}, data={"copies": ["noise"]})
    described = seen(made, "main")
    assert described["normalised_on"] == {"mel": described["items"]}
    assert len(described["items"]) == 2 * len(made.split.train)
    assert sorted(described["selected_on"]) == list(made.split.validation)
    assert trace(made.split, [Used.model_validate(described)]) == []


def test_a_normalisation_that_came_with_weights_trained_on_everything_is_found(bench):
    before = bench.stages(FRONT)
    before.split = dataclasses.replace(before.split, train=before.split.train + before.split.test, test=())
    before.train()
    network = {"view": "mel", "network": before.finished["front"].stage.network.model_dump(), "trainer": STILL}
    main = {"name": "main", "start_from": str(before.finished["front"].folder), **network}
    made = bench.train(main)
    (finding,) = trace(made.split, [Used.model_validate(seen(made, "main"))])
    assert (finding.kind, finding.ids) == ("normalisation", made.split.test)
    refitted = bench.train({**main, "refit": True})
    assert trace(refitted.split, [Used.model_validate(seen(refitted, "main"))]) == []


def seen(made, stage):
    return json.loads((made.finished[stage].folder / "stage.json").read_text())


def test_only_training_items_have_copies(bench):
    protocol = Protocol(kind="group_kfold", folds=5, validation=0.25)
    made = bench.train(LINEAR, protocol="own", definitions={"own": protocol}, data={"copies": ["noise", "speed"]})
    assert (len(made.split.train), len(made.split.validation)) == (24, 8)
    context = made.begin("main")[1]
    assert len(context.training) == 3 * 24
    held = context.items[len(context.training) :]
    assert sorted(item.id for item in held) == sorted(made.split.validation)


def test_nobody_left_to_learn_from(bench):
    first = {**LINEAR, "name": "first", "data": {"target": "speaker", "where": {"sex": "male"}}}
    by_sex = {"protocol": "by-sex", "definitions": {"by-sex": Protocol(kind="group_kfold", group="sex", folds=2)}}
    folds = [bench.stages(first, LINEAR, fold=fold, **by_sex) for fold in range(2)]
    (fold,) = (made for made in folds if "synthetic/s01_t1_anger_1" in made.split.test)
    with pytest.raises(UserError, match="stage 'first': no utterance is left to train on in seed-0-fold-"):
        fold.train()


# --- keys


def test_an_unchanged_stage_is_not_trained_again(bench, fits):
    first = bench.train(MAIN).finished["main"]
    again = bench.train(MAIN).finished["main"]
    assert fits == ["main"]
    assert again.key == first.key
    assert same(weights(again), weights(first))
    assert not again.model.training


def relabelled(corpus):
    def change(utterance):
        return dataclasses.replace(utterance, targets={"emotion": "fear"}) if "t1_anger" in utterance.id else utterance

    return dataclasses.replace(corpus, utterances=tuple(map(change, corpus.utterances)))


def without_one(corpus):
    return dataclasses.replace(corpus, utterances=corpus.utterances[:-1])


FRONT = {"name": "front"}
TWO = [FRONT, {"name": "main", "view": "deep", "network": "linear"}]
KEY_CHANGES = {
    "trainer": {"stages": [{**MAIN, "trainer": {"epochs": 3}}]},
    "schedule": {
        "stages": [{**MAIN, "trainer": {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "schedule": "cosine"}}]
    },
    "network": {
        "stages": [{**MAIN, "network": {"name": "cnn", "channels": [4], "strides": [[4, 2]], "residual": [0]}}]
    },
    "method": {"stages": [{**MAIN, "method": {"name": "supervised", "label_smoothing": 0.1}}]},
    "freeze": {"stages": [{**MAIN, "freeze": ["blocks"]}]},
    "feature": {
        "views": {"mel": {"feature": {"name": "log_mel", "bands": 8, "hop": 800, "length": 500}, "normalise": "band"}}
    },
    "normalisation": {"views": {"mel": {"feature": {"name": "log_mel", "bands": 8, "hop": 800, "length": 512}}}},
    "seed": {"seed": 1},
    "fold": {"fold": 1},
    "windows": {"data": {"items": {"seconds": 0.5}}},
    "copies": {"data": {"copies": ["noise"]}},
    "classes": {"data": {"map": {"anger": "fear"}}},
    "validation": {"protocol": "kfold", "definitions": {"kfold": Protocol(kind="group_kfold", validation=0.25)}},
    "labels": {"change": relabelled},
    "utterances": {"change": without_one},
}


@pytest.fixture
def keys(bench, monkeypatch):
    """Return the keys of stages, without training them."""
    monkeypatch.setattr(Stages, "_fit", lambda *arguments: None)

    def found(stages=(MAIN,), change=lambda corpus: corpus, **options):
        made = bench.train(*stages, corpora=[change(bench.corpus)], **options)
        return {name: finished.key for name, finished in made.finished.items()}

    return found


@pytest.mark.parametrize("change", KEY_CHANGES)
def test_what_decides_the_weights_changes_the_key(keys, change):
    assert keys(**KEY_CHANGES[change])["main"] != keys()["main"]


def test_the_validation_part_changes_the_key(bench, monkeypatch):
    monkeypatch.setattr(Stages, "_fit", lambda *arguments: None)
    found = set()
    for count in (0, 3, 4):
        made = bench.stages(MAIN)
        made.split = dataclasses.replace(made.split, validation=made.split.test[:count], test=made.split.test[4:])
        found.add(made.train().key)
    assert len(found) == 3


def test_what_decides_nothing_does_not(keys, bench, tmp_path):
    assert keys() == keys()
    patient = {**MAIN, "trainer": {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "checkpoint_seconds": 7}}
    assert keys([patient]) == keys()
    assert keys(folder=tmp_path / "elsewhere") == keys()
    assert keys([MAIN, {**MAIN, "name": "later"}])["main"] == keys()["main"]

    def moved(corpus):
        utterances = []
        for utterance in corpus.utterances:
            path = tmp_path / utterance.path.name
            path.write_bytes(utterance.path.read_bytes())
            utterances.append(dataclasses.replace(utterance, path=path))
        return dataclasses.replace(corpus, utterances=tuple(utterances))

    assert keys(change=moved) == keys()


def test_refitting_changes_the_key_only_where_something_is_refitted(keys):
    def stage(network, refitted):
        trainer = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "refit_normalization": refitted}
        return {**MAIN, "view": "mel", "network": network, "trainer": trainer}

    with_layers = {"name": "cnn", "channels": [4], "strides": [[4, 2]], "residual": [0]}
    without = {"name": "bilstm", "layers": 1, "hidden": 4}
    assert keys([stage(with_layers, True)]) != keys([stage(with_layers, False)])
    assert keys([stage(without, True)]) == keys([stage(without, False)])


def test_a_default_counts_like_an_option_that_is_written_out(keys):
    network = {"name": "cnn", "channels": [4], "strides": [[4, 2]], "residual": [0]}
    spelled = {**network, "dropout": inspect.signature(network_class("cnn")).parameters["dropout"].default}
    method = {"name": "supervised", "label_smoothing": 0.0}
    assert keys([{**MAIN, "network": spelled, "method": method}]) == keys([{**MAIN, "network": network}])


@pytest.mark.parametrize("kind", [network_class("cnn"), method_class("supervised")])
def test_a_version_changes_the_key(keys, monkeypatch, kind):
    before = keys()
    monkeypatch.setattr(kind, "version", 2)
    assert keys() != before


def test_the_groups_of_a_machine_change_its_key(keys):
    def renamed(corpus):
        changed = (dataclasses.replace(u, speaker=f"{u.corpus}/{u.sentence}") for u in corpus.utterances)
        return dataclasses.replace(corpus, utterances=tuple(changed))

    by_chance = {"protocol": "random", "definitions": {"random": Protocol(kind="random", test=0.2)}}
    machine = {**LINEAR, "method": "svm"}
    assert keys([machine], change=renamed, **by_chance) != keys([machine], **by_chance)
    assert keys([LINEAR], change=renamed, **by_chance) == keys([LINEAR], **by_chance)


def test_a_stage_before_changes_the_key(keys):
    usual = keys(TWO, views=DEEP)
    other = keys([{**FRONT, "trainer": {"epochs": 3}}, TWO[1]], views=DEEP)
    assert other["front"] != usual["front"]
    assert other["main"] != usual["main"]
    along = keys(TWO, views=ALONG)
    assert along["front"] == usual["front"]
    assert along["main"] != usual["main"]
    started = {"name": "main", "start_from": "front"}
    assert keys([FRONT, started])["main"] != keys([{**FRONT, "trainer": {"epochs": 3}}, started])["main"]
    assert keys([FRONT, started])["main"] != keys([FRONT, {**started, "reset": ["head"]}])["main"]


@pytest.mark.parametrize("option", ["front", ["front"], {"of": ["front", 3]}])
def test_a_stage_that_the_method_asks_for_changes_the_key(keys, monkeypatch, option):
    monkeypatch.setitem(methods.METHODS, "asking", f"{__name__}:Asking")
    main = {**MAIN, "method": {"name": "asking", "teacher": option}}
    other = {**FRONT, "trainer": {"epochs": 3}}
    assert keys([FRONT, main])["main"] != keys([other, main])["main"]


class Asking(Supervised):
    def __init__(self, teacher):
        super().__init__()


def test_a_weights_file_to_start_from_changes_the_key(keys, tmp_path):
    path = tmp_path / "weights.safetensors"
    main = {**LINEAR, "start_from": str(tmp_path)}
    found = []
    for value in (1.0, 2.0):
        checkpoint.save_weights({"x": torch.tensor([value])}, path)
        found.append(keys([main])["main"])
    assert found[0] != found[1]


# --- start_from, reset, freeze, refit


def test_starting_from_a_stage(bench):
    first = {"name": "first", "data": {"classes": ["anger", "fear"]}}
    still = {"name": "main", "start_from": "first", "reset": ["head"], "freeze": ["blocks", "norm"], "trainer": STILL}
    made = bench.train(first, still)
    before, after = (weights(made.finished[name]) for name in ("first", "main"))
    assert before["network.head.emotion.weight"].shape[0] == 2
    assert after["network.head.emotion.weight"].shape[0] == 4
    for name, value in before.items():
        if not name.startswith("network.head."):
            # The normalisation too: it is that of the first stage's training part.
            assert torch.equal(after[name], value), name


def test_resetting_a_layer_of_the_same_size(bench):
    def after(**options):
        return weights(
            bench.train(FRONT, {"name": "main", "start_from": "front", "trainer": STILL, **options}).finished["main"]
        )

    before = weights(bench.train(FRONT).finished["front"])
    kept, new = after(), after(reset=["head.emotion", "pooling"])
    for name, value in before.items():
        if "running" in name or "tracked" in name:
            continue  # batch norm counts along
        assert torch.equal(kept[name], value), name
        assert torch.equal(new[name], value) != name.startswith(("network.head.", "network.pooling.")), name


def test_freezing(bench):
    main = {"name": "main", "start_from": "front", "freeze": ["blocks"]}
    made = bench.train(FRONT, main)
    before, after = (weights(made.finished[name]) for name in ("front", "main"))
    for name, value in before.items():
        held = name.startswith(("network.blocks.", "normalisations."))
        assert torch.equal(after[name], value) == held, name


def test_normalisation_is_fitted_anew_only_where_asked_for(bench):
    first = {"name": "first", "data": {"classes": ["anger", "fear"]}}
    main = {"name": "main", "start_from": "first", "reset": ["head"]}
    made = bench.train(first, main, {**main, "name": "refitted", "refit": True}, MAIN | {"name": "alone"})
    mean = {name: finished.model.normalisations["mel"].mean for name, finished in made.finished.items()}
    assert torch.equal(mean["main"], mean["first"])
    assert torch.equal(mean["refitted"], mean["alone"])
    assert not torch.equal(mean["refitted"], mean["first"])


def test_a_view_that_the_earlier_stage_did_not_normalise_is_fitted(bench):
    views = {"plain": {"feature": {"name": "log_mel", "bands": 8, "hop": 800, "length": 512}}}
    first = {"name": "first", "view": "plain"}
    made = bench.train(
        first, {"name": "main", "start_from": "first", "view": "mel"}, MAIN | {"name": "alone"}, views=views
    )
    mean = made.finished["main"].model.normalisations["mel"].mean
    assert torch.equal(mean, made.finished["alone"].model.normalisations["mel"].mean)


def test_starting_from_a_folder(bench, tmp_path):
    finished = bench.train(FRONT).finished["front"]
    run = tmp_path / "run"
    run.mkdir()
    (run / "final.json").write_text(json.dumps({"stage": f"../stages/{finished.folder.name}", "recordings": []}))
    network = {"view": "mel", "network": finished.stage.network.model_dump()}
    for place in (finished.folder, run):
        main = {"name": "main", "start_from": str(place), **network, "freeze": ["blocks", "norm"], "trainer": STILL}
        assert same(weights(bench.train(main).finished["main"]), weights(finished))


@pytest.mark.parametrize(
    ("first", "main", "message"),
    [
        (
            {"data": {"classes": ["anger", "fear"]}},
            {},
            r"layer 'head.emotion' is \(2.* has \(4.*reset = \[\"head.emotion\"\]",
        ),
        (
            {},
            {"network": {"name": "cnn", "channels": [4], "strides": [[4, 2]], "residual": [2], "attention": 3}},
            r"layer 'blocks.0.residual.1.0' is nothing where",
        ),
        (
            {},
            {"network": {"name": "cnn", "channels": [4], "strides": [[4, 2]], "residual": [0], "attention": 3}},
            "where this network has nothing",
        ),
        ({}, {"reset": ["haed"]}, "unknown layer of Cnn 'haed'. Did you mean 'head'"),
        ({}, {"freeze": ["block"]}, "unknown layer of Cnn 'block'. Did you mean 'blocks'"),
        (
            {},
            {"start_from": "elsewhere", "view": "mel", "network": "cnn"},
            "start_from = 'elsewhere' is neither an earlier stage nor a folder with weights.safetensors",
        ),
    ],
)
def test_what_cannot_be_started_from(bench, first, main, message):
    with pytest.raises(UserError, match=message) as caught:
        bench.train({**FRONT, **first}, {"name": "main", "start_from": "front", **main})
    assert "\n" not in str(caught.value)


# --- views from earlier stages


@pytest.mark.parametrize("what", ["features", "predictions"])
def test_a_frozen_view_is_computed_once(bench, computed, fits, what):
    views = {"deep": {"stage": "front", "output": what, "normalise": "band"}}
    made = bench.train(FRONT, ON_DEEP, {**ON_DEEP, "name": "again", "trainer": {"epochs": 4}}, views=views)
    assert sum(computed) == len(made.split.train)
    utterances = held_out(made)
    found = made.probabilities(made.finished["again"], utterances, "emotion")
    assert sum(computed) == len(made.split.train) + len(made.split.test)
    made.probabilities(made.finished["main"], utterances, "emotion")
    bench.train(FRONT, ON_DEEP, {**ON_DEEP, "name": "again", "trainer": {"epochs": 4}}, views=views)
    assert sum(computed) == len(made.split.train) + len(made.split.test)
    assert fits == ["front", "main", "again"]
    rebuilt = rebuild(made.finished["again"].folder, made.experiment.system)
    np.testing.assert_allclose(from_features(made, rebuilt, utterances), found, atol=1e-6)


def test_a_frozen_stage_is_not_changed(bench):
    made = bench.train(FRONT, ON_DEEP, views=DEEP)
    alone = bench.train(FRONT, folder=bench.folder / "other").finished["front"]
    assert same(weights(made.finished["front"]), weights(alone))
    assert not any(name.startswith("upstream.") for name in weights(made.finished["main"]))


def test_a_frozen_output_does_not_depend_on_what_else_is_missing(bench):
    made = bench.train(FRONT, ON_DEEP, views=DEEP)
    items = made.begin("main")[1].items
    first = [array.copy() for array in made.item_data(made.finished["main"], items).arrays["deep"]]
    arrays = made.item_data(made.finished["main"], items).arrays["deep"]
    for key in arrays.keys[::3]:
        bench.store.path(key).unlink()
    again = made.item_data(made.finished["main"], items).arrays["deep"]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def replace_weights(folder, tensors):
    """Put other weights into a stage's folder, as if they had been trained there."""
    checkpoint.save_weights(tensors, folder / "weights.safetensors")
    content = sealed.hash_of(folder / "weights.safetensors")
    note = sealed.read(folder / "stage.json", StageNote)
    sealed.write(folder / "stage.json", note.model_copy(update={"content": content}))


def test_outputs_are_those_of_the_weights_that_are_there(bench, computed):
    made = bench.train(FRONT, ON_DEEP, views=DEEP)
    items = made.begin("main")[1].items
    before = made.item_data(made.finished["main"], items).arrays["deep"][0]
    # As if another machine had trained the same stage: same key, other last bits.
    folder = made.finished["front"].folder
    other = {name: value * 1.5 for name, value in weights(made.finished["front"]).items()}
    replace_weights(folder, other)
    again = bench.train(FRONT, ON_DEEP, views=DEEP)
    after = again.item_data(again.finished["main"], items).arrays["deep"][0]
    assert not np.allclose(before, after)
    assert sum(computed) == 2 * len(items)


def test_outputs_of_like_weights_are_told_apart(bench, computed, monkeypatch):
    first = bench.train(FRONT, ON_DEEP, views=DEEP)
    # As if an option chose another layer's output, which leaves the weights as they are.
    monkeypatch.setattr(network_class("cnn"), "version", 2)
    again = bench.train(FRONT, ON_DEEP, views=DEEP)
    assert again.finished["front"].content == first.finished["front"].content
    assert again.finished["front"].key != first.finished["front"].key and sum(computed) == 2 * len(
        first.begin("main")[1].items
    )


def test_a_stage_that_is_trained_along(bench):
    made = bench.train(FRONT, ON_DEEP, views=ALONG)
    before, after = weights(made.finished["front"]), weights(made.finished["main"])
    prefix = "upstream.deep."
    assert {name.removeprefix(prefix) for name in after if name.startswith(prefix)} == set(before)
    for name, value in before.items():
        # Its normalisation was fitted once; its own head is not in the way of any gradient.
        held = name.startswith(("normalisations.", "network.head."))
        assert torch.equal(after[prefix + name], value) == held, name


def test_freeze_is_about_one_stage_only(bench):
    front = {**FRONT, "freeze": ["blocks"]}
    whole = bench.train(front, ON_DEEP, views=ALONG).finished
    name = "network.blocks.0.convolution.0.weight"
    assert not torch.equal(weights(whole["main"])[f"upstream.deep.{name}"], weights(whole["front"])[name])
    # The same when the first stage is taken up from its folder.
    other = bench.folder / "other"
    bench.train(front, folder=other)
    resumed = bench.train(front, ON_DEEP, views=ALONG, folder=other).finished
    assert same(weights(resumed["main"]), weights(whole["main"]))


CHAINS = {
    "one": ([MAIN], {}),
    "start_from": ([FRONT, {"name": "main", "start_from": "front", "reset": ["head"], "freeze": ["blocks"]}], {}),
    "frozen": ([FRONT, ON_DEEP], {"deep": {"stage": "front", "normalise": "band"}}),
    "frozen predictions": ([FRONT, ON_DEEP], {"deep": {"stage": "front", "output": "predictions"}}),
    "along": ([FRONT, ON_DEEP], ALONG),
    "frozen behind frozen": (
        [FRONT, {**ON_DEEP, "name": "middle"}, {"name": "main", "view": "deeper", "network": "linear"}],
        {**DEEP, "deeper": {"stage": "middle", "normalise": "band"}},
    ),
    "along behind frozen": (
        [FRONT, {**ON_DEEP, "name": "middle"}, {"name": "main", "view": "deeper", "network": "linear"}],
        {**DEEP, "deeper": {"stage": "middle", "trainable": True}},
    ),
    "frozen behind along": (
        [FRONT, {**ON_DEEP, "name": "middle"}, {"name": "main", "view": "deeper", "network": "linear"}],
        {**ALONG, "deeper": {"stage": "middle", "normalise": "band"}},
    ),
    "along behind along": (
        [FRONT, {**ON_DEEP, "name": "middle"}, {"name": "main", "view": "deeper", "network": "linear"}],
        {**ALONG, "deeper": {"stage": "middle", "trainable": True}},
    ),
    "inherited view": (
        [
            FRONT,
            {**ON_DEEP, "name": "first", "data": {"classes": ["anger", "fear"]}},
            {"name": "main", "start_from": "first", "reset": ["head"]},
        ],
        ALONG,
    ),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_rebuilt_stage_needs_features_only(bench, chain):
    stages, views = CHAINS[chain]
    made = bench.train(*stages, views=views, data={"items": {"seconds": 0.6, "tail": "keep", "minimum": 0.3}})
    finished, utterances = made.finished["main"], held_out(made)
    rebuilt = rebuild(finished.folder, made.experiment.system)
    assert (rebuilt.key, rebuilt.classes, rebuilt.stage) == (finished.key, finished.classes, finished.stage)
    assert not rebuilt.model.training
    expected = made.probabilities(finished, utterances, "emotion")
    np.testing.assert_allclose(from_features(made, rebuilt, utterances), expected, atol=1e-6)


@pytest.mark.parametrize("chain", ["frozen", "along", "along behind frozen", "inherited view"])
def test_stages_taken_up_give_the_same_as_stages_just_trained(bench, chain):
    stages, views = CHAINS[chain]
    fresh = bench.train(*stages, views=views)
    expected = fresh.probabilities(fresh.finished["main"], held_out(fresh), "emotion")
    # The last stage once more, on top of what lies there.
    (fresh.finished["main"].folder / "stage.json").unlink()
    again = bench.train(*stages, views=views)
    assert same(weights(again.finished["main"]), weights(fresh.finished["main"]))
    np.testing.assert_array_equal(again.probabilities(again.finished["main"], held_out(again), "emotion"), expected)


@pytest.mark.parametrize("name", ["weights.safetensors", "stage.json"])
@pytest.mark.parametrize("how", ["first", "middle", "last", "cut", "empty", "another's"])
def test_a_damaged_stage_is_trained_again_with_the_same_result(bench, name, how):
    made = bench.train(FRONT, ON_DEEP, views=ALONG)
    front, main = (made.finished[stage] for stage in ("front", "main"))
    expected, path = weights(main), main.folder / name
    content = bytearray(path.read_bytes())
    if how in ("cut", "empty"):
        path.write_bytes(content[: len(content) // 2 if how == "cut" else 0])
    elif how == "another's":  # whole, but not this stage's
        path.write_bytes((front.folder / "weights.safetensors").read_bytes())
    else:
        content[{"first": 9, "middle": len(content) // 2, "last": len(content) - 4}[how]] ^= 1
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: .*continue the run with --resume"):
        rebuild(main.folder, made.experiment.system)
    with pytest.warns(UserWarning, match=rf"{name}: .*the stage is trained again") as told:
        again = bench.train(FRONT, ON_DEEP, views=ALONG)
    assert len([warning for warning in told if "trained again" in str(warning.message)]) == 1
    for name, value in weights(again.finished["main"]).items():
        assert torch.equal(value, expected[name]), name
    rebuild(main.folder, made.experiment.system)


def test_stages_of_before_there_were_checksums_are_taken(bench):
    made = bench.train(FRONT)
    folder = made.finished["front"].folder
    described = json.loads((folder / "stage.json").read_text())
    del described["checksum"], described["content"]
    (folder / "stage.json").write_text(json.dumps(described))
    save_file(weights(made.finished["front"]), folder / "weights.safetensors")
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    again = bench.train(FRONT)
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before
    assert again.finished["front"].content == sealed.hash_of(folder / "weights.safetensors")


def test_what_cannot_be_rebuilt(bench, tmp_path):
    made = bench.train(FRONT, ON_DEEP, views=ALONG)
    system = made.experiment.system
    with pytest.raises(UserError, match=r"holds no finished stage \(stage.json is missing\)"):
        rebuild(tmp_path, system)
    # Neither its own weights nor those it has trained along may be missing.
    for name in ("network.head.emotion.bias", "upstream.deep.network.norm.bias"):
        kept = weights(made.finished["main"])
        del kept[name]
        replace_weights(made.finished["main"].folder, kept)
        with pytest.raises(UserError, match=r"weights\.safetensors: does not fit the stage's network"):
            rebuild(made.finished["main"].folder, system)


# --- what a method may ask for


class Distil(Supervised):
    """Learns from a teacher's features, and only from what the teacher has got right (or wrong) at the end."""

    def __init__(self, teacher, right=None):
        super().__init__()
        self.teacher, self.right = teacher, right

    def select(self, items, context):
        if self.right is None:
            return items
        record = context.finished[self.teacher].record()
        assert len(context.outputs(self.teacher)) == len(items)
        return [item for item in items if record[item.id][-1] == self.right]

    def prepare(self, model, context):
        self.target = context.outputs(self.teacher)
        self.predicted = context.outputs(self.teacher, "predictions")
        self.reference = context.finished[self.teacher].model

    def loss(self, output, batch):
        with torch.inference_mode():
            expected = self.reference(batch)
        torch.testing.assert_close(self.target[batch.index], expected.features, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(self.predicted[batch.index], expected.predictions["emotion"], rtol=1e-4, atol=1e-4)
        match = torch.nn.functional.l1_loss(output.features, self.target[batch.index])
        return super().loss(output, batch) | {"match": match}


@pytest.fixture
def distil(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "distil", f"{__name__}:Distil")
    return lambda **options: {"name": "main", "method": {"name": "distil", "teacher": "front", **options}}


def test_a_teacher_and_its_outputs(bench, distil, computed):
    protocol = Protocol(kind="group_kfold", folds=5, validation=0.25)
    made = bench.train(FRONT, distil(), protocol="own", definitions={"own": protocol}, data={"copies": ["noise"]})
    history = (made.finished["main"].folder / "history.jsonl").read_text().splitlines()
    record = json.loads(history[-1])
    assert record["training_loss"] == pytest.approx(record["training_match"] + record["training_cross_entropy"])
    # Twice, features and predictions, of training items, their copies and validation items; no test item.
    assert sum(computed) == 2 * (2 * len(made.split.train) + len(made.split.validation))
    rebuilt = rebuild(made.finished["main"].folder, made.experiment.system)
    found = made.probabilities(made.finished["main"], held_out(made), "emotion")
    np.testing.assert_allclose(from_features(made, rebuilt, held_out(made)), found, atol=1e-6)


def test_items_chosen_by_the_record_of_an_earlier_stage(bench, distil):
    record = bench.train(FRONT).finished["front"].record()
    chosen = [name for name, right in record.items() if not right[-1]]
    assert 0 < len(chosen) < len(record)
    made = bench.train(FRONT, distil(right=False))
    assert [item.id for item in made.begin("main")[1].training] == chosen
    assert set(made.finished["main"].record()) == set(chosen)
    other = bench.train(FRONT, distil(right=True))
    assert set(other.finished["main"].record()) == set(record) - set(chosen)


def test_a_teacher_that_is_not_there(bench, distil):
    main = distil()
    main["method"]["teacher"] = "frnt"
    with pytest.raises(UserError, match=r"unknown earlier stage 'frnt'. Did you mean 'front'\?"):
        bench.train(FRONT, main)


def test_nothing_selected(bench, monkeypatch):
    monkeypatch.setitem(methods.METHODS, "none", f"{__name__}:SelectNone")
    with pytest.raises(UserError, match="stage 'main': method 'none' selects no item to train on"):
        bench.train({**MAIN, "method": "none"})


class SelectNone(Supervised):
    def select(self, items, context):
        return []


# --- further channels


def test_a_channel_of_its_own(bench, tmp_path):
    egg = tmp_path / "egg.wav"
    soundfile.write(egg, 0.1 * np.random.default_rng(0).standard_normal(32000), 16000)

    def with_egg(utterance):
        return dataclasses.replace(utterance, channels={"egg": Channel(egg)}) if "s02" in utterance.id else utterance

    corpus = dataclasses.replace(bench.corpus, utterances=tuple(map(with_egg, bench.corpus.utterances)))
    views = {
        "mel": {
            "feature": {"name": "log_mel", "bands": 8, "hop": 800, "length": 512},
            "channel": "egg",
            "normalise": "band",
        }
    }
    fold = 1 if any("s02" in name for name in bench.stages(MAIN).split.test) else 0
    first = bench.train(MAIN, views=views, corpora=[corpus], fold=fold)
    speech = bench.train(MAIN, corpora=[corpus], fold=fold)
    assert not same(weights(first.finished["main"]), weights(speech.finished["main"]))
    rebuilt = rebuild(first.finished["main"].folder, first.experiment.system)
    found = first.probabilities(first.finished["main"], held_out(first), "emotion")
    np.testing.assert_allclose(from_features(first, rebuilt, held_out(first)), found, atol=1e-6)
    # Another electroglottogram beside the same speech is another stage.
    soundfile.write(egg, 0.1 * np.random.default_rng(1).standard_normal(32000), 16000)
    other = bench.train(MAIN, views=views, corpora=[corpus], fold=fold)
    assert other.finished["main"].key != first.finished["main"].key
    assert bench.train(MAIN, corpora=[corpus], fold=fold).finished["main"].key == speech.finished["main"].key


def test_a_channel_that_an_utterance_does_not_have(bench):
    views = {"mel": {"feature": {"name": "log_mel", "bands": 8}, "channel": "eeg"}}
    with pytest.raises(UserError, match=r"have no channel 'eeg' .*which has: speech, egg"):
        bench.train(MAIN, views=views)


# --- several processes


def test_a_stage_that_two_need_is_trained_once(bench, fits, monkeypatch):
    counted = loop.fit

    def slow(*arguments):
        time.sleep(0.2)
        return counted(*arguments)

    monkeypatch.setattr(loop, "fit", slow)
    both = [bench.stages(LINEAR), bench.stages(LINEAR)]
    threads = [threading.Thread(target=made.train) for made in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fits == ["main"]
    assert same(*(weights(made.finished["main"]) for made in both))


class Curious(Supervised):
    """Keeps what it is given while it selects and prepares."""

    seen: ClassVar[list] = []

    def select(self, items, context):
        self.seen.append(context)
        return items[::2]

    def prepare(self, model, context):
        self.seen.append(context)
        super().prepare(model, context)


def test_a_context_does_not_change_after_it_was_given(bench, monkeypatch):
    monkeypatch.setitem(methods.METHODS, "curious", f"{__name__}:Curious")
    monkeypatch.setattr(Curious, "seen", [])
    protocol = Protocol(kind="group_kfold", folds=5, validation=0.25)
    made = bench.train(FRONT, MAIN | {"method": "curious"}, protocol="own", definitions={"own": protocol})
    selecting, preparing = Curious.seen
    assert list(made.finished) == ["front", "main"]
    assert list(selecting.finished) == list(preparing.finished) == ["front"]
    assert selecting.items == selecting.training and len(selecting.items) == len(made.split.train)
    assert preparing.training == selecting.training[::2]
    assert [item.utterance.id for item in preparing.items[len(preparing.training) :]] == list(made.split.validation)
    assert (preparing.stage.name, preparing.seed, set(preparing.classes)) == ("main", 0, {"emotion"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        preparing.training = ()
    with pytest.raises(TypeError):
        preparing.finished["other"] = made.finished["main"]
    with pytest.raises(UserError, match=r"unknown earlier stage 'main'.*Available: front"):
        preparing.outputs("main")
