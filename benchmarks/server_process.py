"""A server as its users start it, in a process of its own on the loopback interface, and its memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Args:
        process: it.
        host: its address.
        port: its port.
    """

    process: subprocess.Popen[str]
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def memory(self) -> float:
        """Return the resident memory of all its processes in MB, what they share counted once (Linux)."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):  # it has ended meanwhile
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += sum(map(int, re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)))
        return total / 1000

    def cpu_seconds(self) -> float:
        """Return the processor time that it and its processes have spent (Linux)."""
        spent = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent += int(fields[11]) + int(fields[12])
        return spent / os.sysconf("SC_CLK_TCK")

    def processes(self) -> list[int]:
        """Return the number of its process, and of all those below it (Linux)."""
        found = [self.process.pid]
        for pid in found:
            found += children(pid)
        return found

    def descriptors(self) -> dict[str, int]:
        """Return how many sockets, pipes and other files its processes have open (Linux)."""
        count = Counter(socket=0, pipe=0, other=0)
        for pid in self.processes():
            with suppress(OSError):  # it has ended meanwhile
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    kind = os.readlink(descriptor).partition(":")[0]
                    count[kind if kind in count else "other"] += 1
        return dict(count)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None


def children(pid: int) -> list[int]:
    """Return the numbers of the processes that a process has started (Linux)."""
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """Run `serkit serve` with options on 127.0.0.1 and a free port; stop it at the end."""
    command = [sys.executable, "-m", "serkit", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://([\d.]+):(\d+)", line)
        if found is None:
            raise SystemExit(f"the server did not start: {line.strip()}")
        # libmpg123 writes what it thinks of broken MP3 files to stderr; a full pipe would stop the server.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        time.sleep(2)  # until the processes that recognize have started as well
        yield Served(process, found[1], int(found[2]))
    finally:
        process.terminate()
        process.wait(60)
