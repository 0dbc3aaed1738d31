"""The same recordings, listed in every format that serkit reads, are the same utterances."""

import csv
import gzip
import json
from dataclasses import replace

import pytest

from serkit.corpora import READERS, CorpusWarning, Reading, load
from serkit.errors import UserError

# Path, id, label, speaker, sex, start, end.
CONTENT = [
    ("a.wav", "a", "anger", "anna", "female", None, None),
    ("clips/b.wav", "clips/b", "sadness", "ben", "male", None, None),
    ("call.wav", "call@0.500", "happiness", "anna", "female", 0.5, 1.25),
    ("call.wav", "call@1.250", "neutral", "ben", "male", 1.25, 2.0),
]
MARK = "@PREFIX@"


@pytest.fixture
def folder(tree):
    root = tree("a.wav", "clips/b.wav")
    return tree("call.wav", seconds=2.5) and root


def as_table(folder):
    with (folder / "my.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "emotion", "speaker", "sex", "start", "end"])
        rows.writerows([path, *row] for path, _, *row in CONTENT)
    return folder / "my.csv"


def as_huggingface(folder):
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "label", "speaker_id", "gender", "start", "end"])
        rows.writerows([path, *row] for path, _, *row in CONTENT)
    return folder


def as_huggingface_lines(folder):
    names = ("file_name", "label", "speaker_id", "gender", "start", "end")
    lines = [json.dumps(dict(zip(names, [path, *row], strict=True))) for path, _, *row in CONTENT]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def as_kaldi(folder):
    recordings = {path: path.removesuffix(".wav").replace("/", "-") for path, *_ in CONTENT}
    (folder / "wav.scp").write_text("".join(f"{name} {path}\n" for path, name in recordings.items()))
    segments = ""
    for path, name, _, _, _, start, end in CONTENT:
        segments += f"{name} {recordings[path]} {start or 0} {-1 if end is None else end}\n"
    (folder / "segments").write_text(segments)
    (folder / "utt2spk").write_text("".join(f"{name} {speaker}\n" for _, name, _, speaker, *_ in CONTENT))
    (folder / "spk2gender").write_text("anna f\nben m\n")
    (folder / "utt2emo").write_text("".join(f"{name} {label}\n" for _, name, label, *_ in CONTENT))
    return folder


def as_emobox(folder):
    lines = []
    for path, name, label, speaker, sex, start, end in CONTENT:
        line = {
            "key": name,
            "dataset": MARK,
            "wav": path,
            "type": "raw",
            "sample_rate": 16000,
            "length": 1.0,
            "channel": 1,
        }
        line |= {"task": "category", "emo": label[0], "speaker": speaker, "gender": sex}
        lines.append(json.dumps(line | ({} if start is None else {"start_time": start, "end_time": end})))
    lists = folder / "data" / "mine"
    lists.mkdir(parents=True)
    (lists / "mine.jsonl").write_text("\n".join(lines))
    (lists / "label_map.json").write_text('{"a": "Angry", "s": "Sad", "h": "Happy", "n": "Neutral"}')
    return lists


def as_audformat(folder):
    audformat = pytest.importorskip("audformat")
    database = audformat.Database("mine")
    database.schemes["emotion"] = audformat.Scheme(labels=["anger", "sadness", "happiness", "neutral"])
    database.schemes["speaker"] = audformat.Scheme(labels={"anna": {"gender": "female"}, "ben": {"gender": "male"}})
    whole = [row for row in CONTENT if row[5] is None]
    cut = [row for row in CONTENT if row[5] is not None]
    database["whole"] = audformat.Table(audformat.filewise_index([row[0] for row in whole]))
    times = [[f"{row[index]}s" for row in cut] for index in (5, 6)]
    database["cut"] = audformat.Table(audformat.segmented_index([row[0] for row in cut], *times))
    for name, rows in (("whole", whole), ("cut", cut)):
        for column, index in (("emotion", 2), ("speaker", 3)):
            database[name][column] = audformat.Column(scheme_id=column)
            database[name][column].set([row[index] for row in rows])
    database.save(folder, storage_format="csv")
    return folder


def as_audformat_parquet(folder):
    audformat = pytest.importorskip("audformat")
    pytest.importorskip("pyarrow")
    as_audformat(folder)
    audformat.Database.load(folder).save(folder, storage_format="parquet")
    for path in folder.glob("db.*.csv"):
        path.unlink()
    return folder


