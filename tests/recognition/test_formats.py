import csv
import dataclasses
import io
import json

import pytest

from serkit.errors import UserError
from serkit.recognition import Failure, Prediction, formats
from serkit.recognition.formats import Format

LABELS = ["anger", "joy"]
GOOD = Prediction('a/ä, "b".wav', "joy", 0.75, {"anger": 0.25, "joy": 0.75}, 1.5, ("a/ä: silent",))
BAD = Failure("bad.wav", "bad.wav: empty file (0 bytes)")


def written(format, *results, begun=False):
    stream = io.StringIO(newline="")
    writer = formats.writer(format, stream, LABELS, begun)
    for result in results:
        writer.write(result)
    writer.finish()
    return stream.getvalue()


def test_jsonl_is_one_object_per_line():
    first, second = written(Format.jsonl, GOOD, BAD).splitlines()
    assert json.loads(first) == {
        "file": 'a/ä, "b".wav',
        "label": "joy",
        "sure": True,
        "doubt": "",
        "confidence": 0.75,
        "probabilities": {"anger": 0.25, "joy": 0.75},
        "duration": 1.5,
        "warnings": ["a/ä: silent"],
    }
    assert json.loads(second) == {"file": "bad.wav", "error": "bad.wav: empty file (0 bytes)"}


def test_json_is_one_document():
    document = json.loads(written(Format.json, GOOD, BAD))
    assert document == [json.loads(line) for line in written(Format.jsonl, GOOD, BAD).splitlines()]
    assert json.loads(written(Format.json)) == []


def test_csv_has_a_column_per_label():
    rows = list(csv.reader(io.StringIO(written(Format.csv, GOOD, BAD), newline="")))
    assert rows == [
        ["file", "label", "sure", "doubt", "confidence", "duration", "p_anger", "p_joy", "error"],
        ['a/ä, "b".wav', "joy", "true", "", "0.75", "1.5", "0.25", "0.75", ""],
        ["bad.wav", "", "", "", "", "", "", "", "bad.wav: empty file (0 bytes)"],
    ]
    assert written(Format.csv, BAD, begun=True).count("\n") == 1


def test_what_is_unsure_keeps_its_label_and_is_marked():
    doubtful = dataclasses.replace(GOOD, sure=False, doubt="no speech")
    assert json.loads(written(Format.jsonl, doubtful))["sure"] is False
    assert list(csv.reader(io.StringIO(written(Format.csv, doubtful), newline="")))[1][1:4] == [
        "joy",
        "false",
        "no speech",
    ]
    assert "joy (unsure: no speech)" in written(Format.table, doubtful)
    assert "unsure" not in written(Format.table, GOOD)


def test_the_table_shows_names_as_they_are():
    odd = Failure("[red]x.wav", "[red]x.wav: no such file")
    text = written(Format.table, GOOD, odd)
    assert 'a/ä, "b".wav' in text
    assert "0.75" in text
    assert "[red]x.wav" in text
    assert text.count("x.wav") == 1  # the remark does not repeat the name


@pytest.mark.parametrize("format", [Format.jsonl, Format.csv])
def test_resume_at_every_byte(tmp_path, format):
    """Wherever the writing stopped, going on gives the same file: nothing lost, nothing twice."""
    odd = Failure('line\nbreak, "quoted".wav', "line\nbreak.wav: broken")
    results = [GOOD, odd, BAD]
    whole = written(format, *results).encode()
    path = tmp_path / "out"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        answers = formats.resume(path, format, LABELS)
        kept = path.read_bytes()
        assert whole.startswith(kept)
        missing = [result for result in results if result.file not in answers]
        more = written(format, *missing, begun=bool(kept))
        assert kept + more.encode() == whole, size
    assert formats.resume(path, format, LABELS) == {GOOD.file: True, odd.file: False, BAD.file: False}


@pytest.mark.parametrize("format", [Format.jsonl, Format.csv])
def test_resume_refuses_what_is_not_its_own(tmp_path, format):
    path = tmp_path / "out"
    path.write_text("my notes\nof today\n")
    with pytest.raises(UserError, match="line 1 was not written by `serkit predict --format"):
        formats.resume(path, format, LABELS)
    assert path.read_text() == "my notes\nof today\n"
    path.write_text("my notes of today, one line without its end")
    with pytest.raises(UserError, match="was not written by `serkit predict --format"):
        formats.resume(path, format, LABELS)
    assert path.read_text() == "my notes of today, one line without its end"
    path.write_text(written(format, GOOD))
    with pytest.raises(UserError, match=r"has other labels than anger, fear \(from another model\)"):
        formats.resume(path, format, ["anger", "fear"])


@pytest.mark.parametrize("line", ['{"file": "a.wav"}', "[1]", "[" * 100_000])
@pytest.mark.parametrize("timelines", [False, True])
def test_resume_refuses_json_that_is_no_answer(tmp_path, line, timelines):
    path = tmp_path / "out"
    path.write_text(f"{line}\n")
    with pytest.raises(UserError, match="line 1 was not written by `serkit predict"):
        formats.resume(path, Format.jsonl, LABELS, timelines=timelines)


def test_resume_of_nothing(tmp_path):
    assert formats.resume(tmp_path / "gone", Format.jsonl, LABELS) == {}
