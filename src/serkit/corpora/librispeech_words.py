"""The most frequent words of LibriSpeech, cut from their sentences, for learning words.

The folder is the one of `librispeech`, with the word alignments unpacked over the recordings.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serkit.corpora import librispeech
from serkit.corpora.corpus import Corpus

FACTS = replace(librispeech.FACTS, name="librispeech-words", title="LibriSpeech, cut into words", target="word")
LAYOUT = f"{librispeech.LAYOUT} The words need <speaker>-<chapter>.alignment.txt in it, at any depth."


def read(folder: Path) -> Corpus:
    """Read the words with targets `word` and `speaker`; see `serkit.corpora.librispeech.words`.

    Ids have the name of this corpus as prefix; speakers have `librispeech`.

    Raises:
        UserError: there are no alignment files, or a line in them is malformed.
    """
    corpus = librispeech.words(folder)
    named = tuple(
        replace(utterance, id=f"{FACTS.name}/{utterance.id.partition('/')[2]}") for utterance in corpus.utterances
    )
    return replace(corpus, facts=replace(corpus.facts, name=FACTS.name, title=FACTS.title), utterances=named)
