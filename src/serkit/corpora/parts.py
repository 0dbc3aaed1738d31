"""Names of the parts of a given split."""

from __future__ import annotations

from collections.abc import Iterable

#: serkit's name by the names that people give to parts, in lower case.
PARTS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development", "devel"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
    "unused": "unused",
}


def part_in(names: Iterable[str]) -> str | None:
    """Return serkit's name of the first part among names of folders or words of a file's name."""
    return next((part for name in names if (part := part_of(name))), None)


def part_of(name: str) -> str | None:
    """Return serkit's name of a part, or None if a name is none.

    >>> part_of("Dev"), part_of("anger")
    ('validation', None)
    """
    return PARTS.get(name.lower())
