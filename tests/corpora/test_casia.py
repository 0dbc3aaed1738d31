import pytest

from serkit.auditing.verify import Count, verify
from serkit.corpora import casia

FOLDERS = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}


@pytest.mark.parametrize(("folder", "emotion"), FOLDERS.items())
def test_emotion_is_the_folder(folder, emotion, tree):
    (utterance,) = casia.read(tree(f"wangzhe/{folder}/201.wav")).utterances
    assert utterance.targets == {"emotion": emotion}


@pytest.mark.parametrize(
    ("folder", "speaker", "sex"),
    [
        ("liuchanhg", "liuchanhg", "female"),
        ("liuchang", "liuchanhg", "female"),
        ("WangZhe", "wangzhe", "male"),
        ("ZhaoQuanYin", "zhaoquanyin", "female"),
        ("ZhaoZuoxiang", "zhaozuoxiang", "male"),
    ],
)
def test_speakers_are_known_in_any_case_and_spelling(folder, speaker, sex, tree):
    (utterance,) = casia.read(tree(f"CASIA/{folder}/angry/250.wav")).utterances
    assert (utterance.speaker, utterance.sex) == (f"casia/{speaker}", sex)
    assert (utterance.id, utterance.sentence) == (f"casia/{speaker}-angry-250", "casia/250")
    assert utterance.language == "zh"


def test_everything_may_be_in_the_name(tree):
    (utterance,) = casia.read(tree("sad/201-sad-zhaoquanyin.wav")).utterances
    assert utterance.id == "casia/zhaoquanyin-sad-201"
    assert utterance.targets == {"emotion": "sadness"}


def test_odd_names_and_folders_are_skipped(tree):
    corpus = casia.read(
        tree("wangzhe/angry/201.wav", "wangzhe/calm/201.wav", "someone/angry/201.wav", "wangzhe/sad/x.wav")
    )
    assert len(corpus) == 1
    assert set(corpus.skipped) == {"wangzhe/calm/201.wav", "someone/angry/201.wav", "wangzhe/sad/x.wav"}
    assert "wangzhe, zhaoquanyin" in corpus.skipped["someone/angry/201.wav"]
    assert "angry, fear" in corpus.skipped["wangzhe/calm/201.wav"]


def test_missing_recordings_are_counted(tree):
    report = verify(casia.read(tree("wangzhe/angry/201.wav", "liuchanhg/angry/201.wav")))
    assert report.classes["anger"] == Count(2, 200)
    assert report.speakers == Count(2, 4)
