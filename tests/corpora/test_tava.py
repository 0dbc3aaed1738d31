import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import tava
from serkit.corpora.corpus import Channel
from serkit.errors import UserError

HEADER = (
    "Stimulus Number,Speaker Number,Affect Number,Affect Name,Sex,Variant,Number of Raters,"
    "meanValence,stdValence,meanArousal,stdArousal,meanDominance,stdDominance"
)
ROWS = [
    "1,1,1,happy,male,speech,153,0.3,0.3,0.2,0.3,-0.05,0.3",
    "17,1,1,happy,male,tEGG,153,-0.9,0.3,-0.9,0.3,-0.9,0.3",
    "2,1,2,contemptuous,male,speech,153,-0.4,0.3,-0.05,0.3,0.1,0.3",
    "3,12,3,mellow,female,speech,153,0.5,0.3,-0.6,0.3,0.1,0.3",
    "4,12,4,enraged,female,speech,153,-0.5,0.3,0.9,0.3,0.1,0.3",
]
ALIGNMENT = (
    "stem\taudio_s\tegg_s\taudio_start_in_egg_s\tnxcorr\taudio_start_in_tegg_s\tnxcorr\n"
    "s01_happy\t1.7\t2.7\t0.4475\t-0.677\t0.1\t0.9\n"
    "s01_contemptuous\t1.7\t2.7\t0.5160\t0.7034\t0.1\t0.9\n"
)
NAMES = ["s01_happy", "s01_contemptuous", "s12_mellow", "s12_enraged"]


@pytest.fixture
def root(tree):
    tree(*(f"recordings/{name}_audio.wav" for name in NAMES))
    folder = tree("egg/s01_happy_EGG.wav", "egg/s01_contemputeous_EGG.wav", seconds=0.7)
    # Excel's byte order mark, as in the original.
    (folder / "SummaryData.csv").write_text("\ufeff" + "\r\n".join([HEADER, *ROWS]) + "\r\n", encoding="utf-8")
    (folder / "alignment.tsv").write_text(ALIGNMENT)
    return folder


@pytest.fixture
def utterances(root):
    return {utterance.id: utterance for utterance in tava.read(root).utterances}


def test_affect_has_its_canonical_name(utterances):
    labels = {key: (u.targets["affect"], u.targets["emotion"]) for key, u in utterances.items()}
    assert labels == {
        "tava/s01_contemptuous_audio": ("contempt", "contempt"),
        "tava/s01_happy_audio": ("happiness", "happiness"),
        "tava/s12_enraged_audio": ("enraged", "enraged"),
        "tava/s12_mellow_audio": ("mellow", "mellow"),
    }


def test_ratings_are_those_of_the_speech(utterances):
    happy = utterances["tava/s01_happy_audio"]
    assert (happy.speaker, happy.sex, happy.language) == ("tava/s01", "male", "en")
    assert [happy.targets[name] for name in ("valence", "arousal", "dominance")] == [0.3, 0.2, -0.05]
    assert happy.attributes["axis_distance"] == 0.2


def test_quadrants_are_the_signs_of_valence_and_arousal(utterances):
    assert {key: utterance.targets["quadrant"] for key, utterance in utterances.items()} == {
        "tava/s01_contemptuous_audio": "negative_low",
        "tava/s01_happy_audio": "positive_high",
        "tava/s12_enraged_audio": "negative_high",
        "tava/s12_mellow_audio": "positive_low",
    }


def test_egg_is_found_under_its_misspelt_name_and_aligned(root, utterances):
    contempt = utterances["tava/s01_contemptuous_audio"]
    assert contempt.channels == {"egg": Channel(root / "egg/s01_contemputeous_EGG.wav", 0, 0.516)}
    assert utterances["tava/s01_happy_audio"].channels["egg"].start == 0.4475
    assert utterances["tava/s01_happy_audio"].attributes["egg_correlation"] == -0.677
    assert utterances["tava/s12_mellow_audio"].channels == {}


def test_without_tables_there_are_affects_only_and_the_egg_begins_with_the_speech(root):
    (root / "SummaryData.csv").unlink()
    (root / "alignment.tsv").unlink()
    happy = tava.read(root).utterances[1]
    assert happy.targets == {"affect": "happiness", "emotion": "happiness"}
    assert happy.sex is None and happy.attributes == {}
    assert happy.channels["egg"].start == 0.0


def test_transformed_egg_and_odd_names_are_skipped(root, tree):
    tree("tegg/s01_happy_tEGG.wav", "recordings/s01_happy_speech.wav")
    assert tava.read(root).skipped == {
        "recordings/s01_happy_speech.wav": "name does not have the form s01_annoyed_audio",
        "tegg/s01_happy_tEGG.wav": "is transformed EGG, not speech",
    }


@pytest.mark.parametrize("name", ["SummaryData.csv", "alignment.tsv"])
def test_damaged_tables_are_named(name, root):
    (root / name).write_text("something\nelse\n")
    with pytest.raises(UserError, match=f"{name}: is not TAVA's"):
        tava.read(root)


def test_verify_counts_affects_and_checks_the_egg(root):
    report = verify(tava.read(root))
    assert report.classes["contempt"] == Count(1, 22)
    assert report.speakers == Count(2, 22)
    # 0.1 s of speech from 0.4475 and 0.516 s on fit into 0.7 s; the others have none.
    assert report.channels == {
        "tava/s12_enraged_audio egg": "missing",
        "tava/s12_mellow_audio egg": "missing",
    }
