"""What a run is asked to do, and the experiment that it makes of a system."""

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
    """What a run is asked to do.

    Args:
        system: name of a system or path of its TOML file; or the resolved rows of a sweep's grid.
        corpora: what it learns from and is scored on.
        protocol: name of a protocol.
        sets: `key=value` overrides.
        sweep: `key=a,b,...` grids; in each fold the row with the best validation UAR, or mean CCC, is taken.
        seed: of the first repeat.
        final: whether a last model is trained on everything.
        jobs: folds trained at the same time; 0: as many as there are cores.
        threads: threads of each; 0 shares the cores among the jobs.
        accelerator: handed to Lightning Fabric.
        command: the command line that asked for it; kept with the scores.
        protocols: definitions by name, besides the standard ones and the system's own.
        baseline: whether the linear baseline is trained on the same folds, to be shown beside the scores.
        also: corpora that stages may learn from (`data.corpora`), and that are not scored.
        store: where features are kept.
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
    command: str | None = None
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    baseline: bool = False
    also: Sequence[Corpus] = ()
    store: Store = field(default_factory=Store)

    def systems(self) -> list[System]:
        """Return the systems of the sweep's grid, in the order of its keys; one without a sweep.

        Raises:
            UserError: no such system, or keys or values that it cannot have.
        """
        if not isinstance(self.system, str | Path):
            return list(self.system)
        choices = parse_sweep(self.sweep)
        for key in choices:
            if key.partition(".")[0] == "protocols":
                raise UserError(f"--sweep {key}: a sweep cannot change a protocol, since its rows share the folds")
        return [systems.load(self.system, [*self.sets, *overrides(point)]) for point in grid(choices)]

    def prepare(self, system: System) -> Experiment:
        """Select the utterances of every stage of a system, and read every recording once.

        Raises:
            UserError: unknown protocol; a stage without utterances or with a single class; two corpora of one
                name; a corpus that a stage asks for and that is not given; no readable recording; a channel that
                utterances do not have.
        """
        protocol = self._protocol(system)
        sources = {
            stage.name: selection.sources(stage, system.stage_data(stage), self.corpora, self.also)
            for stage in system.stages
        }
        recordings = self._read(system, sources)
        shared: set[str] | None = None
        flags: list[Flag] = []
        if protocol.classes == "shared":
            names = [corpus.name for corpus in self.corpora]
            shared, flags = labels.shared_classes(system, recordings.utterances, names)
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
            # Otherwise an earlier stage could learn from what is another stage's test item.
            raise UserError(
                f"protocol '{self.protocol}' cuts items: every stage needs the same data.items and data.copies"
            )
        return protocols[self.protocol]

    def _read(self, system: System, sources: Mapping[str, Sequence[Corpus]]) -> selection.Recordings:
        """Read the corpora that any stage learns from."""
        given = [*self.corpora, *self.also]
        names = [corpus.name for corpus in given]
        if len(set(names)) < len(names):
            raise UserError(f"a corpus is given twice: {', '.join(names)}")
        needed = [corpus for corpus in given if any(corpus in chosen for chosen in sources.values())]
        channels = {view.channel for view in system.views.values() if view.channel}
        return selection.read(needed, channels, self.store)

    def _scored(self, system: System, utterances: Sequence[Utterance]) -> list[Utterance]:
        """Return the deployed stage's utterances that the scores are about: those of `corpora` with the target."""
        names = {corpus.name for corpus in self.corpora}
        target = system.stage_data(system.deployed).target[0]
        return [u for u in utterances if u.corpus in names and items.label(u, target) is not None]
