"""The most frequent words of LibriSpeech, each cut out of its sentence: for learning words.

The folder is that of `librispeech`, with the word alignments unpacked over the recordings.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serkit.corpora import librispeech
from serkit.corpora.corpus import Corpus

FACTS = replace(librispeech.FACTS, name="librispeech-words", title="LibriSpeech, cut into words", target="word")
LAYOUT = f"{librispeech.LAYOUT} The words need <speaker>-<chapter>.alignment.txt in it, at any depth."


def read(folder: Path) -> Corpus:
    """Read the words with target `word` (see `serkit.corpora.librispeech.words`); `speaker` is a target too.

    The prefix of their ids is the name of this corpus, that of their speakers `librispeech`.

    Raises:
        UserError: no alignment files, or a line in them that is not one.
    """
    corpus = librispeech.words(folder)
    named = tuple(
        replace(utterance, id=f"{FACTS.name}/{utterance.id.partition('/')[2]}") for utterance in corpus.utterances
    )
    return replace(corpus, facts=replace(corpus.facts, name=FACTS.name, title=FACTS.title), utterances=named)
