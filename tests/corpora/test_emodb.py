import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import emodb
from serkit.corpora.corpus import Channel

# Letters as on the corpus's page.
LETTERS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}


@pytest.mark.parametrize(("letter", "emotion"), LETTERS.items())
def test_emotion_is_the_sixth_letter(letter, emotion, tree):
    (utterance,) = emodb.read(tree(f"wav/16b10{letter}b.wav")).utterances
    assert utterance.targets == {"emotion": emotion}


def test_name_tells_speaker_text_and_take(tree):
    first, second = emodb.read(tree("wav/08a07Na.WAV", "wav/03b10Fd.flac")).utterances
    assert (first.id, first.speaker, first.sentence) == ("emodb/03b10Fd", "emodb/03", "emodb/b10")
    assert (first.sex, first.language, first.attributes) == ("male", "de", {"take": "d", "age": 31})
    assert (second.id, second.sex, second.attributes["age"]) == ("emodb/08a07Na", "female", 34)
    assert not first.channels and first.index is None


def test_odd_names_and_copies_are_skipped(tree):
    corpus = emodb.read(tree("03a01Fa.wav", "03a01Fa.flac", "03a01Xa.wav", "99a01Fa.wav", "03a01F.wav"))
    assert [utterance.path.name for utterance in corpus.utterances] == ["03a01Fa.flac"]
    assert corpus.skipped == {
        "03a01F.wav": "name does not have the form 03a01Fa",
        "03a01Fa.wav": "second file of emodb/03a01Fa; kept 03a01Fa.flac",
        "03a01Xa.wav": "name does not have the form 03a01Fa",
        "99a01Fa.wav": "EMO-DB has no speaker 99",
    }


def test_egg_is_taken_from_the_folder_beside(tree):
    root = tree("wav/03a01Fa.wav", "wav/03a01Wa.wav", "EGG/03a01Fa.wav")
    with_egg, without = emodb.read(root).utterances
    assert with_egg.path == root / "wav/03a01Fa.wav"
    assert with_egg.channels == {"egg": Channel(root / "EGG/03a01Fa.wav")}
    assert not without.channels
    assert verify(emodb.read(root)).channels == {"emodb/03a01Wa egg": "missing"}


def test_egg_is_taken_from_the_second_channel(tree):
    root = tree("03a01Fa.wav", channels=2)
    (utterance,) = emodb.read(root).utterances
    assert utterance.channels == {"egg": Channel(root / "03a01Fa.wav", index=1)}
    assert utterance.index == 0


def test_a_broken_file_is_kept_for_verify_to_report(tree):
    root = tree("03a01Fa.wav")
    (root / "03a01Wa.wav").write_bytes(b"")
    report = verify(emodb.read(root))
    assert report.unreadable == {"emodb/03a01Wa": "empty file (0 bytes)"}


def test_missing_recordings_are_counted(tree):
    report = verify(emodb.read(tree("03a01Fa.wav", "08a01Fa.wav")))
    assert report.classes["happiness"] == Count(2, 71)
    assert report.classes["boredom"].missing == 81
    assert report.speakers == Count(2, 10)
    assert report.loses_data
