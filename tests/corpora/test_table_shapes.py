"""Tables as people bring them: each is read right, or refused with what would work."""

import datetime
import gzip
import json
import logging
import time

import pytest

from serkit.corpora import CorpusWarning, Reading, load
from serkit.corpora.columns import parse
from serkit.errors import UserError

# What every readable table says: file, emotion, speaker.
EXPECTED = [("a.wav", "anger", "anna"), ("clips/b.wav", "sadness", "ben")]
# With intervals of `call.wav`, which lasts 2.5 s.
INTERVALS = [("call.wav", 0.5, 1.25), ("call.wav", 1.25, 2.0)]
NAMES = Reading(parse(["path=Datei,emotion=Gefühl", "speaker=Sprecher"]))


@pytest.fixture
def folder(tree):
    root = tree("a.wav", "clips/b.wav")
    return tree("call.wav", seconds=2.5) and root


def of(utterance):
    folder = utterance.path.parents[1] if utterance.path.parent.name == "clips" else utterance.path.parent
    speaker = utterance.speaker and utterance.speaker.removeprefix("table/")
    return utterance.path.relative_to(folder).as_posix(), utterance.targets["emotion"], speaker


READ = {
    # Delimiters.
    "commas": ("t.csv", "path,emotion,speaker\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "semicolons": ("t.csv", "path;emotion;speaker\na.wav;anger;anna\nclips/b.wav;sadness;ben\n"),
    "tabs in CSV": ("t.csv", "path\temotion\tspeaker\na.wav\tanger\tanna\nclips/b.wav\tsadness\tben\n"),
    "bars": ("t.txt", "path|emotion|speaker\na.wav|anger|anna\nclips/b.wav|sadness|ben\n"),
    "commas in TSV": ("t.tsv", "path,emotion,speaker\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "commas inside cells": (
        "t.csv",
        "path;emotion;speaker;note, if any\na.wav;anger;anna;one, two, three\nclips/b.wav;sadness;ben;four, five\n",
    ),
    "semicolons inside cells": (
        "t.csv",
        "path\temotion\tspeaker\tnote; if any\na.wav\tanger\tanna\tone; two\nclips/b.wav\tsadness\tben\tx\n",
    ),
    "as Excel declares it": ("t.csv", "sep=;\npath;emotion;speaker\na.wav;anger;anna\nclips/b.wav;sadness;ben\n"),
    "quotes": ("t.csv", '"path","emotion","speaker"\n"a.wav","anger","anna"\n"clips/b.wav","sadness","ben"\n'),
    "line ends of Windows": ("t.csv", "path,emotion,speaker\r\na.wav,anger,anna\r\nclips/b.wav,sadness,ben\r\n"),
    "line ends of old Macs": ("t.csv", "path,emotion,speaker\ra.wav,anger,anna\rclips/b.wav,sadness,ben\r"),
    # Headers.
    "headers in capitals": ("t.csv", "PATH,Emotion,SPEAKER\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "file, label, speaker_id": ("t.csv", "file,label,speaker_id\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "filename, class, spk": ("t.csv", "filename,class,spk\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "file_name": ("t.csv", "file_name,emotion,speaker\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "File Name": ("t.csv", "File Name,Emotion Label,Speaker ID\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "audio": ("t.csv", "audio,emo,actor\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "wav": ("t.csv", "wav,category,participant\na.wav,anger,anna\nclips/b.wav,sadness,ben\n"),
    "one's own name comes first": (
        "t.csv",
        "path,file,emotion,label,speaker\na.wav,x,anger,3,anna\nclips/b.wav,y,sadness,4,ben\n",
    ),
    "columns that are not of interest": (
        "t.csv",
        ",Path,note,Emotion,Speaker\n0,a.wav,,anger,anna\n1,clips/b.wav,good,sadness,ben\n",
    ),
    # Cells.
    "backslashes": ("t.csv", "path,emotion,speaker\n.\\a.wav,anger,anna\nclips\\b.wav,sadness,ben\n"),
    "labels in German": ("t.csv", "path,emotion,speaker\na.wav,Wut,anna\nclips/b.wav,Trauer,ben\n"),
    "labels in Russian": ("t.csv", "path,emotion,speaker\na.wav,Злость,anna\nclips/b.wav,грусть,ben\n"),
    "labels in Japanese": ("t.csv", "path,emotion,speaker\na.wav,怒り,anna\nclips/b.wav,悲しみ,ben\n"),
    "blank rows and columns": (
        "t.csv",
        "\npath,emotion,speaker,,\n,,,\na.wav,anger,anna,,\n\nclips/b.wav,sadness,ben,,\n",
    ),
    # JSON.
    "JSON lines": (
        "t.jsonl",
        '{"path": "a.wav", "emotion": "anger", "speaker": "anna", "words": ["x"]}\n'
        '{"file": null, "path": "clips/b.wav", "emotion": "sadness", "speaker": "ben"}\n',
    ),
    "a JSON list": (
        "t.json",
        '[{"audio": "a.wav", "label": "anger", "spk": "anna"}, {"audio": "clips/b.wav", "label": "sad", "spk": "ben"}]',
    ),
    "JSON lines in .json": (
        "t.json",
        '{"wav": "a.wav", "emo": "anger", "speaker": "anna"}\n{"wav": "clips/b.wav", "emo": "sad", "speaker": "ben"}\n',
    ),
}


@pytest.mark.parametrize("name", READ)
def test_tables_that_are_read(name, folder):
    file, text = READ[name]
    (folder / file).write_bytes(text.encode())
    corpus = load("table", folder / file)
    assert list(map(of, corpus.utterances)) == EXPECTED
    assert corpus.skipped == {} and corpus.facts.target == "emotion"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.filterwarnings("ignore:.*was read as Windows-1252")
def test_encodings(encoding, delimiter, folder):
    text = "Datei,Gefühl,Sprecher\nclips/b.wav,müde,Zoë\na.wav,Ärger,anna\n".replace(",", delimiter)
    (folder / "t.csv").write_bytes(text.encode(encoding))
    with pytest.warns(CorpusWarning, match=r"1 label not known as emotions and kept as they are: 'müde' \(1\)"):
        corpus = load("table", folder / "t.csv", NAMES)
    assert list(map(of, corpus.utterances)) == [("a.wav", "anger", "anna"), ("clips/b.wav", "müde", "Zoë")]


def test_an_assumed_encoding_is_told_with_examples(folder):
    (folder / "t.csv").write_bytes("path,emotion,speaker\na.wav,Ärger,Zoë\n".encode("cp1252"))
    with pytest.warns(CorpusWarning, match="is not UTF-8 and was read as Windows-1252; if 'Ärger', 'Zoë' should read"):
        load("table", folder / "t.csv")


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("злость", "cp1251"),
        ("злость", "koi8-r"),
        ("愤怒", "gbk"),
        ("怒り悲しみ", "shift-jis"),
        ("분노", "euc-kr"),
        ("złość", "cp1250"),
    ],
)
def test_other_encodings_are_refused_rather_than_misread(label, encoding, folder):
    (folder / "t.csv").write_bytes(f"path,emotion\na.wav,{label}\n".encode(encoding))
    with pytest.raises(UserError, match=r"t\.csv: is neither UTF-8 nor Windows-1252 text; save the table as UTF-8"):
        load("table", folder / "t.csv")


def test_words_of_western_europe_are_not_mistaken_for_other_encodings(folder):
    words = [
        "Größe",
        "naïve",
        "façade",
        "élève",
        "Ærø",
        "niño¿",
        "«été»",
        "“Wut”",
        "L’été",
        "coração",
        "œuvre",
        "5 €",
        "Füße–Hände",
    ]
    rows = "".join(f'a.wav,sad,"{word}"\n' for word in words).replace("a.wav", "clips/b.wav", 1)
    (folder / "t.csv").write_bytes(f"path,emotion,id\n{rows}".encode("cp1252"))
    with pytest.warns(CorpusWarning, match="was read as Windows-1252"):
        assert len(load("table", folder / "t.csv")) == len(words)


def test_columns_may_be_named_by_the_user(folder):
    (folder / "t.csv").write_text("Datei;GEFÜHL;Sprecher;label\na.wav;Wut;anna;1\nclips/b.wav;Trauer;ben;2\n", "utf-8")
    corpus = load("table", folder / "t.csv", NAMES)
    assert list(map(of, corpus.utterances)) == EXPECTED
    assert [utterance.targets["label"] for utterance in corpus.utterances] == [1.0, 2.0]


def test_the_user_comes_before_serkits_own_names(folder):
    (folder / "t.csv").write_text("path,emotion,final\na.wav,1,angry\nclips/b.wav,2,sad\n")
    corpus = load("table", folder / "t.csv", Reading({"emotion": "final"}))
    assert [utterance.targets for utterance in corpus.utterances] == [{"emotion": "anger"}, {"emotion": "sadness"}]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["path"], "--columns must be NAME=COLUMN, e.g. path=Datei,emotion=Label, got 'path'"),
        (["path="], "--columns must be NAME=COLUMN"),
        (["pth=Datei"], "unknown column 'pth'. Did you mean 'path'?"),
        (["path=a", "path=b"], "--columns names 'path' twice, as 'a' and as 'b'"),
    ],
)
def test_mistakes_in_columns(entries, message):
    with pytest.raises(UserError) as error:
        parse(entries)
    assert message in str(error.value)


