import dataclasses
import json
import unicodedata
from pathlib import Path

import pytest
import soundfile

from serkit.corpora import Corpus, Facts, Utterance
from serkit.errors import UserError
from serkit.protocols.given import read_parts, read_table


@pytest.fixture
def files(tmp_path):
    """The function that writes recordings and a table beside them: CSV lines, or JSON objects."""

    def write(name, lines, recordings="abcd"):
        for recording in recordings:
            soundfile.write(tmp_path / f"{recording}.wav", [0.1] * 80, 8000)
        path = tmp_path / name
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
        return path

    return write


def parts(split):
    return [[id.partition("/")[2] for id in part] for part in (split.train, split.validation, split.test)]


CORPUS = Corpus(
    Facts("emodb", "", "de", "", "", ""),
    None,
    tuple(
        Utterance(f"emodb/{name}", Path(f"/nowhere/{name}.flac"), speaker=f"emodb/{name[:2]}")
        for name in ("03a01Fa", "03a02Wb", "08a01Na")
    ),
)


def test_a_table_with_parts_needs_no_labels(files):
    path = files("t.csv", ["path,speaker,part", "a.wav,1,train", "b.wav,2,dev", "c.wav,3,Test", "d.wav,4,unused"])
    found = read_table(path)
    (split,) = found.splits
    assert split.name == "t.csv" and parts(split) == [["a"], ["b"], ["c"]]
    assert [utterance.speaker for utterance in found.utterances] == ["table/1", "table/2", "table/3", "table/4"]


def test_each_fold_is_the_test_part_once(files):
    path = files("t.csv", ["path,fold", "a.wav,1", "b.wav,2", "c.wav,2"])
    one, two = read_table(path).splits
    assert (one.name, parts(one)) == ("fold 1", [["b", "c"], [], ["a"]])
    assert (two.name, parts(two)) == ("fold 2", [["a"], [], ["b", "c"]])


def test_an_utterance_has_a_part_in_each_fold(files):
    lines = ["path,fold,part", "a.wav,1,train", "b.wav,1,test", "a.wav,2,test", "b.wav,2,train"]
    found = read_table(files("t.csv", lines))
    assert [parts(split) for split in found.splits] == [[["a"], [], ["b"]], [["b"], [], ["a"]]]
    assert len(found.utterances) == 2


def test_lists_of_emobox_are_read_from_the_folder_their_paths_begin_in(files, tmp_path):
    files("x.csv", ["path"])
    row = {"dataset": "emodb", "type": "raw", "sample_rate": 8000, "num_frame": 80.0, "length": 0.01, "channel": 1}
    folder = tmp_path / "data" / "emodb" / "fold_1"
    folder.mkdir(parents=True)
    for part, name in (("train", "a"), ("test", "b")):
        line = {"key": f"emodb-{name}", "wav": f"{name}.wav", "emo": "anger", "task": "category", **row}
        (folder / f"{part}.jsonl").write_text(json.dumps(line) + "\n")
    found = read_parts({"train": folder / "train.jsonl", "test": folder / "test.jsonl"})
    assert (found.splits[0].train, found.splits[0].test) == (("emodb/emodb-a",), ("emodb/emodb-b",))
    assert [utterance.path for utterance in found.utterances] == [tmp_path / "a.wav", tmp_path / "b.wav"]
    assert [utterance.index for utterance in found.utterances] == [None, None]


def test_the_channel_of_a_table_is_the_one_that_holds_the_speech(files):
    (first, _) = read_table(files("t.csv", ["path,channel,part", "a.wav,1,train", "b.wav,,test"])).utterances
    assert first.index == 1


def test_rows_may_stand_for_utterances_of_a_corpus(files):
    train = files("train.jsonl", [{"key": "emodb-03a01Fa", "wav": "downloads/emodb/wav/03a01Fa.wav"}])
    test = files("test.csv", ["id", "emodb/03a02Wb", "08a01Na"])
    found = read_parts({"train": train, "test": test}, [CORPUS])
    assert found.splits[0].train == ("emodb/03a01Fa",)
    assert found.splits[0].test == ("emodb/03a02Wb", "emodb/08a01Na")
    assert {utterance.speaker for utterance in found.utterances} == {"emodb/03", "emodb/08"}


def test_a_file_may_be_named_by_its_folder_too(files):
    corpus = Corpus(CORPUS.facts, None, (Utterance("savee/DC_a01", CORPUS.utterances[0].path.with_stem("DC_a01")),))
    path = files("t.csv", ["path,part", "AudioData/DC/a01.wav,train", "x/DC_a01.wav,test"])
    (split,) = read_table(path, [corpus]).splits
    assert split.train == split.test == ("savee/DC_a01",)


def test_tables_of_one_name_that_name_their_files_alike_are_three(tmp_path):
    for number, part in enumerate(("train", "test", "validation")):
        (tmp_path / part).mkdir()
        soundfile.write(tmp_path / part / "1.wav", [0.1 * number] * 80, 8000)
        (tmp_path / part / "list.csv").write_text(f"path,speaker\n1.wav,{part}\n")
    found = read_parts({part: tmp_path / part / "list.csv" for part in ("train", "test", "validation")})
    (split,) = found.splits
    assert (split.train, split.validation, split.test) == (("table/1",), ("table/1 (validation)",), ("table/1 (test)",))
    assert {each.id: each.speaker for each in found.utterances} == {
        "table/1": "table/train",
        "table/1 (test)": "table/test",
        "table/1 (validation)": "table/validation",
    }


