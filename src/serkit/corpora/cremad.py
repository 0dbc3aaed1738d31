"""CREMA-D: English, acted, 91 speakers.

Names: `1001_DFA_ANG_XX` holds actor, sentence, emotion and level. Sex and age come from
`VideoDemographics.csv`, if it exists. Source: github.com/CheyneyComputerScience/CREMA-D.
"""

from __future__ import annotations

import re
from pathlib import Path

from serkit import sheets
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, companion, recordings
from serkit.emotions import canonical
from serkit.errors import UserError

FACTS = Facts(
    name="cremad",
    title="Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D)",
    language="en",
    style="acted",
    licence="ODbL 1.0 (contents DbCL 1.0): a derived database may be passed on only under ODbL",
    citation="Cao, H., Cooper, D. G., Keutmann, M. K., Gur, R. C., Nenkova, A., Verma, R. (2014). CREMA-D: "
    "Crowd-sourced Emotional Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4).",
    url="https://github.com/CheyneyComputerScience/CREMA-D",
    counts={
        "anger": 1271,
        "disgust": 1271,
        "fear": 1271,
        "happiness": 1271,
        "neutral": 1087,
        "sadness": 1271,
    },
    speakers=91,
)
LAYOUT = "It should hold recordings such as AudioWAV/1001_DFA_ANG_XX.wav; VideoDemographics.csv adds sex and age."

_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
# One original file has a single X as its level.
_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)")


def read(folder: Path) -> Corpus:
    """Read CREMA-D. The level is an attribute, and so is the actor's age if it is known.

    Raises:
        UserError: `VideoDemographics.csv` lacks a column.
    """
    actors = _actors(companion(folder, "VideoDemographics.csv"))

    def parse(path: Path) -> Utterance | str:
        match = _NAME.fullmatch(path.stem)
        if not match:
            return "name does not have the form 1001_DFA_ANG_XX"
        actor, sentence, emotion, level = match.groups()
        sex, age = actors.get(actor, (None, None))
        attributes: dict[str, str | float] = {"level": _LEVELS[level]}
        if age is not None:
            attributes["age"] = age
        return Utterance(
            id=f"cremad/{path.stem}",
            path=path,
            speaker=f"cremad/{actor}",
            sentence=f"cremad/{sentence}",
            sex=sex,
            language="en",
            targets={"emotion": canonical(emotion)},
            attributes=attributes,
        )

    return collect(FACTS, folder, recordings(folder), parse)


def _actors(path: Path | None) -> dict[str, tuple[str, int]]:
    """Read sex and age of each actor."""
    if path is None:
        return {}
    try:
        return {
            row["ActorID"]: (row["Sex"].lower(), int(row["Age"])) for row in sheets.read(path).sound().rows.values()
        }
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not the list of actors with ActorID, Age and Sex ({error})") from None
