"""A user's own recordings in one folder per class: `my_folder/angry/x.wav`, or `my_folder/train/angry/x.wav`.

Speakers are unknown: folders inside the folder of a class may mean anything, so serkit does not guess. A
speaker-disjoint protocol requires speakers; use a table to name them.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from serkit import finding
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.parts import part_in, part_of
from serkit.corpora.rows import label_cautions
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
_LOG = logging.getLogger("serkit.corpora")
_NAMED = 3
LAYOUT = "It should hold one folder per class with the recordings in it, such as angry/x.wav and happy/y.wav."


def read(folder: Path) -> Corpus:
    """Read one class per folder, with recordings at any depth; the folder's name is the emotion.

    The folders of classes may be inside those of parts (`train`, `test`, ...), or those of parts inside them.

    Raises:
        UserError: the recordings are directly in `folder` or in a part, so that their class is unknown; or folders of
            parts are next to folders of classes.
    """
    found = recordings(folder)
    if found.paths and all(path.parent == folder for path in found):
        raise UserError(
            f"{folder}: has {len(found.paths)} recordings directly in it but no folder per class. {LAYOUT} "
            "To list the classes in a table instead, use table=FILE.csv"
        )

    parts = _parts(folder, found)
    # Where the name of the class is in a path relative to the folder.
    level = 1 if parts else 0

    def class_of(name: PurePath) -> str | None:
        return name.parts[level] if len(name.parts) > level + 1 else None

    def parse(path: Path) -> Utterance | str:
        name = path.relative_to(folder)
        label = class_of(name)
        if label is None:
            return "is directly in the folder, so its class is unknown"
        part = part_in(name.parts[:level] or name.parts[1:-1])
        return Utterance(
            id=f"folder/{name.with_suffix('').as_posix()}",
            path=path,
            targets={"emotion": canonical(label)},
            attributes={"part": part} if part else {},
        )

    corpus = collect(FACTS, folder, found, parse)
    if found.paths and not corpus.utterances:
        raise UserError(
            f"{folder}: {', '.join(parts)} are parts of a split, but have no folder per class in them. " + LAYOUT
        )
    if parts:
        _LOG.info(
            "%s: %s are parts, not classes; --protocol given tests on them", folder.name, ", ".join(map(repr, parts))
        )
    spelled = Counter(class_of(utterance.path.relative_to(folder)) or "" for utterance in corpus.utterances)
    lost = [] if parts else _lost(corpus, found)
    cautions = (*corpus.cautions, *lost, *_contradictions(corpus, class_of), *label_cautions(folder, spelled))
    return replace(corpus, cautions=cautions)


def _parts(folder: Path, found: Recordings) -> list[str]:
    """Return the folders of parts that hold the folders of classes; empty without parts."""
    tops = {path.relative_to(folder).parts[0] for path in found.paths if path.parent != folder}
    parts = sorted(top for top in tops if part_of(top) not in (None, "unused"))
    others = sorted(top for top in tops if part_of(top) is None)
    if parts and others:
        raise UserError(
            f"{folder}: {', '.join(map(repr, parts))} are parts of a split, but {_some(others)} next to them "
            f"{'looks like a class' if len(others) == 1 else 'look like classes'}; put the folders of classes "
            "into those of parts, such as train/angry/x.wav, or list the recordings in a table"
        )
    return parts


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


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")


def _contradictions(corpus: Corpus, class_of: Callable[[PurePath], str | None]) -> Iterator[str]:
    """Yield a caution if a link puts a recording into a second class."""
    links = [name for name, reason in corpus.passed_over.items() if reason == finding.PassedOver.second_name]
    if not links:
        return
    labels = {os.path.realpath(utterance.path): utterance.targets["emotion"] for utterance in corpus.utterances}
    wrong = []
    for name in links:
        label = labels.get(os.path.realpath(corpus.folder / name))
        if label is not None and label != canonical(class_of(PurePath(name)) or ""):
            wrong.append(f"{name} ({label})")
    if wrong:
        listed = ", ".join(wrong[:_NAMED]) + (", ..." if len(wrong) > _NAMED else "")
        yield f"{finding.count(wrong, 'link')} to recordings of other classes skipped: {listed}"
