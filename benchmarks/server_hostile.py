"""300 hostile bodies against a server on the loopback interface: each is answered by a 4xx, and the server lives on.

    python benchmarks/server_hostile.py [--json FILE]

Between the bodies a sound one is sent now and then, which must be answered as ever.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import hostile_bodies
import httpx2
import numpy as np
from hostile_bodies import Hostile
from server_process import Served, served

#: A slow client sends so many bytes, then waits so many s.
DROP, PAUSE = 10, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with served() as server:
        found = attack(server)
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    if found["not_refused"] or found["sound_refused"] or not found["alive"]:
        raise SystemExit(1)


def attack(server: Served) -> dict[str, Any]:
    """Send all bodies and return what came back."""
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    longest: dict[str, float] = defaultdict(float)
    sound = hostile_bodies.encode(hostile_bodies.noise(np.random.default_rng(0)))
    sound_refused = 0
    memory = [server.memory()]
    slow = []
    with httpx2.Client(base_url=server.url, timeout=60.0) as http:
        for number, body in enumerate(hostile_bodies.make()):
            if body.slow:
                slow.append(body)
                continue
            began = time.perf_counter()
            answer = http.post("/v1/predict", content=body.content, headers={"Content-Type": body.content_type})
            longest[body.kind] = max(longest[body.kind], time.perf_counter() - began)
            statuses[body.kind][answer.status_code] += 1
            memory.append(server.memory())
            if number % 25 == 0:
                sound_refused += http.post("/v1/predict", content=sound).status_code != 200
        # All slow ones at once, and sound ones beside them.
        threads = [threading.Thread(target=send_slowly, args=(server, body, statuses, longest)) for body in slow]
        for thread in threads:
            thread.start()
        sound_refused += http.post("/v1/predict", content=sound).status_code != 200
        for thread in threads:
            thread.join()
        sound_refused += http.post("/v1/predict", content=sound).status_code != 200
    everything = sum(statuses.values(), Counter())
    return {
        "bodies": sum(everything.values()),
        "statuses": {str(status): count for status, count in sorted(everything.items())},
        "by_kind": {
            kind: {"statuses": {str(status): count for status, count in found.items()}, "longest_s": longest[kind]}
            for kind, found in statuses.items()
        },
        "not_refused": sum(count for status, count in everything.items() if not 400 <= status < 500),
        "sound_refused": sound_refused,
        "memory_mb": {"idle": memory[0], "largest": max(memory), "end": server.memory()},
        "alive": server.alive,
    }


def send_slowly(server: Served, body: Hostile, statuses: dict[str, Counter[int]], longest: dict[str, float]) -> None:
    """Send a body in drops until the server has had enough."""
    began = time.perf_counter()
    with socket.create_connection((server.host, server.port), timeout=PAUSE) as connection:
        length = len(body.content)
        connection.sendall(
            f"POST /v1/predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        answer = b""
        for begin in range(0, length, DROP):
            connection.sendall(body.content[begin : begin + DROP])
            try:
                answer = connection.recv(4096)
                break
            except TimeoutError:
                pass
    statuses[body.kind][int(answer.split()[1]) if answer else 0] += 1
    longest[body.kind] = max(longest[body.kind], time.perf_counter() - began)


if __name__ == "__main__":
    main()