def spreadsheet(path, *pages):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, page in enumerate(pages):
        sheet = book.create_sheet(f"page {number}")
        for row in page:
            sheet.append(row)
    book.save(path)


def test_excel(folder):
    pytest.importorskip("python_calamine")
    rows = [("File", "Label", "Speaker", "Valence"), ("a.wav", "Wut", 1, 0.5), (), ("clips\\b.wav", "sad", 2, None)]
    spreadsheet(folder / "t.xlsx", rows)
    first, second = load("table", folder / "t.xlsx").utterances
    assert (of(first), of(second)) == (("a.wav", "anger", "1"), ("clips/b.wav", "sadness", "2"))
    assert first.targets == {"emotion": "anger", "Valence": 0.5} and "Valence" not in second.targets


def test_times_in_excel(folder):
    pytest.importorskip("python_calamine")
    half, end = datetime.time(0, 0, 0, 500000), datetime.timedelta(seconds=1.25)
    spreadsheet(
        folder / "t.xlsx",
        [("path", "emotion", "start", "end"), ("call.wav", "sad", half, end), ("call.wav", "sad", 1.25, 2)],
    )
    assert [(u.start, u.end) for u in load("table", folder / "t.xlsx").utterances] == [(0.5, 1.25), (1.25, 2.0)]


