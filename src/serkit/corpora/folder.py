"""A user's own recordings, sorted into one folder per class: `my_folder/angry/x.wav`.

Speakers are unknown: folders inside a class's folder may mean anything, so they are not guessed at. Use a
table to name them; without speakers no speaker-disjoint protocol can be run.
"""

from __future__ import annotations

from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
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
LAYOUT = "It should hold one folder per class with the recordings in it, such as angry/x.wav and happy/y.wav."


def read(folder: Path) -> Corpus:
    """Read one class per folder, at any depth below it; the folder's name is the emotion.

    Raises:
        UserError: the recordings lie directly in `folder`, so that nothing tells their class.
    """
    paths = recordings(folder)
    if paths and all(path.parent == folder for path in paths):
        raise UserError(
            f"{folder}: {len(paths)} recordings directly in it and no folder per class. {LAYOUT} "
            "To give the class in a table instead, use table=FILE.csv"
        )

    def parse(path: Path) -> Utterance | str:
        name = path.relative_to(folder)
        if len(name.parts) == 1:
            return "lies directly in the folder, so that its class is unknown"
        return Utterance(
            id=f"folder/{name.with_suffix('').as_posix()}",
            path=path,
            targets={"emotion": canonical(name.parts[0])},
        )

    return collect(FACTS, folder, paths, parse)
