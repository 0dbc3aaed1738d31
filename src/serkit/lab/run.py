"""Training from Python, and the run that comes of it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit import systems
from serkit.engine import Engine
from serkit.evaluation.scores import Scores
from serkit.lab.sources import Source, all_of
from serkit.recognition.bundle import Bundle
from serkit.runs.card import Card
from serkit.runs.folder import RunFolder
from serkit.runs.request import Request
from serkit.shards import Shard
from serkit.terminal import note
from serkit.toml import write_value

if TYPE_CHECKING:
    import pandas

    from serkit.runs.forecast import RunForecast

Report = Callable[[str], None]
Sets = Mapping[str, Any] | Sequence[str]


class Run:
    """A finished run in its folder, as `serkit train` writes it.

    >>> run = serkit.Run("runs/linear-baseline")                             # doctest: +SKIP
    >>> run                                                                  # doctest: +SKIP
    Run('runs/linear-baseline', linear-baseline, clean, 535 utterances: UAR 62.4% [54.3–69.8], 1 flags)
    >>> run.conclusion                                                       # doctest: +SKIP
    'Above chance: UAR 62.4%, a constant answer 14.3%; this is the baseline.'

    Args:
        folder: folder of the run.

    Raises:
        UserError: it holds no run, or an unfinished one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._run = RunFolder.load(self.folder)

    @property
    def scores(self) -> Scores:
        """The scores with their intervals and flags; `scores.metrics["uar"].estimate` is the UAR.

        >>> run.scores.metrics["uar"].estimate                               # doctest: +SKIP
        0.624
        """
        return self._run.scores

    @property
    def conclusion(self) -> str:
        """What the run shows, in one sentence."""
        from serkit.reports.conclusion import of_run

        return of_run(self._run)

    @property
    def predictions(self) -> Any:
        """The predictions of all folds, as arrays; `to_frame` has them as a table."""
        return self._run.predictions

    @property
    def card(self) -> Card:
        """Everything that the scores depend on, and the scores."""
        return Card.of(self.folder)

    def report(self, sound: bool = True) -> Path:
        """Write the report as a page, and return its path.

        >>> run.report()                                                     # doctest: +SKIP
        PosixPath('runs/linear-baseline/report.html')

        Args:
            sound: whether the page includes the sound of the errors.
        """
        from serkit.reports.report import write

        return write(self.folder, sound=sound)

    def export(
        self,
        out: str | Path,
        licence: str | None = None,
        recordings: int = 50,
        weights: bool = True,
        encoder: bool = True,
        everyday: Sequence[str | Path] = (),
    ) -> Bundle:
        """Export the final model as a bundle that needs no torch; `serkit.load(out)` loads it.

        >>> run.export("my-recognizer")                                      # doctest: +SKIP
        >>> serkit.load("my-recognizer")("call.wav").label                   # doctest: +SKIP
        'anger'

        Args:
            out: folder of the bundle; its name becomes the bundle's name.
            licence: license of the weights; None: the terms of the recordings.
            recordings: number of recordings on which ONNX is compared with torch.
            weights: whether to include the weights, so that training can start from them.
            encoder: whether to include the ONNX file of the feature `onnx`; otherwise the bundle names its hash.
            everyday: recordings of speech without an emotion: few answers to them may be sure and not neutral.

        Raises:
            UserError: no final model was trained, or the folder exists.
        """
        from serkit.runs.export import export

        return export(self.folder, Path(out), licence, recordings, weights, encoder, [Path(path) for path in everyday])

    def to_frame(self) -> pandas.DataFrame:
        """Return the predictions as a data frame: a row per utterance and seed, columns of `predictions.csv`."""
        import pandas

        return pandas.read_csv(self.folder / "predictions.csv")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {repr(self.scores).removeprefix('Scores(')}"

    def _repr_html_(self) -> str:
        """Return the conclusion, and the scores as a table."""
        return f"<p>{html.escape(self.conclusion)}</p>{self.scores._repr_html_()}"


