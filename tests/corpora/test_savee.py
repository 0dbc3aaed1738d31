import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import savee

CODES = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}


@pytest.mark.parametrize(("code", "emotion"), CODES.items())
def test_emotion_is_the_letter_or_two_before_the_number(code, emotion, tree):
    (utterance,) = savee.read(tree(f"JE_{code}09.wav")).utterances
    assert utterance.targets == {"emotion": emotion}


@pytest.mark.parametrize("name", ["KL_su07.wav", "KL/su07.wav", "AudioData/kl/su07.flac"])
def test_speaker_is_in_the_name_or_is_the_folder(name, tree):
    (utterance,) = savee.read(tree(name)).utterances
    assert (utterance.id, utterance.speaker, utterance.sex) == ("savee/KL_su07", "savee/KL", "male")
    assert (utterance.sentence, utterance.language) == ("savee/su07", "en")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("DC_a01", "common01"),
        ("DC_su03", "common03"),
        ("DC_n02", "common02"),
        ("DC_n17", "common02"),
        ("DC_a04", "a04"),
        ("DC_n19", "a04"),
        ("DC_n22", "d05"),
        ("DC_n25", "su04"),
        ("DC_n28", "sa05"),
        ("DC_n30", "h05"),
        ("DC_n15", "n15"),
        ("DC_h15", "h15"),
    ],
)
def test_sentences_said_in_several_emotions_share_a_name(name, sentence, tree):
    (utterance,) = savee.read(tree(f"{name}.wav")).utterances
    assert utterance.sentence == f"savee/{sentence}"


def test_odd_names_and_unknown_speakers_are_skipped(tree):
    corpus = savee.read(tree("DC_a01.wav", "DC/a01.wav", "DC_x01.wav", "XY/a01.wav", "DC_a1.wav"))
    assert len(corpus) == 1
    assert corpus.skipped == {
        "DC_x01.wav": "name does not have the form DC_a01",
        "DC_a1.wav": "name does not have the form DC_a01",
        "XY/a01.wav": "neither the name nor the folder gives one of DC, JE, JK, KL",
        "DC_a01.wav": "second file of savee/DC_a01; kept DC/a01.wav",
    }


def test_missing_recordings_are_counted(tree):
    report = verify(savee.read(tree("DC_n01.wav", "JK_n01.wav")))
    assert report.classes["neutral"] == Count(2, 120)
    assert report.classes["anger"] == Count(0, 60)
    assert report.speakers == Count(2, 4)
