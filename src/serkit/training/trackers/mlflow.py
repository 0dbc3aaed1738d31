"""MLflow: a run for each stage, where `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` say."""

from __future__ import annotations

import os
from pathlib import Path

from serkit.atomic import write_text
from serkit.training.history import Epoch
from serkit.training.trackers import label, missing

# Holds the id of the run, so that a resumed stage continues it.
_FILE = "mlflow-run.txt"


class Mlflow:
    """Logs metrics.

    Args:
        folder: the stage's folder.

    Raises:
        UserError: mlflow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise missing("mlflow", "mlflow") from None
        self._client = MlflowClient()
        if (folder / _FILE).exists():
            self._run = (folder / _FILE).read_text(encoding="utf-8")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "serkit")
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        self._run = self._client.create_run(experiment, run_name=label(folder)).info.run_id
        write_text(folder / _FILE, self._run)

    def log(self, epoch: Epoch) -> None:
        for name, value in epoch.items():
            if name != "epoch":
                self._client.log_metric(self._run, name, value, step=int(epoch["epoch"]))

    def close(self) -> None:
        self._client.set_terminated(self._run)
