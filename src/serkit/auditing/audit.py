"""Find what the test part of a split shares with the other parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serkit.auditing import doubts
from serkit.auditing.copies import Copy
from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.flags import Flag, Severity
from serkit.protocols.requirements import group_key
from serkit.protocols.splits import Split

#: Intervals of one recording that overlap by at most this (s) are neighbors with rounded ends.
TOLERANCE = 0.05

#: Kinds of findings, in order. All are leaks, except for the last four. In corpora of acted speech every actor says the
#: same sentences, and a session may have several speakers; doubtful speakers and labels are searched in all parts.
KINDS = (
    "utterance",
    "recording",
    "overlap",
    "copy",
    "training",
    "normalisation",
    "selection",
    "speaker",
    "session",
    "sentence",
    "spelling",
    "contradiction",
)
#: Kinds that are not leaks. What could not be checked is a caution, but that of sentences, which may be shared anyway.
_MILDER: Mapping[str, Severity] = {
    "session": "caution",
    "sentence": "note",
    "unknown sentence": "note",
    "spelling": "caution",
    "contradiction": "caution",
}
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """Something that two parts of a split share, or that could not be checked.

    Args:
        kind: one of `KINDS`, or `unknown speaker`, `unknown sentence`, `unknown recording`, `unknown training`.
        parts: parts concerned: `("train", "test")`, `("validation", "test")`; for an unknown kind, all parts with
            unknown values.
        ids: sorted utterances of these parts that are concerned.
        message: one line for people.
        shared: sorted shared values: ids, content hashes, pairs of intervals or copies, speakers, sessions or
            sentences; or what was fitted on the test part; empty for an unknown kind.
        total: number of such values in the test part; for an unknown kind, number of utterances in the split.
        pairs: for recordings and copies, sorted pairs of the file in the test part and the file in the other part.
    """

    kind: str
    parts: tuple[str, ...]
    ids: tuple[str, ...]
    message: str
    shared: tuple[str, ...] = ()
    total: int = 0
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def severity(self) -> Severity:
        """`leak` if the score is optimistic, `caution` if it may be, `note` if it is only information."""
        return _severity(self.kind)


def audit(
    split: Split,
    utterances: Iterable[Utterance],
    hashes: Mapping[str, str],
    copies: Iterable[Copy] = (),
    labels: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """Compare the test part of a split with its training and validation parts.

    Args:
        split: the split, with ids of utterances.
        utterances: all utterances of the split, in any order; further ones are ignored.
        hashes: content hash of each utterance's file by id (see `serkit.audio.content_hash`).
        copies: utterances that are one recording (see `copies.copies`); bit-identical and overlapping ones are not
            reported again.
        labels: labels of each utterance by id, compared for bit-identical recordings; None: no comparison.

    Returns:
        The findings, leaks first; empty for a clean split.

    Raises:
        UserError: an utterance of the split is missing.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    missing = [id for ids in parts.values() for id in ids if id not in by_id]
    if missing:
        raise UserError(
            f"{split.name}: {len(missing)} ids are not in the given utterances (first: '{missing[0]}'); "
            "give the corpora from which the split was made"
        )
    known: dict[str, Mapping[str, str | None]] = {
        "utterance": {id: id for id in by_id},
        "recording": {id: heard(utterance, hashes) for id, utterance in by_id.items()},
        "speaker": {id: utterance.speaker for id, utterance in by_id.items()},
        "session": {id: group_key(utterance, "session") for id, utterance in by_id.items()},
        "sentence": {id: utterance.sentence for id, utterance in by_id.items()},
    }
    near = [pair for pair in copies if not _same_sound(by_id[pair.first], by_id[pair.second], hashes)]

    def between(kind: str, part: str) -> Finding | None:
        if kind == "overlap":
            return _overlapping(by_id, hashes, part, parts)
        if kind == "copy":
            return _copied(near, by_id, part, parts)
        finding = _shared(kind, known[kind], part, parts)
        if finding and kind == "recording":
            return replace(finding, pairs=_pairs(known[kind], by_id, part, parts))
        return finding

    compared = [kind for kind in KINDS if kind in ("overlap", "copy") or kind in known]
    shared = [found for kind in compared for part in ("train", "validation") if (found := between(kind, part))]
    # Most corpora have no sessions, so unknown sessions are not reported.
    asked = [kind for kind in known if kind != "session"]
    unknown = [finding for kind in asked if (finding := _unknown(kind, known[kind], parts))]
    return [
        *shared,
        *_alike(known["speaker"], parts),
        *_contradicting(labels or {}, known["recording"], parts),
        *unknown,
    ]


