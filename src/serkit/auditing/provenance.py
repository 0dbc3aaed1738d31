"""Check a run's records of its stages for fits or choices on the test part."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from serkit.auditing.audit import Finding
from serkit.data.items import utterance_id
from serkit.protocols.splits import Split
from serkit.records import Record


class Used(Record):
    """Ids of items (utterances, windows or augmented copies) that one trained stage of a fold has used.

    Args:
        name: name of the stage.
        items: items it was trained on.
        normalised_on: items that mean and deviation were fitted on, by view; None: not recorded.
        selected_on: items by which the epoch, and the method's other choices, were selected; None: not recorded.
    """

    name: str
    items: list[str] = Field([])
    normalised_on: dict[str, list[str] | None] | None = None
    selected_on: list[str] | None = None


def trace(split: Split, records: Sequence[Used]) -> list[Finding]:
    """Find what the stages of a fold fitted or chose on the fold's test part, in the order of `audit.KINDS`.

    Args:
        split: the fold, with ids of utterances.
        records: records of all its stages.
    """
    known = {*split.train, *split.validation, *split.test}
    used: dict[str, list[tuple[str, Sequence[str]]]] = {"training": [], "normalisation": [], "selection": []}
    silent = []
    for record in records:
        used["training"].append((f"stage '{record.name}'", record.items))
        for view, ids in (record.normalised_on or {}).items():
            if ids is not None:
                used["normalisation"].append((f"view '{view}' of stage '{record.name}'", ids))
        used["selection"].append((f"stage '{record.name}'", record.selected_on or ()))
        if record.normalised_on is None or None in record.normalised_on.values() or record.selected_on is None:
            silent.append(record.name)
    findings = [finding for kind, places in used.items() if (finding := _on_test(kind, places, set(split.test), known))]
    if silent:
        message = f"what was used to normalize and choose is not recorded for stage {', '.join(silent)}"
        findings.append(Finding("unknown training", ("train",), tuple(sorted(split.test)), message))
    return findings


def _on_test(
    kind: str, places: Sequence[tuple[str, Sequence[str]]], tested: set[str], known: set[str]
) -> Finding | None:
    total = len(tested)
    seen = {where: {utterance_id(id, known) for id in ids} & tested for where, ids in places}
    seen = {where: ids for where, ids in seen.items() if ids}
    if not seen:
        return None
    ids = tuple(sorted(set().union(*seen.values())))
    verb = {"training": "was trained on", "normalisation": "is normalized by", "selection": "was chosen by"}[kind]
    message = "; ".join(f"{where} {verb} {len(ids)} of {total} test utterances" for where, ids in seen.items())
    return Finding(kind, ("train", "test"), ids, message, tuple(sorted(seen)), total)
