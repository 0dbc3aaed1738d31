"""TAVA: English, acted, with speech and electroglottograph (EGG) of the same take, rated by listeners.

Names: `recordings/s01_annoyed_audio` and `egg/s01_annoyed_EGG`; EGG names misspell one affect
(`contemputeous`). `SummaryData.csv` holds the speaker's sex and the listeners' mean ratings, each -1 to 1.
`alignment.tsv`, if it exists, holds the time in the EGG at which the speech begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from serkit import sheets
from serkit.corpora.corpus import Channel, Corpus, Facts, Target, Utterance
from serkit.corpora.search import collect, companion, recordings
from serkit.emotions import canonical
from serkit.errors import UserError

FACTS = Facts(
    name="tava",
    title="TAVA: speech and electroglottograph of acted affects",
    language="en",
    style="acted",
    licence="AGPL-3.0: what is derived from it may be passed on only under AGPL-3.0; serkit ships no weights "
    "trained on it",
    citation="Gómez-Cañón, J. S., et al. (2025). TAVA. IEEE WASPAA 2025.",
    url="",
    counts={
        "annoyed": 22,
        "confident": 22,
        "contempt": 22,
        "dark": 22,
        "depressed": 22,
        "enraged": 22,
        "frightened": 22,
        "happiness": 22,
        "joyful": 22,
        "mellow": 22,
        "miserable": 22,
        "satisfied": 22,
        "serene": 22,
        "thrilled": 22,
        "tranquil": 22,
        "worried": 22,
    },
    speakers=22,
    target="affect",
)
LAYOUT = "It should hold recordings such as recordings/s01_annoyed_audio.wav and egg/s01_annoyed_EGG.wav."

_Key = tuple[str, str]
_NAME = re.compile(r"(s(\d+))_([a-z]+)_(audio|EGG|tEGG)", re.IGNORECASE)


def read(folder: Path) -> Corpus:
    """Read TAVA with targets `affect` (16 classes; also as `emotion`), `quadrant`, `valence`, `arousal`, `dominance`.

    The quadrants `positive_high`, `positive_low`, `negative_low` and `negative_high` are the signs of mean
    valence and arousal, as rated from the speech. Attribute `axis_distance` is the distance of the rating from
    the nearer boundary; near 0, the quadrant is due to chance. Attribute `egg_correlation` is the peak of the
    cross-correlation that aligned the EGG. Without `alignment.tsv` it is missing, and the EGG is assumed to
    start with the speech.

    Raises:
        UserError: a column is missing in `SummaryData.csv` or `alignment.tsv`.
    """
    found = recordings(folder)
    eggs = _eggs(found)
    ratings = _ratings(companion(folder, "SummaryData.csv"))
    starts = _starts(companion(folder, "alignment.tsv"))

    def parse(path: Path) -> Utterance | str:
        match = _NAME.fullmatch(path.stem)
        if not match:
            return "name does not have the form s01_annoyed_audio"
        if match[4].lower() != "audio":
            return "is transformed EGG, not speech"
        key = match[1].lower(), canonical(match[3])
        sex, targets, distance = ratings.get(key, (None, {}, None))
        start, correlation = starts.get(key, (0.0, None))
        attributes = {"axis_distance": distance, "egg_correlation": correlation}
        return Utterance(
            id=f"tava/{path.stem}",
            path=path,
            speaker=f"tava/{key[0]}",
            sex=sex,
            language="en",
            targets={"affect": key[1], "emotion": key[1], **targets},
            channels={"egg": Channel(eggs[key], start=start)} if key in eggs else {},
            attributes={name: value for name, value in attributes.items() if value is not None},
        )

    return collect(FACTS, folder, found.only(lambda path: not path.stem.lower().endswith("_egg")), parse)


def _eggs(paths: Iterable[Path]) -> dict[_Key, Path]:
    """Find the EGG for each speaker and affect."""
    matches = [(path, _NAME.fullmatch(path.stem)) for path in paths if path.stem.lower().endswith("_egg")]
    return {(match[1].lower(), canonical(match[3])): path for path, match in matches if match}


def _ratings(path: Path | None) -> dict[_Key, tuple[str, Mapping[str, Target], float]]:
    """Read sex, targets and distance from the nearer axis for each speaker and affect."""
    if path is None:
        return {}
    found: dict[_Key, tuple[str, Mapping[str, Target], float]] = {}
    try:
        for row in sheets.read(path).sound().rows.values():
            if row["Variant"] != "speech":
                continue
            valence, arousal, dominance = (float(row[f"mean{name}"]) for name in ("Valence", "Arousal", "Dominance"))
            targets: dict[str, Target] = {
                "quadrant": _quadrant(valence, arousal),
                "valence": valence,
                "arousal": arousal,
                "dominance": dominance,
            }
            key = f"s{int(row['Speaker Number']):02}", canonical(row["Affect Name"])
            found[key] = row["Sex"].lower(), targets, min(abs(valence), abs(arousal))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: is not TAVA's list of ratings, or is damaged ({error})") from None
    return found


def _quadrant(valence: float, arousal: float) -> str:
    """Return the quadrant of two ratings; the boundary itself belongs to `negative` and `low`.

    >>> _quadrant(0.3, -0.4)
    'positive_low'
    """
    return f"{'positive' if valence > 0 else 'negative'}_{'high' if arousal > 0 else 'low'}"


def _starts(path: Path | None) -> dict[_Key, tuple[float, float]]:
    """Read the start of the speech in the EGG (s) and the correlation peak for each speaker and affect."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        # Several columns are named nxcorr; each belongs to the column before it.
        column = lines[0].split("\t").index("audio_start_in_egg_s")
        found = {}
        for line in lines[1:]:
            cells = line.split("\t")
            speaker, affect = cells[0].split("_")
            found[speaker, canonical(affect)] = float(cells[column]), float(cells[column + 1])
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: is not TAVA's alignment, or is damaged ({error})") from None
    return found
