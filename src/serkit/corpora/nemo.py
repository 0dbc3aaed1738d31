"""nEMO, the Polish corpus of emotional speech: acted, nine speakers, sentences common to all emotions.

Names: `WR0_surprised_64` holds speaker, emotion and number of the sentence. Source: Christop 2024 and the corpus's
list `data.tsv`, which holds nothing else that serkit reads.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="nemo",
    title="nEMO: Dataset of Emotional Speech in Polish",
    language="pl",
    style="acted",
    licence="CC BY-NC-SA 4.0",
    citation="Christop, I. (2024). nEMO: Dataset of emotional speech in Polish. LREC-COLING, 12111-12116.",
    url="https://huggingface.co/datasets/amu-cai/nEMO",
    counts={
        "anger": 749,
        "fear": 736,
        "happiness": 749,
        "neutral": 809,
        "sadness": 769,
        "surprise": 669,
    },
    speakers=9,
)
LAYOUT = "It should hold recordings such as samples/WR0_surprised_64.wav."

#: Sex of each speaker.
SPEAKERS = {
    "EB0": "female",
    "IC0": "female",
    "KD0": "female",
    "KS0": "male",
    "MK0": "female",
    "MP0": "male",
    "SM0": "male",
    "TP0": "male",
    "WR0": "male",
}
_NAME = re.compile(rf"({'|'.join(SPEAKERS)})_(anger|fear|happiness|neutral|sadness|surprised)_(\d+)", re.IGNORECASE)


def read(folder: Path) -> Corpus:
    """Read nEMO: the sentence and its number are the same in every emotion and for every speaker."""
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form WR0_surprised_64"
    speaker, emotion, number = match[1].upper(), match[2].lower(), int(match[3])
    return Utterance(
        id=f"nemo/{speaker}_{emotion}_{number}",
        path=path,
        speaker=f"nemo/{speaker}",
        sentence=f"nemo/{number}",
        sex=SPEAKERS[speaker],
        language="pl",
        targets={"emotion": canonical(emotion)},
    )
