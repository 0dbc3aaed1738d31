import json
import shutil
import warnings

import pytest

from serkit import cli
from serkit.cli import models


@pytest.fixture
def run(toy, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return cli.run


@pytest.fixture
def broken(toy, tmp_path):
    """A second bundle, `torn`, whose network lacks its last byte."""
    folder = tmp_path / "cache" / "bundles" / "torn"
    shutil.copytree(toy, folder)
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[:-1])
    return folder


def test_models(run, toy, capsys):
    assert run(["models", "--format", "json"]) == 0
    [entry] = [entry for entry in json.loads(capsys.readouterr().out) if entry["name"] == "toy"]
    assert entry["labels"] == ["anger", "joy", "neutral", "sadness"]
    assert entry["bytes"] == (toy / "model.onnx").stat().st_size
    assert entry["licence"] == "CC-BY-4.0"
    assert [score["value"] for score in entry["scores"]] == [0.5, 0.9]
    assert run(["models"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if " toy " in line)
    # The clean score is shown, not the higher one that leaked.
    assert "emodb: UAR 50.0 % (40.0 to 60.0), clean" in line
    assert "CC-BY-4.0" in line


def test_a_flagged_score_is_shown_with_its_flags(description):
    only = {"corpus": "savee", "protocol": "paper", "metric": "uar", "value": 0.9, "flags": ["speaker overlap"]}
    [score] = models.shown_scores(description(scores=[only]))
    assert models._in_words(score) == "savee: UAR 90.0 %, paper; speaker overlap"


def test_models_with_a_broken_one(run, broken, capsys):
    assert run(["models", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert "torn" not in [entry["name"] for entry in json.loads(out)]
    assert err.startswith(f"serkit: error: {broken / 'model.onnx'}: corrupt")


def test_doctor(run, toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("serkit.cli.doctor.PAGE", tmp_path / "none")
    (tmp_path / "cache" / "arrays").mkdir(parents=True)
    (tmp_path / "cache" / "arrays" / "x.npy").write_bytes(b"12345")
    assert run(["doctor", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["store"] == {"folder": str(tmp_path / "cache"), "files": 1, "bytes": 5}
    assert {"numpy", "onnxruntime", "typer"} <= set(found["libraries"])
    assert "torch" in found["extras"]["lab"]
    assert "torch" not in found["libraries"]
    assert {"name": "toy", "folder": str(toy), "error": None} in found["bundles"]
    assert found["cores"] >= 1
    assert found["page"] is False
    assert run(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"bundle     toy: works ({toy})" in printed
    assert "page       of `serkit serve`: not built: make page" in printed


@pytest.mark.parametrize("there", [True, False])
def test_doctor_looks_for_ffmpeg(run, toy, tmp_path, monkeypatch, capsys, there):
    program = tmp_path / "programs" / "ffmpeg"
    program.parent.mkdir()
    if there:
        program.touch()
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert run(["doctor"]) == 0
    expected = str(program) if there else "not found; required for M4A, MP4, WebM, WMA, AMR and videos"
    assert f"ffmpeg     {expected}\n" in capsys.readouterr().out


def test_doctor_finds_the_page(run, toy, tmp_path, monkeypatch, capsys):
    (tmp_path / "index.html").touch()
    monkeypatch.setattr("serkit.cli.doctor.PAGE", tmp_path)
    assert run(["doctor"]) == 0
    assert "page       of `serkit serve`: built\n" in capsys.readouterr().out


def test_doctor_finds_the_broken_one(run, broken, capsys):
    assert run(["doctor"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "torn" in line)
    assert "corrupt" in line
    assert run(["doctor", "--format", "json"]) == 1
    entry = next(entry for entry in json.loads(capsys.readouterr().out)["bundles"] if entry["name"] == "torn")
    assert "corrupt" in entry["error"]