def _alike(speakers: Mapping[str, str | None], parts: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Yield a finding if several speakers may be one person."""
    of = {name: {speaker for id in ids if (speaker := speakers[id])} for name, ids in parts.items()}
    groups = doubts.alike(set().union(*of.values()))
    if not groups:
        return
    names = tuple(" ~ ".join(group) for group in groups)
    learned = of["train"] | of["validation"]
    across = any(learned.intersection(group) and of["test"].intersection(group) for group in groups)
    concerned = {speaker for group in groups for speaker in group}
    message = f"speakers that differ only in spelling{', some across parts' if across else ''}: {doubts.listed(names)}"
    yield _about("spelling", [id for id, speaker in speakers.items() if speaker in concerned], parts, message, names)


def _contradicting(
    labels: Mapping[str, Collection[str]], recordings: Mapping[str, str | None], parts: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Yield a finding if bit-identical recordings have different labels."""
    there = {id: labels[id] for ids in parts.values() for id in ids if id in labels}
    groups = doubts.contradictions(there, recordings)
    if groups:
        names = tuple(doubts.name_contradictions(groups, there))
        ids = [id for group in groups for id in group]
        yield _about("contradiction", ids, parts, doubts.tell_contradictions(names), names)


def _about(
    kind: str, ids: Sequence[str], parts: Mapping[str, Sequence[str]], message: str, names: tuple[str, ...]
) -> Finding:
    """Build a finding about utterances in any part."""
    found = {name: set(part).intersection(ids) for name, part in parts.items()}
    everyone = set().union(*parts.values())
    concerned = tuple(name for name, some in found.items() if some)
    return Finding(kind, concerned, tuple(sorted(everyone.intersection(ids))), message, names, len(everyone))


def heard(utterance: Utterance, hashes: Mapping[str, str]) -> str | None:
    """Identify the sound of an utterance: the content of its file, with the interval if it has one."""
    if utterance.id not in hashes:
        return None
    place = [utterance.start, utterance.end, utterance.index]
    return hashes[utterance.id] + "".join(f" {value}" for value in place if value is not None)


def _same_sound(first: Utterance, second: Utterance, hashes: Mapping[str, str]) -> bool:
    """Return whether two utterances share samples of one recording."""
    sound = heard(first, hashes)
    if sound is None or hashes[first.id] != hashes.get(second.id):
        return False
    return sound == heard(second, hashes) or bool(_overlap(_places([first]), _places([second])).all())


def _overlapping(
    utterances: Mapping[str, Utterance], hashes: Mapping[str, str], part: str, parts: Mapping[str, Sequence[str]]
) -> Finding | None:
    """Find intervals of the test part that overlap with others of the same recording in another part."""
    learned: dict[str, list[Utterance]] = {}
    for id in parts[part]:
        if id in hashes:
            learned.setdefault(hashes[id], []).append(utterances[id])
    places = {content: _places(of_one) for content, of_one in learned.items()}
    across: dict[str, list[str]] = {}
    for id in parts["test"]:
        if hashes.get(id) in learned:
            tested, others = utterances[id], learned[hashes[id]]
            found = [others[row] for row in np.flatnonzero(_overlap(_places([tested]), places[hashes[id]]))]
            # Identical intervals are a separate finding.
            across[id] = [other.id for other in found if heard(other, hashes) != heard(tested, hashes)]
    pairs = [(id, other) for id, others in sorted(across.items()) for other in sorted(others)]
    if not pairs:
        return None
    names = tuple(f"{id} ~ {other}" for id, other in pairs)
    ids = tuple(sorted({id for pair in pairs for id in pair}))
    count, total = len({id for id, _ in pairs}), len(parts["test"])
    message = f"{count} of {total} recordings in test overlap with others of the same file in {part}: {_listed(names)}"
    return Finding("overlap", (part, "test"), ids, message, names, total)


def _places(utterances: Sequence[Utterance]) -> np.ndarray:
    """Return start and end in s, and channel (NaN: mean of all), of intervals of one recording: (rows, 3)."""
    return np.array(
        [
            (u.start or 0.0, np.inf if u.end is None else u.end, np.nan if u.index is None else u.index)
            for u in utterances
        ]
    )


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return which rows of `_places` share sound with those of others, (rows,)."""
    shared = np.minimum(first[:, 1], second[:, 1]) - np.maximum(first[:, 0], second[:, 0])
    apart = np.abs(first[:, 2] - second[:, 2]) > 0  # never true for a mean
    values: np.ndarray = (shared > TOLERANCE) & ~apart
    return values


def _copied(
    copies: Sequence[Copy], by_id: Mapping[str, Utterance], part: str, parts: Mapping[str, Sequence[str]]
) -> Finding | None:
    """Find recordings of the test part with a changed copy in another part."""
    learned, tested = set(parts[part]), set(parts["test"])
    across = {
        (other, one): pair
        for pair in copies
        for one, other in ((pair.first, pair.second), (pair.second, pair.first))
        if one in learned and other in tested
    }
    if not across:
        return None
    names = tuple(f"{tested_id} ~ {id} ({_how_alike(pair)})" for (tested_id, id), pair in sorted(across.items()))
    ids = tuple(sorted({id for both in across for id in both}))
    copied = {tested_id for tested_id, _ in across}
    message = f"{len(copied)} of {len(tested)} recordings in test have a changed copy in {part}: {_listed(names)}"
    files = sorted({(str(by_id[tested_id].path), str(by_id[id].path)) for tested_id, id in across})
    return Finding("copy", (part, "test"), ids, message, names, len(tested), tuple(files))


def _pairs(
    keys: Mapping[str, str | None], by_id: Mapping[str, Utterance], part: str, parts: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, str], ...]:
    """Return the files of the test part and of another part that hold the same recording."""
    there: dict[str, list[str]] = {}
    for id in parts[part]:
        if (key := keys[id]) is not None:
            there.setdefault(key, []).append(str(by_id[id].path))
    pairs = {(str(by_id[id].path), other) for id in parts["test"] for other in there.get(keys[id] or "", [])}
    return tuple(sorted(pairs))


def _how_alike(pair: Copy) -> str:
    return f"{pair.coherence:.2f}" + (f", speed {pair.speed:g}" if pair.speed != 1 else "")


def _shared(kind: str, keys: Mapping[str, str | None], part: str, parts: Mapping[str, Sequence[str]]) -> Finding | None:
    tested = {key for id in parts["test"] if (key := keys[id]) is not None}
    both = {key for id in parts[part] if (key := keys[id]) in tested}
    if not both:
        return None
    ids = tuple(sorted({id for id in [*parts[part], *parts["test"]] if keys[id] in both}))
    names = tuple(sorted(both))
    # Users cannot read hashes, so the message gives file names.
    examples = ids if kind == "recording" else names
    message = f"{len(both)} of {len(tested)} {kind}s in test are also in {part}: {_listed(examples)}"
    return Finding(kind, (part, "test"), ids, message, names, len(tested))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _unknown(kind: str, keys: Mapping[str, str | None], parts: Mapping[str, Sequence[str]]) -> Finding | None:
    ids = sorted({id for part in parts.values() for id in part if keys[id] is None})
    if not ids:
        return None
    total = len({id for part in parts.values() for id in part})
    concerned = tuple(name for name, part in parts.items() if any(keys[id] is None for id in part))
    message = f"{kind} is unknown for {len(ids)} of {total} utterances: not compared"
    return Finding(f"unknown {kind}", concerned, tuple(ids), message, total=total)


def _severity(kind: str) -> Severity:
    return _MILDER.get(kind, "leak" if kind in KINDS else "caution")


def summary(findings: Sequence[Sequence[Finding]]) -> list[Flag]:
    """Summarize the findings of all splits of a protocol as the flags stored with its scores.

    Args:
        findings: results of `audit` for each split.

    Returns:
        One flag per kind, leaks first; empty without findings.
    """
    by_kind: dict[str, list[list[Finding]]] = {}
    for of_split in findings:
        for kind in {finding.kind for finding in of_split}:
            by_kind.setdefault(kind, []).append([finding for finding in of_split if finding.kind == kind])
    order = [*KINDS, *(f"unknown {kind}" for kind in KINDS)]
    return [Flag(kind, _severity(kind), _line(kind, by_kind[kind], len(findings))) for kind in order if kind in by_kind]


def _line(kind: str, found: Sequence[Sequence[Finding]], folds: int) -> str:
    """Return the flag for the findings of one kind, listed by fold; `folds` includes folds without findings."""
    flat = [finding for of_split in found for finding in of_split]
    where = f"{len(found)} of {folds} folds"
    count = len({id for finding in flat for id in finding.ids})
    if kind == "unknown training":
        return f"{kind}: what was used to normalize and choose is not recorded in {where}"
    if kind.startswith("unknown"):
        return f"{kind}: {count} utterances in {where}, not compared"
    names = sorted({name for finding in flat for name in finding.shared})
    if kind == "contradiction":
        return doubts.tell_contradictions(names)
    if kind == "spelling":
        return f"speakers that differ only in spelling: {doubts.listed(names)}"
    if kind in ("session", "sentence"):
        whole = [any(len(finding.shared) == finding.total for finding in of_split) for of_split in found]
        return f"{kind}s shared: {'all' if len(whole) == folds and all(whole) else f'some, in {where}'}"
    # A leak that only affects the choice of the epoch is weaker than one in training.
    only = "" if any("train" in finding.parts for finding in flat) else " (validation part only)"
    if kind == "speaker":
        return f"speaker leak: {where} share speakers{only}"
    if kind in {"training", "normalisation", "selection"}:
        return f"{kind} leak: the test part was used in {where}: {_listed(names)}"
    if kind == "overlap":
        return f"overlap leak: {count} intervals overlap with others of the same recording in {where}{only}"
    if kind == "copy":
        return f"copy leak: {count} recordings are changed copies of one another across parts in {where}{only}"
    many = f"{count} {kind} is" if count == 1 else f"{count} {kind}s are"
    what = "bit-identical across parts" if kind == "recording" else "in both parts"
    return f"{kind} leak: {many} {what} in {where}{only}"
