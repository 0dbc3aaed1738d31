"""Flags: reasons why a score may be too optimistic. They are stored with the score."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

#: A leak; a possible leak, or one that could not be checked; a fact to know.
Severity = Literal["leak", "caution", "note"]

#: Worst first.
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_VERDICTS = {
    "leak": "Leak found: scores on these test parts are too optimistic",
    "caution": "No leak found, but some groups are shared or could not be checked",
    "good": "No leak found",
}


@dataclass(frozen=True)
class Flag:
    """A fact to know about scores.

    Args:
        kind: subject of the flag, e.g. `speaker`, `unknown sentence` or `protocol`.
        severity: severity of the flag.
        text: one line for people.
    """

    kind: str
    severity: Severity
    text: str

    def to_dict(self) -> dict[str, str]:
        """Return the flag in the form of `scores.json`."""
        return asdict(self)

    @classmethod
    def read(cls, entry: str) -> Flag:
        """Return a flag of an older file, which holds only its text.

        >>> Flag.read("speaker leak: 1 of 1 folds share speakers")
        Flag(kind='speaker', severity='leak', text='speaker leak: 1 of 1 folds share speakers')
        """
        kind, leak, _ = entry.partition(" leak: ")
        if leak:
            return cls(kind, "leak", entry)
        for start, (name, severity) in _TEXTS.items():
            if match := re.match(start, entry):
                return cls(match.expand(name), severity, entry)
        return cls("other", "caution", entry)


#: Beginnings of the texts in older files, with kind and severity. A text that is not known to be harmless is a caution.
#: Shared or unknown sentences are notes, because the actors of a corpus say the same sentences by design.
_TEXTS: Mapping[str, tuple[str, Severity]] = {
    "sentences shared": ("sentence", "note"),
    "sessions shared": ("session", "caution"),
    "(unknown sentence)": (r"\1", "note"),
    r"(unknown \w+):": (r"\1", "caution"),
    r"stage '.*' starts from .* is not known$": ("unknown training", "caution"),
    "not EGG": ("channel", "note"),
    "classes left out": ("left out", "note"),
    "labels '.*' does not know are left out|.* have none of the numbers": ("left out", "caution"),
    "classes absent": ("absent", "caution"),
    "speakers that differ only in spelling": ("spelling", "caution"),
    "contradicting labels": ("contradiction", "caution"),
    "stage '.*' learns no": ("target", "caution"),
    "speakers (may|are)|the test part is|pieces and augmented": ("protocol", "caution"),
}


def worst_first(flags: Iterable[Flag]) -> list[Flag]:
    """Sort flags by severity; flags of equal severity keep their order."""
    return sorted(flags, key=lambda flag: SEVERITIES.index(flag.severity))


def first_leak(flags: Sequence[Flag]) -> str | None:
    """Return the text of the first leak; None: there is none."""
    return next((flag.text for flag in flags if flag.severity == "leak"), None)


def verdict(flags: Sequence[Flag]) -> tuple[str, str]:
    """Return `leak`, `caution` or `good`, and the verdict as a sentence."""
    worst = min((flag.severity for flag in flags), key=SEVERITIES.index, default="note")
    kind = "good" if worst == "note" else worst
    return kind, _VERDICTS[kind]
