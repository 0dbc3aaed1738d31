import logging

import pytest

from serkit import corpora
from serkit.auditing.verify import Count, verify
from serkit.corpora import librispeech
from serkit.corpora.corpus import Corpus
from serkit.corpora.librispeech import Word, parse_alignment, vocabulary, words
from serkit.errors import UserError

SPEAKERS = """;ID  |SEX| SUBSET           |MINUTES| NAME
14   | F | train-clean-360  | 25.03 | Kristin LeMoine
19   | F | train-clean-100  | 25.19 | Kara Shallenberg
26   | M | train-clean-100  | 25.08 | Denys | with a bar
"""


@pytest.fixture
def root(tree):
    folder = tree(
        "LibriSpeech/train-clean-100/19/198/19-198-0000.flac",
        "LibriSpeech/train-clean-100/19/198/19-198-0001.flac",
        "LibriSpeech/train-clean-100/26/495/26-495-0000.flac",
        seconds=2.0,
    )
    (folder / "LibriSpeech/SPEAKERS.TXT").write_text(SPEAKERS)
    return folder / "LibriSpeech"


@pytest.fixture
def aligned(root):
    (root / "train-clean-100/19/198/19-198.alignment.txt").write_text(
        '19-198-0000 ",THE,,GARDEN,HOUSE,GARDEN," "0.100,0.300,0.400,0.900,1.250,1.800,2.000" \n'
    )
    (root / "train-clean-100/26/495/26-495.alignment.txt").write_text(
        '\n26-495-0000 ",GARDEN,SHORT,THE,THE," "0.000,0.500,0.550,0.800,1.000,1.000"\n'
    )
    return root


@pytest.mark.parametrize("given", [".", "train-clean-100"])
def test_speaker_is_the_target_and_sex_comes_from_the_list(given, root):
    corpus = librispeech.read(root / given)
    first, _, last = corpus.utterances
    assert (first.id, first.speaker, first.sex) == ("librispeech/19-198-0000", "librispeech/19", "female")
    assert first.targets == {"speaker": "librispeech/19"}
    assert first.attributes == {"subset": "train-clean-100", "chapter": "198"}
    assert (last.speaker, last.sex) == ("librispeech/26", "male")
    assert corpus.facts.target == "speaker"


def test_official_number_of_speakers_is_that_of_the_subsets_there(root, tree):
    assert verify(librispeech.read(root)).speakers == Count(2, 251)
    tree("LibriSpeech/dev-clean/84/121123/84-121123-0000.flac")
    assert verify(librispeech.read(root)).speakers == Count(3, 291)


def test_without_known_subsets_there_is_no_official_number(tree):
    corpus = librispeech.read(tree("19-198-0000.flac", "19-198-000.flac"))
    assert corpus.facts.speakers is None
    assert corpus.utterances[0].attributes == {"chapter": "198"}
    assert corpus.skipped == {"19-198-000.flac": "name does not have the form 19-198-0001"}


def test_alignment_line_gives_words_with_start_and_end():
    line = '84-121123-0000 ",GO,,DO,YOU,HEAR," "0.490,0.890,1.270,1.380,1.490,1.890,2.09" \n'
    assert parse_alignment(line) == (
        "84-121123-0000",
        [Word("go", 0.49, 0.89), Word("do", 1.27, 1.38), Word("you", 1.38, 1.49), Word("hear", 1.49, 1.89)],
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("84-121123-0000 GO", "malformed line of a word alignment"),
        ('84-121123-0000 ",GO," "0.1,0.2"', "has 3 words but 2 times"),
        ('84-121123-0000 ",GO," "0.1,0.05,0.2"', "runs backwards"),
    ],
)
def test_broken_alignment_lines_are_refused(line, reason):
    with pytest.raises(UserError, match=reason):
        parse_alignment(line)


def test_vocabulary_is_the_most_frequent_long_words_ties_by_alphabet():
    texts = ["that", "that", "that", "the", "the", "the", "the", "zeal", "house", "house", "apple"]
    assert vocabulary(texts, most_frequent=3) == ["that", "house", "apple"]
    assert vocabulary(texts, most_frequent=2, min_letters=3) == ["the", "that"]


def test_each_occurrence_of_a_frequent_word_is_an_utterance(aligned, caplog):
    caplog.set_level(logging.INFO, logger="serkit.corpora.librispeech")
    corpus = words(aligned, most_frequent=2)
    found = [
        (utterance.id, utterance.targets["word"], utterance.start, utterance.end) for utterance in corpus.utterances
    ]
    # THE is too short a word, SHORT too short in time (0.05 s).
    assert found == [
        ("librispeech/19-198-0000@0.400", "garden", 0.4, 0.9),
        ("librispeech/19-198-0000@0.900", "house", 0.9, 1.25),
        ("librispeech/19-198-0000@1.250", "garden", 1.25, 1.8),
        ("librispeech/26-495-0000@0.000", "garden", 0.0, 0.5),
    ]
    assert corpus.utterances[0].targets["speaker"] == "librispeech/19"
    assert corpus.facts.target == "word"
    assert "2 words: garden house" in caplog.text


def test_limits_of_words_can_be_changed(aligned):
    def kept(corpus: Corpus):
        return sorted({str(utterance.targets["word"]) for utterance in corpus.utterances})

    assert kept(words(aligned, most_frequent=1)) == ["garden"]
    assert kept(words(aligned, min_seconds=0.02)) == ["garden", "house", "short"]
    assert kept(words(aligned, min_letters=1)) == ["garden", "house", "the"]


def test_recordings_without_alignment_are_skipped(aligned):
    assert words(aligned).skipped == {"train-clean-100/19/198/19-198-0001.flac": "has no word alignment"}


def test_alignments_may_lie_elsewhere(aligned, tmp_path):
    other = tmp_path / "alignments"
    other.mkdir()
    for path in list(aligned.rglob("*.alignment.txt")):
        path.rename(other / path.name)
    assert len(words(aligned, other)) == 4


def test_without_alignments_the_error_says_where_to_get_them(root):
    with pytest.raises(UserError, match=r"no word alignments.*librispeech-alignments"):
        words(root)


def test_a_broken_line_is_named_with_file_and_number(aligned):
    (aligned / "train-clean-100/26/495/26-495.alignment.txt").write_text("\n26-495-0000 nonsense\n")
    with pytest.raises(UserError, match=r"26-495\.alignment\.txt, line 2: malformed line of a word alignment"):
        words(aligned)


def test_words_are_a_corpus_of_their_own(aligned):
    corpus = corpora.load("librispeech-words", aligned)
    assert corpus.name == "librispeech-words" == corpora.facts("librispeech-words").name
    of_sentences = {u.id.partition("/")[2]: u for u in words(aligned).utterances}
    assert {u.id.partition("/")[2] for u in corpus.utterances} == set(of_sentences)
    for utterance in corpus.utterances:
        same = of_sentences[utterance.id.partition("/")[2]]
        assert utterance.corpus == "librispeech-words" and utterance.speaker == same.speaker
        assert (utterance.start, utterance.end, utterance.targets) == (same.start, same.end, same.targets)
    assert "word" in corpus.utterances[0].targets and corpus.facts.target == "word"
