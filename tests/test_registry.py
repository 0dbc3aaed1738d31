import sys

import pytest

from serkit import augment, corpora, features, methods, networks
from serkit.errors import UserError
from serkit.registry import Registry
from serkit.training import perturb, schedules, stopping


class Box:
    def __init__(self, inputs, size: int = 3, color: str = "red"):
        self.inputs, self.size, self.color = inputs, size, color


PARTS = Registry(
    "box", {"eager": Box, "lazy": f"{__name__}:Box", "module": "json.tool", "missing": "serkit.nowhere:Box"}
)


@pytest.mark.parametrize("name", ["eager", "lazy"])
def test_a_part_is_made_with_arguments_and_options(name):
    assert PARTS.find(name).__name__ == "Box"
    made = PARTS.make(name, {"size": 5}, [1, 2])
    assert (made.inputs, made.size, made.color) == ([1, 2], 5, "red")
    assert PARTS.defaults(name) == {"size": 3, "color": "red"}


def test_a_part_is_imported_when_it_is_first_used():
    sys.modules.pop("json.tool", None)
    assert "module" in PARTS and "json.tool" not in sys.modules
    assert PARTS.find("module") is sys.modules["json.tool"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("eagre", {}, "unknown box 'eagre'. Did you mean 'eager'? Available: eager, lazy, missing, module"),
        ("eager", {"sise": 1}, "unknown option of box 'eager' 'sise'. Did you mean 'size'? Available: color, size"),
        ("lazy", {"inputs": 1}, "unknown option of box 'lazy' 'inputs'. Available: color, size"),
        ("lazy", {"size": "x"}, "box 'lazy': size must be a whole number, got 'x'"),
    ],
)
def test_what_cannot_be_made(name, options, message):
    with pytest.raises(UserError) as caught:
        PARTS.make(name, options, [])
    assert str(caught.value) == message


def test_a_module_that_is_missing_is_no_mistake_of_the_user():
    with pytest.raises(ModuleNotFoundError):
        PARTS.find("missing")


@pytest.mark.parametrize(
    "table",
    [
        features.FEATURES,
        networks.NETWORKS,
        methods.METHODS,
        corpora.READERS,
        augment.AUGMENTATIONS,
        perturb.PERTURBATIONS,
        stopping.RULES,
        schedules.SCHEDULES,
    ],
    ids=lambda table: table.kind,
)
def test_every_part_of_every_table_is_there(table):
    assert all(table.find(name) is not None for name in table)
    with pytest.raises(UserError, match=f"^unknown {table.kind} 'no such part'"):
        table.find("no such part")


@pytest.mark.parametrize(
    ("build", "name", "message"),
    [
        (perturb.build, "crop", "unknown option of perturbation 'crop' 'widht'"),
        (schedules.build, "step", "unknown option of schedule 'step' 'widht'. Available: every, factor"),
        (stopping.build, "patience", "unknown option of stopping rule 'patience' 'widht'"),
        (features.build, "log_mel", "unknown option of feature 'log_mel' 'widht'"),
        (methods.build, "svm", "unknown option of method 'svm' 'widht'"),
    ],
)
def test_an_option_that_a_part_does_not_have(build, name, message):
    with pytest.raises(UserError, match=message):
        build(name, widht=3)