def as_lhotse(folder, write=None):
    recordings, supervisions = [], []
    for path in dict.fromkeys(row[0] for row in CONTENT):
        seconds = 2.5 if path == "call.wav" else 0.1
        source = {"type": "file", "channels": [0], "source": path}
        rate = {"sampling_rate": 16000, "num_samples": round(16000 * seconds), "duration": seconds, "channel_ids": [0]}
        recordings.append({"id": path, "sources": [source], **rate})
    for path, name, label, speaker, sex, start, end in CONTENT:
        about = {"id": name, "recording_id": path, "channel": 0, "speaker": speaker, "gender": sex}
        times = {"start": start or 0, "duration": 0.1 if end is None else end - start}
        supervisions.append({**about, **times, "custom": {"emotion": label}})
    for kind, entries in (("recordings", recordings), ("supervisions", supervisions)):
        text = "\n".join(map(json.dumps, entries))
        (folder / f"{kind}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def as_lhotse_cuts(folder):
    lhotse = pytest.importorskip("lhotse")
    as_lhotse(folder)
    recordings = lhotse.load_manifest(folder / "recordings.jsonl.gz")
    supervisions = lhotse.load_manifest(folder / "supervisions.jsonl.gz")
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions).trim_to_supervisions()
    cuts.to_file(folder / "cuts.jsonl.gz")
    return folder / "cuts.jsonl.gz"


FORMATS = {
    "table": as_table,
    "huggingface": as_huggingface,
    "huggingface, JSON lines": as_huggingface_lines,
    "kaldi": as_kaldi,
    "emobox": as_emobox,
    "audformat": as_audformat,
    "audformat, Parquet": as_audformat_parquet,
    "lhotse": as_lhotse,
    "lhotse, cuts": as_lhotse_cuts,
}


def neutral(utterance):
    """Return an utterance without the prefix of its corpus."""
    name, speaker = (text.partition("/")[2] for text in (utterance.id, utterance.speaker))
    return replace(utterance, id=name, speaker=speaker)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_utterances(name, folder):
    corpus = load(name.partition(",")[0], FORMATS[name](folder))
    found = {neutral(utterance).id: neutral(utterance) for utterance in corpus.utterances}
    assert list(found) == [row[1] for row in sorted(CONTENT, key=lambda row: row[1])]
    for path, id, label, speaker, sex, start, end in CONTENT:
        utterance = found[id]
        assert (utterance.path.resolve(), utterance.targets) == ((folder / path).resolve(), {"emotion": label})
        assert (utterance.speaker, utterance.sex) == (speaker, sex)
        assert (utterance.start, utterance.end) == (start, end if end is None else pytest.approx(end, abs=1e-9))
        assert utterance.index is utterance.sentence is utterance.language is None
        assert not utterance.channels and not utterance.attributes
    prefix = MARK if name == "emobox" else name.partition(",")[0]
    assert {utterance.corpus for utterance in corpus.utterances} == {prefix}
    assert corpus.skipped == {} and corpus.cautions == ()


def test_kaldi_folders_mean_what_kaldiio_reads(folder):
    kaldiio = pytest.importorskip("kaldiio")
    as_kaldi(folder)
    scp = folder / "absolute.scp"
    lines = (folder / "wav.scp").read_text().splitlines()
    scp.write_text("".join(f"{line.split()[0]} {folder / line.split()[1]}\n" for line in lines))
    theirs = kaldiio.load_scp(str(scp), segments=str(folder / "segments"))
    from serkit.data.items import Item
    from serkit.windowing import Windowing

    for utterance in load("kaldi", folder).utterances:
        rate, samples = theirs[utterance.id.removeprefix("kaldi/")]
        ours = Item(utterance).signal(rate, Windowing())
        assert len(ours) == len(samples)
        assert ours == pytest.approx(samples / 32768, abs=1e-4)


def test_audformat_reads_the_same_labels(folder):
    audformat = pytest.importorskip("audformat")
    as_audformat(folder)
    database = audformat.Database.load(folder)
    theirs = {}
    for name in database.tables:
        frame = database[name].get(as_segmented=True, allow_nat=True)
        for (file, start, end), label in frame["emotion"].items():
            whole = end != end
            key = (file, None if whole else start.total_seconds(), None if whole else end.total_seconds())
            theirs[key] = label
    ours = {
        (u.path.relative_to(folder).as_posix(), u.start, u.end): u.targets["emotion"]
        for u in load("audformat", folder).utterances
    }
    assert ours == theirs


