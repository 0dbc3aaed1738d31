import os
import shutil
import sys
import unicodedata

import pytest

from serkit.corpora import load
from serkit.corpora.corpus import Channel
from serkit.errors import UserError


@pytest.fixture
def table(tree):
    """Write a table beside the recordings a.wav, clips/b.wav and egg.wav; return its path."""

    def write(text, name="my.csv", encoding="utf-8"):
        path = tree("a.wav", "clips/b.wav", "egg.wav") / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def read(path):
    return load("table", path).utterances


def test_path_and_emotion_are_enough(table):
    path = table("path,emotion\nclips/b.wav,Angry\na.wav,ps\n")
    first, second = read(path)
    assert (first.id, first.path, first.targets) == (
        "table/a",
        path.parent / "a.wav",
        {"emotion": "surprise"},
    )
    assert (second.id, second.targets) == ("table/clips/b", {"emotion": "anger"})
    assert first.speaker is first.sentence is first.sex is first.language is first.start is first.index is None
    assert not first.channels and not first.attributes


def test_all_columns(table):
    header = "id,path,emotion,speaker,sex,sentence,session,language,start,end,channel"
    row = "x1,a.wav,sad,anna,F,s3,monday,en,0.02,0.09,0"
    path = table(f"{header},egg,egg_channel,egg_start,corpus\n{row},egg.wav,0,0.01,calls\n")
    (utterance,) = read(path)
    assert (utterance.id, utterance.speaker, utterance.sentence) == ("calls/x1", "calls/anna", "calls/s3")
    assert (utterance.sex, utterance.language, utterance.index) == ("female", "en", 0)
    assert (utterance.start, utterance.end) == (0.02, 0.09)
    assert utterance.targets == {"emotion": "sadness"}
    assert utterance.attributes == {"session": "monday"}
    assert utterance.channels == {"egg": Channel(path.parent / "egg.wav", 0, 0.01)}


def test_egg_may_be_a_channel_of_the_same_file(table):
    path = table("path,emotion,channel,egg_channel\na.wav,sad,0,1\n")
    assert read(path)[0].channels == {"egg": Channel(path.parent / "a.wav", 1, 0.0)}


def test_tabs_and_byte_order_mark(table):
    path = table("path\temotion\na.wav\tsad, or not\n", "my.tsv", encoding="utf-8-sig")
    assert read(path)[0].targets == {"emotion": "sad, or not"}


def test_further_columns_are_targets_numbers_only_if_all_are(table):
    path = table("path,valence,word,rank\na.wav,0.5,yes,1\nclips/b.wav,,no,1st\n")
    corpus = load("table", path)
    first, second = corpus.utterances
    assert first.targets == {"valence": 0.5, "word": "yes", "rank": "1"}
    assert second.targets == {"word": "no", "rank": "1st"}
    assert corpus.facts.target == "word"


def test_names_with_underscores_are_no_numbers(table):
    assert read(table("path,scene\na.wav,1_2\nclips/b.wav,1_3\n"))[0].targets == {"scene": "1_2"}


def test_a_column_without_a_name_is_no_target(table):
    assert read(table(",path,emotion\n0,a.wav,sad\n"))[0].targets == {"emotion": "sadness"}


def test_a_file_name_may_begin_with_a_tilde(table, tmp_path):
    path = table("path,emotion\n~take.wav,sad\n")
    (tmp_path / "a.wav").rename(tmp_path / "~take.wav")
    assert read(path)[0].path == tmp_path / "~take.wav"


def test_intervals_of_one_file_are_told_apart_by_their_beginning(table):
    path = table("path,emotion,start,end\na.wav,sad,0,0.04\na.wav,angry,0.05,0.1\nclips/b.wav,sad,0.01,0.1\n")
    assert [utterance.id for utterance in read(path)] == ["table/a@0.000", "table/a@0.050", "table/clips/b"]


