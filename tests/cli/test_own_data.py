"""The options with which commands read a user's own data."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from serkit.cli import run

NAMES = ["--columns", "path=Datei,emotion=Gefühl", "--columns", "speaker=Wer"]


@pytest.fixture
def table(tree):
    """Two good rows, and two bad ones."""
    root = tree("a.wav", "clips/b.wav")
    text = "Datei;Gefühl;Wer\na.wav;Wut;anna\nclips\\b.wav;genervt;ben\nnone.wav;Wut;anna\na.wav;;anna\n"
    (root / "t.csv").write_bytes(text.encode("cp1252"))
    return root / "t.csv"


def test_bad_rows_stop_the_command_in_one_line(table, capsys):
    assert run(["corpora", "stats", "table", str(table), *NAMES]) == 2
    error = capsys.readouterr().err
    assert f"{table}: 2 of 4 rows are bad: row 4: its file does not exist: " in error
    assert "; row 5: emotion is empty; correct them, or leave them out with --on-error skip\n" in error
    assert error.startswith("serkit: error: ") and error.count("\n") == 1


def test_bad_rows_are_skipped_and_all_is_told(table, capsys):
    assert run(["corpora", "stats", "table", str(table), *NAMES, "--on-error", "skip", "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["utterances"] == 2
    lines = printed.err.splitlines()
    assert "serkit: note: t.csv: labels mapped: 'Wut' to anger" in lines
    for text in (
        "is not UTF-8 and was read as Windows-1252; if 'Gefühl' should read differently, save the table as UTF-8",
        "1 label not known as emotions and kept as they are: 'genervt' (1)",
    ):
        assert f"serkit: warning: {table}: {text}" in lines
    assert any("2 bad rows left out: row 4: its file does not exist: " in line for line in lines)


def test_mistakes_in_the_options(table, capsys):
    assert run(["corpora", "stats", "table", str(table), "--columns", "pth=Datei"]) == 2
    assert "unknown column 'pth'. Did you mean 'path'?" in capsys.readouterr().err
    assert run(["corpora", "stats", "table", str(table), "--columns", "path=Date"]) == 2
    assert "t.csv: unknown column 'Date'. Did you mean 'Datei'?" in capsys.readouterr().err
    assert run(["corpora", "stats", "table", str(table), "--times", "min"]) == 2


@pytest.fixture
def split(synthetic, tmp_path):
    """Folders `train` and `test` with classes, and recordings that nothing can be learned from."""
    for number, utterance in enumerate(synthetic.utterances):
        place = tmp_path / "data" / ("test" if number % 3 == 0 else "train") / str(utterance.targets["emotion"])
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(utterance.path, place / f"{number}.wav")
    for part in ("train", "test"):
        folder = tmp_path / "data" / part / "anger"
        soundfile.write(folder / "empty.wav", np.zeros(0), 16000)
        (folder / "junk.wav").write_bytes(b"junk" * 99)
    return tmp_path / "data"


def test_folders_of_parts_are_trained_and_tested_as_given_without_unreadable_recordings(split, tmp_path, capsys):
    pytest.importorskip("torch")
    arguments = ["train", "linear-baseline", "--corpus", f"folder={split}", "--protocol", "given"]
    sets = ["--set", "stages.main.trainer.epochs=3", "--no-baseline", "--no-final", "--jobs", "1"]
    assert run([*arguments, *sets, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("serkit: note: data: 'test', 'train' are parts, not classes") == 1
    assert "4 unreadable recordings are left out" in printed.err
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    good = len(list((split / "test").glob("*/[0-9]*.wav")))
    assert scores["n"] == good and scores["protocol"] == "given"


def test_a_run_remembers_how_its_data_were_read(synthetic, tmp_path, capsys):
    pytest.importorskip("torch")
    rows = ["Datei;Gefühl;Wer;Start;Ende"]
    for utterance in synthetic.utterances:
        rows.append(f"{utterance.path};{utterance.targets['emotion']};{utterance.speaker.partition('/')[2]};0;400")
    (tmp_path / "t.csv").write_text("\n".join([*rows, "none.wav;anger;x;0;1"]), encoding="utf-8")
    names = ["--columns", "path=Datei,emotion=Gefühl,speaker=Wer,end=Ende", "--times", "ms", "--on-error", "skip"]
    sets = ["--set", "stages.main.trainer.epochs=3", "--set", "protocols.clean.folds=2", "--no-baseline", "--jobs", "1"]
    arguments = ["train", "linear-baseline", "--corpus", f"table={tmp_path / 't.csv'}", *names, *sets]
    assert run([*arguments, "--out", str(tmp_path / "run")]) == 0
    # The export reads the corpus again to check the bundle.
    assert run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "bundle")]) == 0
    described = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert described["readings"]["table"]["times"] == "ms"
    assert "readings" not in (tmp_path / "run" / "card.json").read_text(encoding="utf-8")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "--on-error skip" in page and "--times ms" in page
