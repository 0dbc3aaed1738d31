"""`serkit cross` and `serkit train --protocol cross-corpus`, on two tables of generated speech."""

import csv
import json

import pytest

from serkit.cli import run
from serkit.corpora.synthetic import generate

SETS = ["--set", "stages.main.trainer.epochs=2", "--jobs", "1", "--threads", "1"]


@pytest.fixture(scope="module")
def corpora(synthetic, tmp_path_factory):
    """`synthetic`, and other generated speech as a table with a class that the former lacks."""
    folder = tmp_path_factory.mktemp("table")
    other = generate(folder / "speech", speakers=2, sentences=1, emotions=("anger", "surprise", "sadness"), seed=1)
    with open(folder / "calls.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "emotion", "speaker"])
        rows.writerows([u.path, u.targets["emotion"], u.speaker] for u in other.utterances)
    return ["--corpus", f"synthetic={synthetic.folder}", "--corpus", f"table={folder / 'calls.csv'}"]


def test_cells_on_an_engine_are_the_matrix(calls, corpora, tmp_path, capsys):
    for name, more in {"there": ["--engine", "ray"], "here": []}.items():
        assert run(["cross", "linear-baseline", *corpora, *SETS, "--out", str(tmp_path / name), *more]) == 0
    assert len(calls.order) == 4
    there, here = (json.loads((tmp_path / name / "cross.json").read_text()) for name in ("there", "here"))
    assert there["cells"] == here["cells"]


def test_the_matrix_as_a_table_and_as_json(corpora, tmp_path, capsys):
    out = ["--out", str(tmp_path / "cross")]
    for index in (1, 2):
        assert run(["cross", "linear-baseline", *corpora, *SETS, *out, "--shard", f"{index}/2"]) == 0
    assert len(list(tmp_path.glob("cross/runs/*/scores.json"))) == 4 and not (tmp_path / "cross/cross.json").exists()
    assert run(["cross", "linear-baseline", *corpora, *SETS, *out, "--resume"]) == 0
    printed = capsys.readouterr().out
    assert "tested on table" in printed and "2 classes, chance 50.0" in printed and "3 classes, chance 33.3" in printed
    assert (
        "classes left out, since not every corpus has them: fear (synthetic), neutral (synthetic), surprise (table)"
        in printed
    )
    assert (tmp_path / "cross/cross.png").stat().st_size > 1000
    assert run(["cross", "linear-baseline", *corpora, *SETS, *out, "--resume", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    conclusion = answer.pop("conclusion")
    assert " ".join(printed.split()).endswith(conclusion)
    assert answer == json.loads((tmp_path / "cross/cross.json").read_text())
    assert run(["cross", "linear-baseline", *corpora, *SETS, *out]) == 2


def test_one_corpus_may_be_tested_alone(corpora, tmp_path, capsys):
    arguments = ["train", "linear-baseline", *corpora, *SETS, "--protocol", "cross-corpus", "--out"]
    assert run([*arguments, str(tmp_path / "one"), "--test-on", "table", "--no-baseline", "--format", "json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["folds"], scores["n"], scores["classes"]) == (1, 4, ["anger", "sadness"])
    assert (tmp_path / "one/report.html").exists()
    assert run([*arguments, str(tmp_path / "none"), "--test-on", "tabel"]) == 2
    assert "unknown corpus to test 'tabel'. Did you mean 'table'?" in capsys.readouterr().err
    wrong = [*arguments[:-3], "--protocol", "clean", "--out", str(tmp_path / "clean"), "--test-on", "table"]
    assert run(wrong) == 2
    assert "tested requires kind 'leave_one_group_out'" in capsys.readouterr().err
