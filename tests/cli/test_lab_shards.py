"""`--shard` of `train`: folds by several processes, into one folder."""

import json

import pytest

pytest.importorskip("torch", reason="needs the lab extra")

from serkit.cli import run
from serkit.cli.options import command

ONE = ["--jobs", "1", "--threads", "1"]


def test_folds_in_shards_are_the_run(synthetic, tmp_path, capsys):
    corpus = ["--corpus", f"synthetic={synthetic.folder}"]
    train = ["train", "linear-baseline", *corpus, *ONE, "--protocol", "leave-one-speaker-out", "--no-final"]
    shared = ["--out", str(tmp_path / "shared")]
    assert run([*train, *shared, "--shard", "2/2"]) == 0
    assert "shard 2/2: 2 of 5 folds are done" in capsys.readouterr().out
    assert not (tmp_path / "shared/scores.json").exists()
    assert run([*train, *shared, "--shard", "1/2"]) == 0
    assert "5 of 5 folds are done" in capsys.readouterr().out
    assert run([*train, *shared]) == 2
    assert run([*train, *shared, "--resume"]) == 0
    assert "5 of 5 folds are already done" in capsys.readouterr().err
    assert run([*train, "--out", str(tmp_path / "alone")]) == 0
    for file in ("predictions.csv", "splits.json"):
        assert (tmp_path / "shared" / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()
    scores = [json.loads((tmp_path / name / "scores.json").read_text()) for name in ("shared", "alone")]
    assert scores[0] == scores[1]
    assert run([*train, *shared, "--shard", "1/2", "--engine", "ray"]) == 2


def test_folds_on_an_engine_are_the_run(calls, synthetic, tmp_path):
    corpus = ["--corpus", f"synthetic={synthetic.folder}"]
    train = ["train", "linear-baseline", *corpus, *ONE, "--no-final", "--set", "protocols.clean.repeats=2"]
    for name, more in {"there": ["--engine", "ray"], "here": []}.items():
        assert run([*train, "--out", str(tmp_path / name), *more]) == 0
    assert len(calls.order) == len(list(tmp_path.glob("here/**/folds/*.json")))
    for file in ("predictions.csv", "splits.json", "scores.json"):
        assert (tmp_path / "there" / file).read_bytes() == (tmp_path / "here" / file).read_bytes()


def test_the_record_of_a_run_does_not_say_where_it_ran(monkeypatch):
    monkeypatch.setattr("sys.argv", ["serkit", "train", "x", "--shard", "1/2", "--engine=ray", "--seed", "1"])
    assert command() == "serkit train x --seed 1"
