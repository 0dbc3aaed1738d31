"""A system on every pair of corpora: trained on one, tested on the other, or on itself with held-out speakers.

runs/A-B/     the run that trains on A and tests on B
stages/       the stages of all of them: a training on A serves every B with the same classes
cross.json    the matrix
cross.png     the matrix as a heat map
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from serkit import methods
from serkit.corpora.corpus import Corpus
from serkit.data.store import Store
from serkit.engine import Engine, Lost
from serkit.errors import UserError
from serkit.evaluation.intervals import Interval
from serkit.evaluation.scores import Scores
from serkit.records import Flags, Record
from serkit.runs import runner
from serkit.runs.card import placeless
from serkit.runs.folds import ON_GPU
from serkit.runs.request import Request
from serkit.shards import Shard
from serkit.systems.schema import System

#: Protocols for a corpus on itself, and on another corpus.
WITHIN, ACROSS = "clean", "cross-corpus"


class Cell(Record):
    """One pair of corpora.

    Args:
        train: training corpus.
        test: test corpus.
        protocol: name of the protocol.
        classes: the common classes.
        n: number of predictions.
        uar: UAR with its interval.
        accuracy: accuracy with its interval.
        chance: UAR by chance.
        flags: flags of the scores.
        run: folder of the run, relative to the matrix.
    """

    train: str
    test: str
    protocol: str
    classes: list[str]
    n: int
    uar: Interval
    accuracy: Interval
    chance: float
    flags: Flags
    run: str


class Matrix(Record):
    """The content of `cross.json`; `command` is without local paths."""

    system: str
    seed: int
    command: str | None
    corpora: list[str]
    cells: list[Cell]

    @property
    def rows(self) -> list[Sequence[Cell]]:
        """The cells row by row; rows are training corpora, columns are test corpora."""
        size = len(self.corpora)
        return [self.cells[begin : begin + size] for begin in range(0, size**2, size)]


def matrix(
    request: Request,
    folder: Path,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Matrix:
    """Train and score a system on every pair of corpora, or resume an interrupted matrix.

    The classes of a pair are those that both corpora have. A cell on the diagonal, where models are tested on other
    speakers of the same corpus, has all classes of the corpus; `data.classes` makes all cells alike.

    Args:
        request: as for a run, with the corpora of the pairs. Each cell is a separate run under `clean` or
            `cross-corpus`, without a final model.
        folder: output folder.
        resume: whether an existing folder may be continued.
        report: called with a line after each step.

    Returns:
        The content of `cross.json`.

    Raises:
        UserError: there are fewer than two corpora, the system learns numbers, or a cell cannot be run or its folder
            holds another run.
    """
    names, system = [corpus.name for corpus in request.corpora], check(request, len(request.corpora))
    cells = []
    for train, test in product(request.corpora, request.corpora):
        scores = _run(request, folder, resume, report, (train, test))
        cells.append(_cell(train.name, test.name, scores, _place(folder, train, test).relative_to(folder)))
    found = Matrix(
        system=system.system.name,
        seed=request.seed,
        command=request.command and placeless(request.command),
        corpora=names,
        cells=cells,
    )
    found.save(folder / "cross.json")
    return found


def share(request: Request, folder: Path, shard: Shard, report: Callable[[str], None] = lambda line: None) -> None:
    """Train and score every N-th cell of a matrix; `matrix` with `resume` then does the rest, and writes it.

    Arguments and errors are those of `matrix`; machines may share the folder.
    """
    check(request, len(request.corpora))
    for pair in shard.share(list(product(request.corpora, request.corpora))):
        _run(request, folder, True, report, pair)


def spread(request: Request, folder: Path, engine: Engine, report: Callable[[str], None] = lambda line: None) -> None:
    """Train and score all cells on the machines of an engine, which share the folder; as `share` otherwise.

    A cell trains fold after fold, with one thread unless the request says more.
    """
    check(request, len(request.corpora))
    threads = request.threads or 1
    one = replace(request, jobs=1, threads=threads)
    pairs = list(product(request.corpora, request.corpora))
    gpus = 1 if request.accelerator in ON_GPU and engine.resources("GPU") else 0
    for (train, test), found in engine.map(partial(_there, one, folder.absolute()), pairs, threads, gpus):
        if isinstance(found, Lost):
            raise UserError(f"{train.name} -> {test.name}: the process that trained it ended ({found.reason})")
        report(f"{train.name} -> {test.name} is done")


def _there(request: Request, folder: Path, pair: tuple[Corpus, Corpus]) -> None:
    """Train and score a cell with the store of the machine on which this runs."""
    _run(replace(request, store=Store()), folder, True, lambda line: None, pair)


def check(request: Request, count: int) -> System:
    """Return the system of a matrix.

    Args:
        request: as for `matrix`; its corpora are not looked at.
        count: number of corpora.

    Raises:
        UserError: the request cannot be one of a matrix.
    """
    if count < 2:
        raise UserError(
            f"a matrix requires at least two corpora, got {count}; repeat --corpus NAME=FOLDER. "
            f"Those of one table are left out one by one by `serkit train --protocol {ACROSS}`"
        )
    [system, *_] = request.systems()
    if methods.method_class(system.deployed.method.name).numbers:
        raise UserError(f"a matrix requires classes, but '{system.system.name}' learns numbers; train it pair by pair")
    return system


def _place(folder: Path, train: Corpus, test: Corpus) -> Path:
    return folder / "runs" / f"{train.name}-{test.name}"


def _run(
    request: Request, folder: Path, resume: bool, report: Callable[[str], None], pair: tuple[Corpus, Corpus]
) -> Scores:
    """Train and score one cell, or take up its run."""
    train, test = pair
    report(f"{train.name} -> {test.name}")
    return runner.run(_request(request, train, test), _place(folder, *pair), resume, folder / "stages", report)


def _request(request: Request, train: Corpus, test: Corpus) -> Request:
    """Return the request for the run of one cell."""
    if train == test:
        return replace(request, corpora=[train], protocol=WITHIN, final=False)
    tested = f"protocols.{ACROSS}.tested={json.dumps(test.names)}"
    return replace(request, corpora=[train, test], protocol=ACROSS, sets=[*request.sets, tested], final=False)


def _cell(train: str, test: str, scores: Scores, run: Path) -> Cell:
    return Cell(
        train=train,
        test=test,
        protocol=scores.protocol,
        classes=scores.classes,
        n=scores.n,
        uar=scores.metrics["uar"],
        accuracy=scores.metrics["accuracy"],
        chance=1 / len(scores.classes),
        flags=scores.flags,
        run=run.as_posix(),
    )
