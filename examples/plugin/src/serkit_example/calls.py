"""A corpus: recordings named `speaker_number_emotion.wav`."""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="example-calls",
    title="Example of a corpus",
    language="en",
    style="acted",
    licence="yours",
    citation="none",
    url="https://example.com",
)
LAYOUT = "It should hold recordings such as ann_01_anger.wav."

_NAME = re.compile(r"([a-z0-9]+)_(\w+)_([a-z]+)(?:_\d+)?", re.IGNORECASE)


def read(folder: Path) -> Corpus:
    """Read the corpus."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form ann_01_anger"
    return Utterance(
        id=f"example-calls/{path.stem}",
        path=path,
        speaker=f"example-calls/{match[1]}",
        sentence=f"example-calls/{match[2]}",
        targets={"emotion": canonical(match[3])},
    )
