"""Recordings that end the process they are decoded in."""

import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from serkit.errors import UserError
from serkit.recognition import Failure, Prediction, load
from serkit.recognition.bundle import BundleError


class Poison(type(pathlib.Path())):
    """A path that ends the worker that looks at it, as the crash of a decoder does; by its name it says how."""

    def __str__(self):
        if multiprocessing.parent_process() is not None:
            match self.stem.partition("-")[0]:
                case "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "crashed":
                    os.kill(os.getpid(), signal.SIGSEGV)
                case "left":
                    os._exit(3)
        return super().__str__()


@pytest.fixture
def recognizer(toy):
    return load("toy")


@pytest.fixture
def good(tmp_path, noise):
    """Ten recordings."""
    paths = [tmp_path / f"{index}.wav" for index in range(10)]
    for index, path in enumerate(paths):
        noise(path, seconds=0.5, seed=index)
    return paths


def ended(path, how):
    return Failure(str(path), f"{path}: the process that decoded it ended ({how})")


posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@posix
@pytest.mark.parametrize("place", [0, 4, 10])
@pytest.mark.parametrize("method", ["predict_files", "timelines"])
def test_a_poisonous_recording_costs_itself_only(recognizer, good, tmp_path, place, method):
    alone = list(getattr(recognizer, method)(good))
    assert not any(isinstance(result, Failure) for result in alone)
    poison = Poison(tmp_path / "killed.wav")
    together = list(getattr(recognizer, method)([*good[:place], poison, *good[place:]], jobs=2))
    assert together == [*alone[:place], ended(poison, "signal 9; out of memory?"), *alone[place:]]


@posix
def test_several_poisonous_recordings(recognizer, good, tmp_path):
    crashed, left, killed = (Poison(tmp_path / f"{name}.wav") for name in ("crashed", "left", "killed"))
    results = list(recognizer.predict_files([crashed, left, *good, *good, killed, good[0]], jobs=2))
    assert results[:2] == [ended(crashed, "signal 11"), ended(left, "exit code 3")]
    assert results[2:22] == [recognizer(path) for path in [*good, *good]]
    assert results[22:] == [ended(killed, "signal 9; out of memory?"), recognizer(good[0])]


@posix
def test_nothing_but_poison(recognizer, tmp_path):
    paths = [Poison(tmp_path / f"crashed-{index}.wav") for index in range(12)]
    assert list(recognizer.predict_files(paths, jobs=2)) == [ended(path, "signal 11") for path in paths]


def test_what_is_raised_for_one_recording_costs_that_one(recognizer, good, monkeypatch):
    predict = recognizer.predict_file
    raised = {good[0]: MemoryError(), good[2]: LookupError("no such band")}

    def faulty(path, channel):
        if path in raised:
            raise raised[path]
        return predict(path, channel)

    monkeypatch.setattr(recognizer, "predict_file", faulty)
    results = list(recognizer.predict_files(good[:4]))
    assert results[0] == Failure(str(good[0]), f"{good[0]}: out of memory")
    assert results[2] == Failure(str(good[2]), f"{good[2]}: unexpected LookupError (no such band)")
    assert results[1::2] == [predict(good[1], None), predict(good[3], None)]


@posix
def test_no_process_is_left_behind(recognizer, good, tmp_path):
    before = set(multiprocessing.active_children())  # of other tests
    results = recognizer.predict_files([Poison(tmp_path / "crashed.wav"), *good], jobs=2)
    assert isinstance(next(results), Failure)
    assert isinstance(next(results), Prediction)
    results.close()
    assert set(multiprocessing.active_children()) <= before


def test_processes_that_cannot_start_are_an_error_and_no_loop(toy, tmp_path, noise):
    noise(tmp_path / "a.wav")
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import serkit\n"
        "from serkit.errors import UserError\n"
        "try:\n"
        f"    print(list(serkit.load('toy').predict_files([{str(tmp_path / 'a.wav')!r}] * 3, jobs=2)))\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout == (
        "a process that recognizes cannot be started (exit code 1). In a script, several jobs require "
        "`if __name__ == '__main__':`; or use one job\n"
    )


def test_a_bundle_that_is_gone_is_an_error(recognizer, good, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(type(recognizer.bundle), "folder", tmp_path / "gone")
    with pytest.raises(BundleError, match=r"gone: no such folder"):
        list(recognizer.predict_files(good, jobs=2))


def _predict(toy, path, answers):
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers.put((list(load(toy).predict_files([path, path], jobs=2)), [str(one.message) for one in caught]))


def test_in_a_daemonic_process_one_job_does_the_work(recognizer, toy, good):
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_predict, args=(toy, good[0], answers), daemon=True)
    process.start()
    results, texts = answers.get()
    process.join()
    assert results == [recognizer(good[0])] * 2
    assert texts == ["jobs=2: a daemonic process cannot start others; one job is used"]


@pytest.mark.parametrize("paths", ["call.wav", b"call.wav", pathlib.Path("call.wav")])
@pytest.mark.parametrize("method", ["predict_files", "timelines"])
def test_a_single_path_is_not_several(recognizer, method, paths):
    with pytest.raises(UserError, match=r"paths must be several recordings, got .*: write \[.*call\.wav.*\]$"):
        getattr(recognizer, method)(paths)


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True, "2", None])
def test_jobs_that_cannot_be(recognizer, jobs):
    with pytest.raises(UserError, match=r"jobs must be (a whole number|at least 1), got "):
        recognizer.predict_files(["call.wav"], jobs=jobs)
