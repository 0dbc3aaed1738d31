"""The systems of zhong2020: two channels, hard examples of each, a support vector machine on both.

Front ends and networks are replaced by small ones; everything else is as in the system files.
"""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from preparation import prepare
from serkit import audio, systems
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.methods.hard_examples import hard_index, threshold
from serkit.methods.svm import Svm
from serkit.networks.network import Batch
from serkit.protocols import Protocol
from serkit.protocols.splits import splits
from serkit.recognition.recognizer import Recognizer
from serkit.reports import report
from serkit.runs.export import export
from serkit.runs.models import assemble, rebuild
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.stages import Stages
from serkit.training import optimizer_state

SMALL = (
    'views.mfcc.feature={ name = "log_mel", bands = 8, hop = 800, length = 512 }',
    'views.is09.feature={ name = "log_mel", bands = 6, hop = 500, length = 400 }',
    "stages.*.trainer.batch_size=8",
)
CNN = '{ name = "cnn", channels = [4], strides = [[4, 2]], residual = [1], attention = 3, dropout = 0.2 }'
CHANNELS = (*SMALL, f"stages.acln.network={CNN}", f"stages.fcn.network={CNN}", "stages.*.trainer.epochs=3")
FOCAL = tuple(
    key.replace("stages.acln.", "stages.acln-focal.").replace("stages.fcn.", "stages.fcn-focal.") for key in CHANNELS
)
FUSED = (*SMALL, f"stages.fused.network={CNN}", 'stages.fused.views=["mfcc"]', "stages.*.trainer.epochs=1")
VARIANTS = ("independent-training", "independent-training-ce", "independent-training-focal")


@pytest.fixture
def bench(tmp_path, synthetic):
    """Train a system on the first fold; all systems in one folder."""
    store = Store(tmp_path / "store")

    def train(name, *sets, protocol="clean", definitions=None, folder=None):
        experiment = prepare(systems.load(name, sets), [synthetic], protocol, store, definitions=definitions)
        parts = splits(experiment.protocol, experiment.scored, experiment.target)
        made = Stages(experiment, parts[0], folder or tmp_path / "stages", seed=0)
        made.train()
        return made

    return train


def described(made, stage):
    return json.loads((made.finished[stage].folder / "stage.json").read_text())


# --- stages


def test_a_channel_goes_on_with_what_it_got_wrong(bench):
    made = bench("independent-training", *CHANNELS)
    for channel in ("acln", "fcn"):
        record = made.finished[channel].record()
        passes = np.array(list(record.values()))
        index = hard_index((~passes).sum(1), np.full(len(passes), 3))
        chosen = [name for name, value in zip(record, index, strict=True) if value >= threshold(index, 0.5)]
        assert len(record) // 2 <= len(chosen) < len(record)
        said = described(made, f"{channel}-hard")
        assert said["items"] == chosen
        assert said["method"]["record"] == channel and said["method"]["hard"] == len(chosen)
        assert said["method"]["items"] == len(record) == sum(said["method"]["histogram"]["counts"])
        assert said["epochs"] == 3
    # Each channel mines its own record.
    assert described(made, "acln-hard")["items"] != described(made, "fcn-hard")["items"]
    assert described(made, "acln")["method"] == {}


def test_retraining_goes_on_from_the_same_weights(bench):
    still = 'stages.acln-hard.trainer={ epochs = 1, batch_size = 8, learning_rate = 1e-30, optimizer = "sgd" }'
    made = bench("independent-training", *CHANNELS, still, "stages.acln-hard.keep_optimizer=false")
    before, after = (made.finished[name].model.state_dict() for name in ("acln", "acln-hard"))
    for name, value in before.items():
        if "running" not in name and "tracked" not in name:
            assert torch.equal(after[name], value), name