def test_absolute_paths_are_taken_as_they_are(table, tmp_path):
    path = table("path,emotion\n")
    path.write_text(f"path,emotion\n{tmp_path / 'a.wav'},sad\n")
    (utterance,) = read(path)
    assert utterance.path == tmp_path / "a.wav"
    assert utterance.id.startswith("table/") and utterance.id.endswith("/a") and "//" not in utterance.id


def test_parquet_gives_the_same_as_csv(table):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    csv = table("path,emotion,speaker,channel,valence\na.wav,sad,7,0,0.5\nclips/b.wav,angry,,,\n")
    frame = pandas.DataFrame(
        {
            "path": ["a.wav", "clips/b.wav"],
            "emotion": ["sad", "angry"],
            "speaker": [7, None],
            "channel": [0, None],
            "valence": [0.5, None],
        }
    )
    parquet = csv.with_suffix(".parquet")
    frame.to_parquet(parquet)
    assert read(parquet) == read(csv)


def test_without_pandas_the_error_says_what_to_install(table, monkeypatch):
    path = table("path,emotion\n", "my.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"Parquet requires pandas: pip install 'serkit\[lab\]'"):
        load("table", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("where,emotion\na.wav,sad\n", "has no column 'path'. Columns: where, emotion; name the one with the files"),
        ("path emotion\na.wav sad\n", "has no column 'path'. Columns: path emotion"),
        ("path,emotion,emotion\na.wav,sad,happy\n", "column 'emotion' appears twice"),
        ('path,emotion\n"a.wav,sad\nclips/b.wav,sad\n', "line 3: quotes do not match (unexpected end of data)"),
        ('path,emotion\n"a.wav,sad\n"clips/b.wav",sad\n', "line 3: quotes do not match (',' expected after '\"')"),
        (
            f'path,emotion\na.wav,"sad\n{"clips/b.wav,sad " * 9999}',
            "quotes do not match (field larger than field limit",
        ),
        (",path\n0,a.wav\n", "no column 'emotion' and no other label"),
        (f"path,emotion\n{'too long a name ' * 99},sad\n", "row 2: its file does not exist: "),
        ("path,emotion\n~nobody/a.wav,sad\n", "row 2: its file does not exist: "),
        ("path,speaker\na.wav,anna\n", "has no column 'emotion' and no other label. Columns: path, speaker"),
        ("path,emotion\na.wav,sad\n,sad\n", "row 3: path is empty"),
        ("path,emotion\n\na.wav,\n", "row 3: emotion is empty"),
        ("path,word\na.wav,yes\nclips/b.wav,\n", "row 3: has no label; all of word are empty"),
        (
            "path,emotion,start\na.wav,sad,soon\n",
            "row 2: start must be a time in s or as 0 days 00:00:01.5, got 'soon'",
        ),
        ("path,emotion,start\na.wav,sad,inf\n", "row 2: start must be a time in s or as 0 days 00:00:01.5, got 'inf'"),
        ("path,emotion\na.wav,sad\nclips/b.wav,nan\n", "row 3: emotion 'nan' is a missing value"),
        ("path,emotion,channel\na.wav,sad,0.5\n", "row 2: channel must be the number of a channel, from 0, got '0.5'"),
        ("path,emotion\na.wav,sad,3\n", "row 2: 3 values for 2 columns"),
        (
            "path,emotion\na.wav,sad\na.wav,angry\n",
            "2 of 2 rows are bad: row 2: has the same id as row 3, 'table/a@0.000'; distinguish them in a column 'id'",
        ),
        ("path,emotion\n", "contains no recording of corpus 'table'"),
        ("", "has no column 'path'. Columns: none"),
    ],
)
def test_mistakes_are_named(text, message, table):
    with pytest.raises(UserError) as error:
        load("table", table(text))
    assert message in str(error.value) and "my.csv" in str(error.value) and "\n" not in str(error.value)


