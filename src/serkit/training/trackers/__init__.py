"""Trackers: each finished epoch of a training goes to a tool that the user watches.

`SERKIT_TRACK` lists them, so that processes of folds inherit it. To add one, write its file (a `Tracker`) and its line
in `TRACKERS`, or an entry point of the group `serkit.trackers` in a plugin.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from serkit.errors import UserError
from serkit.options import first_line
from serkit.registry import Registry
from serkit.training.history import Epoch

TRACKERS = Registry(
    "tracker",
    {
        "mlflow": "serkit.training.trackers.mlflow:Mlflow",
        "tensorboard": "serkit.training.trackers.tensorboard:Tensorboard",
        "wandb": "serkit.training.trackers.wandb:Wandb",
    },
    "serkit.trackers",
)

#: Variable with the names of trackers, separated by commas.
VARIABLE = "SERKIT_TRACK"


class Tracker(Protocol):
    """Receives the epochs of one stage of one fold. It is made with the stage's folder; a resumed stage continues."""

    def log(self, epoch: Epoch) -> None:
        """Record an epoch: its number `epoch`, losses, metrics, `learning_rate` and `seconds`."""

    def close(self) -> None:
        """End the record."""


def missing(name: str, package: str) -> UserError:
    """Return the error of a tracker whose library is not installed."""
    return UserError(f"tracker '{name}' requires {package}: pip install 'serkit[{name}]'")


def label(folder: Path) -> str:
    """Return the name of a stage: the last three parts of its folder, such as `calls/fold-1/main`."""
    return "/".join(folder.absolute().parts[-3:])


class Tracking:
    """All trackers of a stage. One that fails is left out, with a warning: training matters more.

    Args:
        folder: the stage's folder.

    Raises:
        UserError: a tracker is unknown, or its library is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._open: dict[str, Tracker] = {}
        for name in chosen():
            try:
                self._open[name] = TRACKERS.find(name)(folder)
            except UserError:
                raise
            except Exception as error:  # of the tool
                _warn(name, error)

    def log(self, epoch: Epoch) -> None:
        """Send an epoch to all trackers."""
        for name, tracker in list(self._open.items()):
            try:
                tracker.log(epoch)
            except Exception as error:  # of the tool
                _warn(name, error)
                del self._open[name]

    def close(self) -> None:
        """Close all trackers."""
        for name, tracker in self._open.items():
            try:
                tracker.close()
            except Exception as error:  # of the tool
                _warn(name, error)


def chosen() -> Sequence[str]:
    """Return the names of the trackers that the user wants."""
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


@contextmanager
def untracked() -> Iterator[None]:
    """Let no tracker hear of the trainings of this process while the block runs."""
    before = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[VARIABLE] = before


def _warn(name: str, error: Exception) -> None:
    warnings.warn(f"tracker '{name}' is left out: {first_line(error)}", stacklevel=3)
