"""Reproduce a published table or figure next to the published values."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from serkit import systems
from serkit.atomic import write_text
from serkit.corpora.corpus import Corpus
from serkit.engine import Engine, Lost
from serkit.errors import UserError, unknown
from serkit.evaluation.scores import Scores
from serkit.papers import BASELINES, Artefact, Figure, Paper, PublishedTable, Row
from serkit.papers.conclusion import of_figure, of_table
from serkit.papers.figures import Ran, drawing
from serkit.papers.pages import page
from serkit.papers.reproduced import (
    Cell,
    DrawnRow,
    Heading,
    Published,
    Reproduced,
    ReproducedFigure,
    ReproducedRow,
    ReproducedTable,
)
from serkit.protocols import STANDARD, Protocol
from serkit.protocols.splits import QUICK_FOLDS
from serkit.runs import memory
from serkit.runs.command import command
from serkit.runs.folder import RunFolder
from serkit.runs.forecast import RunForecast, forecaster
from serkit.runs.quick import overrides
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.sizes import size
from serkit.shards import Shard
from serkit.systems.schema import System
from serkit.toml import write_value


def reproduce(
    paper: Paper,
    artefact: Artefact,
    corpora: Sequence[Corpus],
    folder: Path,
    sets: Sequence[str] = (),
    protocols: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 0,
    threads: int = 0,
    report: Callable[[str], None] = lambda line: None,
    rows: Sequence[str] = (),
    also: Sequence[Corpus] = (),
    quick: bool = False,
) -> Reproduced:
    """Run every row of a table or figure on every corpus, or resume an earlier run.

    Rows share their common stages. Every table includes two baselines and the majority class.

    Args:
        paper: the publication.
        artefact: one of its tables or figures.
        corpora: each is run separately, unless the artifact requires them together.
        folder: receives the runs, `<artefact>.json`, `<artefact>.md` and a figure's pictures,
            `<artefact>-<corpus>.png`; corpora that are run together are called `a+b`.
        sets: overrides for the paper's rows, e.g. `stages.*.trainer.epochs=5` for a shorter schedule. An override of
            a stage or view that some rows lack applies to the others.
        protocols: protocols in place of the artifact's; a figure has one.
        seed: of the first repeat.
        jobs: number of folds trained at the same time; 0: the number of cores.
        threads: number of threads of each.
        report: receives a line for each finished step.
        rows: labels of the rows to run; all if empty. A table shows the others with their published values, and with
            measured values if they were run before with the same settings.
        also: corpora that stages of every row may learn from; they are not scored.
        quick: whether every row is a quick run (see `serkit.runs.quick`), to see whether all of them run. Rows that do
            not fit into memory are left out.

    Returns:
        The content of `<artefact>.json`: a `ReproducedTable` or `ReproducedFigure`.

    Raises:
        UserError: unknown row, protocol or override; a figure under several protocols; a run that is not possible; a
            row that does not fit into memory, before any is trained.
    """
    chosen, groups, frame = _prepare(artefact, corpora, folder, sets, seed, jobs, threads, report, rows, also, quick)
    if groups:  # otherwise nothing is trained
        chosen = _fitting(chosen, frame, leave_out=quick)
    heading = Heading(
        paper=paper.paper.name,
        artefact=artefact.name,
        title=artefact.title,
        sets=list(sets),
        seed=seed,
        not_run={row.label: row.not_run for row in artefact.rows if row.not_run},
    )
    result: Reproduced
    if isinstance(artefact, Figure):
        result = _figure(artefact, chosen, groups, protocols, frame, heading)
    else:
        result = _table(artefact, chosen, groups, protocols or artefact.protocols, frame, heading)
    result.save(folder / f"{artefact.name}.json")
    write_text(folder / f"{artefact.name}.md", page(paper, result))
    return result


def share(
    artefact: Artefact,
    corpora: Sequence[Corpus],
    folder: Path,
    who: Shard | Engine,
    sets: Sequence[str] = (),
    protocols: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 0,
    threads: int = 0,
    report: Callable[[str], None] = lambda line: None,
    rows: Sequence[str] = (),
    also: Sequence[Corpus] = (),
    quick: bool = False,
) -> None:
    """Run a shard's rows of a table or figure, every N-th, or all rows on the machines of an engine.

    `reproduce` then takes up their runs, and writes the table or figure. The folder is on a drive that the machines
    share. On an engine, a row trains fold after fold, with one thread unless `threads` says more.

    Args:
        who: the shard of this machine, or the engine. The other arguments are those of `reproduce`.

    Raises:
        UserError: as `reproduce`; or a row ends its process.
    """
    on_engine = isinstance(who, Engine)
    jobs, threads = (1, threads or 1) if on_engine else (jobs, threads)
    chosen, groups, frame = _prepare(
        artefact, corpora, folder.absolute(), sets, seed, jobs, threads, report, rows, also, quick
    )
    if not on_engine:  # whose machines have a memory of their own
        chosen = _fitting(chosen, frame, leave_out=quick)
    figure = isinstance(artefact, Figure)
    asked = protocols or ([artefact.protocol] if isinstance(artefact, Figure) else artefact.protocols)
    everything = [
        (row, corpus, group, protocol)
        for row in [*chosen, *([] if figure else BASELINES)]
        for corpus, group in groups.items()
        for protocol in asked
    ]
    if isinstance(who, Shard):
        for one in who.share(everything):
            frame.run(*one)
        return
    gpus = 1 if who.resources("GPU") else 0
    for (row, corpus, _, protocol), found in who.map(partial(_there, frame), everything, threads, gpus):
        if isinstance(found, Lost):
            raise UserError(f"{row.label} on {corpus}: the process that trained it ended ({found.reason})")
        report(f"{row.label} on {corpus} under {protocol} is done")


def _there(frame: _Frame, one: tuple[Row, str, Sequence[Corpus], str]) -> None:
    """Run a row on a machine of an engine."""
    replace(frame, report=_unheard).run(*one)


def _unheard(line: str) -> None:
    pass


def forecast(
    artefact: Artefact,
    corpora: Sequence[Corpus],
    sets: Sequence[str] = (),
    protocols: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 0,
    threads: int = 0,
    report: Callable[[str], None] = lambda line: None,
    rows: Sequence[str] = (),
    also: Sequence[Corpus] = (),
    quick: bool = False,
    finished: Callable[[str, RunForecast], None] = lambda name, run: None,
) -> dict[str, RunForecast]:
    """Forecast the runs of a table or figure, without the baselines of a table.

    Rows that do not fit into memory are reported and left out. Arguments are those of `reproduce`, and:

    Args:
        finished: receives each run's description and forecast as soon as it is known.

    Returns:
        The forecast of each run, by what `reproduce` reports of it.

    Raises:
        UserError: unknown row, protocol or override; a run that is not possible.
    """
    chosen, groups, frame = _prepare(artefact, corpora, Path(), sets, seed, jobs, threads, report, rows, also, quick)
    chosen = _fitting(chosen, frame, leave_out=True)
    asked = protocols or ([artefact.protocol] if isinstance(artefact, Figure) else artefact.protocols)
    found = {}
    with forecaster(report) as trials:
        for row in chosen:
            for corpus, group in groups.items():
                for protocol in asked:
                    name = f"{row.label} on {corpus} under {protocol}"
                    report(f"trying {name}")
                    found[name] = trials.forecast(frame.request(row, group, protocol))
                    finished(name, found[name])
    return found


def check(artefact: Artefact, sets: Sequence[str], protocols: Sequence[str], rows: Sequence[str]) -> None:
    """Raise UserError for what is wrong with arguments of `reproduce` and shows without a recording."""
    chosen, _, frame = _prepare(artefact, (), Path(), sets, 0, 0, 0, lambda line: None, rows, (), False)
    if isinstance(artefact, Figure) and len(protocols) > 1:
        raise UserError(f"a figure requires exactly one protocol, got {', '.join(protocols)}")
    for row in chosen:
        for protocol in protocols:
            if row.system:
                frame.request(row, (), protocol)


def _prepare(
    artefact: Artefact,
    corpora: Sequence[Corpus],
    folder: Path,
    sets: Sequence[str],
    seed: int,
    jobs: int,
    threads: int,
    report: Callable[[str], None],
    rows: Sequence[str],
    also: Sequence[Corpus],
    quick: bool,
) -> tuple[Sequence[Row], dict[str, Sequence[Corpus]], _Frame]:
    """Return the rows to run, the corpora that are run together by their common name, and how rows are run."""
    chosen = artefact.chosen(list(rows))
    changes = _by_row(artefact, sets, chosen)
    loaded = {row.label: systems.load(row.system or "", changes[row.label]) for row in artefact.rows if row.system}
    ordered = sorted(corpora, key=lambda corpus: corpus.name)
    groups: dict[str, Sequence[Corpus]] = {"+".join(corpus.name for corpus in ordered): ordered}
    if not artefact.together:
        groups = {corpus.name: [corpus] for corpus in corpora}
    return chosen, groups, _Frame(artefact, loaded, changes, folder, seed, jobs, threads, report, also, quick)


def _fitting(chosen: Sequence[Row], frame: _Frame, leave_out: bool) -> list[Row]:
    """Return the rows whose training steps fit into memory.

    Raises:
        UserError: a row does not fit, unless it is to be left out; or none fits.
    """
    processes = min(frame.jobs or os.cpu_count() or 1, QUICK_FOLDS if frame.quick else sys.maxsize)
    found: list[Row] = []
    for row in chosen:
        why = memory.misfit(frame.systems[row.label], processes) if row.label in frame.systems else None
        if why is None:
            found.append(row)
        elif leave_out:
            frame.report(f"{row.label} is left out: {why}, and --rows {shlex.quote(row.label)}")
        else:
            raise UserError(f"row '{row.label}': {why}; or name the other rows with --rows")
    if chosen and not found:
        raise UserError("none of the rows fits into memory; see the lines above")
    return found


def _by_row(artefact: Artefact, sets: Sequence[str], chosen: Sequence[Row]) -> dict[str, list[str]]:
    """Return each row's overrides: its own, and the requested ones whose stage or view its system has.

    Raises:
        UserError: none of the rows to run has the stage or view.
    """
    found: dict[str, list[str]] = {}
    used: set[str] = set()
    for row in artefact.rows:
        if row.system:
            system = systems.load(row.system, row.set)
            mine = [override for override in sets if _concerns(system, override)]
            used.update(mine if row in chosen else ())
            found[row.label] = [*row.set, *mine]
    for override in sets:
        if override not in used:
            raise UserError(f"--set {override}: no row to run of {artefact.name} has this stage or view")
    return found


def _concerns(system: System, override: str) -> bool:
    """Return whether a system has the stage or view of an override."""
    table, _, rest = override.partition("=")[0].strip().partition(".")
    known = {"stages": {"*", *(stage.name for stage in system.stages)}, "views": set(system.views)}
    return table not in known or rest.partition(".")[0] in known[table]


@dataclass(frozen=True)
class _Frame:
    """How the rows of an artifact are run: the arguments of `reproduce`, and systems and overrides by row label."""

    artefact: Artefact
    systems: Mapping[str, System]
    sets: Mapping[str, Sequence[str]]
    folder: Path
    seed: int
    jobs: int
    threads: int
    report: Callable[[str], None]
    also: Sequence[Corpus]
    quick: bool

    def place(self, row: Row, corpus: str, protocol: str) -> Path:
        """Return the folder of a row's run."""
        return self.folder / "runs" / f"{self.artefact.name}-{row.place}-{corpus}-{protocol}"

    def before(self, row: Row, corpus: str, corpora: Sequence[Corpus], protocol: str) -> tuple[Path, Scores] | None:
        """Return what `run` does for a row that was run before with the same settings; otherwise None."""
        if not (self.place(row, corpus, protocol) / "scores.json").exists():
            return None
        try:
            return self.run(row, corpus, corpora, protocol)
        except UserError:  # the folder holds a run with other settings
            return None

    def run(self, row: Row, corpus: str, corpora: Sequence[Corpus], protocol: str) -> tuple[Path, Scores]:
        """Run a row on corpora that are together called `corpus`; return the run's folder and its scores."""
        place = self.place(row, corpus, protocol)
        self.report(f"{row.label} on {corpus} under {protocol}")
        request = self.request(row, corpora, protocol)
        return place, run(request, place, True, self.folder / "stages", self.report)

    def request(self, row: Row, corpora: Sequence[Corpus], protocol: str) -> Request:
        """Return the request for a row's run."""
        changes = self._changes(row, protocol)
        if self.quick:
            changes += overrides(systems.load(row.system or "", changes), protocol)
        return Request(
            row.system or "",
            corpora,
            protocol,
            changes,
            seed=self.seed,
            final=False,
            jobs=self.jobs,
            threads=self.threads,
            also=() if row in BASELINES else self.also,
        )

    def _changes(self, row: Row, protocol: str) -> list[str]:
        """Return a row's overrides, including the definition of a protocol that only other rows' systems have."""
        changes = self._data(protocol) if row in BASELINES else list(self.sets[row.label])
        own = systems.load(row.system or "") if row in BASELINES else self.systems[row.label]
        defined = {name: found for system in self.systems.values() for name, found in system.protocols.items()}
        if protocol in defined and protocol not in own.protocols:
            definition = defined[protocol].model_dump(mode="json", exclude_defaults=True)
            changes.append(f"protocols.{protocol}={write_value(definition)}")
        elif protocol not in {**STANDARD, **own.protocols}:
            raise unknown("protocol", protocol, {**STANDARD, **defined})
        return changes

    def _data(self, protocol: str) -> list[str]:
        """Return overrides that make a baseline score the same utterances, or items, as the paper's first row."""
        for system in self.systems.values():
            data = system.stage_data(system.deployed)
            chosen = data.model_dump(mode="json", exclude_defaults=True)
            cut: Protocol = {**STANDARD, **system.protocols}.get(protocol, STANDARD["clean"])
            if cut.unit != "item":
                # The baseline has its own windows and copies; whole utterances are scored.
                chosen = {key: value for key, value in chosen.items() if key not in ("items", "copies", "replace")}
            return [f"data={write_value({**chosen, 'target': data.target[:1]})}"]
        return []


