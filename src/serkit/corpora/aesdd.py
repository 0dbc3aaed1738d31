"""AESDD, the Acted Emotional Speech Dynamic Database: Greek, acted.

Names: `a03 (4)` holds the emotion's first letter, the utterance and the speaker; a letter at the end, or
`(04)` instead of `(4)`, marks a second take. Source: m3c.web.auth.gr.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings

FACTS = Facts(
    name="aesdd",
    title="Acted Emotional Speech Dynamic Database (AESDD)",
    language="el",
    style="acted",
    licence="published for research; ask the publishers before any other use",
    citation="Vryzas, N., Kotsakis, R., Liatsou, A., Dimoulas, C. A., Kalliris, G. (2018). Speech emotion "
    "recognition for performance interaction. Journal of the Audio Engineering Society 66(6), 457-467.",
    url="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    # Readable files of the current version; one more file, of sadness, is broken in the archive.
    counts={"anger": 121, "disgust": 122, "fear": 120, "happiness": 119, "sadness": 122},
    # The page lists the five actors of the first version; file names have six.
    speakers=6,
)
LAYOUT = "It should hold recordings such as anger/a03 (4).wav, with or without the folders."

_EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
_NAME = re.compile(r"([adfhs])(\d{1,2}) *\((\d{1,2})\) *[a-z]?", re.IGNORECASE)


def read(folder: Path) -> Corpus:
    """Read AESDD. The number in parentheses is the speaker; `(01)` equals `(1)`."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form `a03 (4)`"
    letter, utterance, speaker = match.groups()
    return Utterance(
        id=f"aesdd/{path.stem}",
        path=path,
        speaker=f"aesdd/{int(speaker)}",
        sentence=f"aesdd/{int(utterance):02}",
        language="el",
        targets={"emotion": _EMOTIONS[letter.lower()]},
    )
