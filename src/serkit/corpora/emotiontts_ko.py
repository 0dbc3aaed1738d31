"""The open sample of the Korean emotional TTS corpus: acted, 15 speakers, four emotions.

Names: `nea00101` holds the speaker and a number, whose hundreds are the emotion. The publisher's own list swaps
sadness and anger; the recordings 2xx are sad, and the recordings 3xx are angry.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings

FACTS = Facts(
    name="emotiontts_ko",
    title="Korean emotional TTS corpus (EmotionTTS_OpenDB), open sample",
    language="ko",
    style="acted",
    licence="CC BY-NC-SA 4.0: no commercial use; adaptations only under the same license",
    citation="SELVAS AI and others. EmotionTTS_OpenDB, a Korean emotional speech corpus for synthesis.",
    url="https://github.com/emotiontts/emotiontts_open_db",
    counts={"anger": 75, "happiness": 75, "neutral": 75, "sadness": 75},
    speakers=15,
)
LAYOUT = "It should hold recordings such as Emotional/emotional-to-emotional/nea/wav/nea00101.wav."

_EMOTIONS = ("neutral", "happiness", "sadness", "anger")
_NAME = re.compile(r"((?:em|ne)[a-z])00([0-3])(\d\d)", re.IGNORECASE)


def read(folder: Path) -> Corpus:
    """Read the emotional recordings of the open sample."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form nea00101"
    return Utterance(
        id=f"emotiontts_ko/{path.stem.lower()}",
        path=path,
        speaker=f"emotiontts_ko/{match[1].lower()}",
        language="ko",
        targets={"emotion": _EMOTIONS[int(match[2])]},
    )