def _table(
    table: PublishedTable,
    chosen: Sequence[Row],
    groups: Mapping[str, Sequence[Corpus]],
    protocols: Sequence[str],
    frame: _Frame,
    heading: Heading,
) -> ReproducedTable:
    rows, places = [], {}
    for row in [*table.rows, *BASELINES]:
        for corpus, corpora in groups.items():
            measured: dict[str, Cell] = {}
            sizes: dict[str, int] = {}
            for protocol in protocols:
                asked = row in chosen or row in BASELINES
                found = (frame.run if asked else frame.before)(row, corpus, corpora, protocol)
                if found is None:
                    continue
                place, scores = found
                places[row.label, corpus, protocol] = place
                system = RunFolder.load(place).system.resolved()
                sizes = sizes or size(system, system.deployed.name, len(scores.classes), whole=True)
                measured[protocol] = _cell(scores, table, place, sizes)
            published = Published(label=row.label, corpus=corpus, published=table.published(row, corpus))
            rows.append(
                ReproducedRow(
                    **dict(published), published_macs=row.published_macs, not_run=row.not_run, measured=measured
                )
            )
    elsewhere = [
        Published(label=row.label, corpus=name, published=table.published(row, name))
        for row in table.rows
        for name in row.published
        if name not in groups
    ]
    metrics: dict[str, str] = dict(table.metrics.items())
    told = heading.model_copy(update={"conclusion": of_table(table, rows, protocols, places)})
    return ReproducedTable(**dict(told), metrics=metrics, protocols=list(protocols), rows=rows, elsewhere=elsewhere)


