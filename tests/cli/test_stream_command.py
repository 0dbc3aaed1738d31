import io
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile

from serkit import cli
from serkit.recognition import TimelineOptions, live, load
from serkit.recognition.timeline_formats import as_dict, render
from voices import scene

OPTIONS = ["--hop", "0.25", "--pause", "0.3"]


@pytest.fixture
def run(toy, tmp_path, monkeypatch):
    """Run `serkit stream --model toy` beside a recording, and return the exit code."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / "call.wav", scene(), 16000)
    return lambda *arguments: cli.run(["stream", "--model", "toy", *OPTIONS, *map(str, arguments)])


@pytest.fixture
def expected(run):
    return load("toy").timeline("call.wav", options=TimelineOptions(hop=0.25, pause=0.3))


def events(text):
    """Windows and final segments as `as_dict` has them, and the counters."""
    lines = [json.loads(line) for line in text.splitlines()]
    windows = [line for line in lines if line.pop("type") == "window" and line.pop("latency_ms") >= 0]
    segments = [line for line in lines if line.pop("final", False)]
    return windows, segments, lines[-1]


def test_a_file_gives_its_timeline(run, expected, capsys):
    assert run("--source", "call.wav", "--fast", "--format", "jsonl") == 0
    out, err = capsys.readouterr()
    windows, segments, counters = events(out)
    assert windows == as_dict(expected)["windows"]
    assert segments == as_dict(expected)["segments"]
    assert counters["received_s"] == 6.63
    assert counters["dropped_s"] == 0
    assert err == ""


def test_a_pipe_gives_the_timeline_of_the_same_sound(run, expected, tmp_path):
    samples, _ = soundfile.read(tmp_path / "call.wav", dtype="int16")
    command = [sys.executable, "-m", "serkit", "stream", "--model", "toy", *OPTIONS, "--source", "-", "--format", "csv"]
    result = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
    assert result.stdout.decode() == render(expected, "csv").replace("call.wav", "-")
    assert result.stderr.decode().startswith("serkit: 6.6 s received, 0.0 s lost, 27 windows, latency p50 ")


def test_lines_to_read(run, expected, capsys):
    assert run("--source", "call.wav", "--fast") == 0
    out, _ = capsys.readouterr()
    labels = [one.label if one.sure else f"{one.label}?" for one in expected.segments]
    assert [line.split()[2] for line in out.splitlines()] == labels


def test_two_channels_in_a_pipe(run, monkeypatch, capsys):
    both = np.stack([scene(), np.zeros_like(scene())], axis=1)
    pipe = io.TextIOWrapper(io.BytesIO((both * 32767).astype("<i2").tobytes()))
    monkeypatch.setattr(sys, "stdin", pipe)
    assert run("--source", "-", "--channels", 2, "--channel", 1, "--format", "jsonl") == 0
    windows, segments, _ = events(capsys.readouterr().out)
    assert len(windows) == 27
    assert segments == []  # channel 1 is silent


def test_interrupted(run, monkeypatch, capsys):
    def interrupted(*arguments):
        yield from live.from_file("call.wav", fast=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "from_microphone", interrupted)
    assert run("--format", "jsonl") == 0
    windows, segments, counters = events(capsys.readouterr().out)
    assert len(windows) == 27
    assert segments
    assert counters["windows"] == 27


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--source", "gone.wav"], "gone.wav: no such file"),
        (
            ["--source", "call.wav", "--rate", "8000"],
            "--rate, --channels and --device require a microphone or standard input, not a recording",
        ),
        (["--source", "-", "--fast"], "--fast requires a recording"),
        (["--source", "-", "--rate", "1"], "--rate"),
        (["--source", "-", "--channels", "5000"], "--channels"),
        (["--source", "call.wav", "--window", "5"], "window 5 s"),
        (["--source", "call.wav", "--channel", "3"], "has no channel 3; it has 1"),
    ],
)
def test_wrong_requests(run, capsys, arguments, text):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.count("\n") == 1