@pytest.mark.parametrize("name", VARIANTS[:2])
def test_the_optimizer_continues(bench, name):
    """After 3 epochs of one stage and 3 of the next, Adam has counted the steps of both."""
    made = bench(name, *CHANNELS)
    later = {"independent-training": "acln-hard", "independent-training-ce": "acln-more"}[name]
    steps = {}
    for stage in ("acln", later):
        trained = described(made, stage)
        steps[stage] = trained["epochs"] * math.ceil(len(trained["items"]) / 8)
    kept = optimizer_state.read(made.finished["acln"].folder)
    assert {float(slots["step"]) for slots in kept.values()} == {steps["acln"]}
    assert kept.keys() == dict(made.finished["acln"].model.named_parameters()).keys()
    # Nothing continues from the last one.
    assert not (made.finished[later].folder / "optimizer.safetensors").exists()


def test_a_new_optimizer_is_another_stage(bench, fits):
    made = bench("independent-training", *CHANNELS)
    other = bench("independent-training", *CHANNELS, "stages.acln-hard.keep_optimizer=false")
    assert fits[4:] == ["acln-hard"]
    keys = [each.finished["acln-hard"].key for each in (made, other)]
    first, second = (each.finished["acln-hard"].model.state_dict() for each in (made, other))
    assert keys[0] != keys[1]
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_a_stage_whose_optimizer_is_gone_is_trained_again(bench, fits):
    bench("independent-channels", *CHANNELS)
    assert fits == ["fcn", "acln"]
    with pytest.warns(UserWarning, match=r"optimizer\.safetensors: missing; the stage is trained again"):
        made = bench("independent-training", *CHANNELS)
    assert fits[2:] == ["fcn", "acln", "acln-hard", "fcn-hard"]
    (made.finished["fcn"].folder / "optimizer.safetensors").write_bytes(b"half")
    with pytest.warns(UserWarning, match=r"optimizer\.safetensors: damaged"):
        bench("independent-training", *CHANNELS)
    assert fits[6:] == ["fcn"]


def test_the_machine_is_fitted_to_all_training_items(bench):
    made = bench("independent-training", *CHANNELS)
    assert set(described(made, "svm")["items"]) == set(made.split.train)
    said = described(made, "svm")
    assert said["epochs"] == 0 and (made.finished["svm"].folder / "history.jsonl").read_text() == ""
    found = said["method"]["emotion"]
    assert found["c"] == 1.0 and found["items"] == len(made.split.train)
    # 4 channels of 2 bands, mean and deviation; 4 of 2 (6 bands in steps of 4).
    assert found["inputs"] == 16 + 16 and found["calibrated_on"].startswith("32 items: groups held out")
    with pytest.raises(UserError, match="stage 'svm' has no training record, because it is not trained by epochs"):
        made.finished["svm"].record()


def test_what_is_common_is_trained_once(bench, fits):
    common = {}
    for name in VARIANTS[:2]:
        made = bench(name, *CHANNELS)
        common[name] = [made.finished[stage].key for stage in ("acln", "fcn")]
    assert fits == ["fcn", "acln", "acln-hard", "fcn-hard", "acln-more", "fcn-more"]
    assert common[VARIANTS[0]] == common[VARIANTS[1]]
    bench("independent-channels", *CHANNELS)
    assert len(fits) == 6
    bench("independent-training-focal", *FOCAL)
    assert fits[6:] == ["acln-focal", "fcn-focal"]


@pytest.mark.parametrize(
    ("name", "sets"), [*((name, CHANNELS) for name in VARIANTS[:2]), (VARIANTS[2], FOCAL), ("fused-training", FUSED)]
)
def test_every_variant_predicts(bench, name, sets):
    made = bench(name, *sets)
    utterances = [u for u in made.experiment.scored if u.id in set(made.split.test)]
    found = made.probabilities(made.finished["svm"], utterances, "emotion")
    np.testing.assert_allclose(found.sum(1), 1)
    assert len(set(np.round(found[:, 0], 6))) > 1


