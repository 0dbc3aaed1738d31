"""TESS, the Toronto Emotional Speech Set: English, acted, two actresses.

Names: `OAF_back_angry` holds the speaker (OAF older, YAF younger), the last word and the emotion. Some copies
misspell the speaker (`OA_bite_neutral`) or write surprise in full. Source: doi.org/10.5683/SP2/E8H2MF.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="tess",
    title="Toronto Emotional Speech Set (TESS)",
    language="en",
    style="acted",
    licence="CC BY-NC-ND 4.0: no commercial use, no passing on of adaptations",
    citation="Pichora-Fuller, M. K., Dupuis, K. (2020). Toronto emotional speech set (TESS). "
    "Scholars Portal Dataverse. doi:10.5683/SP2/E8H2MF.",
    url="https://doi.org/10.5683/SP2/E8H2MF",
    counts={
        "anger": 400,
        "disgust": 400,
        "fear": 400,
        "happiness": 400,
        "neutral": 400,
        "sadness": 400,
        "surprise": 400,
    },
    speakers=2,
)
LAYOUT = "It should hold recordings such as OAF_angry/OAF_back_angry.wav, with or without the folders."

_AGES = {"OAF": 64, "YAF": 26}
_NAME = re.compile(r"(OAF?|YAF?)_(.+?)_(angry|disgust|fear|happy|neutral|ps|pleasant_surprised?|sad)", re.IGNORECASE)


def read(folder: Path) -> Corpus:
    """Read TESS. The sentence is identified by its last word; the speaker's age is an attribute."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form OAF_word_emotion"
    letters, word, emotion = match.groups()
    speaker = f"{letters[0].upper()}AF"
    return Utterance(
        id=f"tess/{path.stem}",
        path=path,
        speaker=f"tess/{speaker}",
        sentence=f"tess/{word.lower()}",
        sex="female",
        language="en",
        targets={"emotion": canonical(emotion)},
        attributes={"age": _AGES[speaker]},
    )
