"""The probe on a small run whose features are replaced by ones whose content is known."""

import zlib

import numpy as np
import pytest
from PIL import Image

from serkit.errors import UserError
from serkit.papers.figures import Ran, drawing
from serkit.runs.folder import RunFolder
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.training import loop

SETS = (
    "stages.main.trainer.epochs=1",
    "data.items={ seconds = 0.5, tail = 'pad' }",
    "protocols.halves={ kind = 'kfold', folds = 2, validation = 0.2 }",
    "protocols.apart={ kind = 'group_kfold', folds = 2 }",
)


@pytest.fixture(scope="module")
def folders(synthetic, tmp_path_factory):
    place = tmp_path_factory.mktemp("probe")
    for protocol in ("halves", "apart"):
        request = Request("linear-baseline", [synthetic], protocol, SETS, final=False, jobs=1, threads=1)
        run(request, place / protocol)
    return {protocol: place / protocol for protocol in ("halves", "apart")}


@pytest.fixture
def features(monkeypatch):
    """Replace the network's features by `features.of(item)`, 6 numbers each."""

    class Features:
        seen = ()

        def outputs(self, model, data, what, **options):
            assert what == "features"
            self.seen = [*self.seen, *data.items]
            return np.stack([self.of(item) for item in data.items]).astype(np.float32)

    made = Features()
    monkeypatch.setattr(loop, "outputs", made.outputs)
    return made


def speaker(item):
    return int(item.utterance.speaker[-1])


def one_hot(item):
    return np.eye(6)[speaker(item)]


def nothing(item):
    return np.ones(6)


def noise(item):
    return np.random.default_rng(zlib.crc32(item.utterance.id.encode())).standard_normal(6)


def draw(folder, path, *labels, **options):
    return drawing("probe", options)([Ran(label, "synthetic", folder, {}) for label in labels or ("plain",)], path)


def test_features_that_hold_the_speaker_are_read(folders, features, tmp_path):
    features.of = one_hot
    found = draw(folders["halves"], tmp_path / "x.png")["plain"]
    tested = RunFolder.load(folders["halves"]).splits[0].test
    assert found["accuracy"]["estimate"] == found["uar"]["estimate"] == 1 and found["classes"] == 5
    assert found["n"] == len(tested) == 20
    counts = np.unique([name.split("_")[0] for name in tested], return_counts=True)[1]
    assert found["chance"] == counts.max() / 20
    with Image.open(tmp_path / "x.png") as image:
        assert image.format == "PNG" and len(image.convert("L").getcolors()) > 20
    # Wilson's interval of 20 right ones of 20: recordings are the unit, not the five speakers that are the classes.
    assert found["accuracy"]["low"] > 0.8
    # It learned from the training part of the first fold, and not from what the epoch was chosen by.
    split = RunFolder.load(folders["halves"]).splits[0]
    assert {item.utterance.id for item in features.seen} == {*split.train, *split.test}


def test_features_that_hold_nothing_give_chance(folders, features, tmp_path):
    features.of = nothing
    found = draw(folders["halves"], tmp_path / "x.png")["plain"]
    assert found["accuracy"]["estimate"] <= found["chance"] and found["uar"]["estimate"] == pytest.approx(0.2)


def test_the_probe_is_tested_on_what_it_was_not_fitted_on(folders, features, tmp_path):
    """Noise of each recording can be learned by heart, but says nothing of others."""
    features.of = noise
    for options in ({}, {"learn": "test"}):
        assert draw(folders["halves"], tmp_path / "x.png", **options)["plain"]["accuracy"]["estimate"] < 0.6


def test_windows_of_a_recording_are_averaged(folders, features, tmp_path):
    """The first window holds nothing; what the others hold reaches the probe, and a recording is scored once."""
    features.of = lambda item: one_hot(item) * (item.start > 0)
    found = draw(folders["halves"], tmp_path / "x.png")["plain"]
    assert found["accuracy"]["estimate"] == 1 and found["n"] == 20
    assert len(features.seen) > 2 * len({item.utterance.id for item in features.seen})


def test_speakers_who_were_not_learned_from(folders, features, tmp_path):
    features.of = one_hot
    with pytest.raises(
        UserError, match=r"row 'plain': the test part shares no speaker with the training part; let the"
    ):
        draw(folders["apart"], tmp_path / "x.png")
    found = draw(folders["apart"], tmp_path / "x.png", learn="test")["plain"]
    tested = RunFolder.load(folders["apart"]).splits[0].test
    assert found["accuracy"]["estimate"] == 1 and found["n"] == len(tested)
    assert found["classes"] == len({name.split("_")[0] for name in tested}) < 5
    features.of = nothing
    found = draw(folders["apart"], tmp_path / "x.png", learn="test")["plain"]
    # Whoever is left out is rarer among the rest: less than chance.
    assert found["accuracy"]["estimate"] <= found["chance"]


def test_other_targets_and_the_difference_to_the_first_row(folders, features, tmp_path, monkeypatch):
    features.of = lambda item: np.eye(6)[int(item.utterance.sentence[-1])]
    found = draw(folders["halves"], tmp_path / "x.png", "plain", "away", target="sentence")
    assert found["plain"]["accuracy"]["estimate"] == 1 and found["plain"]["classes"] == 2
    assert "difference" not in found["plain"]
    difference = found["away"]["difference"]
    assert difference["estimate"] == 0 and difference["low"] <= 0 <= difference["high"] and difference["p"] == 1
    # Each row computes the features of two parts.
    by_call = iter([one_hot, one_hot, nothing, nothing])
    original = features.outputs

    def outputs(*arguments, **options):
        features.of = next(by_call)
        return original(*arguments, **options)

    monkeypatch.setattr(loop, "outputs", outputs)
    found = draw(folders["halves"], tmp_path / "x.png", "plain", "away")
    expected = found["away"]["accuracy"]["estimate"] - 1
    assert found["away"]["difference"]["estimate"] == pytest.approx(expected) and expected < -0.5
    assert found["away"]["difference"]["high"] < 0 and found["away"]["difference"]["p"] < 0.05


def test_what_cannot_be_probed(folders, tmp_path):
    with pytest.raises(UserError, match="unknown part to learn from 'validation'"):
        draw(folders["halves"], tmp_path / "x.png", learn="validation")
    for learn, part in (("train", "training part"), ("test", "test part, twice each")):
        with pytest.raises(UserError, match=f"row 'plain': 0 word in the {part}; a probe requires two classes"):
            draw(folders["halves"], tmp_path / "x.png", target="word", learn=learn)


def test_real_features_of_a_real_run(folders, tmp_path):
    """No replacing: the features of a linear network are its inputs, which hold the level and colour of a voice."""
    found = draw(folders["halves"], tmp_path / "x.png")["plain"]
    assert found["accuracy"]["low"] <= found["accuracy"]["estimate"] <= found["accuracy"]["high"]
    assert found["accuracy"]["estimate"] > found["chance"]


def test_a_class_of_one_recording_is_left_out(folders, features, tmp_path, monkeypatch):
    rare = RunFolder.load(folders["halves"]).splits[0].test[0]
    monkeypatch.setattr(
        "serkit.papers.figures.probe.label",
        lambda utterance, target: "rare" if utterance.id == rare else utterance.speaker,
    )
    features.of = one_hot
    found = draw(folders["halves"], tmp_path / "x.png", learn="test")["plain"]
    assert found["n"] == 19 and found["classes"] == 5 and found["accuracy"]["estimate"] == 1
