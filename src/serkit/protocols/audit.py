"""What the test part of a split shares with the parts that were learned from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.protocols.splits import Split

#: What is looked for, in this order. Sharing one is a leak, but for sentences: corpora of acted speech
#: let every actor say the same ones.
KINDS = ("utterance", "recording", "speaker", "sentence")
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that two parts of a split share, or that could not be checked.

    Args:
        kind: one of `KINDS`, or `unknown speaker`, `unknown sentence`, `unknown recording`.
        parts: the parts concerned: `("train", "test")`, `("validation", "test")`; of an unknown: all
            parts that have some.
        ids: utterances concerned, of these parts, sorted.
        message: one line for people.
        shared: what is shared: ids, content hashes, speakers or sentences, sorted; empty for an unknown.
        total: how many of that kind the test part has; for an unknown how many utterances the split has.
    """

    kind: str
    parts: tuple[str, ...]
    ids: tuple[str, ...]
    message: str
    shared: tuple[str, ...] = ()
    total: int = 0

    @property
    def severity(self) -> Literal["leak", "note"]:
        """`leak` where the score says too much, `note` where it only has to be known."""
        return "leak" if self.kind in {"utterance", "recording", "speaker"} else "note"


def audit(split: Split, utterances: Iterable[Utterance], hashes: Mapping[str, str]) -> list[Finding]:
    """Compare the test part of a split with its training and its validation part.

    Args:
        split: the division; its ids are utterances'.
        utterances: all of the split, in any order; further ones do no harm.
        hashes: content hash of each utterance's sound by id (see `serkit.audio.content_hash`).

    Returns:
        What was found, leaks first; empty for a clean split.

    Raises:
        UserError: an id of the split is not among the utterances.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    missing = [id for ids in parts.values() for id in ids if id not in by_id]
    if missing:
        raise UserError(
            f"{split.name}: {len(missing)} ids are not among the utterances (first: '{missing[0]}'); "
            "give the corpora that the split was made from"
        )
    known: dict[str, Mapping[str, str | None]] = {
        "utterance": {id: id for id in by_id},
        "recording": {id: hashes.get(id) for id in by_id},
        "speaker": {id: utterance.speaker for id, utterance in by_id.items()},
        "sentence": {id: utterance.sentence for id, utterance in by_id.items()},
    }
    shared = [
        finding
        for kind in KINDS
        for part in ("train", "validation")
        if (finding := _shared(kind, known[kind], part, parts))
    ]
    return shared + [finding for kind in KINDS if (finding := _unknown(kind, known[kind], parts))]


def _shared(kind: str, keys: Mapping[str, str | None], part: str, parts: Mapping[str, Sequence[str]]) -> Finding | None:
    tested = {key for id in parts["test"] if (key := keys[id]) is not None}
    both = {key for id in parts[part] if (key := keys[id]) in tested}
    if not both:
        return None
    ids = tuple(sorted({id for id in [*parts[part], *parts["test"]] if keys[id] in both}))
    names = tuple(sorted(both))
    # A hash tells nobody anything; the names of the files do.
    examples = ids if kind == "recording" else names
    listed = ", ".join(examples[:_SHOWN]) + (", ..." if len(examples) > _SHOWN else "")
    message = f"{len(both)} of {len(tested)} {kind}s in test are also in {part}: {listed}"
    return Finding(kind, (part, "test"), ids, message, names, len(tested))


def _unknown(kind: str, keys: Mapping[str, str | None], parts: Mapping[str, Sequence[str]]) -> Finding | None:
    ids = sorted({id for part in parts.values() for id in part if keys[id] is None})
    if not ids:
        return None
    total = len({id for part in parts.values() for id in part})
    concerned = tuple(name for name, part in parts.items() if any(keys[id] is None for id in part))
    message = f"{kind} unknown for {len(ids)} of {total} utterances: not compared"
    return Finding(f"unknown {kind}", concerned, tuple(ids), message, total=total)


def summary(findings: Sequence[Sequence[Finding]]) -> list[str]:
    """Put the findings of all splits of a protocol into the flags stored with its scores.

    Args:
        findings: what `audit` returned, for each split.

    Returns:
        One line per kind, leaks first; empty when nothing was found in any split.
    """
    by_kind: dict[str, list[list[Finding]]] = {}
    for of_split in findings:
        for kind in {finding.kind for finding in of_split}:
            by_kind.setdefault(kind, []).append([finding for finding in of_split if finding.kind == kind])
    order = [*KINDS, *(f"unknown {kind}" for kind in KINDS)]
    return [_line(kind, by_kind[kind], len(findings)) for kind in order if kind in by_kind]


def _line(kind: str, found: Sequence[Sequence[Finding]], folds: int) -> str:
    """Word the findings of one kind, listed by fold; `folds` counts those without any as well."""
    flat = [finding for of_split in found for finding in of_split]
    where = f"{len(found)} of {folds} folds"
    count = len({id for finding in flat for id in finding.ids})
    if kind.startswith("unknown"):
        return f"{kind}: {count} utterances in {where}, not compared"
    if kind == "sentence":
        whole = [any(len(finding.shared) == finding.total for finding in of_split) for of_split in found]
        return f"sentences shared: {'all' if len(whole) == folds and all(whole) else f'some, in {where}'}"
    # What only the choice of the epoch saw is less than what the network was trained on.
    only = "" if any("train" in finding.parts for finding in flat) else " (validation part only)"
    if kind == "speaker":
        return f"speaker leak: {where} share speakers{only}"
    many = f"{count} {kind} is" if count == 1 else f"{count} {kind}s are"
    what = "bit-identical across parts" if kind == "recording" else "in both parts"
    return f"{kind} leak: {many} {what} in {where}{only}"
