"""TensorBoard: event files in the folder `tensorboard` of each stage; `tensorboard --logdir runs/calls` shows them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from serkit.training.history import Epoch
from serkit.training.trackers import missing


class Tensorboard:
    """Writes scalars.

    Args:
        folder: the stage's folder.

    Raises:
        UserError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise missing("tensorboard", "tensorboard") from None
        self._open = partial(SummaryWriter, log_dir=str(folder / "tensorboard"))
        self._writer: Any = None

    def log(self, epoch: Epoch) -> None:
        if self._writer is None:  # not before: a training that is refused leaves no folder
            self._writer = self._open()
        for name, value in epoch.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(epoch["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
