from collections.abc import Mapping, Sequence

import numpy as np
import pytest

pytest.importorskip("torch")

from serkit import features, methods, networks
from serkit.errors import UserError
from serkit.options import check
from serkit.training import perturb, schedules, stopping


def part(
    count: int = 1,
    share: float = 0.5,
    on: bool = False,
    word: str = "a",
    either: float | None = None,
    sizes: Sequence[int] = (1,),
    size: tuple[int, int] | None = None,
    table: Mapping[str, float] | None = None,
    any=None,
) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {"count": 3, "share": 3, "on": True, "word": "b", "either": None, "sizes": [1, 2], "size": [1, 2], "any": "x"},
        {"count": np.int64(3), "share": np.float32(3), "either": 2.5, "size": None, "table": {"a": 1.0}, "other": 1},
        {},
    ],
)
def test_what_fits_is_let_through(options):
    check("part", part, options)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("count", 1.5, "part: count = 1.5; a whole number is wanted"),
        ("count", 2.0, "part: count = 2.0; a whole number is wanted"),
        ("count", True, "part: count = True; a whole number is wanted"),
        ("count", "3", "part: count = '3'; a whole number is wanted"),
        ("count", None, "part: count = None; a whole number is wanted"),
        ("share", float("nan"), "part: share = nan; a number is wanted"),
        ("share", float("inf"), "part: share = inf; a number is wanted"),
        ("on", 1, "part: on = 1; true or false is wanted"),
        ("word", 5, "part: word = 5; a text is wanted"),
        ("either", "x", "part: either = 'x'; a number is wanted"),
        ("sizes", 3, "part: sizes = 3; a list is wanted"),
        ("sizes", "abc", "part: sizes = 'abc'; a list is wanted"),
        ("size", 3, "part: size = 3; a list is wanted"),
        ("table", [1], r"part: table = \[1\]; a table is wanted"),
    ],
)
def test_what_does_not_fit_is_told(option, value, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        check("part", part, {option: value})


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (features.build, {"name": "log_mel", "fft": 512.5}, "feature 'log_mel': fft = 512.5; a whole number"),
        (features.build, {"name": "f0_robust", "hop": "160"}, "feature 'f0_robust': hop = '160'; a whole number"),
        (methods.build, {"name": "feature_matching", "teacher": "t", "weight": "x"}, "weight = 'x'; a number"),
        (perturb.build, {"name": "crop", "view": "mel", "frames": 1.5}, "perturbation 'crop': frames = 1.5"),
        (perturb.build, {"name": "crop", "view": "mel", "frames": 0}, "perturbation 'crop': frames must be 1 or more"),
        (schedules.build, {"name": "step", "factor": "half"}, "schedule 'step': factor = 'half'; a number"),
        (stopping.build, {"name": "patience", "epochs": "ten"}, "stopping rule 'patience': epochs = 'ten'; a whole"),
        (stopping.build, {"name": "qualification", "b2": "x"}, "stopping rule 'qualification': b2 = 'x'; a number"),
    ],
)
def test_every_kind_of_part_checks(build, options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16", {"hidden": 64.0}, "network 'vgg16': hidden = 64.0; a whole number is wanted"),
        ("vgg16", {"hidden": -1}, "network 'vgg16': .*negative dimension"),
    ],
)
def test_a_network_checks(name, options, message):
    with pytest.raises(UserError, match=message):
        networks.build(name, {"image": (1, 64, 64)}, {"emotion": 4}, **options)
