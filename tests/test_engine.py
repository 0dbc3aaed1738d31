"""The engine: what it refuses and tries again, and, on two nodes, what is lost with a process and a node."""

import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import typer

from serkit.cli import run, spread
from serkit.engine import Engine, Lost
from serkit.errors import UserError
from serkit.listing import Listing
from serkit.recognition import load
from serkit.recognition.predicted_parts import KIND, Predicting


def test_what_is_no_engine(monkeypatch):
    with pytest.raises(UserError, match=r"^--engine must be 'ray' or ray://HOST:PORT, got 'dask'"):
        Engine("dask")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'serkit\[cluster\]'"):
        Engine("ray")


@pytest.mark.parametrize("text", ["ray://", "ray://host", "ray://host:x", "ray://host:1/x", "ray:1"])
def test_what_is_no_address(text):
    with pytest.raises(UserError, match=r"^--engine must be 'ray' or ray://HOST:PORT, got '"):
        Engine(text)


def fail_at_one(folder, shard):
    """A shard: 1 ends every process, 2 the first one."""
    (folder / f"{shard}-{time.perf_counter_ns()}").touch()
    if shard == 1 or (shard == 2 and len(list(folder.glob("2-*"))) == 1):
        raise sys.modules["ray"].WorkerCrashedError
    return shard


def test_a_shard_that_is_lost_is_tried_again_behind_the_others(calls, tmp_path, monkeypatch):
    found = dict(Engine("ray").map(partial(fail_at_one, tmp_path), range(5)))
    assert isinstance(found.pop(1), Lost)
    assert found == {0: 0, 2: 2, 3: 3, 4: 4}
    assert calls.order == [0, 1, 2, 3, 4, 1, 2, 1, 1]


@dataclass(frozen=True)
class Hungry(Predicting):
    """Recognition that runs out of memory: over `poison` always, over `beside` unless it has the machine for itself."""

    def write(self, recordings, ended, path, about):
        for recording in recordings:
            _run_out("poison" in recording and recording not in ended)
        return super().write(recordings, ended, path, about)

    def attempt(self, recording):
        _run_out("poison" in recording or ("beside" in recording and sys.modules["ray"].taken == 1))
        super().attempt(recording)


def _run_out(now):
    if now:
        raise sys.modules["ray"].OutOfMemoryError


def test_only_what_runs_out_of_memory_alone_fails(calls, toy, tree, tmp_path, capsys):
    calls.processors = 4
    folder = tree(*(f"clips/{name}.wav" for name in ("a", "poison", "beside", "d"))) / "clips"
    files = sorted(map(str, folder.iterdir()))
    request = spread.Request(str(tmp_path / "parts"), None, Engine("ray"))
    with pytest.raises(typer.Exit):
        spread.work(KIND, Hungry(load("toy")), Listing(lambda: files, str), request)
    assert run(["gather", str(tmp_path / "parts"), "--out", str(tmp_path / "all.jsonl")]) == 1
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == files
    [failed] = [row for row in rows if "error" in row]
    assert failed["error"] == f"{folder}/poison.wav: the process that read it ended (out of memory)"


def fail(shard):
    raise shard


def test_what_a_machine_lacks_is_told_in_one_line(calls, monkeypatch):
    for raised in (
        ModuleNotFoundError("No module named 'torch'"),
        RuntimeError("The function failed to import on the worker. Perhaps:\n\nTraceback\nNo module named 'torch'"),
    ):
        with pytest.raises(UserError, match=r"^a machine of the cluster cannot do .* \(No module named 'torch'\)"):
            list(Engine("ray").map(fail, [raised]))
    with pytest.raises(ZeroDivisionError):
        list(Engine("ray").map(fail, [ZeroDivisionError()]))
    releases = iter(["1.0", "1.1"])
    monkeypatch.setattr("serkit.engine.version", lambda name: next(releases))
    with pytest.raises(UserError, match=r"^a machine of the cluster has serkit 1\.1, and this one 1\.0; install one"):
        list(Engine("ray").map(fail, [ValueError()]))


