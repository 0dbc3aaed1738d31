"""`serkit report` and `serkit robustness` as they are typed."""

import json
import shutil

import pytest

from serkit.cli import run


@pytest.fixture(scope="module")
def trained(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "calls"
    sets = ["--set", "stages.main.trainer.epochs=2", "--set", "protocols.clean.folds=2", "--no-final", "--no-baseline"]
    command = ["train", "linear-baseline", "--corpus", f"synthetic={synthetic.folder}", *sets, "--jobs", "1"]
    assert run([*command, "--out", str(folder)]) == 0
    return folder


def test_train_keeps_slices_and_errors(trained):
    assert set(json.loads((trained / "slices.json").read_text())) >= {"sex", "duration", "snr"}
    assert "<article" in (trained / "report.html").read_text(encoding="utf-8")


def test_report_prints_the_slices_asked_for_and_writes_the_page(trained, capsys):
    (trained / "report.html").unlink()
    assert run(["report", str(trained), "--by", "sex", "--errors", "1", "--no-sound"]) == 0
    printed = capsys.readouterr().out
    assert "by sex" in printed and "female" in printed and "by duration" not in printed
    assert "female: only 16 utterances; only 2 speakers" in printed
    assert (trained / "report.html").read_text(encoding="utf-8").count("<article") == 1
    assert run(["report", str(trained), "--by", "speaker", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["speaker"]) == 5


def test_report_without_recordings_warns(trained, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    description = json.loads((tmp_path / "run/run.json").read_text())
    description["folders"]["synthetic"] = str(tmp_path / "gone")
    (tmp_path / "run/run.json").write_text(json.dumps(description))
    assert run(["report", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert "warning: no slices and no errors" in printed.err and "report: " in printed.out


def test_robustness_prints_a_table_and_leaves_files_in_the_run(trained, capsys):
    assert run(["robustness", str(trained), "--curve", "gain", "--jobs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "Level," in printed and "as they are" in printed and "-40" in printed and "sentences shared" in printed
    found = json.loads((trained / "robustness.json").read_text())
    assert found["model"] == "calls" and list(found["curves"]) == ["gain"]
    assert (trained / "robustness.png").exists() and (trained / "robustness.csv").exists()


def test_robustness_of_a_bundle_goes_into_a_folder_of_its_own(toy, synthetic, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [
        "robustness",
        "toy",
        "--corpus",
        f"synthetic={synthetic.folder}",
        "--map",
        "fear=drop",
        "--curve",
        "gain",
    ]
    assert run([*command, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 30
    assert (tmp_path / "robustness-toy" / "robustness.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "RUN", "--by", "sx"], "unknown property 'sx'. Did you mean 'sex'"),
        (["report", "nowhere"], "nowhere: no such folder"),
        (["robustness", "RUN", "--curve", "nose"], "unknown curve 'nose'. Did you mean 'noise'"),
        (["robustness", "RUN", "--corpus", "emodb=x"], "learned from synthetic only"),
        (["robustness", "default", "--curve", "gain"], "no corpus given"),
        (["robustness", "default", "--map", "calm"], "--map must be OLD=NEW"),
        (["robustness", "RUN", "--curve", "gain", "--map", "calm=neutral"], "--map requires a bundle"),
        # Before any recording is read: of this bundle's corpus there is none.
        (["robustness", "default", "--curve", "nose"], "unknown curve 'nose'. Did you mean 'noise'"),
        (["robustness", "default", "--out", __file__], "is a file; --out must be a folder"),
    ],
)
def test_mistakes_are_one_line(trained, capsys, arguments, message):
    assert run([str(trained) if argument == "RUN" else argument for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1 and printed.out == ""
