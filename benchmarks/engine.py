"""One command on two machines against one process: files per second, processor time, memory, faults, and folds.

    python benchmarks/engine.py CORPORA [--work predict] [--recordings 5000] [--epochs 5] [--json FILE]

CORPORA is the folder of the corpora; `emodb` in it gives the ten folds. The machines are two nodes of Ray, of one
processor each, on the loopback interface, below a head without processors. In each pass the answers must be those of
one process, to the last byte:

one       `serkit predict --jobs 1`, or another command by --work
engine    the same with `--engine ray`
faults    the same, while a process is killed and, later, a node is removed
folds     `serkit train compact-cnn`, ten folds: one after the other in one process, and with --engine ray

Processor time and memory are those of all processes of a pass: of Ray, its workers and the command. They are looked at
every second, so that a process loses at most its last second. Memory is what is resident, with what processes share
counted once. What Ray needs to start is told separately. Linux only; requires serkit[lab,cluster].
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server_process import children

from serkit import finding

SERKIT = [sys.executable, "-m", "serkit"]
#: Commands by the name of the work; egemaps takes several times as long per recording as recognition.
WORK = {"predict": ["predict"], "egemaps": ["features", "egemaps"]}
#: Share of the parts that exist when a process is killed, and when a node is removed.
KILL_AT, REMOVE_AT = 0.2, 0.4
FOLDS = ["--protocol", "leave-one-speaker-out", "--jobs", "1", "--threads", "1", "--no-final"]


@dataclass
class Watch:
    """Processor time in s, and the most memory in MB, of everything below this process since it began."""

    began: float = field(default_factory=time.perf_counter)
    before: dict[int, float] = field(default_factory=dict)
    spent: dict[int, float] = field(default_factory=dict)
    memory: float = 0.0

    def look(self) -> None:
        """Look at every process once."""
        memory = 0
        for pid in below(os.getpid()):
            with suppress(OSError):  # it has ended meanwhile
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self.spent[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                memory += sum(map(int, re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)))
        self.memory = max(self.memory, memory / 1000)

    def result(self) -> dict[str, float]:
        """Return what was seen."""
        spent = sum(self.spent.values()) - sum(self.before.values())
        return {"seconds": time.perf_counter() - self.began, "cpu_seconds": spent, "memory_mb": self.memory}


def below(pid: int) -> list[int]:
    """Return the numbers of all processes below a process."""
    found = children(pid)
    for one in found:
        found += children(one)
    return found


@contextmanager
def watched(report: dict[str, Any]) -> Iterator[None]:
    """Add time, processor time and memory of the block to a report."""
    watch = Watch()
    watch.look()
    watch.before = dict(watch.spent)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1):
            watch.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        report |= {name: round(value, 1) for name, value in watch.result().items()}
        ended.set()
        thread.join()


def serkit(*arguments: object, codes: tuple[int, ...] = (0,)) -> None:
    """Run a command; recordings that fail are a result, too, where `codes` has 1."""
    finish(begin(*arguments), codes)


def begin(*arguments: object) -> subprocess.Popen[bytes]:
    """Start a command."""
    return subprocess.Popen([*SERKIT, *map(str, arguments)], stdout=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes], codes: tuple[int, ...]) -> None:
    """Wait for a command."""
    if process.wait() not in codes:
        raise SystemExit(f"{process.args}: exit code {process.returncode}")


class Machines:
    """Two nodes of one processor each, and their head."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(2)]
        os.environ["RAY_ADDRESS"] = self._cluster.address

    def remove(self) -> None:
        """Remove a node, as if its machine had failed."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def close(self) -> None:
        """End all processes."""
        del os.environ["RAY_ADDRESS"]
        self._cluster.shutdown()


@contextmanager
def machines(cache: Path) -> Iterator[Machines]:
    """Start the nodes with a cache of their own, and end them."""
    os.environ["SERKIT_CACHE"] = str(cache)
    started = Machines()
    try:
        yield started
    finally:
        started.close()


def workers() -> list[int]:
    """Return the numbers of the processes that work on a shard."""
    found = []
    for pid in below(os.getpid()):
        with suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::serkit"):
                found.append(pid)
    return found


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something is so."""
    while not condition():
        if process.poll() is not None:
            raise SystemExit("the command ended before it could be disturbed; give more --recordings")
        time.sleep(0.1)


