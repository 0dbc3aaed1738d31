import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import iemocap

IMPROVISED = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 3.0000]
C-E2:\tNeutral;\t()
A-M1:\tval 2; act 3;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[1.5000, 4.0000, 4.5000]
"""
SCRIPTED = """[1.0000 - 2.0000]\tSes05M_script01_1b_F012\texc\t[4.5000, 4.0000, 3.5000]
[2.0000 - 3.0000]\tSes05M_script01_1b_M013\tfru\t[2.0000, 3.5000, 3.0000]
"""


@pytest.fixture
def root(tree):
    folder = tree(
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M099.wav",
        "Session1/dialog/wav/Ses01F_impro01.wav",
        "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_F012.wav",
    )
    for session, name, text in [
        (1, "Ses01F_impro01.txt", IMPROVISED),
        (5, "Ses05M_script01_1b.txt", SCRIPTED),
        (5, "._Ses05M_script01_1b.txt", "\x00"),
        (1, "Categorical/Ses01F_impro01_e1_cat.txt", "[1 - 2]\tSes01F_impro01_F000\tang\t[1, 1, 1]"),
    ]:
        path = folder / f"Session{session}/dialog/EmoEvaluation" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_labels_and_ratings_come_from_the_evaluation(root):
    neutral, undecided, excited = iemocap.read(root).utterances
    assert neutral.id == "iemocap/Ses01F_impro01_F000"
    assert neutral.targets == {"emotion": "neutral", "valence": 2.5, "arousal": 2.5, "dominance": 3.0}
    assert undecided.targets == {"emotion": "xxx", "valence": 1.5, "arousal": 4.0, "dominance": 4.5}
    assert excited.targets["emotion"] == "excitement"


def test_speaker_is_the_letter_of_the_turn_not_of_the_session(root):
    woman, man, other = iemocap.read(root).utterances
    assert (woman.speaker, woman.sex) == ("iemocap/Ses01F", "female")
    assert (man.speaker, man.sex) == ("iemocap/Ses01M", "male")
    assert (other.speaker, other.sex) == ("iemocap/Ses05F", "female")


def test_session_style_and_dialogue_are_attributes(root):
    improvised, _, scripted = iemocap.read(root).utterances
    assert improvised.attributes == {"session": 1, "style": "improvised", "dialog": "impro01"}
    assert scripted.attributes == {"session": 5, "style": "scripted", "dialog": "script01_1b"}


def test_turns_without_sound_and_sound_without_evaluation_are_skipped(root):
    wav = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M099.wav"
    assert iemocap.read(root).skipped == {
        wav: "has no evaluation in dialog/EmoEvaluation",
        "Ses05M_script01_1b_M013": "has an evaluation but no recording",
    }


def test_one_session_can_be_read_alone(root):
    corpus = iemocap.read(root / "Session5")
    assert [utterance.id for utterance in corpus.utterances] == ["iemocap/Ses05M_script01_1b_F012"]


def test_missing_recordings_are_counted(root):
    report = verify(iemocap.read(root))
    assert report.classes["neutral"] == Count(1, 1708)
    assert report.classes["xxx"] == Count(1, 2507)
    assert report.speakers == Count(3, 10)
