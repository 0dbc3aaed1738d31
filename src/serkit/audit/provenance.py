"""What a run wrote down about its stages: was anything fitted or chosen on the test part?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serkit.audit.audit import Finding
from serkit.data.items import utterance_id
from serkit.protocols.splits import Split


@dataclass(frozen=True)
class Record:
    """What one trained stage of a fold has seen, by the ids of items (utterances, windows or augmented copies).

    Args:
        stage: its name.
        learned: what it was trained on.
        normalised: by view, what the mean and deviation were fitted on; None: the run does not say.
        selected: what the epoch that was kept, and the rest of what the method chooses, were chosen by; None: the
            run does not say.
    """

    stage: str
    learned: Sequence[str]
    normalised: Mapping[str, Sequence[str] | None] | None
    selected: Sequence[str] | None

    @classmethod
    def of(cls, description: Mapping) -> Record:
        """Take it from the content of `stage.json`."""
        return cls(
            stage=description["name"],
            learned=description.get("items", ()),
            normalised=description.get("normalised_on"),
            selected=description.get("selected_on"),
        )


def trace(split: Split, records: Sequence[Record]) -> list[Finding]:
    """Return what the stages of a fold fitted or chose on the fold's test part, in the order of `audit.KINDS`.

    Args:
        split: the fold; its ids are utterances'.
        records: of all its stages.
    """
    known = {*split.train, *split.validation, *split.test}
    used: dict[str, list[tuple[str, Sequence[str]]]] = {"training": [], "normalisation": [], "selection": []}
    silent = []
    for record in records:
        used["training"].append((f"stage '{record.stage}'", record.learned))
        for view, ids in (record.normalised or {}).items():
            if ids is not None:
                used["normalisation"].append((f"view '{view}' of stage '{record.stage}'", ids))
        used["selection"].append((f"stage '{record.stage}'", record.selected or ()))
        if record.normalised is None or None in record.normalised.values() or record.selected is None:
            silent.append(record.stage)
    findings = [finding for kind, places in used.items() if (finding := _on_test(kind, places, set(split.test), known))]
    if silent:
        message = f"what was used to normalise and choose is not written down for stage {', '.join(silent)}"
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
    verb = {"training": "was trained on", "normalisation": "is normalised by", "selection": "was chosen by"}[kind]
    message = "; ".join(f"{where} {verb} {len(ids)} of {total} test utterances" for where, ids in seen.items())
    return Finding(kind, ("train", "test"), ids, message, tuple(sorted(seen)), total)