def test_lhotse_reads_the_same_manifests(folder):
    lhotse = pytest.importorskip("lhotse")
    as_lhotse(folder)
    supervisions = lhotse.load_manifest(folder / "supervisions.jsonl.gz")
    theirs = {s.id: (s.recording_id, s.custom["emotion"], s.speaker, s.gender) for s in supervisions}
    ours = {
        u.id.removeprefix("lhotse/"): (
            u.path.relative_to(folder).as_posix(),
            u.targets["emotion"],
            u.speaker.removeprefix("lhotse/"),
            u.sex,
        )
        for u in load("lhotse", folder).utterances
    }
    assert ours == theirs


# Kaldi.


@pytest.mark.parametrize(
    "line", ["a sph2pipe -f wav a.sph |", "a cat {0}/touched.txt > {0}/made |", "a |touch {0}/made"]
)
def test_commands_of_kaldi_are_never_run(folder, line):
    as_kaldi(folder)
    (folder / "segments").unlink()
    (folder / "wav.scp").write_text(line.format(folder) + "\nclips/b clips/b.wav\n")
    with pytest.raises(
        UserError, match="utterance a: its file is a command, which serkit never runs; write its output"
    ):
        load("kaldi", folder)
    with pytest.warns(CorpusWarning, match="1 bad row left out: utterance a: its file is a command"):
        corpus = load("kaldi", folder, Reading(skip_bad_rows=True))
    assert [utterance.id for utterance in corpus.utterances] == ["kaldi/clips/b"]
    assert list(corpus.skipped) == ["utterance a"]
    assert not (folder / "made").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("wav.scp", None, "has no wav.scp"),
        ("wav.scp", "a feats.ark:1234\n", "its file is in an archive"),
        ("wav.scp", "a a.wav\na clips/b.wav\n", "line 2: 'a' is listed twice"),
        ("wav.scp", "a\n", "line 1: 'a' has no value"),
        ("segments", "a a 0.5\n", "'a' must have a recording, a start and an end, got 'a 0.5'"),
        ("segments", "a nobody 0 1\n", "utterance a: its recording is not in wav.scp: nobody"),
        ("segments", "a a 1 0.5\n", "utterance a: the end is not after the start: 0.5"),
        ("segments", "a a zero 0.5\n", "utterance a: start must be a time in s"),
        ("utt2emo", None, "has none of utt2emo, utt2emotion"),
        ("utt2emo", "a anger\n", "has no label in utt2emo"),
        ("label", "a anger\n", "has utt2emo and label; choose one with --columns emotion=utt2emo"),
    ],
)
def test_mistakes_in_kaldi_folders(folder, file, text, message):
    as_kaldi(folder)
    (folder / file).unlink(missing_ok=True)
    if text is not None:
        (folder / file).write_text(text)
    with pytest.raises(UserError) as error:
        load("kaldi", folder)
    assert message in str(error.value) and str(folder) in str(error.value) and "\n" not in str(error.value)


def test_the_labels_of_kaldi_may_be_in_any_file(folder):
    as_kaldi(folder)
    (folder / "utt2emo").rename(folder / "utt2mood")
    corpus = load("kaldi", folder, Reading({"emotion": "utt2mood"}))
    assert len(corpus) == len(CONTENT)
    with pytest.raises(UserError, match="has no file 'nothing', with a label per utterance"):
        load("kaldi", folder, Reading({"emotion": "nothing"}))


# Hugging Face.


def test_folders_of_parts_and_classes(tree):
    root = tree("train/angry/1.wav", "train/sad/1.wav", "test/angry/2.wav", "dev/sad/3.wav")
    corpus = load("huggingface", root)
    assert {(u.id, u.targets["emotion"], u.attributes["part"]) for u in corpus.utterances} == {
        ("huggingface/train/angry/1", "anger", "train"),
        ("huggingface/train/sad/1", "sadness", "train"),
        ("huggingface/test/angry/2", "anger", "test"),
        ("huggingface/dev/sad/3", "sadness", "validation"),
    }


