"""How bad the flags of a run's scores are, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Worst first: a leak; what is not kept apart or could not be checked; what has only to be known.
SEVERITIES = ("leak", "caution", "note")

_VERDICTS = {
    "leak": "Leak found: scores on these test parts say too much",
    "caution": "No leak found, but not everything is kept apart or could be checked",
    "good": "No leak found",
}


@dataclass(frozen=True)
class Flag:
    """A flag, and which of `SEVERITIES` it is."""

    text: str
    severity: str


def rate(texts: Sequence[str]) -> list[Flag]:
    """Rate flags, worst first. What is not known to be harmless is a caution.

    >>> [flag.severity for flag in rate(["sentences shared: all", "speaker leak: 1 of 1 folds share speakers"])]
    ['leak', 'note']
    """
    found = [Flag(text, _severity(text)) for text in texts]
    return sorted(found, key=lambda flag: SEVERITIES.index(flag.severity))


def verdict(flags: Sequence[Flag]) -> tuple[str, str]:
    """Return `leak`, `caution` or `good`, and the same as a sentence."""
    worst = min((flag.severity for flag in flags), key=SEVERITIES.index, default="note")
    kind = "good" if worst == "note" else worst
    return kind, _VERDICTS[kind]


def _severity(text: str) -> str:
    if " leak: " in text:
        return "leak"
    # Actors of a corpus say the same sentences by design; to share them, or not to know it, is no fault.
    harmless = ("sentences shared", "unknown sentence", "not EGG", "classes left out")
    return "note" if text.startswith(harmless) else "caution"
