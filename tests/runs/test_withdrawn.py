"""A run that is refused leaves nothing behind."""

import shutil

import pytest

from serkit.errors import UserError
from serkit.locks import alone
from serkit.protocols import Protocol
from serkit.runs.request import Request
from serkit.runs.runner import run, share
from serkit.shards import Shard
from serkit.training import precision

THREE = {"three": Protocol(kind="group_kfold", folds=3)}
SHORT = ("stages.main.trainer.epochs=1", "stages.main.trainer.batch_size=8")
#: Its network can be built, and fails in the first step.
WRONG = ("stages.main.network.channels=[4, 0]", "stages.main.network.strides=[[2, 2], [2, 2]]")
WRONG += ("stages.main.network.residual=[1, 1]",)


def request(corpus, system="linear-baseline", sets=(), **options):
    usual = {"protocol": "three", "protocols": THREE, "threads": 1, "jobs": 1, "final": False}
    return Request(system, [corpus], sets=[*SHORT, *sets], **{**usual, **options})


def everything(folder):
    return sorted((str(place), place.is_file() and place.read_bytes()) for place in folder.rglob("*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accelerator": "abacus"}, "--accelerator abacus: does not work here"),
        ({"accelerator": "cpu", "devices": 9000}, "--devices 9000: at most"),
        ({"system": "compact-cnn", "sets": WRONG}, "cannot compute a batch"),
        ({"system": "compact-cnn", "sets": WRONG, "jobs": 2}, "cannot compute a batch"),
        ({"sets": ['data.classes=["anger"]']}, "only one class of .emotion. is left"),
    ],
)
def test_a_refused_run_leaves_nothing(synthetic, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(request(synthetic, **options), tmp_path / "runs" / "mine")
    assert everything(tmp_path) == []


def test_its_tracker_leaves_nothing_either(synthetic, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("SERKIT_TRACK", "tensorboard")
    with pytest.raises(UserError, match="cannot compute a batch"):
        run(request(synthetic, "compact-cnn", WRONG), tmp_path / "mine")
    assert everything(tmp_path) == []


def test_a_refused_shard_leaves_nothing(synthetic, tmp_path):
    for options in ({"accelerator": "abacus"}, {"system": "compact-cnn", "sets": WRONG}):
        with pytest.raises(UserError):
            share(request(synthetic, **options), tmp_path / "mine", Shard(1, 2))
        assert everything(tmp_path) == []


def test_files_of_others_and_shared_stages_stay(synthetic, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "stages" / "main-of-another").mkdir(parents=True)
    before = everything(tmp_path)
    with pytest.raises(UserError, match="cannot compute a batch"):
        run(request(synthetic, "compact-cnn", WRONG), tmp_path / "mine", stages=tmp_path / "stages")
    assert everything(tmp_path) == before


def test_a_run_in_which_another_process_trains_stays(synthetic, tmp_path, monkeypatch):
    def refused(*arguments):
        raise UserError("no")

    monkeypatch.setattr("serkit.runs.folds.Folds.train", refused)
    (tmp_path / "stages").mkdir()
    with alone(tmp_path / "stages" / "main-1"), pytest.raises(UserError, match="no"):
        run(request(synthetic), tmp_path / "mine", stages=tmp_path / "stages")
    assert (tmp_path / "mine" / "run.json").exists()


def test_a_run_that_exists_stays_as_it_was(synthetic, tmp_path):
    run(request(synthetic, baseline=False), tmp_path / "mine")
    shutil.rmtree(tmp_path / "mine" / "folds")
    before = everything(tmp_path)
    with pytest.raises(UserError, match="abacus"):
        run(request(synthetic, accelerator="abacus"), tmp_path / "mine", resume=True)
    assert everything(tmp_path) == before
    run(request(synthetic), tmp_path / "mine", resume=True)


def test_devices_of_a_kind_are_counted(monkeypatch):
    precision.check_device("cpu", 8)
    monkeypatch.setattr(precision, "_PROCESSES", 1)
    monkeypatch.setattr(precision.os, "cpu_count", lambda: 2)
    precision.check_device("cpu", 2)
    with pytest.raises(UserError, match="--devices 3: at most 2 work here, with accelerator 'cpu'"):
        precision.check_device("cpu", 3)
