import pytest

from serkit import systems
from serkit.errors import UserError
from serkit.protocols.splits import Split
from serkit.systems.check import check

SPLIT = Split("seed-0-fold-1", train=("a",), validation=(), test=("b",), fold=1, seed=0)


@pytest.mark.parametrize("name", systems.available())
def test_every_system_that_comes_along_passes(name):
    system = systems.load(name, ["stages.*.trainer.select=last"])
    check(system, [SPLIT], classes=3)


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
        ("stages.student.trainer.select=uar", "stage 'student': trainer.select = 'uar' needs a validation part"),
    ],
)
def test_a_mistake_in_the_last_stage_is_found_before_the_first_is_trained(change, message):
    with pytest.raises(UserError) as caught:
        check(systems.load("vit-transfer", [change]), [SPLIT], classes=3)
    assert message in str(caught.value) and "\n" not in str(caught.value)
