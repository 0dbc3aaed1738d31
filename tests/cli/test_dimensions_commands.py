"""Numbers on the command line: train, compare, evaluate, export, predict, on a table of generated speech."""

import csv
import json
import subprocess
import sys

import pytest

from numbered import numbered
from serkit.cli import LAB, run

SETS = ["--set", "stages.main.trainer.epochs=10", "--set", "protocols.clean.folds=2", "--jobs", "1", "--threads", "1"]
SETS += ["--set", 'data.target=["arousal", "dominance"]']


@pytest.fixture(scope="module")
def table(synthetic, tmp_path_factory):
    path = tmp_path_factory.mktemp("rated") / "calls.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "speaker", "emotion", "arousal", "dominance"])
        for u in numbered(synthetic, scale=4, offset=5).utterances:
            rows.writerow([u.path, u.speaker, u.targets["emotion"], u.targets["arousal"], u.targets["dominance"]])
    return path


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, rate in (("slow", "1e-5"), ("fast", "0.02")):
        rates = ["--set", f"stages.main.trainer.learning_rate={rate}", "--out", str(folder / name)]
        assert run(["train", "linear-regression", "--corpus", f"table={table}", *SETS, *rates]) == 0
    return folder


def test_train_prints_every_target_with_the_mean_beside(trained, table, capsys):
    again = ["train", "linear-regression", "--corpus", f"table={table}", *SETS, "--resume", "--out"]
    assert run([*again, str(trained / "fast"), "--set", "stages.main.trainer.learning_rate=0.02"]) == 0
    printed = capsys.readouterr().out
    assert "CCC" in printed and "arousal" in printed and "dominance" in printed and "training mean" in printed
    assert "jackknife" in printed and "No leak found" in printed and "UAR" not in printed
    assert (trained / "fast/report.html").exists()


def test_compare_tells_better_from_worse(trained, capsys):
    runs = [str(trained / "slow"), str(trained / "fast")]
    assert run(["compare", *runs, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["target"], row["run"]) for row in rows[:3]] == [
        ("arousal", runs[0]),
        ("arousal", runs[1]),
        ("arousal", "always the training mean"),
    ]
    assert rows[1]["difference"] == pytest.approx(rows[1]["ccc"] - rows[0]["ccc"])
    assert rows[1]["difference"] > 0.2 and rows[0]["p"] is None and 0 < rows[1]["p"] <= 1
    assert run(["compare", *runs]) == 0
    assert "against first" in capsys.readouterr().out
    assert run(["compare", *runs, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("| target | run |")
    assert run(["compare", *runs, "--plot", "x.png"]) == 2
    assert "the plot draws differences in UAR; these runs predict numbers" in capsys.readouterr().err
    assert run(["compare", runs[0]]) == 2
    assert "give at least two runs, got 1" in capsys.readouterr().err


def test_runs_of_numbers_and_of_classes_are_not_compared(trained, table, tmp_path, capsys):
    classes = ["--set", "protocols.clean.folds=2", "--set", "stages.main.trainer.epochs=1", "--jobs", "1"]
    arguments = ["train", "linear-baseline", "--corpus", f"table={table}", *classes, "--out", str(tmp_path / "c")]
    assert run([*arguments, "--no-final"]) == 0
    assert run(["compare", str(trained / "fast"), str(tmp_path / "c")]) == 2
    assert "cannot be compared" in capsys.readouterr().err


def test_a_bundle_of_numbers_works_without_the_lab(trained, table, tmp_path, capsys):
    bundle = tmp_path / "levels"
    assert run(["export", str(trained / "fast"), "--out", str(bundle)]) == 0
    code = (
        "import sys\n"
        f"class No:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {set(LAB)!r}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from serkit.cli import run\n"
        f"sys.exit(run(['predict', '--model', {str(bundle)!r}, '--format', 'jsonl', *sys.argv[1:]]))"
    )
    with open(table, encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file)][:3]
    found = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == paths
    assert all(0 < answer["values"]["arousal"] < 12 for answer in answers)
    capsys.readouterr()
    assert run(["evaluate", str(bundle), "--corpus", f"table={table}", "--format", "json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["targets"]["arousal"]["n"] == 40 and "training leak: 40 of 40" in scores["flags"][0]["text"]


def test_the_bundle_is_listed_with_its_numbers(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SERKIT_BUNDLES", str(tmp_path))
    assert run(["export", str(trained / "fast"), "--out", str(tmp_path / "levels")]) == 0
    assert "parameters, numbers: arousal, dominance\n" in capsys.readouterr().out
    assert run(["models", "--format", "json"]) == 0
    listed = next(entry for entry in json.loads(capsys.readouterr().out) if entry["name"] == "levels")
    assert [number["name"] for number in listed["numbers"]] == ["arousal", "dominance"] and listed["labels"] == []
    assert run(["models"]) == 0
    assert "CCC of arousal" in capsys.readouterr().out
