"""The records of a corpus: utterances, their channels, and facts about the collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from serkit.corpora.columns import Reading
from serkit.finding import PassedOver

Target = str | float

# Labels in a corpus's short form.
_MOST = 12


class CorpusWarning(UserWarning):
    """A corpus is incomplete: recordings or whole classes are skipped."""


@dataclass(frozen=True)
class Channel:
    """A second signal of the same take, e.g. the electroglottograph.

    Args:
        path: file of the signal (the utterance's own file, or a parallel one).
        index: channel in that file, counted from 0.
        start: time in this signal, in s, at which the speech begins.
    """

    path: Path
    index: int = 0
    start: float = 0.0


@dataclass(frozen=True)
class Utterance:
    """One labeled recording.

    Args:
        id: unique id across corpora: `<corpus>/<name>`, e.g. `emodb/03a01Fa`.
        path: sound file.
        speaker: speaker with the corpus as prefix (`emodb/03`), so that speakers of two corpora never merge.
        sentence: sentence with the same prefix (`emodb/a01`); recordings of the same words share it.
        sex: `female` or `male`.
        language: ISO 639-1 code, e.g. `de`.
        start: start in the file in s; None: start of the file.
        end: end in the file in s; None: end of the file.
        targets: values to learn: `emotion`, `word`, `valence`, ...: text or number.
        channels: further signals by name, e.g. `egg`.
        attributes: further properties to select by: `style`, `session`, `intensity`, ...
        index: channel of the speech in the file; None takes the mean of all channels.
    """

    id: str
    path: Path
    speaker: str | None = None
    sentence: str | None = None
    sex: str | None = None
    language: str | None = None
    start: float | None = None
    end: float | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    index: int | None = None

    @property
    def corpus(self) -> str:
        return self.id.partition("/")[0]


@dataclass(frozen=True)
class Facts:
    """The publishers' facts about a corpus, against which a copy is checked.

    Args:
        name: serkit's name of the corpus, and the prefix of its ids.
        title: full name.
        language: ISO 639-1 code.
        licence: license of the recordings, with its restrictions.
        citation: the publication to cite.
        url: official page.
        counts: official number of utterances by target value, e.g. `{"anger": 127}`; empty: not known.
        speakers: official number of speakers; None: not known.
        target: target that `counts` refers to.
        style: origin of the speech: acted, read aloud, or generated; None: not known.
    """

    name: str
    title: str
    language: str | None
    licence: str
    citation: str
    url: str
    counts: Mapping[str, int] = field(default_factory=dict)
    speakers: int | None = None
    target: str = "emotion"
    style: Literal["acted", "read", "generated"] | None = None


@dataclass(frozen=True)
class Corpus:
    """A corpus in a folder: its facts and its utterances, sorted by id.

    Args:
        facts: the publishers' facts.
        folder: folder of the corpus; for a table, the file.
        utterances: its recordings.
        skipped: files that look like recordings but do not fit the naming scheme, with the reason.
        passed_over: files and folders that are not recordings, with the reason.
        cautions: warnings for every user, one line each, e.g. about lost classes.
        reading: how a user's own data were read.
    """

    facts: Facts
    folder: Path
    utterances: tuple[Utterance, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, PassedOver] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    reading: Reading = field(default_factory=Reading)

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the corpora that the utterances belong to, sorted: several if a table has a column `corpus`."""
        return tuple(sorted({utterance.corpus for utterance in self.utterances}))

    def __len__(self) -> int:
        return len(self.utterances)

    def __repr__(self) -> str:
        speakers = len({utterance.speaker for utterance in self.utterances if utterance.speaker})
        target = self.facts.target
        values = Counter(str(u.targets[target]) for u in self.utterances if target in u.targets)
        shown = [f"{name} {count}" for name, count in sorted(values.items())]
        told = f", {target}: {', '.join(shown[:_MOST])}{', ...' if len(shown) > _MOST else ''}" if shown else ""
        return f"Corpus({self.name!r}, {len(self)} utterances, {speakers} speakers{told})"
