"""Canonical emotion names, their spellings in corpora, and merging and selecting classes."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from serkit.documents import read_toml
from serkit.errors import unknown
from serkit.text import clean

DROP = "drop"


@functools.cache
def aliases() -> dict[str, dict[str, list[str]]]:
    """Return spellings of emotions in corpora, tables and folder names: by serkit's name, then by language."""
    return read_toml(Path(__file__).with_name("emotions.toml"))


@functools.cache
def _names() -> dict[str, str]:
    """Return serkit's name by spelling, with and without accents."""
    spellings = {name: name for name in aliases()}
    spellings |= {alias: name for name, languages in aliases().items() for lst in languages.values() for alias in lst}
    return {_plain(alias): name for alias, name in spellings.items()} | spellings


def _plain(label: str) -> str:
    """Return a label without accents and with blanks for underscores and hyphens.

    >>> _plain("en_colère")
    'en colere'
    """
    label = label.replace("_", " ").replace("-", " ")
    if label.isascii():
        return label
    letters = unicodedata.normalize("NFKD", label.replace("ł", "l"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@functools.lru_cache(4096)
def canonical(label: str) -> str:
    """Return serkit's name for an emotion label in one of twelve languages; others are returned in lower case.

    >>> canonical("Angry"), canonical("ps"), canonical("colere"), canonical("annoyed")
    ('anger', 'surprise', 'anger', 'annoyed')
    """
    label = clean(label).lower()
    return _names().get(label) or _names().get(_plain(label), label)


def is_known(label: str) -> bool:
    """Return whether a label means one of serkit's emotions."""
    return canonical(label) in aliases()


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
