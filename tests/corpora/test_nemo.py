import pytest

from serkit.corpora import load, nemo

EMOTIONS = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}


@pytest.mark.parametrize(("word", "emotion"), EMOTIONS.items())
def test_emotion_is_in_the_name(word, emotion, tree):
    (utterance,) = nemo.read(tree(f"samples/WR0_{word}_64.wav")).utterances
    assert utterance.targets == {"emotion": emotion}


def test_speaker_sentence_and_sex(tree):
    (utterance,) = nemo.read(tree("samples/eb0_Anger_007.wav")).utterances
    assert (utterance.id, utterance.speaker, utterance.sentence) == ("nemo/EB0_anger_7", "nemo/EB0", "nemo/7")
    assert (utterance.sex, utterance.language) == ("female", "pl")


def test_other_names_are_skipped(tree):
    corpus = nemo.read(tree("WR0_anger_1.wav", "XX0_anger_1.wav", "WR0_calm_1.wav", "WR0_anger.wav"))
    assert [utterance.id for utterance in corpus.utterances] == ["nemo/WR0_anger_1"]
    assert set(corpus.skipped) == {"XX0_anger_1.wav", "WR0_calm_1.wav", "WR0_anger.wav"}


@pytest.mark.corpora
def test_real_recordings_agree_with_the_corpus_list(recordings):
    corpus = load("nemo", recordings / "nemo")
    rows = (recordings / "nemo" / "data.tsv").read_text("utf-8-sig").splitlines()[1:]
    listed = {}
    for row in rows:
        file, emotion, _, text, speaker, sex, *_ = row.split("\t")
        listed[f"nemo/{file.removesuffix('.wav')}"] = (EMOTIONS[emotion], f"nemo/{speaker.strip()}", sex, text)
    found = {one.id: (one.targets["emotion"], one.speaker, one.sex) for one in corpus.utterances}
    assert found == {key: value[:3] for key, value in listed.items()}
    texts = {}
    for one in corpus.utterances:
        texts.setdefault(one.sentence, set()).add(listed[one.id][3])
    assert {len(spoken) for spoken in texts.values()} == {1}