def test_the_first_filled_sheet_is_read_and_the_others_are_named(folder):
    pytest.importorskip("python_calamine")
    spreadsheet(folder / "t.xlsx", [], [("path", "emotion"), ("a.wav", "sad")], [("x",), (1,)])
    with pytest.warns(CorpusWarning, match="has 2 filled sheets; read 'page 1', not 'page 2'"):
        assert len(load("table", folder / "t.xlsx")) == 1


def test_rows_of_a_spreadsheet_have_its_numbers(folder):
    pytest.importorskip("python_calamine")
    spreadsheet(folder / "t.xlsx", [(), ("path", "emotion"), ("a.wav", "sad"), (), ("x.wav", "sad")])
    with pytest.raises(UserError, match=r"t\.xlsx, row 5: its file does not exist: .*x\.wav"):
        load("table", folder / "t.xlsx")


def test_without_its_reader_a_spreadsheet_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    (folder / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"spreadsheets require python-calamine: pip install 'serkit\[tables\]'"):
        load("table", folder / "t.xlsx")


def test_packed_tables(folder):
    (folder / "t.csv.gz").write_bytes(gzip.compress(b"path,emotion\na.wav,sad\n"))
    assert len(load("table", folder / "t.csv.gz")) == 1
    (folder / "t.csv.gz").write_bytes(gzip.compress(b"path,emotion\na.wav,sad\n" * 99)[:-9])
    with pytest.raises(UserError, match=r"t\.csv\.gz: cannot be read"):
        load("table", folder / "t.csv.gz")


