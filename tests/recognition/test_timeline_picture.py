import numpy as np
import pytest
import soundfile
from PIL import Image, ImageColor

from serkit import audio
from serkit.recognition import Segment, Timeline, Window
from serkit.recognition import timeline_picture as picture
from serkit.recognition.timeline_picture import colours_of, draw
from voices import scene

LABELS = ("anger", "joy", "neutral")
COLOURS = colours_of(LABELS)
LEFT, WIDTH = 112, 1600 - 112 - 32


@pytest.fixture
def timeline(tmp_path):
    """10 s in two segments; a window says 0.25, 0.5, 0.25, another 0, 1, 0."""
    soundfile.write(tmp_path / "call.wav", np.concatenate([scene(), np.zeros(16000 * 10 - len(scene()))]), 16000)
    first, second = dict(zip(LABELS, (0.25, 0.5, 0.25), strict=True)), dict(zip(LABELS, (0.0, 1.0, 0.0), strict=True))
    windows = (Window(0, 4, 1.0, first), Window(2, 6, 1.0, second), Window(4, 8, 0.0, None))
    segments = (Segment(1, 5, "joy", 0.75, first), Segment(8, 8.01, "anger", 0.5, first))
    return Timeline(str(tmp_path / "call.wav"), 10.0, LABELS, windows, segments)


def pixel(image, seconds, y):
    return image.getpixel((LEFT + round(seconds / 10 * WIDTH), y))


def test_what_is_where(timeline, tmp_path):
    draw(timeline, tmp_path / "call.png")
    image = Image.open(tmp_path / "call.png")
    assert image.size == (1600, 748)
    joy, anger, neutral, paper = (
        ImageColor.getrgb(text) for text in (*map(COLOURS.get, ("joy", "anger", "neutral")), "#ffffff")
    )
    assert pixel(image, 2.0, 632) == joy  # inside the first segment's box, above its text
    assert pixel(image, 6.0, 650) == paper
    # At 1.5 s the first window alone: anger below 0.25, neutral above 0.75 of 200 pixels.
    assert pixel(image, 1.5, 600) == anger
    assert pixel(image, 1.5, 500) == joy
    assert pixel(image, 1.5, 420) == neutral
    # At 3 s the mean of both: 0.125, 0.75, 0.125. At 4.5 s the second alone.
    assert pixel(image, 3.0, 570) == joy
    assert pixel(image, 3.0, 595) == anger
    assert pixel(image, 4.5, 604) == joy
    assert pixel(image, 7.0, 500) == paper
    wave = ImageColor.getrgb(picture._WAVE)
    assert pixel(image, 1.5, 140) == wave
    assert pixel(image, 9.0, 140) == paper
    # The voice is brighter than the silence, the low bands are at the bottom.
    assert sum(pixel(image, 1.5, 385)) > sum(pixel(image, 9.0, 385)) + 100
    assert not list(tmp_path.glob(".*"))


def test_colours():
    labels = ["anger", "joy", "zeal", "neutral"]
    colours = colours_of(labels)
    assert list(colours) == labels
    assert len(set(colours.values())) == 4
    assert colours["anger"] == colours_of(["anger"])["anger"]


@pytest.mark.parametrize("samples", [1, 100, 4000])
def test_short_and_silent(tmp_path, samples):
    soundfile.write(tmp_path / "short.wav", np.zeros(samples), 16000)
    silent = Timeline(str(tmp_path / "short.wav"), samples / 16000, LABELS, (), ())
    draw(silent, tmp_path / "short.png")
    assert Image.open(tmp_path / "short.png").size == (1600, 748)


@pytest.mark.parametrize("seconds", [0.3, 1.57, 2.0, 3.1, 61.3])
def test_no_moment_of_steady_noise_is_blank(tmp_path, seconds):
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, 16000)
    timeline = Timeline(str(tmp_path / "noise.wav"), len(noise) / 16000, ["anger"], [], [])
    _, _, mel = picture._overview(timeline, None, 1456)
    level = mel.mean(axis=0)
    assert np.abs(level - np.median(level)).max() < 10


def test_a_file_that_has_gone(timeline, tmp_path):
    (tmp_path / "call.wav").unlink()
    with pytest.raises(audio.AudioError, match="no such file"):
        draw(timeline, tmp_path / "call.png")
    assert not (tmp_path / "call.png").exists()


@pytest.mark.parametrize(("duration", "step"), [(0.5, 0.1), (10, 1), (14, 1), (15, 2), (3600, 300), (90000, 7200)])
def test_ticks(duration, step):
    assert picture._tick_step(duration) == step
