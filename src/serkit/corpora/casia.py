"""CASIA, the Chinese emotional speech corpus, its public part: Mandarin, acted, four speakers.

Layout: `liuchanhg/angry/201.wav`, or all parts in the name: `201-angry-liuchanhg.wav`. All speakers say the same
50 sentences (201 to 250) in each emotion.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="casia",
    title="CASIA Chinese Emotional Speech Corpus, public part",
    language="zh",
    style="acted",
    licence="by agreement with the publishers (Chinese Academy of Sciences, ChineseLDC); no passing on",
    citation="Institute of Automation, Chinese Academy of Sciences. CASIA Chinese emotional speech corpus.",
    url="http://www.chineseldc.org",
    counts={
        "anger": 200,
        "fear": 200,
        "happiness": 200,
        "neutral": 200,
        "sadness": 200,
        "surprise": 200,
    },
    speakers=4,
)
LAYOUT = "It should hold recordings such as liuchanhg/angry/201.wav: a folder per speaker, in it one per emotion."

#: Sex of each speaker.
SPEAKERS = {"liuchanhg": "female", "wangzhe": "male", "zhaoquanyin": "female", "zhaozuoxiang": "male"}
_EMOTIONS = ("angry", "fear", "happy", "neutral", "sad", "surprise")


def read(folder: Path) -> Corpus:
    """Read CASIA. Speakers' names may differ in case and have small spelling mistakes."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    number, *rest = path.stem.lower().split("-")
    if not re.fullmatch(r"\d{3}", number):
        return "name does not begin with three digits such as 201"
    words = [*rest, *(parent.name.lower() for parent in list(path.absolute().parents)[:2])]
    emotion = next((word for word in words if word in _EMOTIONS), None)
    if emotion is None:
        return f"neither the name nor a folder gives one of {', '.join(_EMOTIONS)}"
    speaker = next((name for word in words if (name := _speaker(word))), None)
    if speaker is None:
        return f"neither the name nor a folder gives one of {', '.join(SPEAKERS)}"
    return Utterance(
        id=f"casia/{speaker}-{emotion}-{number}",
        path=path,
        speaker=f"casia/{speaker}",
        sentence=f"casia/{number}",
        sex=SPEAKERS[speaker],
        language="zh",
        targets={"emotion": canonical(emotion)},
    )


def _speaker(word: str) -> str | None:
    """Return the speaker that a folder's name refers to.

    >>> _speaker("liuchang"), _speaker("zhaozuoxiang"), _speaker("angry")
    ('liuchanhg', 'zhaozuoxiang', None)
    """
    return next(iter(difflib.get_close_matches(word, SPEAKERS, n=1, cutoff=0.8)), None)