@pytest.mark.parametrize("inside", [True, False])
def test_metadata_of_parts(tree, inside):
    root = tree("train/1.wav", "train/2.wav", "test/1.wav")
    rows = [("train", "1.wav", "Wut"), ("train", "2.wav", "Freude"), ("test", "1.wav", "Wut")]
    for part in ("train", "test"):
        text = "file_name,label\n" + "".join(f"{name},{label}\n" for where, name, label in rows if where == part)
        if inside:
            (root / part / "metadata.csv").write_text(text)
    if not inside:
        text = "".join(f"{where}/{name},{label}\n" for where, name, label in rows)
        (root / "metadata.csv").write_text("file_name,label\n" + text)
    corpus = load("huggingface", root)
    assert [(u.id, u.targets["emotion"], u.attributes["part"]) for u in corpus.utterances] == [
        ("huggingface/test/1", "anger", "test"),
        ("huggingface/train/1", "anger", "train"),
        ("huggingface/train/2", "happiness", "train"),
    ]


def test_bad_rows_of_metadata_are_named_with_their_file(tree):
    root = tree("train/1.wav", "test/1.wav")
    for part in ("train", "test"):
        (root / part / "metadata.csv").write_text("file_name,label\n1.wav,sad\n2.wav,\n")
    with pytest.raises(UserError, match=r"test/metadata\.csv row 3, train/metadata\.csv row 3: emotion is empty"):
        load("huggingface", root)


def test_recordings_in_no_class_are_bad(tree):
    root = tree("train/1.wav", "2.wav", "train/angry/3.wav")
    with pytest.raises(UserError, match=r"2\.wav, train/1\.wav: is in no folder of a class, and there is no metadata"):
        load("huggingface", root)


# EmoBox.


def test_the_lists_of_one_fold_give_the_parts(folder):
    lists = as_emobox(folder)
    lines = (lists / "mine.jsonl").read_text().split("\n")
    for fold in ("1", "2"):
        (lists / f"fold_{fold}").mkdir()
        for part, chosen in (("train", lines[:2]), ("valid", lines[2:3]), ("test", lines[3:])):
            (lists / f"fold_{fold}" / f"mine_{part}_fold_{fold}.jsonl").write_text("\n".join(chosen))
    corpus = load("emobox", lists / "fold_1")
    parts = {u.id.partition("/")[2]: u.attributes["part"] for u in corpus.utterances}
    assert parts == {"a": "train", "clips/b": "train", "call@0.500": "validation", "call@1.250": "test"}
    with pytest.warns(CorpusWarning, match="has 2 folds, whose parts are not used; for those of one, give .*fold_1"):
        corpus = load("emobox", lists)
    assert len(corpus) == len(CONTENT) and not any(u.attributes for u in corpus.utterances)
    assert {u.targets["emotion"] for u in corpus.utterances} == {row[2] for row in CONTENT}


def test_a_folder_without_lists_is_refused(folder):
    with pytest.raises(UserError, match="has no list of EmoBox"):
        load("emobox", folder)


# audformat.