def test_missing_files_are_counted_and_three_named(table):
    path = table("path,emotion\n" + "".join(f"gone{number}.wav,sad\n" for number in range(5)) + "a.wav,sad\n")
    with pytest.raises(UserError) as error:
        load("table", path)
    assert "5 of 6 rows are bad: rows 2-6: its file does not exist: " in str(error.value)
    assert "gone2.wav, ..." in str(error.value) and "gone3.wav" not in str(error.value)


def test_paths_may_have_backslashes(table):
    path = table("path,emotion\nclips\\b.wav,sad\n.\\a.wav,sad\n")
    first, second = read(path)
    assert [(one.id, one.path) for one in (first, second)] == [
        ("table/a", path.parent / "a.wav"),
        ("table/clips/b", path.parent / "clips" / "b.wav"),
    ]


def test_names_may_lack_their_suffix_if_one_recording_has_it(table, tmp_path):
    path = table("path,emotion\na,sad\nclips\\b,angry\n")
    assert [(one.id, one.path.name) for one in read(path)] == [("table/a", "a.wav"), ("table/clips/b", "b.wav")]
    shutil.copy(tmp_path / "a.wav", tmp_path / "a.flac")
    with pytest.raises(UserError, match="row 2: its file does not exist: "):
        read(path)


@pytest.mark.skipif(os.sep != "/", reason="no file name on Windows has a backslash")
def test_a_file_whose_name_has_a_backslash_is_itself(table, tmp_path):
    path = table("path,emotion\nclips\\b.wav,sad\n")
    shutil.copy(tmp_path / "a.wav", tmp_path / "clips\\b.wav")
    assert read(path)[0].path == tmp_path / "clips\\b.wav"


def test_a_missing_egg_is_missed_too(table):
    with pytest.raises(UserError, match=r"row 2: its file does not exist: .*gone\.wav"):
        load("table", table("path,emotion,egg\na.wav,sad,gone.wav\n"))


def test_other_files_are_no_tables(table, tmp_path):
    with pytest.raises(UserError, match=r"is not a table; supported are \.csv, \.tsv, .*\.xlsx, .*\.parquet"):
        load("table", table("path,emotion\n", "my.docx"))
    with pytest.raises(UserError, match="is a folder, not a table; for a folder per class, use folder="):
        load("table", tmp_path)
    with pytest.raises(UserError, match="not a Parquet file"):
        load("table", table("path,emotion\n", "my.parquet"))


def test_labels_names_and_columns_are_cleaned(table):
    header = "\ufeffpath,emotion\u200b,speaker\u00a0, mood ,corpus"
    rows = "a.wav,Ang\u200bry,Zoe\u0308,very\u00a0 good,cal\u00adls\nclips/b.wav, sad\u2060,Zoë,very good,calls\n"
    first, second = read(table(f"{header}\n{rows}"))
    assert first.targets == {"emotion": "anger", "mood": "very good"}
    assert second.targets == {"emotion": "sadness", "mood": "very good"}
    assert (first.id, first.speaker) == ("calls/a", "calls/Zoë") and second.speaker == "calls/Zoë"


def test_a_column_that_looks_like_another_is_there_twice(table):
    with pytest.raises(UserError, match="column 'emotion' appears twice"):
        read(table("path,emotion,emotion\u200b\na.wav,sad,sad\n"))


@pytest.mark.parametrize("word", ["", "NA", "N/A", "nan", "NaN", "None", "null", "-", "\u200b", "<NA>", "NaT"])
def test_missing_values_are_nobody_and_no_number(table, word):
    header = "path,emotion,speaker,sentence,session,sex,language,start,end,channel,egg,egg_channel,valence,id,corpus"
    path = table(f"{header}\na.wav,sad{f',{word}' * 13}\nclips/b.wav,sad,anna,,,,,,,,,,0.5,,\n")
    first, second = read(path)
    assert (first.id, first.targets) == ("table/a", {"emotion": "sadness"})
    assert first.speaker is first.sentence is first.sex is first.language is first.start is first.end is None
    assert first.index is None and not first.channels and not first.attributes
    assert second.speaker == "table/anna" and second.targets == {"emotion": "sadness", "valence": 0.5}


