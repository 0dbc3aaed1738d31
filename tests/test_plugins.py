"""The plugin of `examples/plugin`, installed from its folder: train, export, predict; and what it costs and says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serkit import cli, corpora, features, systems
from serkit.errors import UserError
from serkit.registry import Registry

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed plugin."""
    pytest.importorskip("setuptools")
    # A build writes into the source.
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "plugin")
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder), str(source)], check=True, capture_output=True)
    return folder


@pytest.fixture
def plugged(installed, monkeypatch):
    """The plugin is installed, in this process and in those that it starts."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("PYTHONPATH", str(installed))


def serkit(*arguments, path=""):
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "serkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def calls(synthetic, tmp_path_factory):
    """The generated corpus, named as the plugin's corpus wants it."""
    folder = tmp_path_factory.mktemp("calls")
    for utterance in synthetic.utterances:
        speaker, sentence = (
            text.rpartition("/")[2].replace("_", "") for text in (utterance.speaker, utterance.sentence)
        )
        name = f"{speaker}_{sentence}_{utterance.targets['emotion']}.wav"
        shutil.copy(utterance.path, folder / name)
    return folder


def test_train_export_and_predict_with_the_plugin_only(plugged, installed, calls, tmp_path):
    pytest.importorskip("torch")
    run, bundle = tmp_path / "run", tmp_path / "mine"
    options = ["--out", str(run), "--jobs", "1", "--threads", "1", "--set", "stages.pool.trainer.epochs=1"]
    assert cli.run(["train", "example-envelope", "--corpus", f"example-calls={calls}", *options]) == 0
    assert cli.run(["export", str(run), "--out", str(bundle), "--recordings", "4"]) == 0
    assert json.loads((bundle / "bundle.json").read_text())["requires"] == {"example_envelope": "serkit-example 0.1.0"}
    recordings = sorted(calls.iterdir())[:3]
    # In spawned processes, too.
    answered = serkit("predict", *recordings, "--model", bundle, "--format", "jsonl", "--jobs", 2, path=installed)
    assert answered.returncode == 0, answered.stderr
    assert all("label" in json.loads(line) for line in answered.stdout.splitlines())
    alone = serkit("predict", *recordings, "--model", bundle)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr == (
        f"serkit: error: {bundle / 'bundle.json'}: requires feature 'example_envelope' of the plugin serkit-example "
        "0.1.0, which is not installed here\n"
    )
    # The command that the bundle's scores name uses the plugin's name of the system.
    assert "serkit train example-envelope" in (bundle / "bundle.json").read_text()


def test_parts_of_the_plugin(plugged, calls):
    assert features.build("example_envelope", frame=0.02).hop == 320
    with pytest.raises(UserError, match=r"feature 'example_envelope': frame must be from 0.001 to 1 s, got 3"):
        features.build("example_envelope", frame=3)
    corpus = corpora.load("example-calls", calls)
    assert {utterance.targets["emotion"] for utterance in corpus.utterances} == {"anger", "fear", "neutral", "sadness"}
    assert systems.load("example-envelope").system.name == "example-envelope"
    assert features.FEATURES.distribution("example_envelope") == ("serkit-example", "0.1.0")
    assert features.FEATURES.distribution("log_mel") is None


def test_a_format_of_the_plugin(plugged, toy, tmp_path, capsys, noise):
    path = tmp_path / "a.wav"
    noise(path)
    (tmp_path / "turns.csv").write_text("start,end\n0.2,0.9\n")
    arguments = ["predict", str(path), "--model", "toy", "--segments", str(tmp_path / "turns.csv")]
    assert cli.run([*arguments, "--format", "example-lines"]) == 0
    assert capsys.readouterr().out.startswith(f"{path} 0.20 0.90 ")
    assert cli.run([*arguments, "--format", "example-lines", "--out", str(tmp_path / "x.lines")]) == 0
    assert cli.run([*arguments, "--format", "example-rows"]) == 2
    err = capsys.readouterr().err
    assert "unknown format 'example-rows'" in err and "example-lines" in err
    assert cli.run(["predict", str(path), "--model", "toy", "--format", "example-lines"]) == 2
    assert "requires --timeline or --segments" in capsys.readouterr().err


def test_plugins_are_looked_up_only_for_other_names(plugged, monkeypatch):
    looked_up = []
    parts = Registry("part", {"own": "json:dumps"}, "serkit.features")
    monkeypatch.setattr(parts, "_entry_points", lambda name=None: looked_up.append(name) or [])
    assert parts.find("own") is json.dumps
    assert looked_up == []
    with pytest.raises(UserError, match="unknown part 'other'"):
        parts.find("other")
    assert looked_up[0] == "other"


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("raise ImportError('no torch')", r"feature 'broken' of broken 1.0 cannot be imported: ImportError: no torch"),
        ("x = 1", r"feature 'broken' of broken 1.0 cannot be imported: AttributeError: .*'Broken'"),
    ],
)
def test_a_broken_plugin_is_named(monkeypatch, tmp_path, module, message):
    install(tmp_path, "broken", "broken = broken_plugin:Broken")
    (tmp_path / "broken_plugin.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)
    with pytest.raises(UserError, match=message):
        Registry("feature", {}, "serkit.features").find("broken")


def test_two_plugins_with_one_name(monkeypatch, tmp_path):
    for name in ("one", "two"):
        install(tmp_path, name, "same = json:dumps")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"feature 'same' is added by one 1\.0 and by two 1\.0; uninstall one of them"):
        Registry("feature", {}, "serkit.features").find("same")


def install(folder, name, line):
    """Write what an installed distribution leaves."""
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (place / "entry_points.txt").write_text(f"[serkit.features]\n{line}\n")
