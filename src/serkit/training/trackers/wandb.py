"""Weights & Biases: a run for each stage, as `WANDB_PROJECT`, `WANDB_MODE` and its other variables say."""

from __future__ import annotations

import os
from pathlib import Path

from serkit.training.history import Epoch
from serkit.training.trackers import label, missing


class Wandb:
    """Logs metrics.

    Args:
        folder: the stage's folder.

    Raises:
        UserError: wandb is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import wandb
        except ImportError:
            raise missing("wandb", "wandb") from None
        # The stages of a run are a group. A resumed stage is another run of the group.
        name = label(folder)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "serkit"),
            name=name,
            group=name.partition("/")[0],
            dir=str(folder),
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, epoch: Epoch) -> None:
        values = {name: value for name, value in epoch.items() if name != "epoch"}
        self._run.log(values, step=int(epoch["epoch"]))

    def close(self) -> None:
        self._run.finish()
