import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import tess


@pytest.mark.parametrize(
    ("name", "emotion"),
    [
        ("OAF_angry/OAF_back_angry", "anger"),
        ("OAF_disgust/OAF_back_disgust", "disgust"),
        ("OAF_Fear/OAF_back_fear", "fear"),
        ("OAF_happy/OAF_back_happy", "happiness"),
        ("OAF_neutral/OAF_back_neutral", "neutral"),
        ("OAF_Pleasant_surprise/OAF_back_ps", "surprise"),
        ("OAF_Sad/OAF_back_sad", "sadness"),
        ("YAF_pleasant_surprised/YAF_back_pleasant_surprised", "surprise"),
        ("OAF_back_pleasant_surprise", "surprise"),
    ],
)
def test_emotion_is_the_last_part_of_the_name(name, emotion, tree):
    (utterance,) = tess.read(tree(f"{name}.wav")).utterances
    assert utterance.targets == {"emotion": emotion}
    assert utterance.sentence == "tess/back"


def test_name_tells_speaker_and_word_even_misspelt(tree):
    older, misspelt, younger = tess.read(
        tree("OA_bite_neutral.wav", "OAF_bite_neutral.wav", "YAF_bite_sad.wav")
    ).utterances
    assert misspelt.id == "tess/OA_bite_neutral"
    assert misspelt.speaker == older.speaker == "tess/OAF"
    assert misspelt.sentence == older.sentence == younger.sentence == "tess/bite"
    assert (older.sex, older.attributes) == ("female", {"age": 64})
    assert (younger.speaker, younger.attributes) == ("tess/YAF", {"age": 26})


def test_odd_names_and_second_copies_are_skipped(tree):
    corpus = tess.read(tree("a/OAF_back_sad.wav", "a/a/OAF_back_sad.wav", "OAF_back_bored.wav", "XAF_back_sad.wav"))
    assert len(corpus) == 1
    assert corpus.skipped == {
        "OAF_back_bored.wav": "name does not have the form OAF_word_emotion",
        "XAF_back_sad.wav": "name does not have the form OAF_word_emotion",
        "a/a/OAF_back_sad.wav": "second file of tess/OAF_back_sad; kept a/OAF_back_sad.wav",
    }


def test_missing_recordings_are_counted(tree):
    report = verify(tess.read(tree("OAF_back_sad.wav")))
    assert report.classes["sadness"] == Count(1, 400)
    assert report.speakers == Count(1, 2)
