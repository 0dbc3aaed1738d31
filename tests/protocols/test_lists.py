import json
import unicodedata
from pathlib import Path

import pytest

from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.protocols import Protocol
from serkit.protocols.splits import splits


@pytest.fixture
def utterances(tmp_path):
    labels = ["anger", "neutral"]
    return [
        Utterance(f"table/{n}", tmp_path / "sound" / f"{n}.wav", targets={"emotion": labels[n % 2]}) for n in range(8)
    ]


def listed(tmp_path, text, name="parts.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def parts_csv(parts, start="id,part\n"):
    return start + "".join(f"table/{n},{part}\n" for n, part in enumerate(parts))


def cut(path, utterances, **more):
    return splits(Protocol(kind="fixed", lists=path, **more), utterances, "emotion", 4)


def test_ids_in_a_csv_file(tmp_path, utterances):
    path = listed(tmp_path, parts_csv(["train"] * 4 + ["Validation"] + ["test"] * 2 + ["unused"]))
    (split,) = cut(path, utterances)
    assert split.train == ("table/0", "table/1", "table/2", "table/3")
    assert (split.validation, split.test) == (("table/4",), ("table/5", "table/6"))
    assert (split.name, split.seed) == ("seed-4-fold-1", 4)


def test_paths_are_seen_from_the_folder_of_the_list(tmp_path, utterances):
    rows = [{"path": f"sound/{n}.wav", "part": "test" if n in (2, 5) else "train"} for n in range(8)]
    path = listed(tmp_path, "\n".join(map(json.dumps, rows)) + "\n\n", "parts.jsonl")
    (split,) = cut(path, utterances)
    assert split.test == ("table/2", "table/5") and len(split.train) == 6


def test_folds_in_the_order_of_the_file(tmp_path, utterances):
    rows = [f"table/{n},{'test' if n % 2 == odd else 'train'},{fold}" for fold, odd in (("b", 1), ("a", 0))
            for n in range(8)]  # fmt: skip
    found = cut(listed(tmp_path, "id,part,fold\n" + "\n".join(rows)), utterances)
    assert [split.test[0] for split in found] == ["table/1", "table/0"]
    assert [split.fold for split in found] == [1, 2]


def test_an_id_and_a_path_may_not_say_different_parts(tmp_path, utterances):
    text = parts_csv(["train"] * 6 + ["test"] * 2, "id,part,path\n")
    with pytest.raises(UserError, match="'table/0' is in train by its id but in test by its path"):
        cut(listed(tmp_path, f"{text},test,sound/0.wav\n"), utterances)
    (split,) = cut(listed(tmp_path, f"{text},train,sound/0.wav\n"), utterances)
    assert split.test == ("table/6", "table/7")


def test_rows_of_utterances_that_are_not_learned_are_passed_over(tmp_path, utterances):
    path = listed(tmp_path, parts_csv(["train"] * 6 + ["test"] * 2))
    (split,) = cut(path, [each for each in utterances if each.id != "table/3"])
    assert split.train == ("table/0", "table/1", "table/2", "table/4", "table/5")


def test_validation_is_carved_and_stratified_where_the_list_has_none(tmp_path, utterances):
    path = listed(tmp_path, parts_csv(["train"] * 6 + ["test"] * 2))
    first, second = cut(path, utterances, validation=0.3, repeats=2)
    assert len(first.train) == 4 and len(first.validation) == 2
    assert {int(id[-1]) % 2 for id in first.validation} == {0, 1}
    assert (first.test, first.seed, second.seed) == (second.test, 4, 5)


def test_one_file_with_several_utterances_goes_as_a_whole(tmp_path):
    both = [
        Utterance(f"table/{n}", tmp_path / f"{n // 2}.wav", start=n % 2, targets={"emotion": "ab"[n % 2]})
        for n in range(4)
    ]
    (split,) = cut(listed(tmp_path, "path,part\n0.wav,train\n1.wav,test\n"), both)
    assert (split.train, split.test) == (("table/0", "table/1"), ("table/2", "table/3"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            parts_csv(["train"] * 6 + ["test"]),
            "1 of 8 utterances are missing (first: 'table/7'); list each with",
        ),
        (
            parts_csv(["train"] * 7 + ["tset"]),
            "row 9: part must be one of train, validation, test, unused, got 'tset'",
        ),
        (parts_csv(["train"] * 8), "none of the utterances is in the test part"),
        (parts_csv(["test"] * 8), "none of the utterances is in the train part"),
        (parts_csv(["train"] * 8) + "table/0,test\n", "row 10: 'table/0' is listed twice in one fold"),
        (parts_csv(["train"] * 8, "id,where\n"), "row 2: has no column 'part'. Columns: id, where"),
        (parts_csv(["train"] * 8, "name,part\n"), "row 2: has neither 'id' nor 'path'"),
        ("id,part\n", "is empty; the columns id (or path) and part are required"),
        ("", "is empty; the columns"),
    ],
)
def test_broken_lists_are_refused(tmp_path, utterances, text, message):
    path = listed(tmp_path, text)
    with pytest.raises(UserError) as error:
        cut(path, utterances)
    assert message in str(error.value) and str(error.value).startswith(str(path))


def test_unreadable_lists_are_refused(tmp_path, utterances):
    with pytest.raises(UserError, match="no such file"):
        cut(tmp_path / "none.csv", utterances)
    with pytest.raises(UserError, match="is not in JSON lines format"):
        cut(listed(tmp_path, '{"id": "table/0"', "parts.json"), utterances)
    with pytest.raises(UserError, match="entry 1: is not a JSON object"):
        cut(listed(tmp_path, '["table/0"]', "parts.json"), utterances)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not text"):
        cut(binary, utterances)
    with pytest.raises(UserError, match="is not a table"):
        cut(Path(tmp_path), utterances)


def test_a_listed_validation_part_and_a_carved_one_are_too_many(tmp_path, utterances):
    path = listed(tmp_path, parts_csv(["train"] * 5 + ["validation"] + ["test"] * 2))
    with pytest.raises(UserError, match="lists a validation part; set validation = 0"):
        cut(path, utterances, validation=0.2)


def test_cells_are_cleaned_and_blank_rows_skipped(tmp_path, utterances):
    rows = [f"table/{n}\u200b,\u00a0{'Test' if n > 5 else 'train'} ,1\u200b" for n in range(8)]
    (split,) = cut(listed(tmp_path, "id\u200b, part,fold\n" + "\n,,\n".join(rows) + "\n,,\n"), utterances)
    assert split.test == ("table/6", "table/7")


def test_names_match_in_any_unicode_form(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    labels = ["anger", "neutral"] * 2
    known = [Utterance(f"table/{nfd}{n}", tmp_path / f"{nfd}{n}.wav", targets={"emotion": labels[n]}) for n in range(4)]
    parts = ["train", "train", "test", "test"]
    by_id = "".join(f"table/{nfc}{n},{part}\n" for n, part in enumerate(parts))
    by_path = "".join(f"{nfc}{n}.wav,{part}\n" for n, part in enumerate(parts))
    for start, rows in (("id,part\n", by_id), ("path,part\n", by_path)):
        (split,) = cut(listed(tmp_path, start + rows), known)
        assert split.test == (f"table/{nfd}2", f"table/{nfd}3")
