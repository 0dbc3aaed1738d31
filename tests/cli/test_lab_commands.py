"""The tutorial of docs/training.md and more commands of the lab, on a table of generated speech."""

import csv
import json
import shutil
import subprocess
import sys

import onnxruntime
import pytest

from serkit import papers, systems
from serkit.cli import LAB, run
from serkit.protocols import STANDARD


@pytest.fixture(scope="module")
def table(synthetic, tmp_path_factory):
    """A user's own recordings under names of their own."""
    folder = tmp_path_factory.mktemp("mine")
    with open(folder / "calls.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "emotion", "speaker", "channel"])
        for number, utterance in enumerate(synthetic.utterances):
            shutil.copy(utterance.path, folder / f"call_{number:03}.wav")
            speaker = utterance.speaker.partition("/")[2]
            writer.writerow([f"call_{number:03}.wav", utterance.targets["emotion"], speaker, 0])
    return folder / "calls.csv"


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "calls"
    sets = ["--set", "stages.main.trainer.epochs=5", "--set", "protocols.clean.folds=2"]
    command = ["train", "linear-baseline", "--corpus", f"table={table}", *sets, "--jobs", "1", "--out", str(folder)]
    assert run(command) == 0
    return folder


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "my-recognizer"
    assert run(["export", str(trained), "--out", str(folder)]) == 0
    return folder


def test_train_leaves_scores_and_a_report(trained):
    scores = json.loads((trained / "scores.json").read_text())
    assert scores["protocol"] == "clean" and scores["folds"] == 2 and scores["n"] == 40
    assert "<html" in (trained / "report.html").read_text(encoding="utf-8")


def test_train_prints_intervals_majority_and_flags(trained, table, capsys):
    sets = ["--set", "stages.main.trainer.epochs=5", "--set", "protocols.clean.folds=2"]
    arguments = ["train", "linear-baseline", "--corpus", f"table={table}", *sets, "--out", str(trained)]
    assert run([*arguments, "--jobs", "1", "--resume"]) == 0
    printed = capsys.readouterr()
    assert "UAR %" in printed.out and "always anger" in printed.out and "jackknife" in printed.out
    assert "No leak found" in printed.out
    described = json.loads((trained / "run.json").read_text())
    assert f"content: table {described['content']['table']}" in printed.out
    assert f"folds: 2, hash {described['splits']}; seeds: 0;" in printed.out
    assert "2 of 2 folds are already done" in printed.err
    assert run([*arguments, "--jobs", "1"]) == 2
    assert "already holds a run; continue it with --resume" in capsys.readouterr().err


def test_a_run_is_exported_as_one_graph(trained, tmp_path, capsys):
    path = tmp_path / "emotions.onnx"
    assert run(["export", str(trained), "--waveform", str(path), "--precision", "float16"]) == 0
    assert f"{path}: " in capsys.readouterr().out
    assert [entry.name for entry in onnxruntime.InferenceSession(path).get_inputs()] == ["samples"]


def test_the_exported_recogniser_works_where_the_lab_cannot_be_imported(exported, table):
    code = (
        "import sys\n"
        f"class No:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {set(LAB)!r}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from serkit.cli import run\n"
        f"sys.exit(run(['predict', '--model', {str(exported)!r}, '--format', 'jsonl', {str(table.parent)!r}]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(answers) == 40 and all(
        sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5) for answer in answers
    )


def test_without_the_lab_training_says_what_to_install(table):
    code = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from serkit.cli import run\n"
        f"sys.exit(run(['train', 'linear-baseline', '--corpus', 'table={table}', '--out', 'nowhere']))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr == "serkit: error: `serkit train` needs torch: pip install 'serkit[lab]'\n"


