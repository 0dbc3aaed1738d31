"""Corpora: one reader per corpus, and readers for a user's own data as a table or as one folder per class.

A reader is a module with `FACTS` and `read(folder) -> Corpus`. To add one, write the module and add a
line to `READERS`. A reader of a user's own data takes a `Reading` as well, and is in `OWN`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from serkit import finding
from serkit.corpora.columns import Reading
from serkit.corpora.corpus import Channel, Corpus, CorpusWarning, Facts, Utterance
from serkit.errors import UserError
from serkit.registry import Registry
from serkit.text import clean

__all__ = [
    "READERS",
    "Channel",
    "Corpus",
    "CorpusWarning",
    "Facts",
    "Reading",
    "Utterance",
    "facts",
    "load",
    "load_all",
]

READERS = Registry(
    "corpus",
    {
        "aesdd": "serkit.corpora.aesdd",
        "audformat": "serkit.corpora.audformat",
        "casia": "serkit.corpora.casia",
        "cremad": "serkit.corpora.cremad",
        "emobox": "serkit.corpora.emobox",
        "emodb": "serkit.corpora.emodb",
        "emotiontts_ko": "serkit.corpora.emotiontts_ko",
        "folder": "serkit.corpora.folder",
        "huggingface": "serkit.corpora.huggingface",
        "iemocap": "serkit.corpora.iemocap",
        "kaldi": "serkit.corpora.kaldi",
        "lhotse": "serkit.corpora.lhotse",
        "librispeech": "serkit.corpora.librispeech",
        "librispeech-words": "serkit.corpora.librispeech_words",
        "nemo": "serkit.corpora.nemo",
        "ravdess": "serkit.corpora.ravdess",
        "savee": "serkit.corpora.savee",
        "synthetic": "serkit.corpora.synthetic",
        "table": "serkit.corpora.table",
        "tava": "serkit.corpora.tava",
        "tess": "serkit.corpora.tess",
    },
    "serkit.corpora",
)


#: Readers of a user's own data.
OWN = frozenset({"audformat", "emobox", "huggingface", "kaldi", "lhotse", "table"})


def facts(name: str) -> Facts:
    """Return the publishers' facts about a corpus: counts, license, citation."""
    facts: Facts = _reader(name).FACTS
    return facts


def load(name: str, folder: str | Path, reading: Reading | None = None) -> Corpus:
    """Read a corpus from a folder.

    Args:
        name: a key of `READERS`.
        folder: its root folder (for `table`, the file).
        reading: how to read a user's own data; published corpora ignore it.

    Raises:
        UserError: the name is unknown, the folder is missing, or it has no recording of the corpus.

    Warns:
        CorpusWarning: recordings or whole classes are skipped.
    """
    name = clean(name)
    reader = _reader(name)
    place = os.path.expanduser(folder)
    place = finding.on_disk(place) or place
    if (reason := finding.problem(place)) is not None:
        raise UserError(f"{place}: {reason} (corpus '{name}')")
    if name in OWN:
        reading = reading or Reading()
        corpus: Corpus = replace(reader.read(Path(place), reading), reading=reading)
    else:
        corpus = reader.read(Path(place))
    if not corpus.utterances:
        passed_over = finding.summary(corpus.passed_over, companions=True)
        nothing = f"contains no recording of corpus '{name}'{'; ' if passed_over else ''}{passed_over}"
        raise UserError(f"{place}: {nothing}. {reader.LAYOUT}")
    for caution in corpus.cautions:
        warnings.warn(f"{place}: {caution}", CorpusWarning, stacklevel=2)
    return corpus


def load_all(specifications: Sequence[str], reading: Reading | None = None) -> list[Corpus]:
    """Read several corpora, each given as `name=folder` (`table=my.csv` and `folder=my_folder` too).

    Args:
        specifications: the corpora.
        reading: how to read a user's own data.

    Raises:
        UserError: no corpus is given, or one cannot be read.
    """
    want(specifications)
    return [load(*split(specification), reading) for specification in specifications]


def want(specifications: Sequence[str]) -> None:
    """Raise UserError if no corpus is given, or one is not given as `name=folder`."""
    if not specifications:
        raise UserError("no corpus given; add --corpus NAME=FOLDER, e.g. --corpus emodb=data/emodb")
    for specification in specifications:
        split(specification)


def split(specification: str) -> tuple[str, str]:
    """Return name and folder of a corpus given as `name=folder`."""
    name, equals, folder = specification.partition("=")
    if not equals or not folder:
        raise UserError(f"--corpus must be NAME=FOLDER, e.g. emodb=data/emodb, got '{specification}'")
    return name, folder


def _reader(name: str) -> Any:
    return READERS.find(name)
