import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import ravdess

CODES = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


@pytest.mark.parametrize(("code", "emotion"), CODES.items())
def test_emotion_is_the_third_field(code, emotion, tree):
    (utterance,) = ravdess.read(tree(f"Actor_12/03-01-{code}-01-02-01-12.wav")).utterances
    assert utterance.targets == {"emotion": emotion}


def test_name_tells_speaker_statement_intensity_and_repetition(tree):
    male, female = ravdess.read(tree("03-01-06-02-02-01-12.wav", "Actor_07/03-01-06-01-01-02-07.wav")).utterances
    assert (male.id, male.speaker, male.sentence) == (
        "ravdess/03-01-06-01-01-02-07",
        "ravdess/07",
        "ravdess/01",
    )
    assert (male.sex, male.attributes) == ("male", {"intensity": "normal", "repetition": 2})
    assert (female.speaker, female.sentence, female.sex) == ("ravdess/12", "ravdess/02", "female")
    assert female.attributes == {"intensity": "strong", "repetition": 1}


def test_video_song_and_odd_names_are_skipped(tree):
    corpus = ravdess.read(
        tree(
            "03-01-01-01-01-01-01.wav",
            "copy/03-01-01-01-01-01-01.wav",
            "01-01-01-01-01-01-01.wav",
            "03-02-01-01-01-01-01.wav",
            "03-01-09-01-01-01-01.wav",
            "03-01-01-01-01-01-25.wav",
        )
    )
    assert len(corpus) == 1
    assert corpus.skipped == {
        "01-01-01-01-01-01-01.wav": "modality 01 (video), not 03 (audio only)",
        "03-02-01-01-01-01-01.wav": "vocal channel 02 (song), not 01 (speech)",
        "03-01-09-01-01-01-01.wav": "name does not have the form 03-01-06-01-02-01-12",
        "03-01-01-01-01-01-25.wav": "name does not have the form 03-01-06-01-02-01-12",
        "copy/03-01-01-01-01-01-01.wav": "second file of ravdess/03-01-01-01-01-01-01; kept 03-01-01-01-01-01-01.wav",
    }


def test_missing_recordings_are_counted(tree):
    report = verify(ravdess.read(tree("03-01-01-01-01-01-01.wav")))
    assert report.classes["neutral"] == Count(1, 96)
    assert report.classes["calm"] == Count(0, 192)
    assert report.speakers == Count(1, 24)
