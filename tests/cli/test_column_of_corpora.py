"""A table whose column `corpus` names several corpora, through every command of the lab that splits or scores."""

import csv
import json

import pytest

from serkit import corpora
from serkit.cli import run

SETS = ["--set", "stages.main.trainer.epochs=3", "--jobs", "1"]


@pytest.fixture(scope="module")
def table(synthetic, tmp_path_factory):
    """Generated speech as two corpora of the same speakers' names, `north` and `south`."""
    path = tmp_path_factory.mktemp("merged") / "merged.csv"
    speakers = sorted({utterance.speaker for utterance in synthetic.utterances})
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "emotion", "corpus", "speaker"])
        for utterance in synthetic.utterances:
            place = speakers.index(utterance.speaker)
            corpus = ("north", "south")[place % 2]
            rows.writerow([utterance.path, utterance.targets["emotion"], corpus, f"s{place // 2}"])
    return path


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "merged"
    command = ["train", "linear-baseline", "--corpus", f"table={table}", "--protocol", "leave-one-corpus-out", *SETS]
    assert run([*command, "--out", str(folder)]) == 0
    return folder


def test_a_corpus_knows_the_names_in_its_column(table, synthetic):
    found = corpora.load("table", table)
    assert found.name == "table" and found.names == ("north", "south")
    assert synthetic.names == ("synthetic",)


def test_each_corpus_of_the_column_is_left_out_once(trained, synthetic):
    scores = json.loads((trained / "scores.json").read_text())
    assert (scores["folds"], scores["n"]) == (2, len(synthetic.utterances))
    assert list(scores["corpora"]) == ["north", "south"]
    assert list(json.loads((trained / "run.json").read_text())["content"]) == ["table"]


@pytest.mark.parametrize("protocol", ["clean", "leave-one-speaker-out"])
def test_other_protocols_split_all_corpora_of_the_column(table, synthetic, tmp_path, protocol):
    command = ["train", "linear-baseline", "--corpus", f"table={table}", "--protocol", protocol, "--no-final"]
    sets = [*SETS, "--set", "protocols.clean.folds=2"]
    assert run([*command, *sets, "--no-baseline", "--out", str(tmp_path / "run")]) == 0
    scores = json.loads((tmp_path / "run/scores.json").read_text())
    assert scores["n"] == len(synthetic.utterances)
    if protocol == "leave-one-speaker-out":  # `s0` of the one corpus is not `s0` of the other
        assert scores["folds"] == len({utterance.speaker for utterance in synthetic.utterances})


def test_one_corpus_of_the_column_is_tested_alone(table, tmp_path):
    command = ["train", "linear-baseline", "--corpus", f"table={table}", "--protocol", "cross-corpus", "--no-final"]
    assert run([*command, *SETS, "--no-baseline", "--test-on", "south", "--out", str(tmp_path / "run")]) == 0
    tested = (tmp_path / "run/predictions.csv").read_text().splitlines()[1:]
    assert tested and all(line.split(",")[0].startswith("south/") for line in tested)


def test_the_run_is_evaluated_exported_and_repeated(trained, table, tmp_path, capsys):
    assert run(["evaluate", str(trained), "--corpus", f"table={table}", "--format", "json"]) == 0
    assert run(["export", str(trained), "--out", str(tmp_path / "bundle"), "--card", str(tmp_path / "card.json")]) == 0
    capsys.readouterr()
    command = ["evaluate", str(tmp_path / "card.json"), "--corpus", f"table={table}", "--jobs", "1"]
    assert run([*command, "--run", str(tmp_path / "again")]) == 0
    assert "values match the card" in capsys.readouterr().out


def test_a_table_is_one_side_of_a_matrix(table, synthetic, tmp_path):
    both = ["--corpus", f"synthetic={synthetic.folder}", "--corpus", f"table={table}"]
    assert run(["cross", "linear-baseline", *both, *SETS, "--out", str(tmp_path / "cross")]) == 0
    found = json.loads((tmp_path / "cross/cross.json").read_text())
    assert found["corpora"] == ["synthetic", "table"]
    assert {cell["n"] for cell in found["cells"]} == {len(synthetic.utterances)}


def test_a_table_alone_is_no_matrix(table, tmp_path, capsys):
    assert run(["cross", "linear-baseline", "--corpus", f"table={table}", *SETS, "--out", str(tmp_path / "cross")]) == 2
    told = capsys.readouterr().err
    assert "got 1" in told and "Those of one table are left out one by one by `serkit train --protocol" in told


def test_a_corpus_may_not_be_in_the_column_and_beside_it(table, synthetic, tmp_path, capsys):
    path = tmp_path / "twice.csv"
    path.write_text(table.read_text(encoding="utf-8").replace(",north,", ",synthetic,"), encoding="utf-8")
    both = ["--corpus", f"synthetic={synthetic.folder}", "--corpus", f"table={path}"]
    assert run(["train", "linear-baseline", *both, *SETS, "--out", str(tmp_path / "run")]) == 2
    told = "a corpus is given twice: synthetic, south, synthetic. A table may hold several, by its column 'corpus'"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
