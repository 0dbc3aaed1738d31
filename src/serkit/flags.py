"""Flags: what makes a score less than it seems, stored with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

#: A leak; what is not kept apart or could not be checked; what only has to be known.
Severity = Literal["leak", "caution", "note"]

#: Worst first.
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_VERDICTS = {
    "leak": "Leak found: scores on these test parts say too much",
    "caution": "No leak found, but not everything is kept apart or could be checked",
    "good": "No leak found",
}


@dataclass(frozen=True)
class Flag:
    """One thing to know about scores.

    Args:
        kind: what it is about, e.g. `speaker`, `unknown sentence` or `protocol`.
        severity: how much it speaks against the scores.
        text: one line for people.
    """

    kind: str
    severity: Severity
    text: str

    def to_dict(self) -> dict[str, str]:
        """Return it as `scores.json` holds it."""
        return asdict(self)

    @classmethod
    def read(cls, entry: str | Mapping[str, str]) -> Flag:
        """Return a flag of `scores.json`; older files hold its text alone.

        >>> Flag.read("speaker leak: 1 of 1 folds share speakers")
        Flag(kind='speaker', severity='leak', text='speaker leak: 1 of 1 folds share speakers')
        """
        if not isinstance(entry, str):
            return cls(entry["kind"], entry["severity"], entry["text"])  # type: ignore[arg-type]
        kind, leak, _ = entry.partition(" leak: ")
        if leak:
            return cls(kind, "leak", entry)
        for start, (name, severity) in _TEXTS.items():
            if match := re.match(start, entry):
                return cls(match.expand(name), severity, entry)
        return cls("other", "caution", entry)


#: How the texts of files that hold nothing else begin, with kind and severity. What is not known to be harmless is a
#: caution. Actors of a corpus say the same sentences by design; to share them, or not to know it, is no fault.
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


def read(entries: Iterable[str | Mapping[str, str]]) -> list[Flag]:
    """Return the flags of `scores.json`, worst first."""
    return worst_first([Flag.read(entry) for entry in entries])


def worst_first(flags: Iterable[Flag]) -> list[Flag]:
    """Sort flags by severity; those of one severity keep their order."""
    return sorted(flags, key=lambda flag: SEVERITIES.index(flag.severity))


def verdict(flags: Sequence[Flag]) -> tuple[str, str]:
    """Return `leak`, `caution` or `good`, and the same as a sentence."""
    worst = min((flag.severity for flag in flags), key=SEVERITIES.index, default="note")
    kind = "good" if worst == "note" else worst
    return kind, _VERDICTS[kind]
