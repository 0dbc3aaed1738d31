import unicodedata

import pytest

from serkit.corpora import CorpusWarning, folder, load
from serkit.errors import UserError


def test_class_is_the_first_folder_at_any_depth(tree):
    root = tree("angry/x.wav", "Happy/anna/x.flac", "odd mood/y.wav")
    utterances = folder.read(root).utterances
    assert [(utterance.id, utterance.targets["emotion"]) for utterance in utterances] == [
        ("folder/Happy/anna/x", "happiness"),
        ("folder/angry/x", "anger"),
        ("folder/odd mood/y", "odd mood"),
    ]
    assert all(utterance.speaker is None for utterance in utterances)


def test_folders_of_parts_are_no_classes(tree, caplog):
    root = tree("train/angry/1.wav", "train/sad/a/2.wav", "Dev/angry/3.wav", "test/angry/4.wav", "test/sad/5.wav")
    with caplog.at_level("INFO", "serkit.corpora"):
        corpus = load("folder", root)
    assert [(u.id, u.targets["emotion"], u.attributes["part"]) for u in corpus.utterances] == [
        ("folder/Dev/angry/3", "anger", "validation"),
        ("folder/test/angry/4", "anger", "test"),
        ("folder/test/sad/5", "sadness", "test"),
        ("folder/train/angry/1", "anger", "train"),
        ("folder/train/sad/a/2", "sadness", "train"),
    ]
    assert caplog.messages == [
        f"{root.name}: 'Dev', 'test', 'train' are parts, not classes; --protocol given tests on them",
        f"{root.name}: labels mapped: 'angry' to anger; 'sad' to sadness",
    ]


def test_parts_may_be_inside_the_classes(tree):
    corpus = folder.read(tree("angry/train/1.wav", "angry/test/2.wav", "sad/train/3.wav", "sad/4.wav"))
    assert {u.id: (u.targets["emotion"], u.attributes.get("part")) for u in corpus.utterances} == {
        "folder/angry/train/1": ("anger", "train"),
        "folder/angry/test/2": ("anger", "test"),
        "folder/sad/train/3": ("sadness", "train"),
        "folder/sad/4": ("sadness", None),
    }


def test_a_recording_of_a_part_without_a_class_is_skipped(tree):
    corpus = folder.read(tree("train/angry/1.wav", "test/angry/2.wav", "test/3.wav"))
    assert len(corpus) == 2
    assert corpus.skipped == {"test/3.wav": "is directly in the folder, so its class is unknown"}


def test_parts_next_to_classes_are_refused(tree):
    with pytest.raises(
        UserError, match=r"'test' are parts of a split, but 'angry', 'sad' next to them look like classes;"
    ):
        folder.read(tree("angry/1.wav", "sad/2.wav", "test/3.wav"))


def test_parts_without_classes_are_refused(tree):
    with pytest.raises(UserError, match="test, train are parts of a split, but have no folder per class in them"):
        folder.read(tree("train/1.wav", "test/2.wav"))


def test_labels_that_are_no_emotions_are_listed(tree):
    assert folder.read(tree("angry/1.wav", "Actor_01/2.wav", "Actor_01/3.wav")).cautions == (
        "1 label not known as emotions and kept as they are: 'Actor_01' (2)",
    )


def test_recordings_beside_the_classes_are_skipped(tree):
    corpus = folder.read(tree("angry/x.wav", "angry/x.flac", "y.wav"))
    assert len(corpus) == 1
    assert corpus.skipped == {
        "angry/x.wav": "second file of folder/angry/x; kept angry/x.flac",
        "y.wav": "is directly in the folder, so its class is unknown",
    }


def test_a_flat_folder_is_refused_with_the_layout_that_would_work(tree):
    with pytest.raises(UserError, match=r"has 2 recordings directly in it but no folder per class.*angry/x\.wav"):
        folder.read(tree("x.wav", "y.wav"))


def test_a_file_is_refused(tree):
    with pytest.raises(UserError, match="is a file"):
        load("folder", tree("x.wav") / "x.wav")


def test_what_should_be_a_class_and_has_no_recording_is_named(tree):
    root = tree("angry/x.wav", "sad/y.wav")
    for name in ("happy/1.xyz", "docs/notes.txt", "docs/more.txt", ".git/config"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "calm").mkdir()
    (root / "mad").symlink_to("angry")
    with pytest.warns(CorpusWarning) as warned:
        corpus = load("folder", root)
    assert {utterance.targets["emotion"] for utterance in corpus.utterances} == {"anger", "sadness"}
    assert [str(warning.message) for warning in warned] == [
        f"{root}: 1 recording skipped, in unsupported formats (.xyz 1); no recording remains of emotion 'happiness'",
        f"{root}: 3 of 6 folders, each of which would be a class, contain no recording: "
        "'calm' (empty), 'docs' (.txt 2), "
        "'mad' (a link to a folder found under another name)",
    ]


def test_without_any_recording_the_error_says_what_is_there(tree):
    root = tree() / "data"
    (root / "angry").mkdir(parents=True)
    (root / "angry" / "1.xyz").write_bytes(b"")
    with pytest.raises(UserError, match=r"contains no recording of corpus 'folder'; skipped 1 file in other formats"):
        load("folder", root)


def test_a_link_into_another_class_is_named(tree):
    root = tree("angry/x.wav", "sad/y.wav")
    (root / "sad" / "z.wav").symlink_to("../angry/x.wav")
    (root / "angry" / "z.wav").symlink_to("x.wav")
    corpus = folder.read(root)
    assert len(corpus) == 2
    assert corpus.cautions == ("1 link to recordings of other classes skipped: sad/z.wav (anger)",)


def test_names_of_classes_are_cleaned(tree):
    nfc, nfd = (unicodedata.normalize(form, "müde") for form in ("NFC", "NFD"))
    root = tree(f"{nfc}/1.wav", f"{nfd}\u200b/2.wav", "Angry\u00a0/3.wav", "drop/4.wav", "none/5.wav")
    assert {utterance.targets["emotion"] for utterance in folder.read(root).utterances} == {
        nfc,
        "anger",
        "drop",
        "none",
    }
