"""Folds that end the process they are trained in."""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs the lab extra")

from serkit.errors import UserError
from serkit.runs import folds
from serkit.runs.watch import Watch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def fold(task):
    """Train in place of `folds._fold`: `poison` kills its process, `large` the first time."""
    task.folder.joinpath(f"{task.split.name}-{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    if task.split.name == "poison" or (task.split.name == "large" and len(list(task.folder.glob("large-*"))) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return task.split.name, 0.5


def work(folder: Path, monkeypatch, *names):
    monkeypatch.setattr(folds, "_fold", fold)
    monkeypatch.setattr(folds, "gpus", lambda: ["3", "5"])
    tasks = [SimpleNamespace(split=SimpleNamespace(name=name), folder=folder, accelerator="auto") for name in names]
    return folds._work(tasks, 2, Watch(names, {"main": 1}, 2, print))


def test_folds_that_are_too_large_together_are_trained_alone(tmp_path, monkeypatch):
    found = list(work(tmp_path, monkeypatch, "a", "large", "b", "c"))
    assert sorted(found) == [(name, 0.5) for name in ("a", "b", "c", "large")]
    assert len(list(tmp_path.glob("large-*"))) == 2
    # Each process has a GPU of its own; one that works alone has the first. One may be too late for any fold.
    by_process = {path.name.rpartition("-")[2]: path.read_text() for path in tmp_path.iterdir()}
    assert set(by_process.values()) <= {"3", "5"} and list(by_process.values()).count("5") <= 1


def test_the_gpus_that_a_process_sees(monkeypatch):
    monkeypatch.setattr(folds.torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert folds.gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-8a")
    assert folds.gpus() == ["4", "GPU-8a"]
    monkeypatch.setattr(folds.torch.cuda, "device_count", lambda: 1)
    assert folds.gpus() == []


def test_a_fold_that_ends_its_process_alone_is_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"^fold poison: the process that trained it ended \(out of memory\?\)"):
        list(work(tmp_path, monkeypatch, "poison", "a"))
    assert len(list(tmp_path.glob("poison-*"))) == 2
