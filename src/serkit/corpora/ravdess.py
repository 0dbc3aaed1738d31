"""RAVDESS, audio-only speech: English, acted, 24 speakers.

Names: `03-01-06-01-02-01-12` holds modality (03 audio only), vocal channel (01 speech), emotion, intensity,
statement, repetition and actor (even: female). Source: Livingstone & Russo 2018 and the page on Zenodo.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), speech",
    language="en",
    style="acted",
    licence="CC BY-NC-SA 4.0: no commercial use; adaptations only under the same licence",
    citation="Livingstone, S. R., Russo, F. A. (2018). The Ryerson Audio-Visual Database of Emotional Speech "
    "and Song (RAVDESS). PLoS ONE 13(5): e0196391.",
    url="https://zenodo.org/records/1188976",
    counts={
        "anger": 192,
        "calm": 192,
        "disgust": 192,
        "fear": 192,
        "happiness": 192,
        "neutral": 96,  # neutral was not recorded with strong intensity
        "sadness": 192,
        "surprise": 192,
    },
    speakers=24,
)
LAYOUT = "It should hold recordings such as Actor_12/03-01-06-01-02-01-12.wav, with or without the folders."

_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_INTENSITIES = {"01": "normal", "02": "strong"}
_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")


def read(folder: Path) -> Corpus:
    """Read the audio-only speech of RAVDESS. Intensity and repetition are attributes.

    The sound of videos (modality 01) and songs (channel 02) are skipped.
    """
    return collect(FACTS, folder, recordings(folder), _parse)


def _parse(path: Path) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form 03-01-06-01-02-01-12"
    modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
    if modality != "03":
        return f"modality {modality} (video), not 03 (audio only)"
    if channel != "01":
        return f"vocal channel {channel} (song), not 01 (speech)"
    return Utterance(
        id=f"ravdess/{path.stem}",
        path=path,
        speaker=f"ravdess/{actor}",
        sentence=f"ravdess/{statement}",
        sex="female" if int(actor) % 2 == 0 else "male",
        language="en",
        targets={"emotion": canonical(_EMOTIONS[int(emotion) - 1])},
        attributes={"intensity": _INTENSITIES[intensity], "repetition": int(repetition)},
    )