def test_two_channels_of_one_file_are_two_utterances(files):
    train = files("train.csv", ["path,channel,speaker", "a.wav,0,anna"])
    test = files("test.csv", ["path,channel,speaker", "a.wav,1,ben"])
    found = read_parts({"train": train, "test": test})
    assert [(each.id, each.speaker) for each in found.utterances] == [
        ("table/a", "table/anna"),
        ("table/a (test)", "table/ben"),
    ]


def test_a_row_may_be_repeated(files):
    train = files("train.csv", ["path,speaker", "a.wav,1", "b.wav,1", "a.wav,1"])
    test = files("test.csv", ["path,speaker", "c.wav,2"])
    (split,) = read_parts({"train": train, "test": test}).splits
    assert parts(split) == [["a", "b"], [], ["c"]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,speaker", "a.wav,1"], "no column 'part' or 'fold'"),
        (
            ["path,part", "a.wav,train", "b.wav,holdout"],
            "row 3: part must be train, validation, test or unused, got 'holdout'",
        ),
        (["path,part", "a.wav,train"], "has no test part"),
        (["path,fold", "a.wav,1"], "fold '1' has no train part"),
        (["path,part", "a.wav,train", "z.wav,test"], "row 3: its file does not exist: "),
        (["path,part"], "contains no row"),
        (["speaker,part", "1,train"], "no column 'path'"),
    ],
)
def test_mistakes_in_tables(files, lines, message):
    with pytest.raises(UserError, match=message):
        read_table(files("t.csv", lines))


def test_mistakes_in_lists(files):
    with pytest.raises(UserError, match="line 1: is not a JSON object"):
        read_table(files("t.jsonl", ["[1]"]))
    with pytest.raises(UserError, match=r"row 2: '03z\.wav' matches no recording of"):
        read_table(files("t.csv", ["path,part", "03z.wav,train"]), [CORPUS])
    twice = Corpus(Facts("other", "", "de", "", "", ""), None, (Utterance("other/1", Path("03a01Fa.wav")),))
    with pytest.raises(UserError, match="matches several recordings of emodb, other"):
        read_table(files("t.csv", ["path,part", "03a01Fa.wav,train"]), [CORPUS, twice])


def test_labels_of_rows_are_compared_whatever_their_spelling(files):
    lines = ["path,emotion,part", "a.wav,Happy,train", "b.wav,joy\u200b,train", "c.wav,nan,test", "a.wav,sad,test"]
    found = read_table(files("t.csv", lines))
    assert found.labels == {"table/a": {"happiness", "sadness"}, "table/b": {"happiness"}}
    assert parts(found.splits[0]) == [["a", "b"], [], ["a", "c"]]


def test_labels_of_parts_and_of_emobox(files):
    row = {"dataset": "x", "emo": "hap"}
    train = files("train.jsonl", [{"key": "a", "wav": "a.wav", **row}, {"key": "b", "wav": "b.wav", **row}])
    test = files("test.jsonl", [{"key": "c", "wav": "c.wav", **row, "emo": "ang"}, {"key": "", "wav": ""}])
    found = read_parts({"train": train, "test": test})
    assert found.labels == {"x/a": {"happiness"}, "x/b": {"happiness"}, "x/c": {"anger"}}


def test_labels_of_corpora_count_where_rows_have_none(files):
    known = dataclasses.replace(
        CORPUS, utterances=tuple(dataclasses.replace(u, targets={"emotion": "fear"}) for u in CORPUS.utterances)
    )
    path = files("t.csv", ["path,part", "03a01Fa.wav,train", "08a01Na.wav,test"])
    assert read_table(path, [known]).labels == {"emodb/03a01Fa": {"fear"}, "emodb/08a01Na": {"fear"}}


def test_cells_are_cleaned_missing_speakers_are_nobody_and_blank_rows_are_skipped(files):
    lines = ["\ufeffpath,speaker\u200b,part", "a.wav,Anna\u200b,tra\u200bin", ",,", "b.wav,NA,\u00a0Test", "\u200b,,"]
    found = read_table(files("t.csv", lines))
    assert [utterance.speaker for utterance in found.utterances] == ["table/Anna", None]
    assert parts(found.splits[0]) == [["a"], [], ["b"]]
    rows = [{"path": "a.wav", "speaker": float("nan"), "part": "train"}, {}, {"path": "b.wav", "speaker": 3.0}]
    rows[2]["part\u200b"] = "test"
    found = read_table(files("t.jsonl", rows))
    assert [utterance.speaker for utterance in found.utterances] == [None, "table/3"]


def test_names_match_in_any_unicode_form(files, tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    files("x.csv", [], recordings=[nfd])
    rows = [{"path": f"{nfc}.wav", "part": "train"}, {"path": "a.wav", "part": "test"}]
    for name in ("t.jsonl", f"{nfd}.jsonl"):
        found = read_table(files(name, rows).with_name(unicodedata.normalize("NFC", name)))
        (split,) = found.splits
        assert [Path(id).name for id in (*split.train, *split.test)] == [nfc, "a"]
        assert all(utterance.path.exists() for utterance in found.utterances)
    known = dataclasses.replace(CORPUS, utterances=(Utterance(f"emodb/{nfd}", tmp_path / f"{nfd}.wav"),))
    path = files("k.csv", ["path,part", f"{nfc}.wav,train", f"emodb/{nfc},test"])
    assert {utterance.id for utterance in read_table(path, [known]).utterances} == {f"emodb/{nfd}"}
