import pytest

from serkit.corpora import emotiontts_ko


@pytest.mark.parametrize(
    ("name", "emotion"),
    [("nea00005", "neutral"), ("emh00101", "happiness"), ("neo00205", "sadness"), ("NEK00301", "anger")],
)
def test_the_hundreds_of_the_number_are_the_emotion(name, emotion, tree):
    (utterance,) = emotiontts_ko.read(tree(f"Emotional/plain-to-emotional/x/wav/{name}.wav")).utterances
    assert utterance.id == f"emotiontts_ko/{name.lower()}"
    assert (utterance.speaker, utterance.language) == (f"emotiontts_ko/{name[:3].lower()}", "ko")
    assert utterance.targets == {"emotion": emotion}


@pytest.mark.parametrize("name", ["nea00401", "xea00101", "nea101", "nea001011"])
def test_other_names_are_skipped_with_a_reason(name, tree):
    corpus = emotiontts_ko.read(tree(f"{name}.wav"))
    assert not corpus.utterances and corpus.skipped == {f"{name}.wav": "name does not have the form nea00101"}
