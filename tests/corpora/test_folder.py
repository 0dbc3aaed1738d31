import pytest

from serkit.corpora import folder, load
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


def test_recordings_beside_the_classes_are_skipped(tree):
    corpus = folder.read(tree("angry/x.wav", "angry/x.flac", "y.wav"))
    assert len(corpus) == 1
    assert corpus.skipped == {
        "angry/x.wav": "second file of folder/angry/x; kept angry/x.flac",
        "y.wav": "lies directly in the folder, so that its class is unknown",
    }


def test_a_flat_folder_is_refused_with_the_layout_that_would_work(tree):
    with pytest.raises(UserError, match=r"2 recordings directly in it and no folder per class.*angry/x\.wav"):
        folder.read(tree("x.wav", "y.wav"))


def test_a_file_is_refused(tree):
    with pytest.raises(UserError, match="is a file"):
        load("folder", tree("x.wav") / "x.wav")
