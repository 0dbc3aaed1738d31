"""The engine: what it refuses, and, on a cluster of two nodes, what is lost with a process and a node."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from serkit.cli import run
from serkit.engine import Engine, Lost
from serkit.errors import UserError


def test_what_is_no_engine(monkeypatch):
    with pytest.raises(UserError, match=r"^--engine must be 'ray' or ray://HOST:PORT, got 'dask'"):
        Engine("dask")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'serkit\[cluster\]'"):
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
    from functools import partial

    found = dict(Engine("ray").map(partial(attempt, tmp_path), range(8), retries=1))
    assert isinstance(found.pop(3), Lost)
    assert {number: result[0] for number, result in found.items()} == {n: n for n in range(8) if n != 3}
    assert len(list(tmp_path.glob("4-*"))) == 2


@pytest.mark.cluster
def test_a_node_that_is_removed_loses_nothing(cluster, toy, tree, tmp_path, monkeypatch, capsys):
    from serkit.cli import spread

    monkeypatch.setattr(spread, "_FILES", 2)
    tree(*(f"clips/{number:02}.wav" for number in range(30)))
    arguments = ["predict", str(tmp_path / "clips"), "--model", "toy"]
    assert run([*arguments, "--format", "jsonl", "--out", str(tmp_path / "one.jsonl")]) == 0
    cluster.remove_node(cluster.spare.pop(), allow_graceful=False)
    assert run([*arguments, "--engine", "ray", "--out", str(tmp_path / "parts")]) == 0
    assert run(["gather", str(tmp_path / "parts"), "--out", str(tmp_path / "all.jsonl")]) == 0
    assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


@pytest.mark.cluster
def test_folds_on_a_cluster_are_those_of_one_machine(cluster, synthetic, tmp_path):
    train = ["train", "linear-baseline", "--corpus", f"synthetic={synthetic.folder}", "--jobs", "1", "--threads", "1"]
    for name, more in {"there": ["--engine", "ray"], "here": []}.items():
        assert run([*train, "--no-final", "--out", str(tmp_path / name), *more]) == 0
    scores = [json.loads((tmp_path / name / "scores.json").read_text()) for name in ("there", "here")]
    assert scores[0] == scores[1]