def test_schedules_are_the_papers():
    epochs = {name: {s.name: s.trainer.epochs for s in systems.load(name).stages} for name in VARIANTS}
    assert epochs["independent-training"].items() >= {"acln": 800, "fcn": 800, "acln-hard": 50, "fcn-hard": 50}.items()
    assert epochs["independent-training-ce"].items() >= {"acln": 800, "acln-more": 600, "fcn-more": 600}.items()
    assert epochs["independent-training-focal"].items() >= {"acln-focal": 1400, "fcn-focal": 1400}.items()
    for name in ("independent-channels", *VARIANTS, "fused-training"):
        system = systems.load(name)
        assert system.protocols["paper"] == Protocol(kind="random", test=0.2, repeats=10)
        assert system.data.items.seconds is None
        for stage in system.stages:
            trainer = stage.trainer
            if stage.method.name != "svm":
                assert (trainer.batch_size, trainer.learning_rate, trainer.optimizer) == (128, 1e-3, "adam")
                assert trainer.select == "last"


def test_one_channel_alone_has_the_stages_of_both():
    for name in VARIANTS:
        both, alone = systems.load(name), systems.load(name.replace("independent", "fcn"))
        mine = {stage.name.removesuffix("-focal"): stage for stage in both.stages if stage.name.startswith("fcn")}
        for stage in alone.stages[:-1]:
            assert stage.trainer == mine[stage.name].trainer and stage.method == mine[stage.name].method
        assert alone.stages[-1].method == both.stages[-1].method and alone.protocols == both.protocols


