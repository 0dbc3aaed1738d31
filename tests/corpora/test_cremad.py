import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import cremad
from serkit.errors import UserError

CODES = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
DEMOGRAPHICS = """ActorID,Age,Sex,Race,Ethnicity
1001,51,Male,Caucasian,Not Hispanic
1002,21,Female,Caucasian,Not Hispanic
"""


@pytest.mark.parametrize(("code", "emotion"), CODES.items())
def test_emotion_is_the_third_part_of_the_name(code, emotion, tree):
    (utterance,) = cremad.read(tree(f"AudioWAV/1001_DFA_{code}_XX.wav")).utterances
    assert utterance.targets == {"emotion": emotion}


@pytest.mark.parametrize(
    ("code", "level"),
    [("LO", "low"), ("MD", "medium"), ("HI", "high"), ("XX", "unspecified"), ("X", "unspecified")],
)
def test_level_is_an_attribute(code, level, tree):
    (utterance,) = cremad.read(tree(f"1040_ITH_SAD_{code}.wav")).utterances
    assert utterance.attributes == {"level": level}
    assert (utterance.speaker, utterance.sentence) == ("cremad/1040", "cremad/ITH")
    assert utterance.sex is None


@pytest.mark.parametrize("given", [".", "AudioWAV"])
def test_sex_and_age_come_from_the_list_of_actors(given, tree):
    root = tree("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_ANG_XX.wav", "AudioWAV/1003_DFA_ANG_XX.wav")
    (root / "VideoDemographics.csv").write_text(DEMOGRAPHICS)
    man, woman, unlisted = cremad.read(root / given).utterances
    assert (man.sex, man.attributes["age"]) == ("male", 51)
    assert (woman.sex, woman.attributes["age"]) == ("female", 21)
    assert unlisted.sex is None and "age" not in unlisted.attributes


def test_a_damaged_list_of_actors_is_named(tree):
    root = tree("1001_DFA_ANG_XX.wav")
    (root / "VideoDemographics.csv").write_text("ActorID,Age\n1001,51\n")
    with pytest.raises(UserError, match=r"VideoDemographics\.csv: not the list of actors.*Sex"):
        cremad.read(root)


def test_odd_names_are_skipped_and_missing_recordings_counted(tree):
    corpus = cremad.read(tree("1001_DFA_ANG_XX.wav", "1001_DFA_SUR_XX.wav", "1001_DFA_ANG.wav"))
    assert set(corpus.skipped) == {"1001_DFA_SUR_XX.wav", "1001_DFA_ANG.wav"}
    report = verify(corpus)
    assert report.classes["anger"] == Count(1, 1271)
    assert report.classes["neutral"] == Count(0, 1087)
    assert report.speakers == Count(1, 91)
