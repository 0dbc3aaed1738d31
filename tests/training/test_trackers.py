"""Trackers write what their own readers read, without a network."""

import json
import warnings

import pytest

pytest.importorskip("torch")

from serkit import UserError, cli
from serkit.training.trackers import TRACKERS, Tracking

EPOCHS = [
    {"epoch": 1, "training_loss": 1.5, "validation_uar": 0.25, "learning_rate": 0.01, "seconds": 2.0},
    {"epoch": 2, "training_loss": 0.5, "validation_uar": 0.75, "learning_rate": 0.005, "seconds": 2.5},
]


@pytest.fixture
def track(tmp_path, monkeypatch):
    """Track two epochs, one before and one after an interruption, and return the stage's folder."""
    monkeypatch.chdir(tmp_path)

    def write(name):
        monkeypatch.setenv("SERKIT_TRACK", name)
        folder = tmp_path / "calls" / "fold-1" / "main"
        folder.mkdir(parents=True)
        for epoch in EPOCHS:
            tracking = Tracking(folder)
            tracking.log(epoch)
            tracking.close()
        return folder

    return write


def test_tensorboard(track):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = track("tensorboard")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"training_loss", "validation_uar", "learning_rate", "seconds"}
    assert [(one.step, one.value) for one in events.Scalars("validation_uar")] == [(1, 0.25), (2, 0.75)]


def test_mlflow(track, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    # Files need no database.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "tracked").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    track("mlflow")
    client = mlflow.MlflowClient((tmp_path / "tracked").as_uri())
    experiment = client.get_experiment_by_name("serkit")
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("calls/fold-1/main", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "training_loss")
    assert [(one.step, one.value) for one in history] == [(1, 1.5), (2, 0.5)]


def test_wandb(track, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = track("wandb")
    wandb.teardown()  # waits until all is written
    found = []
    for path in folder.rglob("*.wandb"):
        for content in records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                found.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
    assert sorted(one["training_loss"] for one in found) == [0.5, 1.5]
    assert sorted(one["_step"] for one in found) == [1, 2]


def records(content):
    """The records of a file of wandb: LevelDB's log format in one block, after a head of seven bytes."""
    assert content.startswith(b":W&B") and len(content) < 32768
    place = 7
    while place < len(content):
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        assert kind == 1  # whole
        yield content[place + 7 : place + 7 + size]
        place += 7 + size


class Failing:
    def __init__(self, folder):
        self.folder = folder

    def log(self, epoch):
        raise ConnectionError("no server")

    def close(self):
        raise AssertionError("it was left out")


def test_a_tracker_that_fails_does_not_stop_the_training(track, monkeypatch):
    monkeypatch.setitem(TRACKERS, "failing", Failing)
    with pytest.warns(UserWarning, match="tracker 'failing' is left out: no server"):
        track("failing")


def test_mistakes(tmp_path, monkeypatch, synthetic, capsys):
    monkeypatch.setenv("SERKIT_TRACK", "")
    Tracking(tmp_path).log(EPOCHS[0])
    arguments = ["train", "linear-baseline", "--corpus", f"synthetic={synthetic.folder}", "--track", "tensorbord"]
    assert cli.run([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert "unknown tracker 'tensorbord'. Did you mean 'tensorboard'?" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    monkeypatch.setenv("SERKIT_TRACK", "mlflow")
    with pytest.raises(UserError, match=r"tracker 'mlflow' requires mlflow: pip install 'serkit\[mlflow\]'"):
        Tracking(tmp_path)


def test_a_training_is_tracked(tmp_path, monkeypatch, synthetic):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("SERKIT_TRACK", "")
    arguments = ["train", "linear-baseline", "--corpus", f"synthetic={synthetic.folder}", "--track", "tensorboard"]
    options = ["--jobs", "1", "--set", "stages.*.trainer.epochs=2", "--no-final", "--no-baseline"]
    options += ["--set", "protocols.clean.folds=2"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cli.run([*arguments, *options, "--out", str(tmp_path / "run")]) == 0
    folders = list((tmp_path / "run").rglob("tensorboard"))
    assert len(folders) == 2
    events = accumulator.EventAccumulator(str(folders[0]))
    events.Reload()
    history = [json.loads(line) for line in (folders[0].parent / "history.jsonl").read_text().splitlines()]
    assert [one.value for one in events.Scalars("training_loss")] == pytest.approx(
        [h["training_loss"] for h in history]
    )
