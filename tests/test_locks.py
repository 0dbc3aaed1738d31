import os
import subprocess
import sys

import pytest

from serkit.errors import UserError
from serkit.locks import alone

HOLD = """
import sys, pathlib
from serkit.locks import alone
with alone(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


@pytest.fixture
def other():
    """Start a process that holds a place."""
    started = []

    def start(place):
        command = [sys.executable, "-c", HOLD, str(place)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_one_process_at_a_time(tmp_path, other):
    process = other(tmp_path / "out.csv")
    with pytest.raises(UserError, match=r"out\.csv: another process is writing to it"), alone(tmp_path / "out.csv"):
        raise AssertionError
    with alone(tmp_path / "other.csv"):
        pass
    process.communicate(b"\n")
    assert list(tmp_path.iterdir()) == []
    with alone(tmp_path / "out.csv"):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path, other):
    process = other(tmp_path / "out.csv")
    process.kill()
    process.wait()
    with alone(tmp_path / "out.csv"):
        pass


def test_threads_of_one_process_too(tmp_path):
    with alone(tmp_path / "out.csv"), pytest.raises(UserError, match="another process"), alone(tmp_path / "out.csv"):
        raise AssertionError


def test_a_name_as_long_as_the_system_allows(tmp_path):
    with alone(tmp_path / ("x" * 255)):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open is not removed there")
def test_a_lock_that_was_removed_keeps_nobody_out(tmp_path, monkeypatch):
    """Between opening and locking the file the holder may remove it: then another one is opened."""
    opened, open_file = [], os.open

    def remove(path, *arguments):
        descriptor = open_file(path, *arguments)
        opened.append(path)
        if len(opened) == 1:
            os.unlink(path)
        return descriptor

    monkeypatch.setattr(os, "open", remove)
    with alone(tmp_path / "out.csv"):
        assert len(opened) == 2
        monkeypatch.undo()
        with pytest.raises(UserError, match="another process"), alone(tmp_path / "out.csv"):
            raise AssertionError


def test_a_folder_without_locks_is_no_obstacle(tmp_path):
    with alone(tmp_path / "gone" / "out.csv"):
        pass
