"""The request for a run, and the experiment that it prepares from a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from serkit import systems
from serkit.corpora.corpus import Corpus, Utterance
from serkit.data import items
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.errors import UserError, unknown
from serkit.flags import Flag
from serkit.protocols import STANDARD, Protocol
from serkit.runs import labels, selection
from serkit.runs.experiment import Experiment
from serkit.systems.grid import grid, overrides, parse_sweep
from serkit.systems.schema import System


@dataclass(frozen=True)
class Request:
    """The request for a run.

    Args:
        system: name of a system or path of its TOML file; or the resolved rows of a sweep's grid.
        corpora: corpora for training and scoring.
        protocol: name of a protocol.
        sets: `key=value` overrides.
        sweep: `key=a,b,...` grids; each fold uses the row with the best validation UAR, or mean CCC.
        seed: seed of the first repeat.
        final: whether a final model is trained on everything.
        jobs: number of folds trained at the same time; 0: the number of cores.
        threads: number of threads of each fold; 0: the cores are shared among the jobs.
        accelerator: accelerator for Lightning Fabric.
        devices: devices of each machine that train together, one fold after the other.
        nodes: machines that train together.
        command: command line of the request; stored with the scores.
        protocols: definitions by name, in addition to the standard ones and the system's own.
        baseline: whether the linear baseline is trained on the same folds and shown next to the scores.
        also: corpora that stages may learn from (`data.corpora`) but that are not scored.
        store: store of features.
    """

    system: str | Path | Sequence[System]
    corpora: Sequence[Corpus]
    protocol: str = "clean"
    sets: Sequence[str] = ()
    sweep: Sequence[str] = ()
    seed: int = 0
    final: bool = True
    jobs: int = 0
    threads: int = 0
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    command: str | None = None
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    baseline: bool = False
    also: Sequence[Corpus] = ()
    store: Store = field(default_factory=Store)

    def systems(self) -> list[System]:
        """Return the systems of the sweep's grid, in the order of its keys; one system without a sweep.

        Raises:
            UserError: the system does not exist, or does not accept the keys or values.
        """
        if not isinstance(self.system, str | Path):
            return list(self.system)
        choices = parse_sweep(self.sweep)
        for key in choices:
            if key.partition(".")[0] == "protocols":
                raise UserError(f"--sweep {key}: a sweep cannot change a protocol, because its rows share the folds")
        return [systems.load(self.system, [*self.sets, *overrides(point)]) for point in grid(choices)]

    def check(self) -> list[System]:
        """Return the systems of the sweep's grid, after a look at all that is known without a recording.

        Raises:
            UserError: as `systems`; or the protocol is unknown.
        """
        found = self.systems()
        for system in found:
            self._protocol(system)
        return found

    def prepare(self, system: System) -> Experiment:
        """Select the utterances of every stage of a system, and read every recording once.

        Raises:
            UserError: the protocol is unknown, a stage has no utterances or only one class, two corpora have the same
                name, a stage's corpus is not given, no recording is readable, or utterances lack a channel.
        """
        protocol = self._protocol(system)
        sources = {
            stage.name: selection.sources(stage, system.stage_data(stage), self.corpora, self.also)
            for stage in system.stages
        }
        recordings = self._read(system, sources)
        shared: set[str] | None = None
        flags: list[Flag] = []
        if protocol.classes != "all":
            names = [name for corpus in self.corpora for name in corpus.names]
            fewest = len(names) if protocol.classes == "shared" else 2
            shared, flags = labels.shared_classes(system, recordings.utterances, names, fewest)
        utterances: dict[str, Sequence[Utterance]] = {}
        classes: dict[str, Mapping[str, Sequence[str]]] = {}
        pieces: dict[str, Item] = {}
        for stage in system.stages:
            chosen = selection.choose(system, stage, recordings.utterances, sources[stage.name], shared)
            data = system.stage_data(stage)
            if stage == system.deployed:
                flags += labels.contradictions(chosen, data.target[0], recordings.hashes)
            if protocol.unit == "item":
                pooled = selection.pool(chosen, data)
                pieces |= pooled
                chosen = [replace(item.utterance, id=name) for name, item in pooled.items()]
            utterances[stage.name] = chosen
            classes[stage.name], missing = labels.classes_of(stage, system, chosen)
            flags += missing
        system, fallen = selection.settle_channels(system, utterances)
        scored = self._scored(system, utterances[system.deployed.name])
        return Experiment(
            system,
            protocol,
            scored,
            utterances,
            classes,
            recordings.hashes,
            self.store,
            recordings.skipped,
            pieces,
            [*fallen, *flags],
        )

    def _protocol(self, system: System) -> Protocol:
        """Return the definition of the protocol for a system."""
        protocols = {**STANDARD, **self.protocols, **system.protocols}
        if self.protocol not in protocols:
            raise unknown("protocol", self.protocol, protocols)
        tables = [system.stage_data(stage) for stage in system.stages]
        cuts_items = protocols[self.protocol].unit == "item"
        if cuts_items and any((table.items, table.copies) != (tables[0].items, tables[0].copies) for table in tables):
            # Otherwise, an earlier stage could learn from another stage's test items.
            raise UserError(
                f"protocol '{self.protocol}' splits items: every stage requires the same data.items and data.copies"
            )
        return protocols[self.protocol]

    def _read(self, system: System, sources: Mapping[str, Sequence[Corpus]]) -> selection.Recordings:
        """Read the corpora that stages learn from."""
        given = [*self.corpora, *self.also]
        for names in ([corpus.name for corpus in given], [name for corpus in given for name in corpus.names]):
            if len(set(names)) < len(names):
                raise UserError(
                    f"a corpus is given twice: {', '.join(names)}. A table may hold several, by its column 'corpus'"
                )
        needed = [corpus for corpus in given if any(corpus in chosen for chosen in sources.values())]
        channels = {view.channel for view in system.views.values() if view.channel}
        return selection.read(needed, channels, self.store)

    def _scored(self, system: System, utterances: Sequence[Utterance]) -> list[Utterance]:
        """Return the scored utterances: those of the deployed stage in `corpora` with the target."""
        names = {name for corpus in self.corpora for name in corpus.names}
        target = system.stage_data(system.deployed).target[0]
        return [u for u in utterances if u.corpus in names and items.label(u, target) is not None]
