"""IEMOCAP: English, five sessions of two actors each, improvised and scripted dialogues.

Labels: `SessionN/dialog/EmoEvaluation/<dialog>.txt`, one line per turn:
`[6.2901 - 8.2357] <TAB> Ses01F_impro01_F000 <TAB> neu <TAB> [2.5000, 2.5000, 2.5000]`, the last group holds
valence, activation (arousal) and dominance, each 1 to 5. Sound: `SessionN/sentences/wav/<dialog>/<id>.wav`.
The letter after `Ses01` shows who wears the markers; the letter of the turn is the speaker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from serkit import finding
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, recordings
from serkit.emotions import canonical

FACTS = Facts(
    name="iemocap",
    title="Interactive Emotional Dyadic Motion Capture Database (IEMOCAP)",
    language="en",
    style="acted",
    licence="by request, for research; no commercial use without a licence, no passing on",
    citation="Busso, C., Bulut, M., Lee, C.-C., Kazemzadeh, A., Mower, E., Kim, S., Chang, J. N., Lee, S., "
    "Narayanan, S. S. (2008). IEMOCAP: Interactive emotional dyadic motion capture database. Language "
    "Resources and Evaluation 42(4), 335-359.",
    url="https://sail.usc.edu/iemocap/",
    # oth: another emotion; xxx: the raters disagreed.
    counts={
        "anger": 1103,
        "disgust": 2,
        "excitement": 1041,
        "fear": 40,
        "frustration": 1849,
        "happiness": 595,
        "neutral": 1708,
        "oth": 3,
        "sadness": 1084,
        "surprise": 107,
        "xxx": 2507,
    },
    speakers=10,
)
LAYOUT = "It should hold Session1 to Session5, each with dialog/EmoEvaluation and sentences/wav."

_TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(Ses(\d\d)[FM]_(\w+)_([FM])\w+)\t(\w+)\t\[([\d.]+), ([\d.]+), ([\d.]+)\]")


def read(folder: Path) -> Corpus:
    """Read IEMOCAP. Style (improvised or scripted), session and dialogue are attributes.

    Turns without a recording, and recordings without an evaluation, are skipped.
    """
    turns = {match[1]: match for match in _turns(folder)}
    # dialog/wav in the same session holds whole dialogues.
    found = recordings(folder).only(lambda path: "sentences" in path.relative_to(folder).parts)
    corpus = collect(FACTS, folder, found, lambda path: _parse(path, turns))
    there = {utterance.path.stem for utterance in corpus.utterances}
    missing = {turn: "has an evaluation but no recording" for turn in sorted(turns) if turn not in there}
    return replace(corpus, skipped={**corpus.skipped, **missing})


def _turns(folder: Path) -> Iterator[re.Match[str]]:
    """Find the lines with the final label of a turn."""
    for path in map(Path, finding.named(str(folder), "*.txt")):
        # Folders next to these files hold the individual raters.
        if path.parent.name == "EmoEvaluation":
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if match := _TURN.match(line):
                    yield match


def _parse(path: Path, turns: dict[str, re.Match[str]]) -> Utterance | str:
    if path.stem not in turns:
        return "has no evaluation in dialog/EmoEvaluation"
    turn, session, dialog, letter, emotion, valence, arousal, dominance = turns[path.stem].groups()
    return Utterance(
        id=f"iemocap/{turn}",
        path=path,
        speaker=f"iemocap/Ses{session}{letter}",
        sex="female" if letter == "F" else "male",
        language="en",
        targets={
            "emotion": canonical(emotion),
            "valence": float(valence),
            "arousal": float(arousal),
            "dominance": float(dominance),
        },
        attributes={
            "session": int(session),
            "style": "improvised" if "impro" in dialog else "scripted",
            "dialog": dialog,
        },
    )