def train(
    system: str | Path,
    corpus: Source | Sequence[Source],
    out: str | Path | None = None,
    *,
    protocol: str = "clean",
    sets: Sets = (),
    sweep: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    test_on: Sequence[str] = (),
    also: Source | Sequence[Source] = (),
    seed: int = 0,
    final: bool = True,
    baseline: bool = True,
    quick: bool = False,
    resume: bool = False,
    jobs: int = 1,
    threads: int = 0,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    command: str | None = None,
    report: Report | None = note,
    engine: Engine | None = None,
) -> Run:
    """Train a system, score it on speakers that it has not learned from, and keep a model for export.

    >>> run = serkit.train("linear-baseline", "emodb=data/emodb")            # doctest: +SKIP
    >>> run.conclusion                                                       # doctest: +SKIP
    >>> serkit.train("compact-cnn", frame, sets={"stages.main.trainer.epochs": 5}, quick=True)    # doctest: +SKIP

    Args:
        system: name of a system (`serkit systems` lists them), or path of its TOML file.
        corpus: what `serkit.corpus` reads or returns, or several.
        out: folder of the run; None: `runs/SYSTEM`, and `runs/SYSTEM-quick` for a quick run.
        protocol: how speakers and recordings are separated.
        sets: overrides of the system's keys, e.g. `{"data.target": "age"}`; or `KEY=VALUE` as for `--set`.
        sweep: values to try by key, chosen on validation; or `KEY=A,B` as for `--sweep`.
        test_on: corpora to test on under `cross-corpus`; each in turn if empty.
        also: corpora for stages that train on further corpora; not scored.
        seed: random seed.
        final: whether to train a final model on all data, for `Run.export`.
        baseline: whether to score the linear baseline on the same folds.
        quick: whether to run two folds of few recordings and epochs, to see whether everything runs.
        resume: whether to continue an interrupted run.
        jobs: folds trained in parallel; 0: one per core. A script that uses more than one must begin with
            `if __name__ == "__main__":`.
        threads: threads per fold; 0: the cores are shared among the jobs.
        accelerator: `auto`, `cpu`, `cuda` or `mps`.
        devices: devices of each machine that train together, each in a process of its own; for a script, see `jobs`.
        nodes: machines that train together; see docs/devices.md.
        command: command to note with the scores; None: serkit composes one.
        report: receives a line for each step; None: nothing is shown.
        engine: a `serkit.engine.Engine`, whose machines train the folds.

    Raises:
        UserError: the request cannot be fulfilled, or the folder holds another run.
    """
    from serkit.reports.report import write
    from serkit.runs.runner import run

    folder = Path(out) if out is not None else default_folder(system, quick)
    request = request_of(
        system,
        corpus,
        protocol=protocol,
        sets=sets,
        sweep=sweep,
        test_on=test_on,
        also=also,
        seed=seed,
        final=final,
        baseline=baseline,
        quick=quick,
        jobs=jobs,
        threads=threads,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        command=command,
    )
    run(request, folder, resume, report=report or (lambda line: None), engine=engine)
    write(folder)
    return Run(folder)


def train_share(
    system: str | Path,
    corpus: Source | Sequence[Source],
    shard: Shard,
    out: str | Path | None = None,
    *,
    quick: bool = False,
    report: Report | None = note,
    **options: Any,
) -> tuple[int, int]:
    """Train the folds of one shard of a run; `train` with `resume=True` then finishes the run.

    Args:
        system: as in `train`.
        corpus: as in `train`.
        shard: the shard.
        out: as in `train`; several machines may share the folder.
        quick: as in `train`.
        report: as in `train`.
        options: further arguments of `train`.

    Returns:
        How many folds of the run are done, and how many it has.
    """
    from serkit.runs.runner import share

    folder = Path(out) if out is not None else default_folder(system, quick)
    request = request_of(system, corpus, quick=quick, **options)
    return share(request, folder, shard, report=report or (lambda line: None))


def forecast(
    system: str | Path, corpus: Source | Sequence[Source], *, report: Report | None = note, **options: Any
) -> RunForecast:
    """Forecast the time of a training from a few real steps; nothing is written.

    >>> serkit.forecast("compact-cnn", "emodb=data/emodb").seconds           # doctest: +SKIP
    412.3

    Args:
        system: as in `train`.
        corpus: as in `train`.
        report: as in `train`.
        options: further arguments of `train`, without `out` and `resume`.
    """
    from serkit.runs.forecast import forecaster

    with forecaster(report or (lambda line: None)) as trials:
        return trials.forecast(request_of(system, corpus, **options))


def request_of(
    system: str | Path,
    corpus: Source | Sequence[Source],
    *,
    protocol: str = "clean",
    sets: Sets = (),
    sweep: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    test_on: Sequence[str] = (),
    also: Source | Sequence[Source] = (),
    quick: bool = False,
    **others: Any,
) -> Request:
    """Return the request for a run; arguments are those of `train`."""
    from serkit.runs.quick import overrides

    changes = _written(sets)
    if test_on:
        changes.append(f"protocols.{protocol}.tested={json.dumps(list(test_on))}")
    if quick:
        changes += overrides(systems.load(system, changes), protocol)
    return Request(system, all_of(corpus), protocol, changes, _grid(sweep), also=all_of(also), **others)


def default_folder(system: str | Path, quick: bool = False) -> Path:
    """Return the folder of a run for which the user names none."""
    return Path("runs") / f"{Path(system).stem}{'-quick' if quick else ''}"


def _written(sets: Sets) -> list[str]:
    """Return overrides as KEY=VALUE."""
    if isinstance(sets, Mapping):
        return [f"{key}={write_value(value)}" for key, value in sets.items()]
    return list(sets)


def _grid(sweep: Mapping[str, Sequence[Any]] | Sequence[str]) -> tuple[str, ...]:
    """Return a sweep as KEY=A,B,..."""
    if isinstance(sweep, Mapping):
        return tuple(f"{key}={','.join(map(_value, values))}" for key, values in sweep.items())
    return tuple(sweep)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else write_value(value)