def test_splits_and_speakers_of_audformat(folder):
    audformat = pytest.importorskip("audformat")
    import pandas

    database = audformat.Database("mine")
    database.splits["dev"] = audformat.Split("dev")
    database.splits["final"] = audformat.Split("test")
    database.misc_tables["people"] = audformat.MiscTable(pandas.Index(["anna", "ben"], name="who", dtype="string"))
    database["people"]["gender"] = audformat.Column()
    database["people"]["gender"].set(["female", "male"])
    database.schemes["speaker"] = audformat.Scheme("str", labels="people")
    for name, file in (("dev", "a.wav"), ("final", "clips/b.wav")):
        database[f"emotion.{name}"] = audformat.Table(audformat.filewise_index([file]), split_id=name)
        database[f"emotion.{name}"]["mood"] = audformat.Column()
        database[f"emotion.{name}"]["mood"].set(["Wut"])
    database["files"] = audformat.Table(audformat.filewise_index(["a.wav", "clips/b.wav", "call.wav"]))
    database["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    database["files"]["speaker"].set(["anna", "ben", "ben"])
    database.save(folder, storage_format="csv")
    with pytest.raises(
        UserError, match=r"no table has a column of emotions; name it with .*Columns: mood, mood, speaker"
    ):
        load("audformat", folder)
    first, second = load("audformat", folder, Reading({"emotion": "mood"})).utterances
    assert (first.speaker, first.sex, first.attributes) == ("audformat/anna", "female", {"part": "validation"})
    assert (second.speaker, second.sex, second.attributes) == ("audformat/ben", "male", {"part": "test"})
    (alone,) = load("audformat", folder / "db.emotion.final.csv", Reading({"emotion": "mood"})).utterances
    assert alone == second


def test_two_tables_that_disagree_are_an_error(folder):
    audformat = pytest.importorskip("audformat")
    database = audformat.Database("mine")
    for name, label in (("gold", "anger"), ("raters", "fear"), ("same", "anger")):
        database[name] = audformat.Table(audformat.filewise_index(["a.wav"]))
        database[name]["emotion"] = audformat.Column()
        database[name]["emotion"].set([label])
    database.save(folder, storage_format="csv")
    with pytest.raises(
        UserError, match=r"db\.raters\.csv row 2: is 'fear', but db\.gold\.csv row 2 is 'anger'; choose"
    ):
        load("audformat", folder)
    (utterance,) = load("audformat", folder, Reading({"emotion": "raters.emotion"})).utterances
    assert utterance.targets == {"emotion": "fear"}


def test_pickles_are_not_opened(folder):
    as_audformat(folder)
    for path in folder.glob("db.*.csv"):
        path.rename(path.with_suffix(".pkl"))
    with pytest.raises(UserError, match="is stored as pickle; save the database with storage_format='csv'"):
        load("audformat", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no db.yaml"),
        ("tables: [", "is not YAML"),
        ("name: x", "lists no tables"),
        ("tables: {t: {type: filewise, columns: {emotion: {}}}}", "table 't' is missing"),
        ("tables: {t: !!python/object/apply:os.system [exit]}", "is not YAML"),
    ],
)
def test_broken_headers(folder, text, message):
    pytest.importorskip("yaml")
    if text is not None:
        (folder / "db.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load("audformat", folder)
    assert message in str(error.value) and "\n" not in str(error.value)


# lhotse.


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"type": "command", "source": "touch {0}/made"}, "its recording is a command, which serkit never runs"),
        ({"type": "url", "source": "https://example.org/a.wav"}, "its recording is of type url; write it to a file"),
    ],
)
def test_recordings_of_lhotse_that_are_no_files(folder, source, message):
    as_lhotse(folder)
    lines = gzip.decompress((folder / "recordings.jsonl.gz").read_bytes()).decode().split("\n")
    first = json.loads(lines[0])
    first["sources"] = [{"channels": [0], **source, "source": source["source"].format(folder)}]
    (folder / "recordings.jsonl.gz").write_bytes(gzip.compress("\n".join([json.dumps(first), *lines[1:]]).encode()))
    with pytest.raises(UserError, match=f"supervision a: {message}"):
        load("lhotse", folder)
    assert not (folder / "made").exists()


def test_channels_and_parts_of_lhotse(tree):
    root = tree("two.wav", channels=2)
    recording = {"id": "r", "sampling_rate": 16000, "num_samples": 1600, "duration": 0.1, "channel_ids": [0, 1]}
    recording["sources"] = [{"type": "file", "channels": [0, 1], "source": "two.wav"}]
    (root / "calls_recordings_all.jsonl").write_text(json.dumps(recording))
    for part, channel in (("train", 0), ("dev", 1), ("test", [0, 1])):
        entry = {"id": part, "recording_id": "r", "start": 0.0, "duration": 0.1, "channel": channel}
        text = json.dumps(entry | {"custom": {"mood": "sad"}})
        (root / f"calls_supervisions_{part}.jsonl").write_text(text)
    with pytest.raises(
        UserError, match="supervision dev, supervision test, supervision train: has no emotion in its cust"
    ):
        load("lhotse", root)
    found = {u.id: u for u in load("lhotse", root, Reading({"emotion": "mood"})).utterances}
    assert {id: (u.index, u.attributes["part"]) for id, u in found.items()} == {
        "lhotse/train": (0, "train"),
        "lhotse/dev": (1, "validation"),
        "lhotse/test": (None, "test"),
    }


def test_a_folder_without_manifests_is_refused(folder):
    with pytest.raises(UserError, match="has no manifests of lhotse"):
        load("lhotse", folder)


def test_all_formats_are_registered():
    assert {name.partition(",")[0] for name in FORMATS} <= READERS.keys()
