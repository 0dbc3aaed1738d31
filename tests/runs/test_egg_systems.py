"""The systems of Chen et al. 2022: what their files say, and small runs of them."""

import json
import warnings

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file

from preparation import prepare
from serkit import cli, systems
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.features.log_mel import LogMel
from serkit.networks.network import Batch
from serkit.protocols import flags
from serkit.protocols.splits import splits
from serkit.runs.export import export
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.stages import Stages
from serkit.windowing import Windowing

TEACHERS = ["resnet18-log-mel", "resnet18-mel", "crnn-log-mel", "crnn-mel"]
STUDENTS = ["egg-student", "egg-distillation"]

SMALL = [
    "views.mel.feature.bands=8",
    "views.mel.feature.hop=800",
    "views.f0.feature.hop=800",
    "stages.*.trainer.epochs=2",
    "stages.teacher.network.width=4",
    "stages.student.network.layers=2",
    "stages.student.network.hidden=16",
    "stages.teacher.data.items={ seconds = 0.5, tail = 'first' }",
]


@pytest.mark.parametrize("name", [*TEACHERS, *STUDENTS])
def test_what_all_share(name):
    system = systems.load(name)
    assert system.system.name == name and system.system.paper == "chen2022"
    for stage in system.stages:
        trainer = stage.trainer
        assert (trainer.batch_size, trainer.learning_rate, trainer.optimizer) == (16, 1e-3, "adam")
        assert trainer.schedule.model_dump() == {"name": "step", "every": 20, "factor": 0.8}
        assert trainer.stopping.model_dump() == {"name": "patience", "epochs": 8, "monitor": "training_accuracy"}
        assert (trainer.epochs, trainer.weight_decay, trainer.select) == (200, 0.0, "last")
    assert [flag.text for flag in flags(system.protocols["paper"])] == ["speakers may be in both parts"]
    assert (system.protocols["paper"].test, system.protocols["paper"].repeats) == (0.2, 5)


@pytest.mark.parametrize("name", TEACHERS)
def test_rows_of_table_2(name):
    system = systems.load(name)
    (stage,) = system.stages
    network, _, level = name.partition("-")
    assert stage.network.name == network
    feature = system.views["mel"].feature.options
    assert feature["bands"] == 80 and feature["level"] == ("db" if level == "log-mel" else "linear")
    assert system.views["mel"].normalise == "global"
    assert system.stage_data(stage).items.windowing.windows(5.0) == [(0.0, 3.0)]


def test_the_student_reads_whole_utterances_of_the_egg():
    for name in STUDENTS:
        system = systems.load(name)
        student = system.deployed
        assert student.name == "student" and student.network.options["layers"] == 4
        view = system.views[student.view]
        assert (view.feature.name, view.channel, view.fallback) == ("f0_egg", "egg", "speech")
        assert system.stage_data(student).items.windowing.windows(5.0) == [(0.0, 5.0)]
    assert student.method.options == {"teacher": "teacher", "alpha": 0.6, "tau": 2.0}


def stages_of(sets, synthetic, tmp_path, protocol="clean", name="egg-distillation"):
    experiment = prepare(systems.load(name, [*SMALL, *sets]), [synthetic], protocol, Store(tmp_path / "store"))
    split = splits(experiment.protocol, experiment.scored, experiment.target)[0]
    return Stages(experiment, split, tmp_path / "stages", seed=0)


def test_the_teacher_hears_the_speech_of_the_students_items(synthetic, tmp_path):
    made = stages_of(["data.copies=['faster', 'noise']"], synthetic, tmp_path)
    made.train()
    context = made.begin("student")[1]
    items = context.items
    assert {item.copy for item in items} == {None, "faster", "noise"} and {item.end for item in items} == {None}
    found = context.outputs("teacher")
    teacher, mel = made.finished["teacher"].model, LogMel(fft=1024, bands=8, hop=800)
    for row in (0, len(items) // 2, len(items) - 1):
        item = items[row]
        # Its first half second, as the teacher has learned from.
        signal = item.signal(16000, Windowing(seconds=0.5, tail="first"))
        assert len(signal) == 8000
        with torch.inference_mode():
            expected = teacher(Batch({"mel": torch.from_numpy(mel(signal))[None]})).features[0]
        torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)
    assert (found[0] - found[-1]).abs().max() > 1e-3
    history = (made.finished["student"].folder / "history.jsonl").read_text().splitlines()
    assert {"training_distillation", "training_cross_entropy", "training_accuracy"} <= set(json.loads(history[-1]))


def test_alpha_zero_is_the_student_alone(synthetic, tmp_path):
    taught = stages_of(["stages.student.method.alpha=0"], synthetic, tmp_path).train()
    sets = [set_ for set_ in SMALL if ".mel." not in set_ and ".teacher." not in set_]
    experiment = prepare(systems.load("egg-student", sets), [synthetic], "clean", Store(tmp_path / "store"))
    split = splits(experiment.protocol, experiment.scored, experiment.target)[0]
    alone = Stages(experiment, split, tmp_path / "stages", seed=0).train()
    weights = alone.model.state_dict()
    assert taught.key != alone.key
    assert all(torch.equal(value, weights[name]) for name, value in taught.model.state_dict().items())
    other = stages_of([], synthetic, tmp_path).train().model.state_dict()
    assert not torch.equal(other["network.lstm.weight_ih_l0"], weights["network.lstm.weight_ih_l0"])


