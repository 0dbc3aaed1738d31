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
        ("count", 1.5, "part: count must be a whole number, got 1.5"),
        ("count", 2.0, "part: count must be a whole number, got 2.0"),
        ("count", True, "part: count must be a whole number, got True"),
        ("count", "3", "part: count must be a whole number, got '3'"),
        ("count", None, "part: count must be a whole number, got None"),
        ("share", float("nan"), "part: share must be a number, got nan"),
        ("share", float("inf"), "part: share must be a number, got inf"),
        ("on", 1, "part: on must be true or false, got 1"),
        ("word", 5, "part: word must be text, got 5"),
        ("either", "x", "part: either must be a number, got 'x'"),
        ("sizes", 3, "part: sizes must be a list, got 3"),
        ("sizes", "abc", "part: sizes must be a list, got 'abc'"),
        ("size", 3, "part: size must be a list, got 3"),
        ("table", [1], r"part: table must be a table, got \[1\]"),
    ],
)
def test_what_does_not_fit_is_told(option, value, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        check("part", part, {option: value})


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (features.build, {"name": "log_mel", "fft": 512.5}, "feature 'log_mel': fft must be a whole number, got 512.5"),
        (
            features.build,
            {"name": "f0_robust", "hop": "160"},
            "feature 'f0_robust': hop must be a whole number, got '160'",
        ),
        (
            methods.build,
            {"name": "feature_matching", "teacher": "t", "weight": "x"},
            "weight must be a number, got 'x'",
        ),
        (
            perturb.build,
            {"name": "crop", "view": "mel", "frames": 1.5},
            "perturbation 'crop': frames must be a whole number, got 1.5",
        ),
        (perturb.build, {"name": "crop", "view": "mel", "frames": 0}, "perturbation 'crop': frames must be 1 or more"),
        (schedules.build, {"name": "step", "factor": "half"}, "schedule 'step': factor must be a number, got 'half'"),
        (
            stopping.build,
            {"name": "patience", "epochs": "ten"},
            "stopping rule 'patience': epochs must be a whole number, got 'ten'",
        ),
        (
            stopping.build,
            {"name": "qualification", "b2": "x"},
            "stopping rule 'qualification': b2 must be a number, got 'x'",
        ),
    ],
)
def test_every_kind_of_part_checks(build, options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16", {"hidden": 64.0}, "network 'vgg16': hidden must be a whole number, got 64.0"),
        ("vgg16", {"hidden": -1}, "network 'vgg16': .*negative dimension"),
    ],
)
def test_a_network_checks(name, options, message):
    with pytest.raises(UserError, match=message):
        networks.build(name, {"image": (1, 64, 64)}, {"emotion": 4}, **options)
