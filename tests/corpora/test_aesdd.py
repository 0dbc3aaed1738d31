import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import aesdd
from serkit.corpora.aesdd import FACTS

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
        "anger/a03.wav": "name does not have the form `a03 (4)`",
        "anger/x03 (4).wav": "name does not have the form `a03 (4)`",
    }


def test_missing_recordings_are_counted_and_the_broken_one_reported(tree):
    root = tree("sadness/s01 (1).wav")
    (root / "sadness/s05 (3).wav").write_bytes(b"RIFF")
    report = verify(aesdd.read(root))
    assert report.classes["sadness"] == Count(2, 122)
    assert report.speakers == Count(2, 6)
    assert list(report.unreadable) == ["aesdd/s05 (3)"]


def test_the_604_files_of_the_current_version(tree):
    """As many of each emotion as there are, by six speakers, five of them second takes with two figures."""
    names = []
    for letter, emotion in LETTERS.items():
        for number in range(FACTS.counts[emotion] - 1):
            names.append(f"{emotion}/{letter}{number // 6 + 1:02} ({number % 6 + 1}).wav")
        names.append(f"{emotion}/{letter}05 (01).wav")
    corpus = aesdd.read(tree(*names))
    assert len(corpus) == len(names) == 604 and not corpus.skipped
    report = verify(corpus)
    assert report.classes == {name: Count(count, count) for name, count in FACTS.counts.items()}
    assert report.speakers == Count(6, 6) and not report.unreadable
    assert sum(utterance.id.endswith("(01)") for utterance in corpus.utterances) == 5
    first = [utterance for utterance in corpus.utterances if utterance.speaker == "aesdd/1"]
    assert len(first) == 5 + sum((count - 2) // 6 + 1 for count in FACTS.counts.values())
