"""Progress bars on stderr, hidden in worker processes and if stderr is not a terminal; and news of a training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

Advance = Callable[[int], None]


@contextmanager
def bar(description: str, total: int) -> Iterator[Advance]:
    """Show a bar while the block runs. It yields a function to call with the number of finished steps.

    >>> with bar("log_mel", 2) as advance:
    ...     advance(1)
    """
    import multiprocessing

    if not sys.stderr.isatty() or multiprocessing.parent_process() is not None or total == 0:
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)


@dataclass(frozen=True)
class EpochDone:
    """News of a training: an epoch is finished.

    Args:
        stage: name of the stage.
        epoch: number of finished epochs.
        epochs: number of epochs without early stopping.
        loss: mean training loss of the epoch.
        score: validation score in words; empty without a validation part.
        seconds: time that the epoch took.
        fold: name of the fold.
        stopped: whether no further epoch follows.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    score: str
    seconds: float
    fold: str = ""
    stopped: bool = False

    def __str__(self) -> str:
        score = f", validation {self.score}" if self.score else ""
        place = f"{self.fold}, {self.stage}" if self.fold else self.stage
        return f"{place}: epoch {self.epoch} of {self.epochs}, loss {self.loss:.3g}{score}"


Listener = Callable[[EpochDone], None]

_listeners: list[Listener] = []
_folds: list[str] = []


def tell(news: EpochDone) -> None:
    """Pass news to whoever listens in this process."""
    for listener in _listeners:
        listener(replace(news, fold=_folds[-1]) if _folds else news)


def listen(listener: Listener) -> None:
    """Pass all news of this process to a function."""
    _listeners.append(listener)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Pass all news to a function while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def fold(name: str) -> Iterator[None]:
    """Name the fold that the block trains in its news."""
    _folds.append(name)
    try:
        yield
    finally:
        _folds.pop()