def test_ten_random_splits(synthetic):
    found = splits(systems.load("independent-training").protocols["paper"], synthetic.utterances, "emotion")
    assert len({split.test for split in found}) == len(found) == 10
    assert {split.seed for split in found} == set(range(10))
    assert all(len(split.test) == len(synthetic) // 5 and not split.validation for split in found)


# --- the machine as a stage


def test_a_machine_that_is_there_is_not_fitted_again(bench, monkeypatch):
    first = bench("independent-training", *CHANNELS)
    fitted, genuine = [], Svm.finish
    monkeypatch.setattr(Svm, "finish", lambda self, *batches: fitted.append(self) or genuine(self, *batches))
    again = bench("independent-training", *CHANNELS)
    assert not fitted
    before, after = (made.finished["svm"].model.state_dict() for made in (first, again))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    # Another C is another stage, of the same features.
    bench("independent-training", *CHANNELS, "stages.svm.method.c=0.1")
    assert len(fitted) == 1
    # As if the first had been killed before its end: the same machine.
    (first.finished["svm"].folder / "stage.json").unlink()
    again = bench("independent-training", *CHANNELS)
    assert len(fitted) == 2
    after = again.finished["svm"].model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_order_of_the_views_is_no_choice(bench):
    first = bench("independent-training", *CHANNELS)
    other = bench("independent-training", *CHANNELS, 'stages.svm.views=["elf", "alf"]')
    utterances = first.experiment.scored
    found = [made.probabilities(made.finished["svm"], utterances, "emotion") for made in (first, other)]
    np.testing.assert_array_equal(*found)


def test_the_validation_part_sets_the_temperature(bench):
    protocol = Protocol(kind="group_kfold", folds=5, validation=0.25)
    made = bench("independent-training", *CHANNELS, protocol="own", definitions={"own": protocol})
    assert described(made, "svm")["method"]["emotion"]["calibrated_on"] == "8 items: validation part"
    assert set(made.split.validation).isdisjoint(described(made, "svm")["items"])
    history = (made.finished["acln-hard"].folder / "history.jsonl").read_text().splitlines()
    assert all(json.loads(line)["validation_loss"] > 0 for line in history)


def test_items_of_unlike_length_give_features_of_one_length(bench):
    made = bench("independent-training", *CHANNELS)
    items = made.begin("svm")[1].items
    data = made.item_data(made.finished["acln"], items)
    assert len({array.shape for array in data.arrays["mfcc"]}) > 1
    data = made.item_data(made.finished["svm"], items)
    assert {array.shape for view in data.arrays.values() for array in view} == {(16,)}


def test_windows_are_mined_one_by_one(bench):
    windows = ('data.items={ seconds = 0.4, tail = "keep", minimum = 0.2 }',)
    made = bench("independent-training", *CHANNELS, *windows)
    chosen = described(made, "acln-hard")["items"]
    utterances = {name.partition("[")[0] for name in chosen}
    assert len(utterances) < len(chosen) < described(made, "acln-hard")["method"]["items"]


# --- deployed


@pytest.fixture(scope="module")
def finished(synthetic, tmp_path_factory):
    """A short run with its final model, and the bundle made of it."""
    folder = tmp_path_factory.mktemp("run") / "run"
    sets = (*CHANNELS, "protocols.clean.folds=2")
    run(Request("independent-training", [synthetic], sets=sets, jobs=1, threads=1, accelerator="cpu"), folder)
    return folder, export(folder, folder.parent / "mine", recordings=6)


PROGRAM = """
import json, sys
for name in ("torch", "sklearn", "scipy"):
    sys.modules[name] = None  # importing it fails
import serkit
recognizer = serkit.load(sys.argv[1])
found = [recognizer.predict_file(path, channel=0) for path in sys.argv[2:]]
print(json.dumps([[prediction.label, prediction.probabilities] for prediction in found]))
"""


def test_what_is_shipped_decides_as_the_machine_does(finished, synthetic):
    """Without torch and scikit-learn; the other side computes features, networks and machine apart."""
    folder, bundle = finished
    final = json.loads((folder / "final.json").read_text())
    system = systems.parse(json.loads((folder / "run.json").read_text())["system"][0], "run.json")
    machine = rebuild(folder / final["stage"], system).model
    makers, calibration = bundle.features(), bundle.calibration
    utterances = synthetic.utterances[::3]
    expected = []
    for utterance in utterances:
        assert utterance.index == 0  # the other channel is no speech
        signal, rate = audio.read(utterance.path, channel=0)
        joint, frames = [], {}
        for view, feature in (("alf", "mfcc"), ("elf", "is09")):
            maker = makers[feature]
            channel = machine.upstream[view]
            x = torch.from_numpy(maker(audio.resample(signal, rate, maker.rate)))[None]
            frames[feature] = x.shape[-1]
            with torch.inference_mode():
                normalised = channel.normalisations[feature](x)
                deep = channel.network(Batch({feature: normalised})).features
            scale = machine.normalisations[view]
            joint.append((deep - scale.mean) / scale.deviation)
        head = machine.network.head["emotion"]
        logits = (torch.cat(joint, 1) @ head.weight.T + head.bias)[0].detach().double()
        short = calibration.by_duration
        temperature = calibration.temperature * (short.frames / frames[short.input]) ** short.exponent
        expected.append((logits / temperature).softmax(0).numpy())
    paths = [str(utterance.path) for utterance in utterances]
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(bundle.folder), *paths], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    labels = bundle.labels
    assert [label for label, _ in found] == [labels[row.argmax()] for row in expected]
    assert len({label for label, _ in found}) > 1
    for (_, probabilities), row in zip(found, expected, strict=True):
        np.testing.assert_allclose([probabilities[label] for label in labels], row, atol=1e-5)


def test_the_bundle_takes_both_channels(finished):
    _, bundle = finished
    assert [entry.name for entry in bundle.inputs] == ["mfcc", "is09"]
    assert bundle.parity.max_difference < 1e-5
    for seconds in (0.3, 1.0, 2.7):
        signal = 0.1 * np.random.default_rng(0).standard_normal(int(16000 * seconds)).astype(np.float32)
        found = Recognizer(bundle).predict_signal(signal, 16000)
        assert sum(found.probabilities.values()) == pytest.approx(1)


def test_the_report_shows_curves_of_what_was_trained_by_epochs(finished):
    folder, _ = finished
    page = report.write(folder).read_text(encoding="utf-8")
    curves = page[page.index("Learning curves") :]
    assert "acln-hard" in curves and "svm" not in curves.partition("</section>")[0]


def test_sizes_of_the_machine():
    model, inputs = assemble(systems.load("independent-training", CHANNELS), "svm", 7)
    assert set(inputs) == {"mfcc", "is09"}
    assert sum(parameter.numel() for parameter in model.network.parameters()) == 32 * 7 + 7
