"""What holds for every reader."""

import importlib

import pytest

from serkit import corpora
from serkit.emotions import canonical
from serkit.errors import UserError

NAMES = [
    *("aesdd", "casia", "cremad", "emodb", "emotiontts_ko", "iemocap", "librispeech", "nemo", "ravdess", "savee"),
    *("tava", "tess"),
]

# Utterances and speakers as published.
OFFICIAL = {
    "aesdd": (604, 6),
    "casia": (1200, 4),
    "cremad": (7442, 91),
    "emodb": (535, 10),
    "emotiontts_ko": (300, 15),
    "iemocap": (10039, 10),
    "librispeech": (0, 2484),
    "nemo": (4481, 9),
    "ravdess": (1440, 24),
    "savee": (480, 4),
    "tava": (352, 22),
    "tess": (2800, 2),
}


@pytest.mark.parametrize("name", NAMES)
def test_facts_hold_the_official_numbers_under_canonical_names(name):
    facts = corpora.facts(name)
    assert facts.name == name
    assert (sum(facts.counts.values()), facts.speakers) == OFFICIAL[name]
    assert all(canonical(label) == label for label in facts.counts)
    assert facts.licence and facts.citation and facts.language


@pytest.mark.parametrize("name", [*NAMES, "folder"])
def test_a_folder_without_recordings_says_what_it_should_hold(name, tmp_path):
    layout = importlib.import_module(corpora.READERS[name]).LAYOUT
    with pytest.raises(UserError) as error:
        corpora.load(name, tmp_path)
    assert layout in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_recordings_of_another_corpus_are_skipped_with_a_reason(name, tree):
    root = tree("sound_of_rain.wav")
    corpus = importlib.import_module(corpora.READERS[name]).read(root)
    assert len(corpus) == 0
    assert list(corpus.skipped) == ([] if name == "iemocap" else ["sound_of_rain.wav"])
    assert all(corpus.skipped.values())
