"""The systems that Kim & Lee 2024 compare theirs with."""

import pytest

from serkit import systems
from serkit.runs.export import export
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.sizes import sizes

BASELINES = ["ast", "ast-small", "septr", "septr-patch4"]


@pytest.mark.parametrize("name", BASELINES)
def test_only_the_network_differs_from_the_teacher(name):
    system, teacher = systems.load(name), systems.load("vit-teacher")
    assert system.system.name == name and system.system.paper == "kim2024"
    assert (system.data, system.protocols) == (teacher.data, teacher.protocols)
    (stage,), (other,) = system.stages, teacher.stages
    assert stage.model_copy(update={"network": other.network}) == other
    assert {"stem", "coordinates"}.isdisjoint(stage.network.options)
    # AST's input is standardised.
    normalise = "global" if name.startswith("ast") else None
    assert system.views["image"] == teacher.views["image"].model_copy(update={"normalise": normalise})


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("ast", 85_373_190, 12_821_672_448),
        ("ast-small", 21_452_934, 3_310_721_280),
        ("septr", 8_861_958, 175_562_950_144),
        ("septr-patch4", 2_820_102, 3_044_664_832),
    ],
)
def test_sizes_with_the_classes_of_cremad(name, parameters, macs):
    assert sizes(systems.load(name), classes=6) == {"teacher": {"parameters": parameters, "macs": macs}}


def test_from_sound_to_bundle(synthetic, tmp_path):
    network = {"patch": [8, 8], "stride": [4, 4], "depth": 1, "width": 8, "heads": 2}
    sets = [f"stages.teacher.network.{key}={value}" for key, value in network.items()]
    sets += ["views.image.feature.size=[16,16]", "stages.teacher.trainer.epochs=1", "protocols.clean.folds=2"]
    sets += ["data.items.seconds=0.5", "data.copies=[]"]
    run(Request("ast-small", [synthetic], sets=sets, jobs=1, threads=1, accelerator="cpu"), tmp_path / "run")
    bundle = export(tmp_path / "run", tmp_path / "bundle", recordings=5)
    assert bundle.system == "ast-small" and bundle.parity.max_difference < 1e-4
