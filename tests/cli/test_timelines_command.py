import csv
import json
import sys
import warnings

import numpy as np
import pytest
import soundfile
from PIL import Image

from serkit import cli
from serkit.locks import alone
from serkit.recognition import load
from voices import scene


@pytest.fixture
def run(toy, tmp_path, monkeypatch):
    """Run `serkit predict --timeline --model toy` in a folder with recordings, and return the exit code."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calls").mkdir()
    for name, level in (("a.wav", 1.0), ("b.flac", 0.5)):
        soundfile.write(tmp_path / "calls" / name, level * scene(), 16000)
    return lambda *arguments: cli.run(["predict", "--timeline", "--model", "toy", *map(str, arguments)])


def test_what_is_written_is_the_timeline(run, capsys):
    assert run("calls/a.wav", "--format", "json", "--hop", 0.25, "--pause", 0.3) == 0
    out, err = capsys.readouterr()
    [document] = json.loads(out)
    assert err == ""
    from serkit.recognition import TimelineOptions
    from serkit.recognition.timeline_formats import as_dict

    assert document == as_dict(load("toy").timeline("calls/a.wav", options=TimelineOptions(hop=0.25, pause=0.3)))


def test_several_recordings_in_one_file(run, capsys):
    assert run("calls", "--format", "csv") == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["file"].replace("\\", "/") for row in rows} == {"calls/a.wav", "calls/b.flac"}
    assert all(float(row["start"]) < float(row["end"]) for row in rows)
    assert run("calls") == 0
    assert "calls" in capsys.readouterr().out


def test_a_file_for_each_recording(run, tmp_path, capsys):
    (tmp_path / "calls" / "broken.wav").write_bytes(b"no sound at all")
    assert run("calls", "--format", "textgrid", "--out", "grids", "--plot", "pictures") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "broken.wav: not audio" in err
    assert "serkit: 1 of 3 recordings failed" in err
    assert sorted(path.name for path in (tmp_path / "grids").iterdir()) == ["a.TextGrid", "b.TextGrid"]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["a.png", "b.png"]


def test_recordings_of_one_name_in_two_folders(run, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    soundfile.write(tmp_path / "other" / "a.wav", scene(), 16000)
    assert run("calls/a.wav", "other", "--format", "rttm") == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"calls/a", "other/a"}
    for arguments in (("--format", "srt", "--out", "new"), ("--plot", "new")):
        assert run("calls/a.wav", "other", *arguments) == 2
        assert "would be the file of both calls" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_one_recording_to_stdout_or_a_file(run, tmp_path, capsys):
    assert run("calls/a.wav", "--format", "vtt") == 0
    text = capsys.readouterr().out
    assert text.startswith("WEBVTT\n\n00:00:00.")
    assert run("calls/a.wav", "--format", "vtt", "--out", "a.vtt", "--plot", "a.png") == 0
    assert (tmp_path / "a.vtt").read_text() == text
    assert Image.open(tmp_path / "a.png").size == (1600, 748)


@pytest.mark.skipif(sys.platform == "win32", reason="counts characters, not bytes")
def test_a_name_too_long_for_the_file_beside_costs_that_recording(run, tmp_path, capsys):
    long = "ä" * 125 + ".wav"  # 254 bytes, of 255
    (tmp_path / "calls" / "a.wav").rename(tmp_path / "calls" / long)
    assert run("calls", "--format", "textgrid", "--out", "grids", "--plot", "pictures") == 1
    err = capsys.readouterr().err
    assert err == (
        f"serkit: error: calls/{long}: its name is too long for an output file; shorten it\n"
        "serkit: 1 of 2 recordings failed\n"
    )
    assert [path.name for path in (tmp_path / "grids").iterdir()] == ["b.TextGrid"]


def test_a_folder_that_another_process_writes_to(run, tmp_path, capsys):
    with alone(tmp_path / "grids"):
        assert run("calls", "--format", "textgrid", "--out", "grids") == 2
    assert "grids: another process is writing to it" in capsys.readouterr().err
    assert not (tmp_path / "grids").exists()


@pytest.mark.parametrize(("out", "begin"), [("a.vtt", "WEBVTT"), ("a.TextGrid", "File type"), ("a.rttm", "SPEAKER")])
def test_the_ending_names_the_format(run, tmp_path, out, begin):
    assert run("calls/a.wav", "--out", out) == 0
    assert (tmp_path / out).read_text().startswith(begin)


def test_resume(run, tmp_path, capsys):
    assert run("calls/a.wav", "--format", "jsonl", "--out", "all.jsonl") == 0
    with open(tmp_path / "all.jsonl", "a") as file:
        file.write('{"file": "calls/b.flac", "torn')
    assert run("calls", "--format", "jsonl", "--out", "all.jsonl", "--resume") == 0
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [line["file"].replace("\\", "/") for line in lines] == ["calls/a.wav", "calls/b.flac"]


def test_predictions_are_not_gone_on_with_by_timelines(run, capsys):
    predict = ["predict", "--model", "toy", "--format", "jsonl", "--out"]
    assert cli.run([*predict, "whole.jsonl", "calls/a.wav"]) == 0
    assert run("calls/a.wav", "--format", "jsonl", "--out", "time.jsonl") == 0
    capsys.readouterr()
    assert run("calls", "--format", "jsonl", "--out", "whole.jsonl", "--resume") == 2
    assert "line 1 was not written by `serkit predict --timeline --format jsonl`" in capsys.readouterr().err
    assert cli.run([*predict, "time.jsonl", "--resume", "calls"]) == 2
    assert "line 1 was not written by `serkit predict --format jsonl`" in capsys.readouterr().err


def test_nothing_is_left_to_draw(run, tmp_path, capsys):
    arguments = ["calls/a.wav", "--format", "jsonl", "--out", "a.jsonl"]
    assert run(*arguments) == 0
    assert run(*arguments, "--resume", "--plot", "a.png") == 0
    assert not (tmp_path / "a.png").exists()


def test_a_silent_recording(run, tmp_path, capsys):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    assert run("silent.wav", "--format", "srt") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "serkit: warning: silent.wav: silent (no sample above -96 dB of full scale)\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["calls", "--format", "srt"], "--format srt holds one recording; give --out FOLDER for 2 recordings"),
        (["calls", "--hop", "0"], "hop must be at least 0.05 s, got 0 s"),
        (["calls", "--window", "5"], "window 5 s exceeds the maximum of 1 s of bundle 'toy'"),
        (["calls", "--detector", "ear"], "unknown detector 'ear'"),
        (["calls/a.wav", "--plot", "a.jpg"], "--plot must end in .png, got 'a.jpg'"),
        (["calls/a.wav", "--plot", "none/a.png"], "a.png: its folder does not exist"),
        (["calls/a.wav", "--plot", "there.png"], "there.png: is a folder; for one recording, --plot must be a file"),
        (["calls", "--out", "x.csv", "--format", "csv", "--resume"], "--out FILE and --format jsonl"),
        (["calls", "--out", "calls", "--format", "csv"], "calls: is a folder"),
        (["gone.wav"], "gone.wav: no such file or folder"),
    ],
)
def test_wrong_requests(run, tmp_path, capsys, arguments, text):
    (tmp_path / "there.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("serkit: error: ")
    assert text in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--hop", "1"], "--hop requires --timeline"),
        (["--plot", "a.png"], "--plot requires --timeline"),
        (["--format", "srt"], "--format srt requires --timeline"),
    ],
)
def test_options_of_the_timeline_want_it(run, capsys, arguments, text):
    assert cli.run(["predict", "--model", "toy", "calls", *arguments]) == 2
    assert text in capsys.readouterr().err