def test_what_serkit_writes_can_be_read_back(folder):
    header = "file,start,end,label,sure,confidence,p_anger,p_sadness,error\n"
    (folder / "t.csv").write_text(
        f"{header}call.wav,0.5,1.25,anger,true,0.9,0.9,0.1,\ncall.wav,1.25,2,sadness,false,0.6,0.4,0.6,\n"
    )
    segments = [
        {"start": 0.5, "end": 1.25, "label": "anger", "sure": True, "confidence": 0.9, "probabilities": {"anger": 0.9}},
        {
            "start": 1.25,
            "end": 2.0,
            "label": "sadness",
            "sure": False,
            "confidence": 0.6,
            "probabilities": {"anger": 0.4},
        },
    ]
    timeline = {
        "file": "call.wav",
        "duration": 2.5,
        "labels": ["anger"],
        "windows": [{"start": 0.0}],
        "segments": segments,
    }
    (folder / "t.json").write_text(json.dumps([timeline]))
    (folder / "t.jsonl").write_text(json.dumps(timeline) + "\n")
    for name in ("t.csv", "t.json", "t.jsonl"):
        with pytest.warns(CorpusWarning, match="its labels are answers of a recognizer, not of people"):
            found = load("table", folder / name).utterances
        assert [(u.path.name, u.start, u.end) for u in found] == INTERVALS
        assert [u.targets["emotion"] for u in found] == ["anger", "sadness"]


def test_recordings_that_serkit_could_not_read_are_bad_rows(folder):
    (folder / "t.csv").write_text("file,label,sure,confidence,error\na.wav,anger,true,0.9,\nclips/b.wav,,,,not audio\n")
    with pytest.raises(UserError, match="row 3: emotion is empty"):
        load("table", folder / "t.csv")


# Times.


def times(folder, header, *rows, name="t.csv", delimiter=","):
    lines = [delimiter.join(("path", "emotion", *header)), *(delimiter.join(("call.wav", "sad", *row)) for row in rows)]
    (folder / name).write_text("\n".join(lines))
    return folder / name


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (("start", "end"), (("0.5", "1.25"), ("1.25", "2"))),
        (("start", "end"), (("0.5 s", "1250ms"), ("1250 ms", "2s"))),
        (("start", "end"), (("00:00:00.5", "0:01.25"), ("00:00:01.250", "00:00:02"))),
        (
            ("start", "end"),
            (("0 days 00:00:00.500000", "0 days 00:00:01.250000"), ("0 days 00:00:01.25", "0 days 00:00:02")),
        ),
        (("start_ms", "end_ms"), (("500", "1250"), ("1250", "2000"))),
        (("Start (ms)", "End [ms]"), (("500", "1250"), ("1250", "2000"))),
        (("start_time", "end_time"), (("0.5", "1.25"), ("1.25", "2"))),
        (("begin_seconds", "end_seconds"), (("0.5", "1.25"), ("1.25", "2"))),
        (("onset", "duration"), (("0.5", "0.75"), ("1.25", "0.75"))),
        (("offset", "duration"), (("0.5", "0.75"), ("1.25", "0.75"))),
        (("onset_ms", "duration_ms"), (("500", "750"), ("1250", "750"))),
    ],
)
def test_times(folder, header, rows):
    found = load("table", times(folder, header, *rows)).utterances
    assert [(u.path.name, u.start, u.end) for u in found] == INTERVALS
    assert all(set(u.targets) == {"emotion"} for u in found)


def test_times_and_numbers_with_decimal_commas(folder):
    path = times(folder, ("start", "end", "valence"), ("0,5", "1,25", "0,5"), ("1,25", "2", "3"), delimiter=";")
    found = load("table", path).utterances
    assert [(u.path.name, u.start, u.end) for u in found] == INTERVALS
    assert [u.targets["valence"] for u in found] == [0.5, 3.0]


@pytest.mark.parametrize(
    "rows",
    [
        (("500", "1250"), ("1250", "2000")),
        (("500.0", "1250.0"), ("1250.0", "2000.0")),  # as pandas writes whole numbers
        (("500", "900"), ("100", "300")),  # longer than the recording in seconds only
        (("0.5", "900.5"),),
    ],
)
def test_bare_numbers_that_may_be_milliseconds_are_asked_about(folder, rows):
    path = times(folder, ("start", "end"), *rows)
    with pytest.raises(
        UserError, match=r"start and end are numbers up to .* without a unit, .*; add --times s or --times ms"
    ):
        load("table", path)
    milliseconds = [(float(start) / 1000, float(end) / 1000) for start, end in rows]
    found = load("table", path, Reading(times="ms")).utterances
    assert [u.start for u in found] == pytest.approx(sorted(start for start, _ in milliseconds))
    assert [u.end for u in found] == pytest.approx(sorted(end for _, end in milliseconds))
    assert load("table", path, Reading(times="s")).utterances[-1].end >= 300