def test_a_cluster_that_is_not_there(calls, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"^--engine ray://{address}: there is no cluster \(Connection refused\)$"):
            Engine(f"ray://{address}")
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UserError, match=rf"^--engine ray \(RAY_ADDRESS={address}\): there is no cluster "):
            Engine("ray")
    monkeypatch.delenv("RAY_ADDRESS")
    calls.refused = RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9\n    Python: 3.12")
    with pytest.raises(UserError, match=r"\(Version mismatch: The cluster was started with: Ray: 2\.9 Python: 3"):
        Engine("ray")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head without processors, and two nodes of one processor each."""
    if not os.environ.get("SERKIT_CLUSTER"):
        pytest.skip("SERKIT_CLUSTER is not set")
    ray = pytest.importorskip("ray", reason="needs the cluster extra")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        made.spare = [made.add_node(num_cpus=1) for _ in range(2)]
        patch.setenv("RAY_ADDRESS", made.address)
        yield made
        ray.shutdown()
        made.shutdown()


def attempt(folder, number):
    """A shard: 3 ends every process, 4 the first one, 5 raises."""
    path = folder / f"{number}-{os.getpid()}"
    path.touch()
    if number == 3 or (number == 4 and len(list(folder.glob("4-*"))) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return number, os.environ.get("RAY_USAGE_STATS_ENABLED")


@pytest.mark.cluster
def test_shards_that_end_their_process(cluster, tmp_path):
    found = dict(Engine("ray").map(partial(attempt, tmp_path), range(8), retries=1))
    assert isinstance(found.pop(3), Lost)
    assert {number: result[0] for number, result in found.items()} == {n: n for n in range(8) if n != 3}
    assert len(list(tmp_path.glob("4-*"))) == 2


@pytest.mark.cluster
def test_a_node_that_is_removed_loses_nothing(cluster, toy, tree, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spread, "_FILES", 2)
    tree(*(f"clips/{number:02}.wav" for number in range(30)))
    arguments = ["predict", str(tmp_path / "clips"), "--model", "toy"]
    assert run([*arguments, "--format", "jsonl", "--out", str(tmp_path / "one.jsonl")]) == 0
    cluster.remove_node(cluster.spare.pop(), allow_graceful=False)
    assert run([*arguments, "--engine", "ray", "--out", str(tmp_path / "parts")]) == 0
    assert run(["gather", str(tmp_path / "parts"), "--out", str(tmp_path / "all.jsonl")]) == 0
    assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


@dataclass(frozen=True)
class Poisoned(Predicting):
    """Recognition, in which a recording called `poison` ends each process that reads it."""

    def write(self, recordings, ended, path, about):
        return super().write((_end_at_poison(one, ended) for one in recordings), ended, path, about)

    def attempt(self, recording):
        super().attempt(_end_at_poison(recording, {}))


def _end_at_poison(recording, ended):
    if "poison" in recording and recording not in ended:
        os.kill(os.getpid(), signal.SIGKILL)
    return recording


@pytest.mark.cluster
def test_a_recording_that_ends_every_process_is_a_row(cluster, toy, tree, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spread, "_FILES", 3)
    folder = tree(*(f"clips/{name}.wav" for name in ("a", "b", "c", "d", "poison", "f", "g"))) / "clips"
    files = sorted(map(str, folder.iterdir()))
    request = spread.Request(str(tmp_path / "parts"), None, Engine("ray"))
    with pytest.raises(typer.Exit) as left:
        spread.work(KIND, Poisoned(load("toy")), Listing(lambda: files, str), request)
    assert left.value.exit_code == 1
    assert run(["gather", str(tmp_path / "parts"), "--out", str(tmp_path / "all.jsonl")]) == 1
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == files
    [failed] = [row for row in rows if row.get("error")]
    assert failed["file"].endswith("poison.wav") and "the process that read it ended (Worker" in failed["error"]


@pytest.mark.cluster
def test_folds_on_a_cluster_are_those_of_one_machine(cluster, synthetic, tmp_path):
    train = ["train", "linear-baseline", "--corpus", f"synthetic={synthetic.folder}", "--jobs", "1", "--threads", "1"]
    for name, more in {"there": ["--engine", "ray"], "here": []}.items():
        assert run([*train, "--no-final", "--out", str(tmp_path / name), *more]) == 0
    scores = [json.loads((tmp_path / name / "scores.json").read_text()) for name in ("there", "here")]
    assert scores[0] == scores[1]
