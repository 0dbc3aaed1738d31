"""The systems of Kim & Lee 2024: what their files say, their sizes, and a small run from sound to bundle."""

import json

import pytest
import torch
from safetensors.torch import load_file

from preparation import prepare
from serkit import features, systems
from serkit.data.store import Store
from serkit.protocols.splits import splits
from serkit.runs.export import export
from serkit.runs.models import build_model
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.sizes import sizes
from serkit.runs.stages import Stages

TEACHERS = ["vit-square", "vit-teacher", "vit-teacher-d12", "vit-teacher-nope"]
TRANSFERS = ["vit-transfer", "vit-transfer-flop-matched"]

needs_image = pytest.mark.skipif("logmel_image" not in features.FEATURES, reason="no feature 'logmel_image' here")

# A small image, small networks, and one epoch of each stage.
SMALL = [
    "views.image.feature.size=[16,16]",
    "stages.teacher.network.patch=[16,1]",
    "stages.match.network.patch=[16,1]",
    *(f"stages.{stage}.network.{key}" for stage in ("teacher", "match") for key in ("depth=1", "width=8", "hidden=8")),
    "stages.*.trainer.epochs=1",
    "stages.*.trainer.learning_rate=0.01",
    "data.items.seconds=0.5",
    'data.copies=["noise"]',
]


@pytest.mark.parametrize("name", [*TEACHERS, *TRANSFERS, "vit-student-alone"])
def test_what_all_share(name):
    system = systems.load(name)
    assert system.system.name == name and system.system.paper == "kim2024"
    assert system.data.copies == ["noise", "shift", "speed"]
    assert system.data.items.seconds == 4.0 and system.data.items.windowing.windows(9.0) == [(0.0, 4.0)]
    for stage in system.stages:
        trainer = stage.trainer
        assert (trainer.epochs, trainer.batch_size, trainer.learning_rate, trainer.optimizer) == (50, 4, 1e-4, "adam")
        assert trainer.schedule.model_dump() == {"name": "step", "every": 10, "factor": 0.5}


@pytest.mark.parametrize("name", TEACHERS)
def test_a_teacher_is_one_stage(name):
    assert [stage.name for stage in systems.load(name).stages] == ["teacher"]


@pytest.mark.parametrize("name", TRANSFERS)
def test_three_stages(name):
    system = systems.load(name)
    teacher, match, student = system.stages
    assert system.deployed is student and student.start_from == "match"
    assert teacher.network.options["stem"] and teacher.network.options["coordinates"]
    assert match.method.options == {"teacher": "teacher", "weight": 1.0, "cross_entropy": False}
    assert student.method.options == {"teacher": "teacher", "weight": 10.0}
    assert {"stem", "coordinates"}.isdisjoint(match.network.options)


def test_the_student_alone_differs_from_the_student_only_in_what_it_learns_from():
    alone, taught = systems.load("vit-student-alone"), systems.load("vit-transfer")
    assert (alone.data, alone.views, alone.protocols) == (taught.data, taught.views, taught.protocols)
    # As many stages and epochs; each starts from the one before.
    assert len(alone.stages) == len(taught.stages)
    assert [stage.start_from for stage in alone.stages] == [None, "first", "second"]
    assert {stage.method.name for stage in alone.stages} == {"supervised"}
    match, student = taught.stages[1:]
    assert alone.stages[0].network == match.network
    assert all(stage.trainer == student.trainer for stage in alone.stages)
    assert alone.deployed is alone.stages[-1]


@needs_image
@pytest.mark.parametrize(
    ("name", "stage", "parameters", "published"),
    [
        ("vit-teacher", "teacher", 4_488_136, 1.4073),
        ("vit-teacher-d12", "teacher", 14_332_360, 2.920),
        ("vit-square", "teacher", 4_587_208, 1.082),
        ("vit-transfer", "student", 2_205_959, 0.3165),
        ("vit-student-alone", "third", 2_205_959, 0.3165),
        ("vit-transfer-flop-matched", "teacher", 4_685_128, 1.4326),
        ("vit-transfer-flop-matched", "student", 2_304_455, 0.3292),
    ],
)
def test_sizes(name, stage, parameters, published):
    # The published rule counts norms as well: up to 1.2 % of the squares' few tokens.
    found = sizes(systems.load(name))[stage]
    assert found["parameters"] == parameters
    assert found["macs"] / 1e9 == pytest.approx(published, rel=0.012)


@needs_image
def test_the_teacher_without_coordinates_has_smaller_patches():
    with_places, without = (sizes(systems.load(name))["teacher"] for name in ("vit-teacher", "vit-teacher-nope"))
    # 256 columns fewer of the patches' linear layer for each row and place, and of the norm before it.
    assert with_places["parameters"] - without["parameters"] == 256 * 256 + 2 * 256
    assert with_places["macs"] - without["macs"] == 128 * 256 * 256


@needs_image
def test_three_stages_are_trained(synthetic, tmp_path):
    experiment = prepare(systems.load("vit-transfer", SMALL), [synthetic], "clean", Store(tmp_path / "store"))
    split = splits(experiment.protocol, experiment.scored, experiment.target)[0]
    made = Stages(experiment, split, tmp_path / "stages", seed=0)
    made.train()
    teacher, match, student = (made.finished[name].model for name in ("teacher", "match", "student"))
    # The student's head is first trained in the last stage: until then it is what the seed made of it.
    torch.manual_seed(0)
    stage = made.finished["match"]
    new = build_model(made.experiment.system, stage.stage, stage.shapes, stage.classes, {}).network
    head = match.network.head["emotion"].weight
    torch.testing.assert_close(head, new.head["emotion"].weight, rtol=0, atol=0)
    assert not torch.equal(head, student.network.head["emotion"].weight)
    assert not torch.equal(match.network.embedding[1].weight, new.embedding[1].weight)
    stored = load_file(made.finished["teacher"].folder / "weights.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in teacher.state_dict().items())
    history = (made.finished["student"].folder / "history.jsonl").read_text().splitlines()
    assert {"training_match", "training_cross_entropy"} <= set(json.loads(history[-1]))


@needs_image
def test_from_sound_to_bundle(synthetic, tmp_path):
    sets = (*SMALL, "protocols.clean.folds=2")
    scores = run(
        Request("vit-transfer", [synthetic], sets=sets, jobs=1, threads=1, accelerator="cpu"), tmp_path / "run"
    ).to_dict()
    assert scores["protocol"] == "clean" and 0 <= scores["uar"]["estimate"] <= 1
    bundle = export(tmp_path / "run", tmp_path / "student", recordings=5)
    assert bundle.parity.max_difference < 1e-4 and bundle.system == "vit-transfer"
    # What is shipped is the student, without the teacher's convolutions.
    assert bundle.size.macs < 1_000_000 and not bundle.network.get("stem")
