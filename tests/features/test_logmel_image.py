import json
import subprocess
import sys

import librosa
import numpy as np
import pytest
import torch

from serkit.errors import UserError
from serkit.features import build, config
from serkit.features.logmel_image import LogmelImage

RATE = 16000


@pytest.fixture(scope="module")
def speech():
    """4 s at 16 kHz: a gliding buzz with a tremolo, in noise, and silence at the end."""
    time = np.arange(4 * RATE) / RATE
    phase = 2 * np.pi * (120 * time + 15 * time**2)
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 25))
    signal = 0.2 * buzz * (1.1 + np.sin(2 * np.pi * 4 * time))
    signal += 0.003 * np.random.default_rng(0).standard_normal(len(time))
    signal[3 * RATE :] = 0
    return signal.astype(np.float32)


def tone(frequency, seconds=1.0):
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def librosas_level(signal, top_db=80):
    """The same from librosa: (bands, frames), highest band first, 0 to 1."""
    mel = librosa.feature.melspectrogram(
        y=signal, sr=RATE, n_fft=1024, win_length=512, hop_length=64, n_mels=128, window="hamming",
        htk=True, norm=None, pad_mode="constant",
    )  # fmt: skip
    decibels = librosa.power_to_db(mel, ref=np.max, amin=1e-20, top_db=top_db)
    return (decibels[::-1] + top_db) / top_db


def resized_by_torch(image, size, **options):
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    return torch.nn.functional.interpolate(tensor, size, **options)[0].numpy()


TORCH = {
    "antialias": {"mode": "bilinear", "antialias": True},
    "bilinear": {"mode": "bilinear"},
    "nearest": {"mode": "nearest-exact"},
}


@pytest.mark.parametrize("resize", TORCH)
@pytest.mark.parametrize("size", [(128, 128), (64, 200), (200, 1001), (1, 1)])
def test_it_is_librosas_level_resized_by_torch(speech, resize, size):
    expected = resized_by_torch(librosas_level(speech), size, **TORCH[resize])
    found = LogmelImage(resize=resize, size=size)(speech)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
@pytest.mark.parametrize("samples", [1, 700, 20000])
@pytest.mark.parametrize("resize", TORCH)
def test_any_length_fills_the_image(speech, samples, resize):
    expected = resized_by_torch(librosas_level(speech[:samples]), (128, 128), **TORCH[resize])
    np.testing.assert_allclose(LogmelImage(resize=resize)(speech[:samples]), expected, atol=1e-3)


def test_4_seconds_are_1001_frames(speech):
    # With one column per frame nothing is left to resize.
    found = LogmelImage(size=(128, 1001))(speech)
    assert found.shape == (1, 128, 1001)
    np.testing.assert_allclose(found[0], librosas_level(speech), atol=1e-3)
    assert librosas_level(speech).shape == (128, 1001)


def test_shape_and_range(speech):
    feature = LogmelImage()
    image = feature(speech)
    assert feature.shape == image.shape == (1, 128, 128)
    assert image.min() == 0  # the silence at the end
    assert 0.9 < image.max() <= 1
    assert not image[0, :, -24:].any()
    whole = LogmelImage(size=(128, 1001))(speech)
    assert (whole.min(), whole.max()) == (0, 1)


@pytest.mark.parametrize("top_db", [30.0, 120.0])
def test_top_db_is_the_distance_from_black_to_white(speech, top_db):
    expected = resized_by_torch(librosas_level(speech, top_db), (128, 128), **TORCH["antialias"])
    np.testing.assert_allclose(LogmelImage(top_db=top_db)(speech), expected, atol=1e-3)


@pytest.mark.parametrize("frequency", [200, 1000, 3000, 7000])
def test_high_frequencies_are_at_the_top(frequency):
    image = LogmelImage()(tone(frequency))[0]
    # Band b is centred on (b + 1) / 129 of the mel scale from 0 to 8 kHz; row 0 is band 127.
    share = np.log10(1 + frequency / 700) / np.log10(1 + 8000 / 700)
    assert image.mean(axis=1).argmax() == pytest.approx(127 - (129 * share - 1), abs=0.6)


