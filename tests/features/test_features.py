import dataclasses
import json
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from serkit import features
from serkit.errors import UserError
from serkit.features import FEATURES, Feature, build, config

# Encoders read a file of the user's; they have tests of their own.
OWN = sorted(FEATURES.keys() - {"onnx", "transformers"})


@pytest.mark.parametrize("name", OWN)
def test_a_configuration_makes_the_same_feature_again(name):
    feature = build(name, rate=22050)
    assert isinstance(feature, Feature)
    described = config(feature)
    assert list(described)[:2] == ["name", "version"]
    assert described["name"] == name
    assert described["rate"] == 22050
    again = build(**json.loads(json.dumps(described)))
    assert again == feature
    assert build(name) != feature
    with pytest.raises(dataclasses.FrozenInstanceError):
        feature.rate = 8000


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("samples", [1, 333, 16000, 16001])
def test_shape_and_type_are_as_promised(name, samples):
    feature = build(name)
    array = feature(np.random.default_rng(0).standard_normal(samples).astype(np.float32))
    assert array.dtype == np.float32
    assert np.isfinite(array).all()
    assert len(array.shape) == len(feature.shape)
    assert all(expected in (None, found) for expected, found in zip(feature.shape, array.shape, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "logmel"}, r"unknown feature 'logmel'. Did you mean 'log_mel'\? Available: .*log_mel, "),
        ({"name": "log_mel", "band": 3}, r"unknown option of feature 'log_mel' 'band'. Did you mean 'bands'\?"),
        (
            {"name": "log_mel", "version": 99},
            "feature 'log_mel' version 99 is required; this serkit computes version 1",
        ),
        ({"name": "log_mel", "hop": "160"}, "feature 'log_mel': hop must be a whole number, got '160'"),
        ({"name": "log_mel", "hop": 0}, "hop 0"),
    ],
)
def test_what_cannot_be_built(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_only_the_feature_asked_for_is_imported():
    code = (
        "import sys; from serkit import features; features.build('stft_magnitude'); "
        "print(sorted(m for m in sys.modules if m.startswith('serkit.features.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['serkit.features.spectrum', 'serkit.features.stft_magnitude']"
    assert set(features.FEATURES) >= {"stft_magnitude"}


def test_a_value_that_a_feature_refuses_is_one_line(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Picky:
        hop: int = 1
        version: ClassVar[int] = 1

        def __post_init__(self):
            if self.hop < 1:
                raise ValueError(f"hop must be 1 or more, got {self.hop}")

    monkeypatch.setitem(FEATURES, "picky", f"{__name__}:Picky")
    monkeypatch.setitem(globals(), "Picky", Picky)
    with pytest.raises(UserError, match="feature 'picky': hop must be 1 or more, got 0"):
        build("picky", hop=0)
