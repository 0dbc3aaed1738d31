"""Options that no front end can have are refused before memory is asked for: they come from strangers' bundles too."""

import dataclasses
import time
import tracemalloc
import typing

import numpy as np
import pytest

from serkit import features, systems
from serkit.cli import run
from serkit.errors import UserError
from serkit.options import Between, check
from serkit.windowing import Windowing

ABSURD = [10**400, 10**12, 2**40, 10**9, 0, -1, -(10**400), 1e308, float("nan"), float("inf"), "x", None, [], {}, True]

#: Options of every feature that are numbers, or lists of them; encoders need a file and have tests of their own.
NUMBERS = [
    (name, field.name)
    for name in sorted(features.FEATURES.keys() - {"onnx", "transformers"})
    for field in dataclasses.fields(features.build(name))  # type: ignore[arg-type]
    if not isinstance(field.default, bool | str) and field.name != "norm"
]


@pytest.fixture(autouse=True)
def bounded():
    """Neither time nor memory may be spent."""
    tracemalloc.start()
    began = time.process_time()
    yield
    assert tracemalloc.get_traced_memory()[1] < 20e6 and time.process_time() - began < 5
    tracemalloc.stop()


@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_every_number_has_a_range(name, option):
    kind = type(features.build(name))
    hint = typing.get_type_hints(kind, include_extras=True)[option]
    ranges = [hint, *typing.get_args(hint)]
    assert any(isinstance(note, Between) for one in ranges for note in getattr(one, "__metadata__", ())), hint


@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_absurd_values(name, option):
    """Each is refused in one line, or is a value like any other: the feature of a second fits into memory then."""
    for value in ABSURD:
        try:
            feature = features.build(name, **{option: value})
        except UserError as error:
            assert len(str(error)) < 300 and "\n" not in str(error)
        else:
            assert not isinstance(value, str | list | dict | bool) and (value is None or abs(value) < 1e6)
            shape = [feature.rate if size is None else size for size in feature.shape]
            assert np.prod(shape) < 1e9


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("log_mel", {"fft": 10**400}, "fft must have at most 64 bits, got 1329 of them"),
        ("log_mel", {"fft": 2**40, "length": 400}, "fft must be from 1 to 65536, got 1099511627776"),
        ("log_mel", {"bands": 10**9}, "bands must be from 1 to 1024, got 1000000000"),
        ("log_mel", {"fft": 10**5000}, "fft must have at most 64 bits, got 16610 of them"),
        ("log_mel", {"rate": 10**12}, "rate must be from 100 to 192000, got 1000000000000"),
        ("log_mel", {"hop": 10**9}, "hop must be from 1 to 65536"),
        ("log_mel", {"fft": 65536, "hop": 1}, "hop must be at least 125 for frames of 65536 samples, got 1"),
        ("log_mel", {"fft": 65536, "bands": 1024}, "bands must be at most 256 for frames of 65536 samples, got 1024"),
        ("log_mel", {"floor": 1e-300}, "floor must be from 1e-37 to 1"),
        ("log_mel", {"power": 1e9}, "power must be from"),
        ("stft_magnitude", {"size": [10**6, 10**6]}, "size must be from 1 to 8192"),
        ("stft_magnitude", {"size": [512, 1.5]}, "size"),
        ("stft_magnitude", {"size": [512, "x"]}, "size"),
        ("stft_magnitude", {"fft": 65536, "hop": 1}, "hop must be at least"),
        ("logmel_image", {"size": [10**9, 1]}, "size must be from 1 to 2048"),
        ("logmel_image", {"top_db": 1e6}, "top_db must be from"),
        ("mel_square", {"size": 10**6}, "size must be from 1 to 2048"),
        ("chroma_square", {"fft": 65536, "hop": 1}, "hop must be at least"),
        ("f0_egg", {"high_pass": 1e-9}, "high_pass 1e-09 Hz must be 0, or at least"),
        ("f0_egg", {"f_min": 1e-9}, "is not longer than a period"),
        ("f0_egg", {"order": 10**9}, "order must be from 1 to 8"),
        ("f0_robust", {"median": 10**9 + 1}, "median must be from"),
        ("speech_functionals", {"bands": 10**9}, "bands must be from 1 to 1024"),
        ("speech_log_mel", {"margin": 10**12}, "margin must be from"),
        ("mfcc", {"lifter": 1e300}, "lifter must be from"),
        ("is09", {"rate": 10**9}, "rate must be from"),
    ],
)
def test_what_is_said(name, options, message):
    with pytest.raises(UserError) as caught:
        features.build(name, **options)
    assert message in str(caught.value) and str(caught.value).startswith((f"feature '{name}'", name, "log_mel"))


def test_a_range_holds_for_each_number_of_a_list():
    def part(sides: typing.Annotated[tuple[int, int], Between(1, 8)] | None = None): ...

    check("part", part, {"sides": [1, 8]})
    check("part", part, {"sides": None})


@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 1e308},
        {"seconds": 601.0},
        {"seconds": 1e-9},
        {"seconds": 1.0, "hop": 1e-9},
        {"seconds": 600.0, "hop": 0.01},
        {"seconds": 1.0, "hop": 1e308},
        {"hop": 1e-9},
        {"seconds": 1.0, "minimum": float("nan")},
        {"seconds": 1.0, "minimum": float("inf")},
        {"seconds": 1.0, "minimum": -1.0},
    ],
)
def test_windows_without_end(options):
    with pytest.raises(UserError, match="window"):
        Windowing(**options)


def test_windows_that_may_be():
    assert len(Windowing(600.0, 0.6).windows(1200.0)) == 1001
    assert len(Windowing(1.0, 0.001).windows(2.0)) == 1001


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1" + "0" * 5000, "1099511627776", "-1", "nan", "[" * 100_000, "x"])
def test_the_command(capsys, value, tmp_path):
    assert run(["features", "log_mel", str(tmp_path), "--set", f"fft={value}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and len(error) < 300


def test_a_system(capsys, tmp_path):
    [view] = systems.load("linear-baseline").views
    (tmp_path / "mine.toml").write_text(
        f'extends = "linear-baseline"\n[views.{view}]\nfeature = {{ bands = 1000000000 }}\n'
    )
    assert run(["systems", str(tmp_path / "mine.toml")]) == 2
    error = capsys.readouterr().err
    assert "bands must be from 1 to 1024, got 1000000000" in error and error.count("\n") == 1
