import dataclasses

import pytest

from serkit import systems
from serkit.errors import UserError
from serkit.protocols.splits import Split
from serkit.runs.check import check

SPLIT = Split("seed-0-fold-1", train=("a",), validation=(), test=("b",), fold=1, seed=0)


@pytest.mark.parametrize("name", systems.available())
def test_every_system_that_comes_along_passes(name, request, monkeypatch):
    if name.startswith("ssl-"):
        monkeypatch.setenv("SERKIT_CHECKPOINT", str(request.getfixturevalue("checkpoints")()))
    check(systems.load(name), [dataclasses.replace(SPLIT, validation=("c",))], classes=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.student.method.weigth=1", "unknown option of method 'feature_matching' 'weigth'"),
        ("stages.student.method.teacher=techer", "stage 'student': unknown earlier stage 'techer'. Did you mean"),
        ("stages.student.method.teacher=student", "unknown earlier stage 'student'. Available: match, teacher"),
        ("stages.match.network.patch=[7, 1]", "does not divide the image"),
        ("stages.student.freeze=['bloks']", "unknown layer of Vit 'bloks'. Did you mean 'blocks'"),
        ("stages.student.reset=['hed']", "unknown layer of Vit 'hed'. Did you mean 'head'"),
        ("stages.student.trainer.schedule=cosin", "unknown schedule 'cosin'"),
        ('stages.student.trainer.stopping={ name = "patiense" }', "'patiense'"),
        ('stages.student.trainer.perturb=[{ name = "wrap" }]', "'wrap'"),
        ("stages.student.trainer.select=uar", "stage 'student': trainer.select = 'uar' requires a validation part"),
        (
            'stages.student.trainer.stopping={ name = "combined", rules = [{ name = "patience" }] }',
            "stage 'student': trainer.stopping watches 'validation_loss', which requires a validation part",
        ),
    ],
)
def test_a_mistake_in_the_last_stage_is_found_before_the_first_is_trained(change, message):
    with pytest.raises(UserError) as caught:
        check(systems.load("vit-transfer", [change]), [SPLIT], classes=3)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_stopping_rule_of_the_training_part_needs_no_other():
    check(systems.load("egg-student"), [SPLIT], classes=3)


@pytest.mark.parametrize("name", ["mean.arousal", "class", "type", "training"])
@pytest.mark.parametrize("kind", ["view", "target"])
def test_names_that_torch_cannot_take(tmp_path, name, kind):
    view, target = (name, "emotion") if kind == "view" else ("mel", name)
    own = tmp_path / "own.toml"
    own.write_text(
        f"system.name = 'own'\ndata.target = '{target}'\nviews.'{view}'.feature = 'log_mel_functionals'\n"
        f"[[stages]]\nname = 'main'\nview = '{view}'\nnetwork = 'linear'\n"
    )
    with pytest.raises(UserError, match=f"'{name}' cannot be the name of a {kind}"):
        check(systems.load(own), [SPLIT], classes=3)
