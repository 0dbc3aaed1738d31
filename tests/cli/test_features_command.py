"""`serkit features`: the table on stdout, channels, and the picture of F0."""

import csv
import errno
import io
import os
import re
import shutil
import sys

import numpy as np
import pytest
import soundfile

from serkit.cli import run
from serkit.features import build
from serkit.locks import alone

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
        (["f0_egg", "TAKE", "--channel", "2"], "take.wav: has no channel 2; it has 2, counted from 0"),
        (["f0_egg", "TAKE", "--channel", "left"], "--channel must be a number from 0, or 'egg', got 'left'"),
        (["log_mel", "TAKE", "--plot", "x.png"], "--plot draws F0, but 'log_mel' has no F0"),
        (["f0_egg", "TAKE", "--plot", "x.svg"], "x.svg: --plot requires a file that ends in .png"),
        (["f0_egg", "TAKE", "COPY", "--plot", "x.png"], "--plot draws one recording, not 2"),
        (["f0_egg", "TAKE", "--out", "x.txt"], "must end in .csv, .parquet or .arff"),
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


@pytest.fixture
def read_only(tmp_path, monkeypatch):
    """A cache that lies below what is a file: nobody can write to it, root neither."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "file" / "cache"))


def test_a_cache_that_cannot_be_written(take, tmp_path, read_only, capsys):
    place = re.escape(str(tmp_path / "file" / "cache"))
    text = rf"serkit: error: {place}: the cache cannot be written \(.*\); make room, or set SERKIT_CACHE to another\n"
    for arguments in ([], ["--out", str(tmp_path / "out.csv")], ["--out", str(tmp_path / "out.parquet")]):
        assert run(["features", "log_mel_functionals", str(take), *arguments]) == 2
        out, err = capsys.readouterr()
        *_, last = err.splitlines(keepends=True)
        assert out == "" and re.fullmatch(text, last)
        assert all(line.startswith("serkit: warning: ") for line in err.splitlines()[:-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "take.wav"]


def test_a_full_disk_for_the_cache(take, tmp_path, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    assert run(["features", "log_mel_functionals", str(take)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"serkit: error: {tmp_path / 'cache'}: the cache cannot be written ({os.strerror(errno.ENOSPC)}); "
        "make room, or set SERKIT_CACHE to another\n"
    )


@pytest.fixture
def homeless(monkeypatch):
    """A user whom the system does not know, without a home folder."""
    pwd = pytest.importorskip("pwd", reason="users are POSIX's")

    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("SERKIT_CACHE")


def test_without_a_home_folder(take, tmp_path, homeless, toy, capsys, monkeypatch):
    monkeypatch.delenv("SERKIT_CACHE", raising=False)
    # What needs no cache works.
    assert run(["predict", "--model", "toy", "--format", "csv", str(take)]) == 0
    assert run(["models"]) == 0
    assert run(["doctor"]) == 0
    assert "store      none, because there is no home folder; set SERKIT_CACHE to a folder" in capsys.readouterr().out
    assert run(["features", "log_mel_functionals", str(take)]) == 2
    assert capsys.readouterr().err == (
        "serkit: error: there is no home folder for the cache: set SERKIT_CACHE to a folder\n"
    )
    for place in ("~/x", "~nobody-at-all/x"):
        assert run(["predict", "--model", place, str(take)]) == 2
        assert run(["features", "log_mel_functionals", "--corpus", f"folder={place}"]) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"serkit: error: {place}: no such folder; a bundle is a folder with bundle.json and model.onnx",
            f"serkit: error: {place}: no such file or folder (corpus 'folder')",
        ]


def test_csv_for_spreadsheets(take, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("=1.wav", "other.wav"):
        shutil.copy(take, name)
    command = ["features", "log_mel_functionals", "=1.wav", "other.wav", "--set", "bands=2", "--csv-safe"]
    assert run(command) == 0
    header, rows = read(capsys.readouterr().out)
    assert [row[0] for row in rows] == ["'=1.wav", "other.wav"]
    # Numbers below zero are numbers.
    assert any(value.startswith("-") for row in rows for value in row) and not any("'" in value for value in rows[1])
    assert run([*command, "--out", "out.CSV"]) == 0
    with open("out.CSV", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [header, *rows]
    capsys.readouterr()
    assert run([*command, "--out", "out.parquet"]) == 2
    assert capsys.readouterr().err == "serkit: error: --csv-safe requires CSV, but out.parquet is not a CSV file\n"


def test_two_writers_of_one_table(take, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("the other's")
    with alone(out):
        assert run(["features", "log_mel_functionals", str(take), "--out", str(out)]) == 2
    assert "out.csv: another process is writing to it" in capsys.readouterr().err
    assert out.read_text() == "the other's"
