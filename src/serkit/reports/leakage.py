"""The audit of a run, or of splits in tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from serkit import corpora, emotions
from serkit.auditing import normalization
from serkit.auditing.audit import KINDS, Finding, audit, summary
from serkit.auditing.copies import copies
from serkit.auditing.provenance import Used, trace
from serkit.corpora import Corpus, Utterance
from serkit.data import items
from serkit.data.items import utterance_id
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.flags import Flag, verdict, worst_first
from serkit.protocols import flags, given
from serkit.protocols.splits import Split
from serkit.recognition.presentation import html_table
from serkit.runs import sealed
from serkit.runs.folder import read_description, read_note, read_splits
from serkit.systems.schema import System


@dataclass(frozen=True, repr=False)
class Leakage:
    """The result of an audit.

    Args:
        splits: names of the audited splits.
        findings: findings of each split.
        flags: flags of the protocol, followed by the findings, one per kind.
    """

    splits: Sequence[str]
    findings: Sequence[Sequence[Finding]]
    flags: Sequence[Flag]

    @property
    def leaks(self) -> list[tuple[str, Finding]]:
        """The split and the finding of each leak."""
        return [(name, finding) for name, finding in self._named() if finding.severity == "leak"]

    def __repr__(self) -> str:
        return f"Leakage({len(self.splits)} splits, {len(self.leaks)} leaks: {verdict(self.flags)[1]})"

    def _repr_html_(self) -> str:
        """Return the flags as a table in HTML, the worst first."""
        rows = [(flag.severity, flag.text) for flag in worst_first(self.flags)]
        return html_table(("", "finding"), rows, verdict(self.flags)[1])

    def to_dict(self) -> dict[str, object]:
        """Return the result as JSON."""
        named = [{"split": name, "severity": finding.severity, **asdict(finding)} for name, finding in self._named()]
        return {
            "leak": bool(self.leaks),
            "splits": list(self.splits),
            "flags": [flag.to_dict() for flag in self.flags],
            "findings": named,
        }

    def _named(self) -> list[tuple[str, Finding]]:
        pairs = zip(self.splits, self.findings, strict=True)
        return [(name, finding) for name, found in pairs for finding in found]


def audit_run(run: Path, store: Store | None = None, features: Path | None = None) -> Leakage:
    """Audit the splits and stages of a run, finished or not, and read its corpora again.

    Args:
        run: the run's folder.
        store: store of content hashes and fingerprints; None: the default store.
        features: table of features whose scaling is checked (see `serkit.auditing.normalization`).

    Raises:
        UserError: the folder holds no run, or a corpus has moved or lost utterances.
    """
    description, parts = read_description(run), read_splits(run)
    utterances: list[Utterance] = []
    for name, folder in description.places.items():
        if not Path(folder).exists():
            raise UserError(
                f"{run}: corpus '{name}' is no longer in {folder}; put it back, or write its new place into "
                f"'folders' of {run / 'run.json'}"
            )
        utterances += corpora.load(name, folder, description.reading(name)).utterances
    protocol = description.protocol.definition()
    if protocol.unit == "item":
        known = {utterance.id for utterance in utterances}
        parts = [_of_utterances(part, known) for part in parts]
    stages = run / description.stages
    traced = {part.name: trace(part, _records(run, stages, part)) for part in parts}
    labels = _labels(utterances, description.system[0].resolved()) if description.system else {}
    return _leakage(parts, utterances, labels, store, flags(protocol), traced, features)


def audit_tables(
    train: Path,
    test: Path,
    store: Store | None = None,
    validation: Path | None = None,
    known: Sequence[Corpus] = (),
    features: Path | None = None,
) -> Leakage:
    """Audit a table per part (see `serkit.protocols.given`).

    Args:
        train: table of the training part.
        test: table of the test part.
        store: see `audit_run`.
        validation: table of the validation part.
        known: corpora that hold the utterances of the rows.
        features: see `audit_run`.

    Raises:
        UserError: a file is not a table, or names files that do not exist or utterances that `known` lacks.
    """
    paths = {"train": train, "test": test} | ({"validation": validation} if validation else {})
    found = given.read_parts(paths, known)
    return _leakage(found.splits, found.utterances, found.labels, store, [], {}, features)


def audit_table(
    table: Path, store: Store | None = None, known: Sequence[Corpus] = (), features: Path | None = None
) -> Leakage:
    """Audit a table with a column `part` or `fold` for the test parts; arguments and errors are those of
    `audit_tables`."""
    found = given.read_table(table, known)
    return _leakage(found.splits, found.utterances, found.labels, store, [], {}, features)


def _labels(utterances: Iterable[Utterance], system: System) -> dict[str, list[str]]:
    """Return the classes of a run's scored utterances, as merged by its system."""
    data = system.stage_data(system.deployed)
    values = {utterance.id: items.label(utterance, data.target[0]) for utterance in utterances}
    return {id: [emotions.merge(value, data.map) or value] for id, value in values.items() if isinstance(value, str)}


def _of_utterances(part: Split, known: set[str]) -> Split:
    """Return the utterances of the windows and copies in each part; `known` holds the ids of all utterances."""

    def whose(items: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted({utterance_id(item, known) for item in items}))

    return replace(part, train=whose(part.train), validation=whose(part.validation), test=whose(part.test))


def _records(run: Path, stages: Path, part: Split) -> list[Used]:
    """Read the records of a finished fold's stages; empty if the fold or a stage's folder is missing."""
    note = read_note(run, part)
    places = [stages / name / "stage.json" for name in (note.stages.values() if note else ())]
    return [sealed.read(path, Used) for path in places if path.exists()]


def _leakage(
    parts: Sequence[Split],
    utterances: Iterable[Utterance],
    labels: Mapping[str, Collection[str]],
    store: Store | None,
    known: Sequence[Flag],
    traced: Mapping[str, Sequence[Finding]],
    features: Path | None,
) -> Leakage:
    used = {id for part in parts for id in (*part.train, *part.validation, *part.test)}
    chosen = [utterance for utterance in utterances if utterance.id in used]
    store = store or Store()
    by_path, _ = store.hashes([utterance.path for utterance in chosen])
    # An unreadable recording has no hash; the audit reports that it was not compared.
    hashes = {u.id: by_path[u.path] for u in chosen if u.path in by_path}
    pairs = copies(chosen, by_path, store)
    values = normalization.read(features, chosen) if features else None
    findings = []
    for part in parts:
        found = [*audit(part, chosen, hashes, pairs, labels), *traced.get(part.name, ())]
        if features and values and (scaled := normalization.check(part, *values, features.name)):
            found.append(scaled)
        findings.append(sorted(found, key=_order))
    return Leakage([part.name for part in parts], findings, [*known, *summary(findings)])


def _order(finding: Finding) -> int:
    return KINDS.index(finding.kind) if finding.kind in KINDS else len(KINDS)
