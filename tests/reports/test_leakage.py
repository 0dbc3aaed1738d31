import json
import shutil

import numpy as np
import pytest
import soundfile

from serkit.corpora.synthetic import utterance
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.flags import verdict
from serkit.protocols import STANDARD
from serkit.reports.leakage import audit_run, audit_table, audit_tables


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def record(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, 800), 8000)


def write_table(path, rows):
    """Write a table of (file, speaker, sentence), and the files, each with its own sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["path,emotion,speaker,sentence"]
    for number, (name, speaker, sentence) in enumerate(rows):
        if not (path.parent / name).exists():
            record(path.parent / name, seed=[number, len(str(path))])
        lines.append(f"{name},{'anger' if number % 2 else 'joy'},{speaker},{sentence}")
    path.write_text("\n".join(lines) + "\n")
    return path


def kinds(found):
    return [(finding.kind, finding.parts) for findings in found.findings for finding in findings]


def test_tables_with_nothing_in_common_are_clean(tmp_path, store):
    train = write_table(tmp_path / "train.csv", [("a.wav", "1", "x"), ("b.wav", "2", "x")])
    test = write_table(tmp_path / "test.csv", [("c.wav", "3", "y")])
    found = audit_tables(train, test, store)
    assert found.splits == ["train.csv and test.csv"]
    assert kinds(found) == [] and found.leaks == [] and found.flags == []
    assert found.to_dict()["leak"] is False


def test_shared_utterance_and_speaker_are_leaks_a_shared_sentence_is_none(tmp_path, store):
    train = write_table(tmp_path / "train.csv", [("a.wav", "1", "x"), ("b.wav", "2", "y")])
    test = write_table(tmp_path / "test.csv", [("a.wav", "1", "x"), ("c.wav", "3", "y")])
    found = audit_tables(train, test, store)
    between = ("train", "test")
    assert kinds(found) == [(kind, between) for kind in ("utterance", "recording", "speaker", "sentence")]
    assert [finding.kind for _, finding in found.leaks] == ["utterance", "recording", "speaker"]
    assert found.to_dict()["leak"] is True
    assert found.to_dict()["findings"][2]["shared"] == ("table/1",)


def test_a_copy_under_another_name_is_found_by_its_sound(tmp_path, store):
    train = write_table(tmp_path / "train.csv", [("a.wav", "1", "x"), ("b.wav", "2", "x")])
    shutil.copy(tmp_path / "a.wav", tmp_path / "copy.wav")
    test = write_table(tmp_path / "test.csv", [("copy.wav", "3", "y")])
    (leak,) = audit_tables(train, test, store).leaks
    assert leak[1].kind == "recording" and leak[1].ids == ("table/a", "table/copy")


def test_files_of_one_name_in_two_folders_are_two_utterances(tmp_path, store):
    train = write_table(tmp_path / "one" / "t.csv", [("a.wav", "1", "x"), ("b.wav", "2", "x")])
    test = write_table(tmp_path / "second" / "t.csv", [("a.wav", "3", "y")])
    assert audit_tables(train, test, store).leaks == []


def test_what_is_unknown_is_a_caution(tmp_path, store):
    train = write_table(tmp_path / "train.csv", [("a.wav", "", "x"), ("b.wav", "2", "x")])
    test = write_table(tmp_path / "test.csv", [("c.wav", "3", "y")])
    found = audit_tables(train, test, store)
    assert found.leaks == []
    assert verdict(found.flags)[0] == "caution"


def write_run(folder, table, parts, protocol="clean"):
    folder.mkdir()
    kind = STANDARD[protocol].model_dump(mode="json")
    description = {"protocol": {"name": protocol, **kind}, "folders": {"table": str(table)}}
    (folder / "run.json").write_text(json.dumps(description))
    splits = [
        {"name": f"fold-{number}", "fold": number, "seed": 0}
        | {part: [f"table/{name}" for name in names] for part, names in split.items()}
        for number, split in enumerate(parts, start=1)
    ]
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def test_a_run_is_audited_from_its_splits_and_corpora(tmp_path, store):
    rows = [("a.wav", "1", "x"), ("b.wav", "2", "y"), ("c.wav", "2", "z"), ("d.wav", "4", "w")]
    table = write_table(tmp_path / "all.csv", rows)
    clean = {"train": ["b", "c"], "validation": ["d"], "test": ["a"]}
    leaky = {"train": ["a", "b"], "validation": [], "test": ["c"]}
    run = write_run(tmp_path / "run", table, [clean, leaky], protocol="random")
    found = audit_run(run, store)
    assert found.splits == ["fold-1", "fold-2"]
    assert [(name, finding.kind, finding.shared) for name, finding in found.leaks] == [
        ("fold-2", "speaker", ("table/2",))
    ]
    assert [flag.text for flag in found.flags] == [
        "speakers may be in both parts",
        "speaker leak: 1 of 2 folds share speakers",
    ]
    assert audit_run(write_run(tmp_path / "clean", table, [clean]), store).flags == []


def test_a_recording_that_cannot_be_read_is_not_compared(tmp_path, store):
    table = write_table(tmp_path / "all.csv", [("a.wav", "1", "x"), ("b.wav", "2", "y")])
    (tmp_path / "b.wav").write_bytes(b"no sound")
    run = write_run(tmp_path / "run", table, [{"train": ["a"], "validation": [], "test": ["b"]}])
    found = audit_run(run, store)
    assert found.leaks == [] and found.flags[0].text.startswith("unknown recording: 1 utterances")


def test_a_changed_copy_across_tables_is_found(tmp_path, store):
    speech = utterance(1, 1, "anger", 1, seed=0)
    soundfile.write(tmp_path / "a.wav", speech.speech, speech.rate)
    soundfile.write(tmp_path / "c.ogg", 0.9 * speech.speech[800:], speech.rate, format="OGG", subtype="OPUS")
    train = write_table(tmp_path / "train.csv", [("a.wav", "1", "x"), ("b.wav", "2", "x")])
    test = write_table(tmp_path / "test.csv", [("c.ogg", "3", "y")])
    (leak,) = audit_tables(train, test, store).leaks
    assert leak[1].kind == "copy" and leak[1].ids == ("table/a", "table/c")


def test_features_scaled_over_all_parts_are_a_leak(tmp_path, store):
    rows = [(f"{number}.wav", str(number), "x") for number in range(6)]
    train = write_table(tmp_path / "train.csv", rows[:4])
    test = write_table(tmp_path / "test.csv", rows[4:])
    raw = np.random.default_rng(0).normal(3, 2, (6, 5))

    def features(fitted):
        scaled = (raw - raw[:fitted].mean(axis=0)) / raw[:fitted].std(axis=0)
        lines = [",".join([name, *map(str, values)]) for (name, *_), values in zip(rows, scaled, strict=True)]
        path = tmp_path / "features.csv"
        path.write_text("\n".join(["file,f0,f1,f2,f3,f4", *lines]) + "\n")
        return audit_tables(train, test, store, features=path).leaks

    assert features(4) == []
    ((_, leak),) = features(6)
    assert (leak.kind, leak.ids) == ("normalisation", ("table/4", "table/5"))


def test_one_table_with_folds(tmp_path, store):
    table = write_table(tmp_path / "t.csv", [("a.wav", "1", "x"), ("b.wav", "2", "x"), ("c.wav", "2", "y")])
    lines = table.read_text().splitlines()
    table.write_text("\n".join(f"{line},{end}" for line, end in zip(lines, ("fold", 1, 1, 2), strict=True)) + "\n")
    found = audit_table(table, store)
    assert found.splits == ["fold 1", "fold 2"]
    assert [(name, finding.kind, finding.shared) for name, finding in found.leaks] == [
        ("fold 1", "speaker", ("table/2",)),
        ("fold 2", "speaker", ("table/2",)),
    ]


def test_windows_and_copies_are_their_utterances(tmp_path, store):
    table = write_table(tmp_path / "all.csv", [("a.wav", "1", "x"), ("b.wav", "2", "y")])
    pieces = {"train": ["a[0-4]", "b+noise"], "validation": [], "test": ["a[4-6]", "b"]}
    run = write_run(tmp_path / "run", table, [pieces])
    description = json.loads((run / "run.json").read_text())
    description["protocol"]["unit"] = "item"
    (run / "run.json").write_text(json.dumps(description))
    leak = audit_run(run, store).leaks[0][1]
    assert (leak.kind, leak.ids) == ("utterance", ("table/a", "table/b"))


def test_what_a_stage_was_normalised_by_is_read_from_the_run(tmp_path, store):
    table = write_table(tmp_path / "all.csv", [("a.wav", "1", "x"), ("b.wav", "2", "y")])
    run = write_run(tmp_path / "run", table, [{"train": ["a"], "validation": [], "test": ["b"]}])
    (run / "folds").mkdir()
    (run / "folds" / "fold-1.json").write_text(json.dumps({"stage": "main-0", "stages": {"main": "main-0"}}))
    (run / "stages" / "main-0").mkdir(parents=True)

    def leaks(normalised_on):
        stage = {"name": "main", "items": ["table/a"], "selected_on": [], "normalised_on": {"speech": normalised_on}}
        (run / "stages" / "main-0" / "stage.json").write_text(json.dumps(stage))
        return [finding.message for _, finding in audit_run(run, store).leaks]

    assert leaks(["table/a"]) == []
    assert leaks(["table/a", "table/b"]) == ["view 'speech' of stage 'main' is normalized by 1 of 1 test utterances"]


def test_missing_corpora_and_utterances_are_named(tmp_path, store):
    table = write_table(tmp_path / "all.csv", [("a.wav", "1", "x"), ("b.wav", "2", "y")])
    run = write_run(tmp_path / "run", table, [{"train": ["a"], "validation": [], "test": ["gone"]}])
    with pytest.raises(UserError, match="first: 'table/gone'"):
        audit_run(run, store)
    table.rename(tmp_path / "moved.csv")
    with pytest.raises(UserError, match=r"corpus 'table' is no longer in .*all\.csv; put it back"):
        audit_run(run, store)
