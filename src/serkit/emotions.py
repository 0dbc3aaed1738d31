"""Canonical emotion names, their spellings in corpora, and merging and selecting classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serkit.errors import unknown
from serkit.text import clean

#: serkit's name -> spellings in corpora, tables and folder names.
ALIASES = {
    "anger": ["angry", "ang", "wut", "mad"],
    "boredom": ["bored", "bor", "langeweile"],
    "calm": ["calmness", "relaxed"],
    "contempt": ["contemptuous", "contemputeous"],
    "disgust": ["disgusted", "dis", "ekel"],
    "excitement": ["excited", "exc"],
    "fear": ["fearful", "fea", "anxiety", "afraid", "angst"],
    "frustration": ["frustrated", "fru"],
    "happiness": ["happy", "hap", "joy", "freude"],
    "neutral": ["neu", "neutrality"],
    "sadness": ["sad", "trauer"],
    "surprise": ["surprised", "sur", "ps", "pleasant surprise", "pleasant_surprise", "pleasant_surprised"],
}
_CANONICAL = {alias: name for name, aliases in ALIASES.items() for alias in [name, *aliases]}

DROP = "drop"


def canonical(label: str) -> str:
    """Return serkit's name for an emotion label; an unknown label is returned in lower case.

    >>> canonical("Angry"), canonical("ps"), canonical("annoyed")
    ('anger', 'surprise', 'annoyed')
    """
    label = clean(label).lower()
    return _CANONICAL.get(label, label)


def merge(label: str, mapping: Mapping[str, str]) -> str | None:
    """Apply a map such as `{calm = "drop", excitement = "happiness"}`; `None` means that the class is left out.

    Only mapped classes are left out. A class that is itself called `drop` is kept, even if it is mapped to itself.

    >>> merge("calm", {"calm": "drop"}), merge("drop", {"calm": "drop"}), merge("drop", {"drop": "drop"})
    (None, 'drop', 'drop')
    """
    merged = mapping.get(label, label)
    return None if merged == DROP != label else merged


def choose(available: Sequence[str], classes: str | Sequence[str]) -> list[str]:
    """Return the classes to learn, sorted: all that occur, or those listed.

    Raises:
        UserError: a listed class does not occur.
    """
    if classes == "all":
        return sorted(set(available))
    names = [classes] if isinstance(classes, str) else list(classes)
    for name in names:
        if name not in available:
            raise unknown("class", name, set(available))
    return sorted(set(names))