def test_evaluate_a_bundle_and_a_run_alike(exported, trained, table, tmp_path, capsys):
    assert run(["evaluate", str(exported), "--corpus", f"table={table}", "--format", "json"]) == 0
    bundle = json.loads(capsys.readouterr().out)
    assert bundle["flags"][0]["text"].startswith("training leak: 40 of 40 recordings are among those")
    out = tmp_path / "each.csv"
    assert run(["evaluate", str(trained), "--corpus", f"table={table}", "--format", "json", "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["confusion"] == bundle["confusion"]
    assert len(out.read_text().splitlines()) == 41


def test_a_card_is_repeated(trained, table, tmp_path, capsys):
    card = tmp_path / "sent.json"
    assert run(["export", str(trained), "--card", str(card)]) == 0
    assert capsys.readouterr().out == f"{card}: {card.stat().st_size / 1e3:.0f} kB\n"
    command = ["evaluate", str(card), "--corpus", f"table={table}", "--jobs", "1"]
    assert run([*command, "--run", str(tmp_path / "again")]) == 0
    assert "values match the card   run: " in capsys.readouterr().out
    assert "baseline" not in json.loads((trained / "scores.json").read_text())
    assert run([*command, "--run", str(tmp_path / "again")]) == 2
    assert "holds a finished run" in capsys.readouterr().err

    document = json.loads(card.read_text())
    document["scores"]["ece"] = 0.5
    card.write_text(json.dumps(document))
    assert run([*command, "--run", str(tmp_path / "third"), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["equal"] and [(row["value"], row["card"]) for row in found["differences"]] == [("ece", 0.5)]
    assert run([*command, "--map", "anger=drop"]) == 2
    assert "--map requires a recognizer" in capsys.readouterr().err
    assert run(["export", str(trained)]) == 2
    assert "nothing to write; give --out FOLDER" in capsys.readouterr().err


def test_systems_lists_and_counts(capsys):
    assert run(["systems"]) == 0
    listed = capsys.readouterr().out
    assert all(f" {name} " in listed for name in systems.available())  # none is cut to fit
    assert run(["systems", "linear-baseline"]) == 0
    protocols = capsys.readouterr().out.partition("protocols: ")[2]
    assert all(name in protocols for name in STANDARD)
    assert run(["systems", "linear-baseline", "--classes", "4", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"] == {"main": {"parameters": 804, "macs": 800}}


def test_features_writes_a_table(table, tmp_path, capsys):
    out = tmp_path / "features.csv"
    command = ["features", "log_mel_functionals", "--set", "bands=4", "--out", str(out)]
    assert run([*command, "--corpus", f"table={table}"]) == 0
    assert "log_mel_functionals of 40 recordings" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 41
    assert run([*command, str(table.parent)]) == 0
    assert run(command) == 2
    assert "give either recordings, or --corpus NAME=FOLDER, or --list FILE" in capsys.readouterr().err


def test_reproduce_lists_a_large_grid_by_its_ends(capsys):
    assert run(["reproduce", "skoulidis2023"]) == 0
    out = capsys.readouterr().out
    assert "    g, 5 epochs: spectral-cnn-transfer\n" in out
    assert "figure8: " in out
    assert "    32 rows: c, 1e-06, 16  to  c, 0.0001, 64\n" in out
    assert "c, 1e-06, 32" not in out


def test_reproduce_prints_the_table(synthetic, tmp_path, capsys):
    paper = tmp_path / "toy.toml"
    paper.write_text(
        '[paper]\nname="toy"\ntitle="A toy"\ncitation="Nobody."\n[[tables]]\nname="t1"\ntitle="One row"\n'
        '[[tables.rows]]\nlabel="L"\nsystem="linear-baseline"\nset=["stages.main.trainer.epochs=1"]\n',
        encoding="utf-8",
    )
    assert run(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in papers.available())
    assert run(["reproduce", str(paper)]) == 0
    assert capsys.readouterr().out == "t1: One row\n    L: linear-baseline\n"
    place = f"synthetic={synthetic.folder}"
    arguments = [
        "reproduce",
        str(paper),
        "t1",
        "--corpus",
        place,
        "--out",
        str(tmp_path / "out"),
        "--protocol",
        "random",
    ]
    arguments += ["--jobs", "1", "--threads", "1"]
    assert run([*arguments, "--dry-run"]) == 0
    found = capsys.readouterr().out
    assert "L on synthetic under random" in found
    assert max(map(len, found.splitlines())) <= 80
    assert not (tmp_path / "out").exists()
    assert run([*arguments, "--dry-run", "--format", "json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["runs"]) == ["L on synthetic under random"]
    assert run([*arguments, "--rows", "M"]) == 2
    assert "unknown row of t1 'M'. Available: L" in capsys.readouterr().err
    assert run([*arguments, "--rows", "L"]) == 0
    assert "All rows at chance" in capsys.readouterr().out
    assert "| majority class | synthetic |" in (tmp_path / "out" / "t1.md").read_text()


def test_a_dry_run_prints_each_row_as_soon_as_it_is_tried(synthetic, tmp_path, capsys, monkeypatch):
    from serkit.errors import UserError
    from serkit.runs.forecast import Forecaster, RunForecast, StageForecast

    rows = [f'[[tables.rows]]\nlabel = "{label}"\nsystem = "linear-baseline"\n' for label in ("first", "second")]
    paper = tmp_path / "p.toml"
    paper.write_text(
        '[paper]\nname = "p"\ntitle = "t"\ncitation = "c"\n\n[[tables]]\nname = "t1"\ntitle = "Two rows"\n'
        'metrics = { uar = "UAR" }\nprotocols = ["random"]\n\n' + "\n".join(rows)
    )
    printed = []

    def forecast(self, request):
        printed.append(capsys.readouterr().out)
        if len(printed) == 2:
            raise UserError("the second row fails")
        return RunForecast("s", "random", 1, 1, 1, 0.0, [StageForecast("main", 8, 0, 4, 2, 2, 0.5, 1.0, 0.0)])

    monkeypatch.setattr(Forecaster, "forecast", forecast)
    command = ["reproduce", str(paper), "t1", "--corpus", f"synthetic={synthetic.folder}", "--dry-run"]
    assert run(command) == 2
    assert printed[0] == "" and "first on synthetic under random" in printed[1] and "one fold 3 s" in printed[1]
    printed.clear()
    assert run([*command, "--format", "json"]) == 2
    assert printed == ["", ""] and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "compact-cn", "--corpus", "TABLE"], "unknown system 'compact-cn'. Did you mean 'compact-cnn'?"),
        (["train", "compact-cnn", "--corpus", "emdb=x"], "unknown corpus 'emdb'. Did you mean 'emodb'?"),
        (
            ["train", "compact-cnn", "--corpus", "emodb"],
            "--corpus must be NAME=FOLDER, e.g. emodb=data/emodb, got 'emodb'",
        ),
        (["train", "compact-cnn", "--corpus", "emodb=nowhere"], "nowhere: no such file or folder"),
        (["train", "compact-cnn", "--corpus", "TABLE", "--set", "data.x=1"], "unknown key 'data.x'"),
        (["train", "compact-cnn", "--corpus", "TABLE", "--protocol", "clan"], "unknown protocol 'clan'"),
        (["train", "compact-cnn", "--corpus", "TABLE", "--set", 'data.classes=["ange"]'], "unknown class 'ange'"),
        (
            ["train", "compact-cnn", "--corpus", "TABLE", "--set", 'data.classes=["anger"]'],
            "only one class of 'emotion'",
        ),
        (
            ["train", "compact-cnn", "--corpus", "TABLE", "--set", "data.target=valence"],
            "with target 'valence'. Targets: emotion",
        ),
        (["train", "compact-cnn", "--corpus", "TABLE", "--protocol", "leave-one-session-out"], "session"),
        (["export", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (["evaluate", "nobody", "--corpus", "TABLE"], "unknown bundle 'nobody'"),
        (["evaluate", "nobody", "--corpus", "TABLE", "--out", "no/x.csv"], "no/x.csv: its folder does not exist"),
        (["features", "log_mell", "x.wav", "--out", "x.csv"], "unknown feature 'log_mell'. Did you mean 'log_mel'?"),
        (["reproduce", "nobody"], "unknown paper 'nobody'"),
        (["train", "compact-cnn", "--corpus", "TABLE", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "compact-cnn", "--corpus", "TABLE", "--seed", "9999999999"], "Invalid value for '--seed'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, table, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run([f"table={table}" if argument == "TABLE" else argument for argument in arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.startswith("serkit: error: ") and printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_and_a_wrong_layout_are_named(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name in ("emodb", "ravdess", "savee", "folder"):
        assert run(["train", "compact-cnn", "--corpus", f"{name}={tmp_path / 'empty'}"]) == 2
        printed = capsys.readouterr().err
        assert "no recording" in printed and printed.count("\n") == 1


def test_a_corpus_that_is_only_learned_from(table, synthetic, tmp_path, capsys):
    system = tmp_path / "two.toml"
    first = '[[stages]]\nname = "before"\nview = "functionals"\nnetwork = "linear"\ntrainer = { epochs = 1 }\n'
    first += 'data = { corpora = ["synthetic"], target = "sentence" }\n'
    last = '[[stages]]\nname = "main"\ntrainer = { epochs = 1 }\n'
    system.write_text(f'extends = "linear-baseline"\n{first}{last}[protocols.clean]\nfolds = 2\n', encoding="utf-8")
    command = ["train", str(system), "--corpus", f"table={table}", "--no-baseline", "--jobs", "1"]
    command += ["--out", str(tmp_path / "run")]
    assert run(command) == 2
    assert "'synthetic', which is not among those given (table): --also synthetic=FOLDER" in capsys.readouterr().err
    assert run([*command, "--also", f"synthetic={synthetic.folder}"]) == 0
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert list(described["folders"]) == ["table"] and described["also"] == {"synthetic": str(synthetic.folder)}
    scores = json.loads((tmp_path / "run/scores.json").read_text())
    assert scores["n"] == 40 and list(scores["content"]) == ["table"]
    assert "earlier stages on <b>synthetic</b> too" in (tmp_path / "run/report.html").read_text()
    # The same recordings: a leak that only the earlier stage made.
    assert run(["audit", str(tmp_path / "run")]) in (0, 1)
    assert any("bit-identical" in flag["text"] for flag in scores["flags"])
    assert run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "bundle")]) == 0
    bundle = json.loads((tmp_path / "bundle/bundle.json").read_text())
    assert bundle["trained_on"]["corpora"] == ["synthetic", "table"]
    assert "synthetic: Apache-2.0" in bundle["licence"] and "table: the user's own" in bundle["licence"]