def process(work: str, recordings: list[str], folder: Path) -> dict[str, Any]:
    """Process the recordings in one process, on two nodes, and on two nodes that fail, each time without a cache."""
    found: dict[str, Any] = {name: {} for name in ("one", "engine", "faults")}
    (folder / "list.txt").write_text("".join(f"{path}\n" for path in recordings), encoding="utf-8")
    command = [*WORK[work], "--list", folder / "list.txt"]
    either = (0, 1)
    with machines(folder / "cache-engine"), watched(found["engine"]):
        serkit(*command, "--engine", "ray", "--out", folder / "engine", codes=either)

    shards = len(list((folder / "engine").glob("*.parquet")))

    def reached(share: float) -> bool:
        return len(list((folder / "faults").glob("*.parquet"))) >= int(share * shards) and bool(workers())

    with machines(folder / "cache-faults") as nodes, watched(found["faults"]):
        running = begin(*command, "--engine", "ray", "--out", folder / "faults")
        wait_for(lambda: reached(KILL_AT), running)
        os.kill(workers()[0], signal.SIGKILL)
        wait_for(lambda: reached(REMOVE_AT), running)
        nodes.remove()
        finish(running, either)
    answers = {}
    for name in ("engine", "faults"):
        serkit("gather", folder / name, "--out", folder / f"{name}.csv", codes=either)
        answers[name] = (folder / f"{name}.csv").read_bytes()
        found[name]["left_behind"] = sorted(
            path.name for path in (folder / name).iterdir() if path.suffix != ".parquet"
        )

    os.environ["SERKIT_CACHE"] = str(folder / "cache-one")
    with watched(found["one"]):
        serkit(*command, "--jobs", "1", "--out", folder / "one.csv", codes=either)
    for name, answer in answers.items():
        found[name]["equal"] = answer == (folder / "one.csv").read_bytes()
    for one in found.values():
        one["files_per_second"] = round(len(recordings) / one["seconds"], 1)
    return found


def train(emodb: Path, epochs: int, folder: Path, report: dict[str, Any], engine: bool) -> None:
    """Train and score ten folds."""
    command = ["train", "compact-cnn", "--corpus", f"emodb={emodb}", *FOLDS]
    command += ["--set", f"stages.*.trainer.epochs={epochs}"]
    with watched(report):
        serkit(*command, "--out", folder, *(["--engine", "ray"] if engine else []))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--work", choices=list(WORK), default="predict")
    parser.add_argument("--recordings", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=5, help="0: no folds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    paths = list(finding.find([str(options.corpora.absolute())]).files)
    recordings = paths[:: max(1, len(paths) // options.recordings)][: options.recordings]

    found: dict[str, Any] = {"recordings": len(recordings), "start": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folds: dict[str, Any] = {"epochs": options.epochs, "one": {}, "engine": {}}
        emodb = options.corpora / "emodb"
        with ExitStack() as stack:
            with watched(found["start"]):
                stack.enter_context(machines(folder / "cache-folds"))
            if options.epochs:
                train(emodb, options.epochs, folder / "folds-engine", folds["engine"], engine=True)
        found[options.work] = process(options.work, recordings, folder)
        if options.epochs:
            train(emodb, options.epochs, folder / "folds-one", folds["one"], engine=False)
            folds["equal"] = all(
                (folder / "folds-engine" / file).read_bytes() == (folder / "folds-one" / file).read_bytes()
                for file in ("predictions.csv", "splits.json")
            )
            folds["ratio"] = round(folds["engine"]["seconds"] / folds["one"]["seconds"], 2)
            found["folds"] = folds
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    passes = [found[options.work]["engine"], found[options.work]["faults"], *([folds] if options.epochs else [])]
    if not all(one["equal"] for one in passes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
