"""Adaptation on the command line."""

import csv
import io
import json

import pytest
import soundfile

from serkit import cli
from serkit.cli.predict import table_of_speakers
from serkit.recognition import load
from syllables import syllables

HEADER = "path,agent\n"


def run(arguments):
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path, network, description):
    table = {"means": {"mel": [-50.0] * 64}, "narrow": 0.001, "wide": 0.002}
    description(adaptation=table).save(tmp_path / "adaptable", network({"mel": 64})[0], "# Adaptable\n")
    return tmp_path / "adaptable"


@pytest.fixture
def take(tmp_path):
    def write(name, level, seconds=10.0, seed=0):
        path = tmp_path / name
        soundfile.write(path, syllables(seconds, level, seed), 16000)
        return path

    return write


def answers(capsys):
    return {row["file"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}


def close(row, prediction):
    return all(float(row[f"p_{name}"]) == pytest.approx(p, abs=1e-5) for name, p in prediction.probabilities.items())


def test_adapt_takes_recordings_and_folders_of_one_voice(model, take, capsys, tmp_path):
    (tmp_path / "voice").mkdir()
    voice = [take("voice/a.wav", 0.3), take("voice/b.wav", 0.001, seed=1)]
    test = take("test.wav", 0.02, 1.0)
    for arguments in (["--adapt", tmp_path / "voice"], ["--adapt", voice[0], "--adapt", voice[1]]):
        assert run(["predict", test, "--model", model, "--format", "csv", *arguments]) == 0
        assert close(answers(capsys)[str(test)], load(model).adapt(voice)(test))
    assert run(["predict", test, "--model", model, "--format", "csv"]) == 0
    assert not close(answers(capsys)[str(test)], load(model).adapt(voice)(test))


def test_a_timeline_and_a_stream_adapt_alike(model, take, capsys):
    voice, test = take("a.wav", 0.3), take("test.wav", 0.02, 4.0)
    options = ["--model", model, "--detector", "none", "--adapt", voice, "--adapt-running"]
    assert run(["predict", test, "--timeline", "--format", "csv", *options]) == 0
    timeline = capsys.readouterr().out
    assert run(["stream", "--source", test, "--fast", "--format", "csv", *options]) == 0
    assert capsys.readouterr().out == timeline
    assert run(["predict", test, "--timeline", "--format", "csv", *options[:4]]) == 0
    assert capsys.readouterr().out != timeline


def test_each_speaker_of_a_table_is_adapted_to(model, take, capsys, tmp_path):
    loud, louder, soft, alone = take("1.wav", 0.2), take("2.wav", 0.3), take("3.wav", 0.001), take("4.wav", 0.05)
    table = tmp_path / "calls.csv"
    table.write_text(HEADER + "1.wav,x\n3.wav,y\n4.wav,\n2.wav, x \n")
    assert run(["predict", table, "--speaker", "agent", "--model", model, "--format", "csv"]) == 0
    found = answers(capsys)
    assert list(found) == [str(path) for path in (loud, louder, soft, alone)]
    for paths in ([loud, louder], [soft], [alone]):
        adapted = load(model).adapt(paths)
        assert all(close(found[str(path)], adapted(path)) for path in paths)


def test_a_bad_recording_of_a_table_is_reported_and_skipped(model, take, capsys, tmp_path):
    good = take("1.wav", 0.2)
    table = tmp_path / "calls.csv"
    table.write_text(HEADER + "1.wav,x\ngone.wav,x\n")
    assert run(["predict", table, "--speaker", "agent", "--model", model, "--format", "jsonl"]) == 1
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert first["file"] == str(good) and "label" in first and "gone.wav" in second["error"]
    assert "1 of 2 recordings failed" in err


def test_a_url_in_a_table_of_speakers_stays_one(tmp_path):
    table = tmp_path / "calls.csv"
    table.write_text(HEADER + "https://example.org/calls/1.wav,a\n2.wav,a\n")
    assert table_of_speakers(table, "agent") == [["https://example.org/calls/1.wav", str(tmp_path / "2.wav")]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calls.csv", "--speaker", "agnet"], "unknown column 'agnet'. Did you mean 'agent'?"),
        (["calls.csv", "--speaker", ""], "--speaker: calls.csv: unknown column ''. Available: agent, path\n"),
        (["calls.csv", "--speaker", "path"], "must name the column of the speakers; 'path' holds the recordings"),
        (["lines.csv", "--speaker", "agent"], "lines.csv: unknown column 'path'. Available: agent, line\n"),
        (["nothing.csv", "--speaker", "agent"], "nothing.csv: has no rows"),
        (["calls.csv", "--speaker", "agent", "--timeline"], "--speaker cannot be combined with --timeline"),
        (["calls.csv", "--speaker", "agent", "--adapt", "1.wav"], "--speaker cannot be combined with --adapt"),
        (["calls.csv", "--speaker", "agent", "--jobs", "2"], "--speaker cannot be combined with --jobs"),
        (["calls.csv", "1.wav", "--speaker", "agent"], "--speaker requires one table as PATH, got 2 paths"),
        (["1.wav", "--speaker", "agent"], "1.wav: is not a table"),
        (["pieces.csv", "--speaker", "agent"], "recognizes whole recordings, but the table has a column 'start'"),
        (["empty.csv", "--speaker", "agent"], "empty.csv: has no rows"),
        (["holes.csv", "--speaker", "agent"], "holes.csv, row 2: has no path"),
        (["1.wav", "--adapt-running"], "--adapt-running requires --timeline"),
        (["1.wav", "--adapt", "nowhere.wav"], "nowhere.wav: no such file or folder"),
        (["1.wav", "--adapt", "1.wav", "--model", "toy"], "bundle 'toy' cannot adapt to a voice"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments, message, model, toy, take, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    take("1.wav", 0.2, 1.0)
    (tmp_path / "calls.csv").write_text(HEADER + "1.wav,x\n")
    (tmp_path / "pieces.csv").write_text("path,agent,start\n1.wav,x,0\n")
    (tmp_path / "empty.csv").write_text(HEADER)
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "lines.csv").write_text("line,agent\nx,y\n")
    (tmp_path / "holes.csv").write_text(HEADER + ",x\n")
    assert run(["predict", "--model", str(model), *arguments, "--out", "out.csv"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
