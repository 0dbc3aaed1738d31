import pytest

from serkit.corpora import aesdd
from serkit.corpora.verify import Count, verify

LETTERS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}


@pytest.mark.parametrize(("letter", "emotion"), LETTERS.items())
def test_emotion_is_the_first_letter(letter, emotion, tree):
    (utterance,) = aesdd.read(tree(f"{emotion}/{letter}03 (4).wav")).utterances
    assert utterance.targets == {"emotion": emotion}
    assert (utterance.speaker, utterance.sentence, utterance.language) == ("aesdd/4", "aesdd/03", "el")


def test_second_takes_belong_to_the_same_speaker(tree):
    names = ["a05 (01).wav", "a05 (1).wav", "a05 (1)b.wav"]
    utterances = aesdd.read(tree(*names)).utterances
    assert [utterance.id for utterance in utterances] == ["aesdd/a05 (01)", "aesdd/a05 (1)", "aesdd/a05 (1)b"]
    assert {utterance.speaker for utterance in utterances} == {"aesdd/1"}
    assert {utterance.sentence for utterance in utterances} == {"aesdd/05"}


def test_odd_names_are_skipped(tree):
    corpus = aesdd.read(tree("anger/a03 (4).wav", "anger/x03 (4).wav", "anger/a03.wav"))
    assert len(corpus) == 1
    assert corpus.skipped == {
        "anger/a03.wav": "name is not of the form `a03 (4)`",
        "anger/x03 (4).wav": "name is not of the form `a03 (4)`",
    }


def test_missing_recordings_are_counted_and_the_broken_one_reported(tree):
    root = tree("sadness/s01 (1).wav")
    (root / "sadness/s05 (3).wav").write_bytes(b"RIFF")
    report = verify(aesdd.read(root))
    assert report.classes["sadness"] == Count(2, 122)
    assert report.speakers == Count(2, 6)
    assert list(report.unreadable) == ["aesdd/s05 (3)"]
