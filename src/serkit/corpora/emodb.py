"""EMO-DB, the Berlin Database of Emotional Speech: German, acted, ten speakers.

Names: `03a01Fa` is speaker 03, text a01, emotion F (Freude), take a. Source: database.syntheticspeech.de.

The electroglottograph (EGG) was recorded with the speech but is not in the public archive. If a copy has it,
it is either the second channel of the recording or a file of the same name in a folder `egg`.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from serkit import audio
from serkit.corpora.corpus import Channel, Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="emodb",
    title="Berlin Database of Emotional Speech (EMO-DB)",
    language="de",
    style="acted",
    licence="freely usable; the publishers ask for the citation",
    citation="Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W., Weiss, B. (2005). "
    "A database of German emotional speech. Interspeech 2005.",
    url="http://database.syntheticspeech.de",
    counts={
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happiness": 71,
        "neutral": 79,
        "sadness": 62,
    },
    speakers=10,
)
LAYOUT = "It should hold recordings such as 03a01Fa.wav (the folder `wav` of the archive), at any depth."

#: Sex and age of each speaker.
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
# First letters of the German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer.
_EMOTIONS = {
    "W": "wut",
    "L": "langeweile",
    "E": "ekel",
    "A": "angst",
    "F": "freude",
    "T": "trauer",
    "N": "neutral",
}
_NAME = re.compile(r"(\d\d)([a-z]\d\d)([WLEAFTN])([a-z])")


def read(folder: Path) -> Corpus:
    """Read EMO-DB from its root or its folder `wav`; the take (version letter) is an attribute."""
    found = recordings(folder)
    eggs = {path.stem: path for path in found if _in_egg_folder(path, folder)}

    def parse(path: Path) -> Utterance | str:
        match = _NAME.fullmatch(path.stem)
        if not match:
            return "name does not have the form 03a01Fa"
        speaker, text, emotion, take = match.groups()
        if speaker not in SPEAKERS:
            return f"EMO-DB has no speaker {speaker}"
        sex, age = SPEAKERS[speaker]
        stereo = _is_stereo(path)
        channels = {}
        if path.stem in eggs:
            channels["egg"] = Channel(eggs[path.stem])
        elif stereo:
            channels["egg"] = Channel(path, index=1)
        return Utterance(
            id=f"emodb/{path.stem}",
            path=path,
            speaker=f"emodb/{speaker}",
            sentence=f"emodb/{text}",
            sex=sex,
            language="de",
            targets={"emotion": canonical(_EMOTIONS[emotion])},
            channels=channels,
            attributes={"take": take, "age": age},
            index=0 if stereo else None,
        )

    return collect(FACTS, folder, found.only(lambda path: not _in_egg_folder(path, folder)), parse)


def _in_egg_folder(path: Path, folder: Path) -> bool:
    return any(part.lower() == "egg" for part in path.relative_to(folder).parts[:-1])


def _is_stereo(path: Path) -> bool:
    """Decide from the header. A file that cannot be opened is kept, so that `verify` reports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)
        try:
            return audio.info(path).channels == 2
        except audio.AudioError:
            return False
