"""Many clients of one server at once, on the loopback interface only: nothing may be lost or mixed up.

    python benchmarks/server_load.py [--clients 50] [--seconds 60] [--json FILE]

Each client sends one recording after the other, and compares every answer with what the recogniser says of the
file without a server. Recordings are of EMO-DB where SERKIT_CORPORA names a folder with it, made up elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import soundfile
from server_process import Served, served

import serkit
from serkit.recognition.formats import as_dict

# The client must not grow into an attack on anything but this computer.
MOST_CLIENTS = 200
LONGEST = 300.0

FILES = 64


@dataclass
class Tally:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    seconds: list[float] = field(default_factory=list)


def recordings(folder: Path) -> list[Path]:
    """Choose recordings of different lengths and labels."""
    corpus = Path(os.environ.get("SERKIT_CORPORA", "")) / "emodb" / "wav"
    if os.environ.get("SERKIT_CORPORA") and corpus.is_dir():
        files = sorted(corpus.iterdir())
        return files[:: max(1, len(files) // FILES)][:FILES]
    generator = np.random.default_rng(0)
    files = [folder / f"{index}.wav" for index in range(FILES)]
    for file in files:
        soundfile.write(file, generator.normal(0, 0.1, generator.integers(16000, 80000)), 16000)
    return files


async def client(
    number: int, end: float, http: httpx2.AsyncClient, sounds: list[tuple[bytes, dict[str, Any]]], tally: Tally
) -> None:
    """Send recordings until the time is over, each client in an order of its own."""
    order = np.random.default_rng(number)
    while time.perf_counter() < end:
        index = int(order.integers(len(sounds)))
        content, expected = sounds[index]
        name = f"{number}-{index}.wav"
        began = time.perf_counter()
        try:
            answer = await http.post("/v1/predict", files={"file": (name, content)})
        except httpx2.HTTPError as error:
            tally.errors[type(error).__name__] += 1
            continue
        tally.statuses[answer.status_code] += 1
        if answer.status_code == 503:
            await asyncio.sleep(float(answer.headers["retry-after"]))
        elif answer.status_code == 200:
            tally.seconds.append(time.perf_counter() - began)
            tally.wrong += answer.json() != {**expected, "file": name}


async def watch(server: Served, end: float) -> list[float]:
    """Measure the server's memory every second, in MB."""
    memory = []
    while time.perf_counter() < end:
        memory.append(server.memory())
        await asyncio.sleep(1)
    return memory


async def load(server: Served, clients: int, seconds: float, files: list[Path]) -> dict[str, Any]:
    """Run all clients and return what they saw."""
    recognizer = serkit.load()
    sounds = [(file.read_bytes(), {"model": "default", **as_dict(recognizer(file))}) for file in files]
    tally = Tally()
    before, cpu = server.memory(), server.cpu_seconds()
    began = time.perf_counter()
    end = began + seconds
    # One client object, a connection for each: making fifty would take longer than all they send.
    connections = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(base_url=server.url, timeout=60.0, limits=connections) as http:
        sending = [client(number, end, http, sounds, tally) for number in range(clients)]
        memory, *_ = await asyncio.gather(watch(server, end), *sending)
    spent = time.perf_counter() - began
    return {
        "clients": clients,
        "seconds": spent,
        "answers": sum(tally.statuses.values()),
        "answers_per_second": sum(tally.statuses.values()) / spent,
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "errors": dict(tally.errors),
        "wrong_answers": tally.wrong,
        # Of the server alone; unlike times it does not depend on what else the machine does.
        "cpu_ms_per_answer": 1000 * (server.cpu_seconds() - cpu) / len(tally.seconds),
        "load_average": os.getloadavg()[0],
        "p50_s": float(np.percentile(tally.seconds, 50)),
        "p95_s": float(np.percentile(tally.seconds, 95)),
        "longest_s": max(tally.seconds),
        "memory_mb": {
            "idle": before,
            "after_10_s": memory[min(10, len(memory) - 1)],
            "middle": memory[len(memory) // 2],
            "end": server.memory(),
            "largest": max(memory),
        },
        "alive": server.alive,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not (0 < options.clients <= MOST_CLIENTS and 0 < options.seconds <= LONGEST):
        parser.error(f"at most {MOST_CLIENTS} clients and {LONGEST:g} s")
    with tempfile.TemporaryDirectory() as folder, served() as server:
        found = asyncio.run(load(server, options.clients, options.seconds, recordings(Path(folder))))
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    if found["errors"] or found["wrong_answers"] or set(found["statuses"]) - {"200", "503"} or not found["alive"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
