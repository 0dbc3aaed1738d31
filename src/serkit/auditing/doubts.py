"""Doubtful labels and speakers of utterances in any part."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

#: Maximum number of groups named in a line.
SHOWN = 3


def contradictions(labels: Mapping[str, Collection[str]], heard: Mapping[str, str | None]) -> list[list[str]]:
    """Find bit-identical recordings with different labels.

    Args:
        labels: labels of each utterance by id; several if a list gives different ones.
        heard: identity of each sound, see `audit.heard`; None: not known.

    Returns:
        Groups of identical utterances, sorted by id.
    """
    groups: dict[str, list[str]] = {}
    for id in sorted(labels):
        if (content := heard.get(id)) is not None:
            groups.setdefault(content, []).append(id)
    return [ids for ids in groups.values() if len({label for id in ids for label in labels[id]}) > 1]


def name_contradictions(groups: Iterable[Iterable[str]], labels: Mapping[str, Collection[str]]) -> list[str]:
    """Return a name for each group of `contradictions`: `table/a (anger) = table/b (sadness)`."""
    return [" = ".join(f"{id} ({', '.join(sorted(labels[id]))})" for id in ids) for ids in groups]


def tell_contradictions(names: Collection[str]) -> str:
    """Join the names of contradictions to one line."""
    recordings = "1 recording" if len(names) == 1 else f"{len(names)} recordings"
    return f"contradicting labels for {recordings}: {listed(names)}"


def alike(speakers: Iterable[str]) -> list[list[str]]:
    """Find speakers that may be one person: their names differ only in case, leading zeros or separators.

    >>> alike(["table/Anna", "table/anna", "table/01", "table/1", "table/11"])
    [['table/01', 'table/1'], ['table/Anna', 'table/anna']]
    """
    groups: dict[str, list[str]] = {}
    for speaker in sorted(set(speakers)):
        groups.setdefault(_folded(speaker), []).append(speaker)
    return [names for names in groups.values() if len(names) > 1]


def listed(names: Collection[str]) -> str:
    """Join names, up to a limit."""
    return ", ".join(list(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _folded(speaker: str) -> str:
    """Return the comparison key of a speaker: equal for `S01` and `s1`, but not for `s11`."""
    corpus, _, name = unicodedata.normalize("NFKC", speaker).partition("/")
    name = re.sub(r"(?<=\d)\.0+$", "", name.casefold())
    name = re.sub(r"\d+", lambda digits: str(int(digits[0])), name)
    name = re.sub(r"[\s_.-]+", " ", name).strip()
    return f"{corpus}/{name}"