def test_a_column_that_the_user_names_may_declare_its_unit(folder):
    path = times(folder, ("Beginn (ms)", "Ende_ms"), ("500", "1250"), ("1250", "2000"))
    found = load("table", path, Reading({"start": "Beginn (ms)", "end": "ende_MS"})).utterances
    assert [(u.path.name, u.start, u.end) for u in found] == INTERVALS


def test_a_declared_unit_does_not_change_times_with_one(folder):
    path = times(folder, ("start", "end_s"), ("500", "1.25"), ("0:01.25", "2"))
    found = load("table", path, Reading(times="ms")).utterances
    assert [(u.path.name, u.start, u.end) for u in found] == INTERVALS


def test_a_duration_of_the_file_is_a_further_target(folder):
    (folder / "t.csv").write_text("path,emotion,duration\na.wav,sad,0.1\nclips/b.wav,sad,0.2\n")
    found = load("table", folder / "t.csv").utterances
    assert [(u.start, u.end, u.targets["duration"]) for u in found] == [(None, None, 0.1), (None, None, 0.2)]


# Refused.

REFUSED = {
    "no path": (
        "t.csv",
        "where,emotion\na.wav,sad\n",
        "has no column 'path'. Columns: where, emotion; name the one with",
    ),
    "two labels": (
        "t.csv",
        "path,label,class\na.wav,sad,1\n",
        "columns 'label' and 'class' may both be 'emotion'; choose one",
    ),
    "two files": ("t.csv", "file,audio,emotion\na.wav,a.wav,sad\n", "choose one with --columns path=file"),
    "a ZIP as CSV": ("t.csv", "PK\x03\x04...", "is a spreadsheet or ZIP file, not text; name it accordingly"),
    "a Parquet file as CSV": ("t.csv", "PAR1....", "is a Parquet file, not text"),
    "old Excel as text": ("t.txt", "\xd0\xcf\x11\xe0", "t.txt: is "),
    "an unclosed quote": ("t.csv", 'path;emotion\n"a.wav;sad\n', "quotes do not match"),
    "a column twice": ("t.csv", "file;label;file\na.wav;sad;x\n", "column 'file' appears twice; rename or remove one"),
    "an unknown kind": ("t.docx", "path,emotion\n", "is not a table; supported are .csv, .tsv"),
    "a recording": ("t.csv", "RIFF\x00\x00\x00\x00WAVE", "save the table as UTF-8"),
    "no spreadsheet": ("t.xlsx", "path,emotion\n", "is not a spreadsheet"),
    "JSON of something else": ("t.json", '{"path": "a.wav"', "is not in JSON lines format"),
    "a word in a start": ("t.csv", "path,emotion,start\na.wav,sad,soon\n", "row 2: start must be a time in s or as"),
    "a negative start": ("t.csv", "path,emotion,start\na.wav,sad,-1\n", "row 2: start must not be negative: -1"),
    "an end before the start": (
        "t.csv",
        "path,emotion,start,end\na.wav,sad,2,1\n",
        "row 2: the end is not after the start",
    ),
    "no duration": ("t.csv", "path,emotion,start,end\na.wav,sad,0,0\n", "row 2: the end is not after the start: 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_are_refused(name, folder):
    if name == "no spreadsheet":
        pytest.importorskip("python_calamine")
    file, text, message = REFUSED[name]
    (folder / file).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as error:
        load("table", folder / file)
    assert message in str(error.value) and file in str(error.value) and "\n" not in str(error.value)


def test_there_are_forty_shapes():
    assert len(READ) + len(REFUSED) >= 40


# Bad rows.

BAD = (
    "path,emotion,start,end\na.wav,sad,,\nnone.wav,sad,,\na.wav\nclips/b.wav,angry,,,,5\nclips/b.wav,sad,soon,\n"
    "none2.wav,sad,,\nclips/b.wav,,,\nnone3.wav,sad,,\nnone4.wav,sad,,\ncall.wav,sad,0.5,1\ncall.wav,sad,0.5,1\n"
)


def test_all_bad_rows_are_listed(folder):
    (folder / "t.csv").write_text(BAD)
    with pytest.raises(UserError) as error:
        load("table", folder / "t.csv")
    text = str(error.value)
    assert f"{folder / 't.csv'}: 9 of 11 rows are bad: rows 3, 7, 9-10: its file does not exist: " in text
    for part in (
        "rows 4, 8: emotion is empty",
        "row 5: 6 values for 4 columns",
        "row 6: start must be",
        "row 12: repeats row 11",
    ):
        assert part in text
    assert text.endswith("; correct them, or leave them out with --on-error skip") and "\n" not in text


def test_bad_rows_may_be_skipped_and_are_listed(folder):
    (folder / "t.csv").write_text(BAD)
    with pytest.warns(CorpusWarning, match="9 bad rows left out: rows 3, 7, 9-10: its file does not exist: "):
        corpus = load("table", folder / "t.csv", Reading(skip_bad_rows=True))
    assert [utterance.id for utterance in corpus.utterances] == ["table/a", "table/call@0.500"]
    assert list(corpus.skipped) == [f"row {number}" for number in (3, 4, 5, 6, 7, 8, 9, 10, 12)]


def test_rows_that_contradict_each_other_are_both_left_out(folder):
    (folder / "t.csv").write_text("path,emotion\na.wav,sad\na.wav,angry\nclips/b.wav,sad\nclips/b.wav,sad\n")
    with pytest.warns(CorpusWarning, match="3 bad rows left out"):
        corpus = load("table", folder / "t.csv", Reading(skip_bad_rows=True))
    assert [utterance.id for utterance in corpus.utterances] == ["table/clips/b@0.000"]


def test_nothing_is_left_if_all_rows_are_bad(folder):
    (folder / "t.csv").write_text("path,emotion\nx.wav,sad\n")
    with pytest.raises(UserError, match="contains no recording of corpus 'table'"):
        load("table", folder / "t.csv", Reading(skip_bad_rows=True))


# Labels.


def test_mapped_labels_are_logged_and_others_listed(folder, caplog):
    (folder / "t.csv").write_text(
        "path,emotion,id\na.wav,Wut,1\na.wav,ang,2\na.wav,joie,3\na.wav,sadness,4\na.wav,genervt,5\n"
    )
    with caplog.at_level(logging.INFO, "serkit.corpora"), pytest.warns(CorpusWarning) as warned:
        load("table", folder / "t.csv")
    assert caplog.messages == ["t.csv: labels mapped: 'Wut', 'ang' to anger; 'joie' to happiness"]
    assert [str(warning.message) for warning in warned] == [
        f"{folder / 't.csv'}: 1 label not known as emotions and kept as they are: 'genervt' (1)"
    ]


def test_columns_with_other_names_are_logged(folder, caplog):
    (folder / "t.csv").write_text("File Name,emotion,spk,duration,set\na.wav,anger,anna,0.1,x\n")
    with caplog.at_level(logging.INFO, "serkit.corpora"):
        load("table", folder / "t.csv")
    assert caplog.messages == ["t.csv: columns read: 'File Name' as path, 'spk' as speaker"]


def test_a_table_of_other_targets_has_no_notes_on_emotions(folder, caplog):
    (folder / "t.csv").write_text("path,word\na.wav,Wut\nclips/b.wav,yes\n")
    with caplog.at_level(logging.INFO, "serkit.corpora"):
        corpus = load("table", folder / "t.csv")
    assert caplog.messages == [] and corpus.cautions == ()


# Size.


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_hundred_thousand_rows_take_seconds(name, folder):
    rows = [
        ("call.wav", "Wut", f"s{number % 50}", f"{number / 1e5:.5f}", f"{number / 1e5 + 1:.5f}", number)
        for number in range(100_000)
    ]
    header = ("file", "label", "spk", "start", "end", "id")
    if name.endswith("csv"):
        text = "\n".join(";".join(map(str, row)) for row in [header, *rows])
    else:
        text = "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rows)
    (folder / name).write_text(text)
    begin = time.process_time()
    corpus = load("table", folder / name)
    assert len(corpus) == len(rows)
    assert time.process_time() - begin < 20  # about 3 s