def test_words_for_nothing_may_be_classes_but_what_programs_write_is_none(table):
    path = table("path,mood,word,rank\na.wav,None,nan,NA\nclips/b.wav,none,null,2\n")
    corpus = load("table", path)
    first, second = corpus.utterances
    assert first.targets == {"mood": "None"}
    assert second.targets == {"mood": "none", "word": "null", "rank": 2.0}


def test_a_class_called_nan_never_comes_about(table):
    with pytest.raises(UserError, match="row 2: emotion 'nan' is a missing value"):
        read(table("path,emotion\na.wav,nan\n"))
    with pytest.raises(UserError, match="row 2: has no label; all of word are empty"):
        read(table("path,word\na.wav,NaN\n"))


def test_blank_rows_and_cells_are_skipped_and_rows_keep_their_numbers(table):
    text = "\n , ,\npath,emotion,,\n,,,\na.wav,sad,,,,\n\u200b,\u00a0\n\nclips/b.wav,angry\nNA,NA\n"
    assert [utterance.targets["emotion"] for utterance in read(table(text))] == ["sadness", "anger"]
    with pytest.raises(UserError, match="row 4: path is empty"):
        read(table("path,emotion\n,\na.wav,sad\n,sad\n"))


@pytest.mark.parametrize("start", ["0 days 00:00:00.020000", "00:00:00.02", "0.02", "20ms", "PT0.02S", "00:00:00,020"])
def test_times_may_be_written_as_timedeltas(table, start):
    (utterance,) = read(table(f'path,emotion,start,end\na.wav,sad,"{start}",0 days 00:00:00.09\n'))
    assert (utterance.start, utterance.end) == (0.02, 0.09)


def test_times_in_parquet_are_timedeltas(table):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = table("").with_suffix(".parquet")
    frame = pandas.DataFrame(
        {
            "path": ["a.wav", "a.wav", None, "clips/b.wav"],
            "emotion": ["sad", "Ang\u200bry", None, "drop"],
            "start": pandas.to_timedelta([0, 0.05, None, None], unit="s"),
            "end": pandas.to_timedelta([0.04, 0.1, None, None], unit="s"),
            "speaker": ["nan", "01", None, None],
        }
    )
    frame.to_parquet(path)
    expected = [("sadness", 0.0, 0.04, None), ("anger", 0.05, 0.1, "table/01"), ("drop", None, None, None)]
    assert [(u.targets["emotion"], u.start, u.end, u.speaker) for u in read(path)] == expected
    # As audformat keeps them.
    frame[frame["path"].notna()].set_index(["path", "start", "end"]).to_parquet(path)
    assert [(u.targets["emotion"], u.start, u.end, u.speaker) for u in read(path)] == expected


def test_files_whose_names_differ_only_in_unicode_form_are_found(table, tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    path = table(f"path,emotion,egg\n{nfc}/{nfc}.wav,sad,{nfc}.wav\n{nfc}/b.wav,sad,\n")
    (tmp_path / nfd).mkdir()
    for name in (f"{nfd}/{nfd}.wav", f"{nfd}/b.wav", f"{nfd}.wav"):
        shutil.copy(tmp_path / "a.wav", tmp_path / name)
    second, first = sorted(read(path), key=lambda utterance: len(utterance.channels))
    assert first.path.exists() and second.path.exists() and first.channels["egg"].path.exists()
    assert (first.id, second.id) == (f"table/{nfc}/{nfc}", f"table/{nfc}/b")
    # Nor does the table's own name have to be in one form.
    path.rename(tmp_path / f"{nfd}.csv")
    assert len(read(tmp_path / f"{nfc}.csv")) == 2
