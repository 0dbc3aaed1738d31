"""SAVEE, Surrey Audio-Visual Expressed Emotion: English, acted, four male speakers.

Names: `DC_sa01` or `DC/sa01` holds speaker, emotion (a d f h n sa su) and sentence number. Source: Haq &
Jackson 2009 and the corpus's page.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings

FACTS = Facts(
    name="savee",
    title="Surrey Audio-Visual Expressed Emotion (SAVEE)",
    language="en",
    style="acted",
    licence="research use after registration; no passing on",
    citation="Haq, S., Jackson, P. J. B. (2009). Speaker-dependent audio-visual emotion recognition. AVSP.",
    url="http://kahlan.eps.surrey.ac.uk/savee/",
    counts={
        "anger": 60,
        "disgust": 60,
        "fear": 60,
        "happiness": 60,
        "neutral": 120,
        "sadness": 60,
        "surprise": 60,
    },
    speakers=4,
)
LAYOUT = "It should hold recordings such as DC_a01.wav, or DC/a01.wav in one folder per speaker."

SPEAKERS = ("DC", "JE", "JK", "KL")
_EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
_NAME = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|a|d|f|h|n)(\d\d)", re.IGNORECASE)
# n19 to n30 hold, in pairs, the sentences 04 and 05 of these emotions.
_REPEATED = ("a", "d", "f", "su", "sa", "h")


def read(folder: Path) -> Corpus:
    """Read SAVEE, flat or in one folder per speaker."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form DC_a01"
    speaker = (match[1] or path.absolute().parent.name).upper()
    if speaker not in SPEAKERS:
        return f"neither the name nor the folder gives one of {', '.join(SPEAKERS)}"
    emotion, number = match[2].lower(), int(match[3])
    return Utterance(
        # The id is the same whether the speaker is in the file's or the folder's name.
        id=f"savee/{speaker}_{emotion}{number:02}",
        path=path,
        speaker=f"savee/{speaker}",
        sentence=f"savee/{_sentence(emotion, number)}",
        sex="male",
        language="en",
        targets={"emotion": _EMOTIONS[emotion]},
    )


def _sentence(emotion: str, number: int) -> str:
    """Name the spoken words: sentences are numbered per emotion, but some recur in other emotions.

    Three sentences are common to all emotions, and the neutral set repeats the common and the
    emotion-specific ones. The mapping was found by aligning the cepstra of the recordings; all four speakers
    agree.

    >>> _sentence("a", 1), _sentence("n", 16), _sentence("n", 22), _sentence("h", 9)
    ('common01', 'common01', 'd05', 'h09')
    """
    if emotion == "n" and number >= 16:
        if number <= 18:
            return f"common{number - 15:02}"
        if number <= 30:
            return f"{_REPEATED[(number - 19) // 2]}{4 + (number - 19) % 2:02}"
    return f"common{number:02}" if number <= 3 else f"{emotion}{number:02}"
