import os
import sys

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
    with pytest.raises(UserError, match=r"pip install serkit\[lab\]"):
        load("table", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,emotion\na.wav,sad\n", "no column 'path'. Found: file, emotion"),
        (
            "path;emotion\na.wav;sad\n",
            "a single column 'path;emotion'; cells are separated by commas here, not by semi",
        ),
        ("path,emotion,emotion\na.wav,sad,happy\n", "column 'emotion' is there twice"),
        ('path,emotion\n"a.wav,sad\nclips/b.wav,sad\n', "line 3: quotes do not match (unexpected end of data)"),
        ('path,emotion\n"a.wav,sad\n"clips/b.wav",sad\n', "line 3: quotes do not match (',' expected after '\"')"),
        (
            f'path,emotion\na.wav,"sad\n{"clips/b.wav,sad " * 9999}',
            "quotes do not match (field larger than field limit",
        ),
        (",path\n0,a.wav\n", "no column 'emotion' and no other label"),
        (f"path,emotion\n{'too long a name ' * 99},sad\n", "1 of its files do not exist"),
        ("path,emotion\n~nobody/a.wav,sad\n", "1 of its files do not exist"),
        ("path,speaker\na.wav,anna\n", "no column 'emotion' and no other label. Found: path, speaker"),
        ("path,emotion\na.wav,sad\n,sad\n", "row 3: empty path"),
        ("path,emotion\n\na.wav,\n", "row 3: empty emotion"),
        ("path,word\na.wav,yes\nclips/b.wav,\n", "row 3: no label; all of word are empty"),
        ("path,emotion,start\na.wav,sad,soon\n", "row 2: start 'soon' is not a time; write seconds, or 0 days 00:00:01.5"),
        ("path,emotion,start\na.wav,sad,inf\n", "row 2: start 'inf' is not a time"),
        ("path,emotion\na.wav,sad\nclips/b.wav,nan\n", "row 3: emotion 'nan' is a missing value"),
        ("path,emotion,channel\na.wav,sad,0.5\n", "row 2: channel '0.5' is not a channel"),
        ("path,emotion\na.wav,sad,3\n", "row 2: 3 values for 2 columns"),
        ("path,emotion\na.wav,sad\na.wav,angry\n", "rows 2 and 3 have the same id 'table/a@0.000'"),
        ("path,emotion\n", "no recording of corpus 'table' in it"),
        ("", "no column 'path'. Found: none"),
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
    assert "5 of its files do not exist" in str(error.value)
    assert "gone2.wav, ..." in str(error.value) and "gone3.wav" not in str(error.value)


@pytest.mark.skipif(os.sep != "/", reason="Windows reads both")
def test_paths_as_windows_writes_them_are_explained(table):
    with pytest.raises(UserError, match=r"1 of its files do not exist: .*clips\\b\.wav; write / instead of \\"):
        load("table", table("path,emotion\nclips\\b.wav,sad\n"))


def test_a_missing_egg_is_missed_too(table):
    with pytest.raises(UserError, match=r"1 of its files do not exist: .*gone\.wav$"):
        load("table", table("path,emotion,egg\na.wav,sad,gone.wav\n"))


def test_other_files_are_no_tables(table, tmp_path):
    with pytest.raises(UserError, match=r"not a table; one of \.csv, \.tab, \.tsv, \.parquet"):
        load("table", table("path,emotion\n", "my.xlsx"))
    with pytest.raises(UserError, match="not a table"):
        load("table", tmp_path)
    with pytest.raises(UserError, match="not a Parquet file"):
        load("table", table("path,emotion\n", "my.parquet"))


def test_text_that_is_not_utf8_is_refused(table):
    with pytest.raises(UserError, match="not UTF-8"):
        load("table", table("path,emotion\na.wav,Überraschung\n", encoding="latin-1"))
