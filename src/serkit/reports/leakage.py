"""The audit of what lies on disk: of a run, or of two tables of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from serkit import corpora
from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.features.store import Store
from serkit.protocols import Protocol, flags
from serkit.protocols.audit import Finding, audit, summary
from serkit.protocols.splits import Split
from serkit.reports.run_folder import read_description, read_splits


@dataclass(frozen=True)
class Leakage:
    """What an audit found.

    Args:
        splits: names of the splits looked at.
        findings: of each split.
        flags: the findings in one line per kind, after what the protocol by itself does not keep apart.
    """

    splits: Sequence[str]
    findings: Sequence[Sequence[Finding]]
    flags: Sequence[str]

    @property
    def leaks(self) -> list[tuple[str, Finding]]:
        """Split and finding of everything that is a leak."""
        return [(name, finding) for name, finding in self._named() if finding.severity == "leak"]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, as JSON takes it."""
        named = [{"split": name, "severity": finding.severity, **asdict(finding)} for name, finding in self._named()]
        return {
            "leak": bool(self.leaks),
            "splits": list(self.splits),
            "flags": list(self.flags),
            "findings": named,
        }

    def _named(self) -> list[tuple[str, Finding]]:
        pairs = zip(self.splits, self.findings, strict=True)
        return [(name, finding) for name, found in pairs for finding in found]


def audit_run(run: Path, store: Store | None = None) -> Leakage:
    """Audit a run, finished or not: its splits, with its corpora read again from where they lay.

    Args:
        run: the run's folder.
        store: remembers content hashes; None: the default store.

    Raises:
        UserError: no run there; a corpus is no longer where it was, or has lost utterances since.
    """
    description, parts = read_description(run), read_splits(run)
    utterances: list[Utterance] = []
    for name, folder in {**description["folders"], **description.get("also", {})}.items():
        if not Path(folder).exists():
            raise UserError(
                f"{run}: corpus '{name}' is no longer in {folder}; put it back, or write its new place into "
                f"'folders' of {run / 'run.json'}"
            )
        utterances += corpora.load(name, folder).utterances
    options = {key: value for key, value in description["protocol"].items() if key != "name"}
    return _leakage(parts, utterances, store, flags(Protocol.model_validate(options)))


def audit_tables(train: Path, test: Path, store: Store | None = None) -> Leakage:
    """Audit two tables (see `serkit.corpora.table`): what is learned from, and what is tested.

    Rows are the same utterance where id, file and interval are equal. Equal recordings under other names
    are found by their content.

    Args:
        train: table of the training part.
        test: table of the test part.
        store: as in `audit_run`.

    Raises:
        UserError: one of them is no table, or names files that do not exist.
    """
    learned = corpora.load("table", train).utterances
    places = {utterance.id: _place(utterance) for utterance in learned}
    tested = [
        # Two tables in two folders may both name a file `1.wav`.
        replace(utterance, id=f"{utterance.id} ({test.name})")
        if places.get(utterance.id, _place(utterance)) != _place(utterance)
        else utterance
        for utterance in corpora.load("table", test).utterances
    ]
    ids = [tuple(utterance.id for utterance in part) for part in (learned, tested)]
    split = Split(f"{train.name} and {test.name}", ids[0], (), ids[1])
    return _leakage([split], [*learned, *tested], store, [])


def _place(utterance: Utterance) -> tuple[Path, float | None, float | None]:
    return utterance.path.resolve(), utterance.start, utterance.end


def _leakage(
    parts: Sequence[Split], utterances: Iterable[Utterance], store: Store | None, known: Sequence[str]
) -> Leakage:
    used = {id for part in parts for id in (*part.train, *part.validation, *part.test)}
    chosen = [utterance for utterance in utterances if utterance.id in used]
    by_path, _ = (store or Store()).hashes([utterance.path for utterance in chosen])
    # What cannot be read has no hash; the audit then says that it was not compared.
    hashes = {u.id: by_path[u.path] for u in chosen if u.path in by_path}
    findings = [audit(part, chosen, hashes) for part in parts]
    return Leakage([part.name for part in parts], findings, [*known, *summary(findings)])
