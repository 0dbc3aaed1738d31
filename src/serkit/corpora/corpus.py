"""What a corpus is made of: utterances, their channels, and the facts about the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serkit.finding import PassedOver

Target = str | float


class CorpusWarning(UserWarning):
    """A corpus is not all that it seems to be: recordings or whole classes are left out."""


@dataclass(frozen=True)
class Channel:
    """A second signal of the same take, e.g. the electroglottograph.

    Args:
        path: the file that holds it (the utterance's own file, or a parallel one).
        index: channel of that file, from 0.
        start: position in this signal, in s, at which the utterance's own signal begins.
    """

    path: Path
    index: int = 0
    start: float = 0.0


@dataclass(frozen=True)
class Utterance:
    """One labelled recording.

    Args:
        id: unique over corpora: `<corpus>/<name>`, e.g. `emodb/03a01Fa`.
        path: the sound file.
        speaker: prefixed with the corpus (`emodb/03`), so that speakers of two corpora never merge.
        sentence: likewise prefixed (`emodb/a01`): who says the same words shares it.
        sex: `female` or `male`.
        language: ISO 639-1 code, e.g. `de`.
        start: beginning in the file in s; None: of the file.
        end: end in the file in s; None: of the file.
        targets: what can be learned: `emotion`, `word`, `valence`, ...: text or number.
        channels: further signals by name, e.g. `egg`.
        attributes: anything else worth selecting by: `style`, `session`, `intensity`, ...
        index: channel of the file that holds the speech; None mixes all channels down.
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
    """What its publishers say about a corpus: the page against which a copy is checked.

    Args:
        name: serkit's name of it, and the prefix of its ids.
        title: full name.
        language: ISO 639-1 code.
        licence: of the recordings, with what it forbids.
        citation: the publication to cite.
        url: official page.
        counts: official number of utterances by target value, e.g. `{"anger": 127}`; empty: not known.
        speakers: official number of speakers; None: not known.
        target: the target that `counts` counts.
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


@dataclass(frozen=True)
class Corpus:
    """A corpus as found in a folder: its facts and its utterances, in the order of their ids.

    Args:
        facts: what its publishers say.
        folder: where it lies; of a table the file.
        utterances: its recordings.
        skipped: files that look like recordings but do not fit the corpus's naming, with the reason.
        passed_over: files and folders that are no recordings, with the reason.
        cautions: what everybody who uses it has to know, a line each: classes that are lost, say.
    """

    facts: Facts
    folder: Path
    utterances: tuple[Utterance, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, PassedOver] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.facts.name

    def __len__(self) -> int:
        return len(self.utterances)
