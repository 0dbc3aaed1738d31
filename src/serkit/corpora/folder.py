"""A user's own recordings in one folder per class: `my_folder/angry/x.wav`.

Speakers are unknown: folders inside the folder of a class may mean anything, so serkit does not guess. A
speaker-disjoint protocol requires speakers; use a table to name them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from serkit import finding
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import Recordings, collect, recordings
from serkit.emotions import canonical
from serkit.errors import UserError

FACTS = Facts(
    name="folder",
    title="A folder per class",
    language=None,
    licence="the user's own",
    citation="",
    url="",
)
_NAMED = 3
LAYOUT = "It should hold one folder per class with the recordings in it, such as angry/x.wav and happy/y.wav."


def read(folder: Path) -> Corpus:
    """Read one class per folder, with recordings at any depth; the folder's name is the emotion.

    Raises:
        UserError: the recordings are directly in `folder`, so that their class is unknown.
    """
    found = recordings(folder)
    if found.paths and all(path.parent == folder for path in found):
        raise UserError(
            f"{folder}: has {len(found.paths)} recordings directly in it but no folder per class. {LAYOUT} "
            "To list the classes in a table instead, use table=FILE.csv"
        )

    def parse(path: Path) -> Utterance | str:
        name = path.relative_to(folder)
        if len(name.parts) == 1:
            return "is directly in the folder, so its class is unknown"
        return Utterance(
            id=f"folder/{name.with_suffix('').as_posix()}",
            path=path,
            targets={"emotion": canonical(name.parts[0])},
        )

    corpus = collect(FACTS, folder, found, parse)
    return replace(corpus, cautions=(*corpus.cautions, *_lost(corpus, found), *_contradictions(corpus)))


def _lost(corpus: Corpus, found: Recordings) -> Iterator[str]:
    """Yield a caution if folders that should be classes contain no recording."""
    there = {path.relative_to(corpus.folder).parts[0] for path in (*found.paths, *found.unread)}
    with os.scandir(corpus.folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not finding.is_hidden(entry.name))
    lost = {name: _content(corpus, name) for name in names if name not in there}
    if lost:
        listed = ", ".join(f"'{name}' ({content})" for name, content in lost.items())
        yield f"{len(lost)} of {len(names)} folders, each of which would be a class, contain no recording: {listed}"


def _content(corpus: Corpus, name: str) -> str:
    """Describe the contents of a folder without recordings."""
    if name in corpus.passed_over:
        return "a link to a folder found under another name"
    return finding.formats(path for path in corpus.passed_over if path.startswith(f"{name}/")) or "empty"


def _contradictions(corpus: Corpus) -> Iterator[str]:
    """Yield a caution if a link puts a recording into a second class."""
    links = [name for name, reason in corpus.passed_over.items() if reason == finding.PassedOver.second_name]
    if not links:
        return
    labels = {os.path.realpath(utterance.path): utterance.targets["emotion"] for utterance in corpus.utterances}
    wrong = []
    for name in links:
        label = labels.get(os.path.realpath(corpus.folder / name))
        if label is not None and label != canonical(name.partition("/")[0]):
            wrong.append(f"{name} ({label})")
    if wrong:
        listed = ", ".join(wrong[:_NAMED]) + (", ..." if len(wrong) > _NAMED else "")
        yield f"{finding.count(wrong, 'link')} to recordings of other classes skipped: {listed}"
