"""Processes that recognize: what a recording does to one costs that request only."""

import asyncio
import contextlib
import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from starlette.exceptions import HTTPException

from serkit.app.limits import Limits
from serkit.app.processes import Processes
from serkit.errors import UserError
from serkit.recognition.bundle import BundleError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals")

# Tasks, which the processes import from here.


def number(recognizers, limits):
    return os.getpid()


def end_by(signal, recognizers, limits):
    os.kill(os.getpid(), signal)
    time.sleep(60)


def crash(recognizers, limits):
    end_by(signal.SIGSEGV, recognizers, limits)


def abort(recognizers, limits):
    os.abort()


def read_nowhere(recognizers, limits):
    import ctypes

    ctypes.string_at(1)


def kill(recognizers, limits):
    end_by(signal.SIGKILL, recognizers, limits)


def leave(recognizers, limits):
    os._exit(3)


def wait(recognizers, limits):
    time.sleep(1000)


def spin(recognizers, limits):
    while True:
        pass


def start_and_wait(path, recognizers, limits):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    path.write_text(str(child.pid))
    child.wait()


def fail(recognizers, limits):
    raise ZeroDivisionError("by nothing")


def refuse(recognizers, limits):
    raise UserError("call.wav: not so")


def take_memory(recognizers, limits):
    try:
        return np.ones(2 * limits.memory, dtype=np.uint8).size
    except MemoryError:
        return "no memory"


def talk(recognizers, limits):
    print("to stdout", flush=True)
    os.write(1, b"to 1")
    os.write(2, b"to 2")
    return "said"


def modules(recognizers, limits):
    return set(sys.modules)


class Pool:
    """Processes, and the event loop that they belong to."""

    def __init__(self, folder, count, **limits):
        self.lost = []
        self.processes = Processes(count, 100, {"toy": folder}, Limits(**limits), self.lost.append)
        self.runner = asyncio.Runner()

    def results(self, *tasks, seconds=60.0):
        """What all tasks give at once, or raise."""

        async def run():
            return await asyncio.gather(*(self.processes.run(task, seconds) for task in tasks), return_exceptions=True)

        return self.runner.run(run())

    def close(self):
        self.processes.close()
        self.runner.close()


@pytest.fixture(scope="module")
def pools(shelf):
    """One process, and two: starting them for each test would take its time."""
    made = {count: Pool(shelf / "toy", count, memory=100_000_000) for count in (1, 2)}
    yield made
    for pool in made.values():
        pool.close()


@pytest.fixture
def one(pools):
    pools[1].lost.clear()
    return pools[1]


@pytest.fixture
def two(pools):
    pools[2].lost.clear()
    return pools[2]


def test_a_task_is_done_in_a_process_of_its_own(one):
    first, second = one.results(number), one.results(number)
    assert first == second != [os.getpid()]


@pytest.mark.parametrize("task", [crash, abort, read_nowhere])
def test_a_crash_costs_its_request_only(two, task, caplog):
    before = set(two.results(number, number))
    crashed, *others = two.results(task, *[number] * 6)
    assert isinstance(crashed, UserError)
    assert str(crashed).startswith("recording: the process that decoded it crashed (SIG")
    assert str(crashed).endswith("); the recording is probably broken")
    assert all(isinstance(other, int) for other in others)
    assert two.lost == ["crashed"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    after = set(two.results(number, number))
    assert (len(before), len(after), len(after & before)) == (2, 2, 1)


def test_many_crashes_leave_as_many_processes_as_before(two):
    found = two.results(*[crash, number] * 8)
    assert [isinstance(one, UserError) for one in found[::2]] == [True] * 8
    assert all(isinstance(one, int) for one in found[1::2])
    assert two.lost == ["crashed"] * 8
    assert len(set(two.results(number, number))) == 2


@pytest.mark.parametrize("task", [kill, leave])
def test_a_process_that_is_ended_is_the_servers_fault(one, task):
    [found] = one.results(task)
    assert isinstance(found, RuntimeError) and not isinstance(found, UserError)
    assert one.lost == ["killed"]
    assert isinstance(one.results(number)[0], int)


@pytest.mark.parametrize("task", [wait, spin])
def test_what_hangs_is_ended(one, task):
    [pid] = one.results(number)
    began = time.monotonic()
    [found] = one.results(task, seconds=0.5)
    assert isinstance(found, HTTPException) and found.status_code == 503
    assert time.monotonic() - began < 5
    assert one.lost == ["timeout"]
    assert is_gone(pid)
    assert one.results(number) != [pid]


def test_what_a_hanging_process_has_started_ends_with_it(one, tmp_path):
    one.results(number)
    one.results(functools.partial(start_and_wait, tmp_path / "pid"), seconds=3.0)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_process_that_has_died_in_its_sleep_is_not_the_next_recordings_fault(one):
    [pid] = one.results(number)
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    assert one.results(number) != [pid]
    assert one.lost == []


def test_signals_that_stop_the_server_do_not_stop_its_processes(one):
    [pid] = one.results(number)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert one.results(number) == [pid]


def test_errors_come_back_as_they_are(one):
    fault, refusal = one.results(fail, refuse)
    assert (type(refusal), str(refusal)) == (UserError, "call.wav: not so")
    assert isinstance(fault, RuntimeError)
    assert "ZeroDivisionError: by nothing" in str(fault) and "test_processes.py" in str(fault)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux bounds the memory of a process")
def test_memory_is_bounded(one):
    assert one.results(take_memory) == ["no memory"]


def test_what_libraries_print_goes_nowhere(one, capfd):
    assert one.results(talk) == ["said"]
    assert capfd.readouterr() == ("", "")


def test_they_start_quickly_for_want_of_what_they_do_not_need(one):
    [found] = one.results(modules)
    assert "serkit.recognition.recognizer" in found
    assert found.isdisjoint({"torch", "sklearn", "pandas", "scipy", "matplotlib", "fastapi", "uvicorn"})


def test_a_bundle_that_breaks_meanwhile_is_the_servers_fault(toy, tmp_path):
    shutil.copytree(toy, tmp_path / "broken")
    (tmp_path / "broken" / "model.onnx").write_bytes(b"no network")
    with contextlib.closing(Pool(tmp_path / "broken", 1)) as pool:
        for _ in range(2):
            [found] = pool.results(number)
            assert isinstance(found, BundleError)
    assert pool.lost == []


def test_none_is_left_at_the_end(toy):
    with contextlib.closing(Pool(toy, 2)) as pool:
        pids = set(pool.results(*[number] * 10))
    assert pids and all(is_gone(pid) for pid in pids)


def is_gone(pid, seconds=10.0):
    """Whether a process ends in time; one that is dead but not waited for has ended, once all its threads have."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1:
                return True
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except FileNotFoundError:
            return not Path("/proc/self").exists() or not Path(f"/proc/{pid}").exists()
        time.sleep(0.02)
    return False