def _cell(scores: Scores, table: PublishedTable, place: Path, sizes: Mapping[str, int]) -> Cell:
    """Return measured values with intervals, the command, the training time and the epochs of each fold."""
    folder = RunFolder.load(place)
    stages = {stage.name: list(folder.trained(stage.name)) for stage in folder.system.stages}
    always = scores.constant.metrics if scores.constant else {}
    return Cell(
        values={metric: scores.metrics[metric] for metric in table.metrics},
        recalls=scores.recalls if table.recalls else {},
        n=scores.n,
        flags=scores.flags,
        majority={metric: always.get(metric) for metric in table.metrics},
        command=command(folder.description).text,
        seconds=folder.seconds,
        epochs={name: [stage.epochs for _, stage, _ in folds] for name, folds in stages.items()},
        **sizes,
    )


def _figure(
    figure: Figure,
    chosen: Sequence[Row],
    groups: Mapping[str, Sequence[Corpus]],
    protocols: Sequence[str],
    frame: _Frame,
    heading: Heading,
) -> ReproducedFigure:
    if len(protocols) > 1:
        raise UserError(f"a figure requires exactly one protocol, got {', '.join(protocols)}")
    if not chosen:
        raise UserError(f"{figure.name}: none of its rows can be run")
    protocol = protocols[0] if protocols else figure.protocol
    draw = drawing(figure.kind, figure.options)
    rows, pictures, numbers, everything = [], {}, {}, []
    for corpus, corpora in groups.items():
        ran = []
        for row in chosen:
            place, scores = frame.run(row, corpus, corpora, protocol)
            ran.append(Ran(row.label, corpus, place, scores, row.at, _printed(figure, row, corpus)))
            text = command(RunFolder.load(place).description).text
            rows.append(DrawnRow(label=row.label, corpus=corpus, flags=scores.flags, command=text))
        everything += ran
        pictures[corpus] = f"{figure.name}-{corpus}.png"
        frame.report(f"drawing {pictures[corpus]}")
        numbers[corpus] = draw(ran, frame.folder / pictures[corpus])
    told = heading.model_copy(update={"conclusion": of_figure(everything)})
    return ReproducedFigure(
        **dict(told),
        kind=figure.kind,
        options=dict(figure.options),
        protocol=protocol,
        rows=rows,
        pictures=pictures,
        numbers=numbers,
    )


def _printed(figure: Figure, row: Row, corpus: str) -> dict[str, float]:
    """Return a figure's printed values of a row; a bare number is of the metric that the figure draws."""
    values = row.published.get(corpus, {})
    return values if isinstance(values, dict) else {str(figure.options.get("metric", "uar")): values}