def test_time_runs_from_left_to_right():
    image = LogmelImage()(np.concatenate([tone(200), tone(5000)]))[0]
    rows = image.argmax(axis=0)
    assert (rows[:60] > 100).all()
    assert (rows[68:] < 40).all()


@pytest.mark.parametrize("colour", ["level", "inferno_red"])
@pytest.mark.parametrize("gain", [1e-4, 0.1, 3.0])
def test_recording_level_does_not_matter(speech, gain, colour):
    # A level on the border of two colour steps may take either.
    feature = LogmelImage(colour=colour)
    found = feature(np.float32(gain) * speech)
    np.testing.assert_allclose(found, feature(speech), atol=1e-4 if colour == "level" else 4e-3)


def test_inferno_red_is_matplotlibs():
    matplotlib = pytest.importorskip("matplotlib")
    signal = tone(1000, 4.0) * np.geomspace(1e-6, 1, 4 * RATE, dtype=np.float32)
    level = LogmelImage(size=(128, 1001))(signal)[0]
    colours = matplotlib.colormaps["inferno"](level, bytes=True)[..., 0]
    # The signal goes through the whole table.
    assert set(np.minimum(level.ravel() * 256, 255).astype(int)) == set(range(256))
    found = LogmelImage(size=(128, 1001), colour="inferno_red")(signal)[0]
    np.testing.assert_array_equal(np.rint(found * 255), colours)
    np.testing.assert_allclose(found * 255, colours, atol=1e-4)
    # Colours first, size second.
    expected = resized_by_torch(colours / 255, (128, 128), **TORCH["antialias"])
    np.testing.assert_allclose(LogmelImage(colour="inferno_red")(signal), expected, atol=1e-4)


@pytest.mark.parametrize("colour", ["level", "inferno_red"])
@pytest.mark.parametrize("resize", TORCH)
@pytest.mark.parametrize("samples", [1, 64000])
def test_silence_is_black(colour, resize, samples):
    image = LogmelImage(colour=colour, resize=resize)(np.zeros(samples, np.float32))
    np.testing.assert_array_equal(image, np.zeros((1, 128, 128), np.float32))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.5, -1e-19, 1e-30])
def test_a_constant_is_brightest_at_the_bottom(value):
    image = LogmelImage()(np.full(64000, value, np.float32))[0]
    assert np.isfinite(image).all()
    if value == 1e-30:  # its power is below what float32 holds
        assert not image.any()
    else:
        assert image.mean(axis=1).argmax() == 127


def test_configuration_through_json():
    feature = build("logmel_image", size=[64, 96], colour="inferno_red", resize="nearest", top_db=60.0)
    assert feature.size == (64, 96)
    assert feature.shape == (1, 64, 96)
    text = json.dumps(config(feature))
    again = build(**json.loads(text))
    assert again == feature
    assert hash(again) == hash(feature)
    assert json.dumps(config(again)) == text
    assert build("logmel_image", size=[128, 128]) == LogmelImage()


def test_matplotlib_is_not_imported():
    code = "import sys, serkit.features.logmel_image; print({'matplotlib', 'torch', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "inferno"}, "unknown logmel_image colour 'inferno'. Did you mean 'inferno_red'"),
        ({"resize": "cubic"}, "unknown logmel_image resize 'cubic'. .*Available: antialias, bilinear, nearest"),
        ({"top_db": 0.0}, "logmel_image: top_db must be above 0, got 0"),
        ({"size": [128]}, r"'logmel_image': size must be rows and columns, e\.g\. \[128, 128\], got \(128,\)"),
        ({"size": [128, 0]}, r"size must be rows and columns, e\.g\. \[128, 128\], got \(128, 0\)"),
        ({"size": [128.5, 128]}, r"size must be rows and columns, e\.g\. \[128, 128\], got \(128.5, 128\)"),
        ({"size": 128}, r"size must be rows and columns, e\.g\. \[128, 128\], got 128"),
        ({"size": "128"}, r"size must be rows and columns, e\.g\. \[128, 128\], got 128"),
        ({"length": 2048}, r"length must be from 1 to fft \(1024\), got 2048"),
        ({"hop": 0}, "hop 0"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        build("logmel_image", **options)
