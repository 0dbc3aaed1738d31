"""`serkit features`: the table on stdout, channels, and the picture of F0."""

import csv
import io
import sys

import numpy as np
import pytest
import soundfile

from serkit.cli import run
from serkit.features import build

RATE = 16000


def tone(f0, seconds=0.6):
    """A rich tone between pauses."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(0.3 / k * np.sin(2 * np.pi * k * f0 * time) for k in range(1, 6))
    return np.pad(wave, 4000) + 1e-5 * np.random.default_rng(0).standard_normal(len(time) + 8000)


@pytest.fixture
def take(tmp_path):
    """Stereo: 110 Hz on channel 0, 230 Hz on channel 1."""
    path = tmp_path / "take.wav"
    soundfile.write(path, np.stack([tone(110), tone(230)], axis=1), RATE, subtype="FLOAT")
    return path


def read(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def test_f0_of_one_recording_goes_to_stdout(take, capsys):
    assert run(["features", "f0_egg", str(take), "--channel", "1"]) == 0
    printed = capsys.readouterr()
    header, rows = read(printed.out)
    assert header == ["time", "f0", "voiced"] and "\r" not in printed.out
    values = np.array(rows, dtype=float)
    # The middle of the first frame of 40 ms, then every 10 ms.
    np.testing.assert_allclose(values[:, 0], 0.02 + 0.01 * np.arange(len(values)))
    signal, _ = soundfile.read(take, dtype="float32")
    np.testing.assert_allclose(values[:, 1], build("f0_egg")(signal[:, 1])[0], rtol=1e-6)
    np.testing.assert_array_equal(values[:, 2], values[:, 1] > 0)
    assert values[:, 2].sum() > 50 and np.median(values[values[:, 2] == 1, 1]) == pytest.approx(230, abs=2)


@pytest.mark.parametrize(("channel", "expected"), [("0", 110), ("1", 230), ("egg", 230)])
def test_channels_are_numbers_or_egg(take, capsys, channel, expected):
    assert run(["features", "f0_robust", str(take), "--channel", channel]) == 0
    values = np.array(read(capsys.readouterr().out)[1], dtype=float)
    np.testing.assert_allclose(np.median(values[values[:, 2] == 1, 1]), expected, rtol=0.01)


def test_several_recordings_have_a_column_file_and_bad_ones_are_named(take, tmp_path, capsys):
    other = tmp_path / "other.wav"
    soundfile.write(other, tone(150), RATE)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    assert run(["features", "f0_egg", str(take), str(other), str(broken), "--set", "voicing=false"]) == 1
    printed = capsys.readouterr()
    header, rows = read(printed.out)
    assert header == ["file", "time", "f0"]
    assert {row[0] for row in rows} == {str(take), str(other)}
    assert "broken.wav: not audio" in printed.err


def test_a_vector_goes_to_stdout_too(take, capsys):
    assert run(["features", "log_mel_functionals", str(take), "--set", "bands=2"]) == 0
    header, rows = read(capsys.readouterr().out)
    assert len(header) == 10 and len(rows) == 1 and "file" not in header


def test_a_file_holds_what_stdout_shows(take, tmp_path, capsys):
    out = tmp_path / "f0.csv"
    assert run(["features", "f0_egg", str(take), "--channel", "0", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: f0_egg of 1 recordings\n"
    assert run(["features", "f0_egg", str(take), "--channel", "0"]) == 0
    header, rows = read(capsys.readouterr().out)
    written_header, written = read(out.read_text(encoding="utf-8"))
    assert written_header == ["file", *header]
    assert written == [[str(take), *row] for row in rows]


def test_further_channel_of_a_corpus(synthetic, tmp_path, capsys):
    out = tmp_path / "f0.csv"
    command = ["features", "f0_robust", "--corpus", f"synthetic={synthetic.folder}", "--out", str(out)]
    assert run([*command, "--channel", "egg"]) == 0
    with open(out, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] == str(synthetic.utterances[0].path)]
    signal, _ = soundfile.read(synthetic.utterances[0].path, dtype="float32")
    expected = build("f0_robust")(signal[:, 1])[0]
    np.testing.assert_allclose([float(row["f0"]) for row in rows], expected, rtol=1e-6)


def test_the_picture(take, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    pictures = []
    for channel in ("0", "1"):
        path = tmp_path / f"{channel}.png"
        assert run(["features", "f0_egg", str(take), "--channel", channel, "--plot", str(path)]) == 0
        assert capsys.readouterr().out == f"{path}: F0 by f0_egg of {take}\n"
        pictures.append(np.asarray(image.open(path).convert("RGB")).astype(int))
    assert pictures[0].shape == pictures[1].shape
    for picture in pictures:  # the contour's blue is there, below the waveform
        blue = (picture[..., 2] - picture[..., 0] > 80).any(axis=1)
        assert blue.any() and np.flatnonzero(blue)[0] > 0.3 * len(picture)
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["f0_egg", "TAKE", "--channel", "2"], "take.wav: no channel 2; it has 2, counted from 0"),
        (["f0_egg", "TAKE", "--channel", "left"], "neither a number from 0 nor 'egg'"),
        (["log_mel", "TAKE", "--plot", "x.png"], "--plot draws F0, which 'log_mel' has not"),
        (["f0_egg", "TAKE", "--plot", "x.svg"], "the picture is written as .png"),
        (["f0_egg", "TAKE", "COPY", "--plot", "x.png"], "--plot draws one recording, not 2"),
        (["f0_egg", "TAKE", "--out", "x.txt"], "the table is written as .csv or .parquet"),
    ],
)
def test_what_cannot_be_done_is_one_line(take, tmp_path, capsys, monkeypatch, arguments, message):
    copy = tmp_path / "copy.wav"
    copy.write_bytes(take.read_bytes())
    monkeypatch.chdir(tmp_path)
    names = {"TAKE": str(take), "COPY": str(copy)}
    assert run(["features", *(names.get(word, word) for word in arguments)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert {path.name for path in tmp_path.iterdir()} <= {"take.wav", "copy.wav"}


def test_a_picture_without_matplotlib_is_one_line(take, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(["features", "f0_egg", str(take), "--plot", str(tmp_path / "x.png")]) == 2
    printed = capsys.readouterr().err
    assert "matplotlib" in printed and "lab" in printed and printed.count("\n") == 1