def test_features_of_another_size(synthetic, tmp_path):
    message = "the features of teacher 'teacher' have size 32, but the student's have 20; give both networks"
    with pytest.raises(UserError, match=message):
        stages_of(["stages.student.network.hidden=10"], synthetic, tmp_path).train()


def test_a_validation_part_decides_which_weights_are_kept(synthetic, tmp_path):
    sets = [
        "protocols.clean.validation=0.3",
        "stages.*.trainer.stopping.monitor=validation_uar",
        "stages.*.trainer.stopping.epochs=1",
        "stages.*.trainer.select=uar",
        "stages.*.trainer.epochs=6",
    ]
    made = stages_of(sets, synthetic, tmp_path)
    made.train()
    for finished in made.finished.values():
        history = [json.loads(line) for line in (finished.folder / "history.jsonl").read_text().splitlines()]
        scores = [record["validation_uar"] for record in history]
        assert len(history) < 6 and scores[-1] <= max(scores[:-1])


def test_a_resnet_teaches_a_vit_by_logits(synthetic, tmp_path):
    mel = {"feature": {"name": "log_mel", "bands": 8, "hop": 800, "length": 512}, "normalise": "global"}
    image = {"feature": {"name": "logmel_image", "size": [8, 8]}}
    trainer = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}
    vit = {"name": "vit", "depth": 1, "heads": 1, "head_size": 4, "hidden": 4, "width": 6, "patch": [8, 1]}
    tables = [
        {"name": "large", "view": "mel", "network": {"name": "resnet18", "width": 4}, "trainer": trainer},
        {
            "name": "small",
            "view": "image",
            "network": vit,
            "trainer": trainer,
            "method": {"name": "feature_distillation", "teacher": "large", "on": "logits"},
        },
    ]

    def train(**data):
        tables[1]["data"] = data
        table = {"system": {"name": "pair"}, "views": {"mel": mel, "image": image}, "stages": tables}
        experiment = prepare(systems.parse(table, "test"), [synthetic], "clean", Store(tmp_path / "store"))
        split = splits(experiment.protocol, experiment.scored, experiment.target)[0]
        made = Stages(experiment, split, tmp_path / "stages", seed=0)
        made.train()
        return made

    made = train()
    history = (made.finished["small"].folder / "history.jsonl").read_text().splitlines()
    assert json.loads(history[-1])["training_distillation"] > 0
    context = made.begin("small")[1]
    assert context.outputs("large", "predictions").shape == (len(context.items), 4)
    with pytest.raises(
        UserError, match="are for emotion: anger, fear, neutral, sadness; the student's are for emotion"
    ):
        train(classes=["anger", "neutral"])


def test_from_sound_to_bundle(synthetic, tmp_path, monkeypatch, capsys):
    sets = (*SMALL, "protocols.clean.folds=2")
    scores = run(
        Request("egg-distillation", [synthetic], sets=sets, jobs=1, threads=1, accelerator="cpu"), tmp_path / "run"
    ).to_dict()
    assert scores["protocol"] == "clean" and 0 <= scores["uar"]["estimate"] <= 1
    bundle = export(tmp_path / "run", tmp_path / "student", recordings=5)
    assert bundle.parity.max_difference < 1e-4 and np.isfinite(bundle.parity.max_difference)
    # What is shipped is the student, which listens to the EGG.
    assert [(entry.name, entry.channel) for entry in bundle.inputs] == [("f0", "egg")]
    assert bundle.network["name"] == "bilstm"
    # Each direction: 4 gates of 16 cells, 1 input or both directions below, and two biases. 4 classes.
    count = 2 * (64 * (1 + 16) + 128) + 2 * (64 * (32 + 16) + 128) + 32 * 4 + 4
    weights = load_file(bundle.folder / "weights.safetensors")
    assert bundle.size.parameters == sum(values.size for values in weights.values()) == count
    assert {".".join(name.split(".")[:2]) for name in weights} == {"network.lstm", "network.head"}
    # The teacher would have added another 175,000 numbers of 4 bytes.
    assert 4 * count < (bundle.folder / "model.onnx").stat().st_size < 4 * count + 40_000

    # An EGG in a file of its own is heard like the second channel of a stereo recording.
    stereo = synthetic.utterances[3].path
    signal, rate = soundfile.read(stereo, dtype="float32")
    soundfile.write(tmp_path / "egg.wav", signal[:, 1], rate, subtype="FLOAT")
    command = ["predict", "--model", str(tmp_path / "student"), "--channel", "egg", "--format", "jsonl"]
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    assert cli.run([*command, str(tmp_path / "egg.wav"), str(stereo)]) == 0
    alone, second = (json.loads(line)["probabilities"] for line in capsys.readouterr().out.splitlines())
    assert alone == pytest.approx(second, abs=1e-6) and len(set(second.values())) == 4
    assert cli.run([*command[:3], str(tmp_path / "egg.wav")]) == 1
    assert "set the channel to 'egg'" in capsys.readouterr().err
