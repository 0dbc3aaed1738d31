"""TensorBoard: event files in the folder `tensorboard` of each stage; `tensorboard --logdir runs/calls` shows them."""

from __future__ import annotations

from pathlib import Path

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
        self._writer = SummaryWriter(log_dir=str(folder / "tensorboard"))

    def log(self, epoch: Epoch) -> None:
        for name, value in epoch.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(epoch["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
