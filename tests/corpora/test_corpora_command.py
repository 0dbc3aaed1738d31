import json
import shutil

import pytest
from typer.testing import CliRunner

from serkit.cli.corpora import app
from serkit.corpora import READERS
from serkit.errors import UserError

run = CliRunner()


@pytest.fixture
def savee(tree):
    """Four recordings of SAVEE, two of them identical, and one that is none."""
    root = tree("DC_a01.wav", "DC_n01.wav", "JE_sa01.wav", "rain [heavy].wav")
    shutil.copy(root / "DC_a01.wav", root / "KL_a01.wav")
    return root


def test_list_names_every_reader():
    result = run.invoke(app, ["list"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert all(name in result.stdout for name in READERS)
    assert "CC BY-NC-SA 4.0: no commercial use" in result.stdout
    facts = {entry["name"]: entry for entry in json.loads(run.invoke(app, ["list", "--format", "json"]).stdout)}
    assert set(facts) == set(READERS)
    assert facts["emodb"]["counts"]["anger"] == 127


def test_verify_prints_counts_and_defects_and_fails_if_data_are_lost(savee):
    result = run.invoke(app, ["verify", "savee", str(savee)], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["anger", "2", "60", "58"] in rows
    assert ["speakers", "3", "4", "1"] in rows
    assert "skipped: 1\n  rain [heavy].wav: name does not have the form DC_a01" in result.stdout
    assert "bit-identical: 1\n  savee/DC_a01 = savee/KL_a01" in result.stdout


def test_verify_gives_one_json_document(savee):
    result = run.invoke(app, ["verify", "savee", str(savee), "--format", "json", "--jobs", "1"])
    document = json.loads(result.stdout)
    assert document["classes"]["anger"] == {"found": 2, "official": 60}
    assert document["identical"] == [["savee/DC_a01", "savee/KL_a01"]]
    assert result.exit_code == 1


def test_verify_succeeds_if_nothing_is_lost(tree):
    root = tree("angry/x.wav", "happy/y.wav")
    result = run.invoke(app, ["verify", "folder", str(root)])
    assert result.exit_code == 0
    (root / "happy/y.wav").write_bytes(b"")
    result = run.invoke(app, ["verify", "folder", str(root)])
    assert result.exit_code == 1
    assert "unreadable: 1\n  folder/happy/y: empty file (0 bytes)" in result.stdout


def test_long_lists_are_cut_in_tables_but_not_in_json(tree):
    root = tree("angry/x.wav", *(f"{number:02}.wav" for number in range(14)))
    text = run.invoke(app, ["verify", "folder", str(root)]).stdout
    assert "skipped: 14" in text and "09.wav" in text and "10.wav" not in text and "... and 4 more" in text
    document = json.loads(run.invoke(app, ["verify", "folder", str(root), "--format", "json"]).stdout)
    assert len(document["skipped"]) == 14


def test_stats_prints_classes_and_speakers(savee):
    result = run.invoke(app, ["stats", "savee", str(savee)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["anger", "2", "2", "2"] in rows  # utterances, speakers, male
    assert ["DC", "2", "1", "1"] in rows  # all, anger, neutral
    assert "duration: min 0.10 s, median 0.10 s, max 0.10 s, total 0:00:00" in result.stdout
    document = json.loads(run.invoke(app, ["stats", "savee", str(savee), "--format", "json"]).stdout)
    assert document["by_speaker"]["anger"] == {"savee/DC": 1, "savee/KL": 1}


def test_stats_do_not_count_the_unknown_as_a_speaker(tree):
    result = run.invoke(app, ["stats", "folder", str(tree("angry/a.wav", "angry/b.wav", "sad/c.wav"))])
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["anger", "2", "2"] in rows  # utterances, none known to be of a speaker, of unknown sex


def test_mistakes_rise_for_the_top_level_to_print(tmp_path):
    for arguments in (["verify", "emdb", str(tmp_path)], ["stats", "emodb", str(tmp_path / "gone")]):
        assert isinstance(run.invoke(app, arguments).exception, UserError)
