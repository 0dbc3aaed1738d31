"""Clients that stop: how long they keep another from its answer, how long they are kept, and what memory they take.

    python benchmarks/server_stalled.py [--connections 66 500 600] [--json FILE]

On the loopback interface only. First so many connections send nothing, half a head, or a byte of a body, and stop; a
client that comes then sends a recording until it is answered. Then WebSockets that never read: one that sends sound,
one that sends pings.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hostile_bodies
import httpx2
import numpy as np
from server_process import Served, served

# Each connection is a file for both sides, and most systems allow 1024.
MOST_CONNECTIONS = 900

#: A client that has no answer after so many s is not answered.
PATIENCE = 45.0

#: A WebSocket is watched for so many s, or until the server has grown by so many MB.
WATCHED, GROWTH = 75.0, 500.0

STALLS = {
    "nothing": b"",
    "half a head": b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le",
    "a byte of a body": b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nR",
}

UPGRADE = (
    "GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="+", default=[66, 500, 600])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not 0 < max(options.connections) <= MOST_CONNECTIONS:
        parser.error(f"at most {MOST_CONNECTIONS} connections")
    found: dict[str, Any] = {"stalled": [], "not_reading": [], "load_average": os.getloadavg()[0]}
    for count in options.connections:
        for kind, sent in STALLS.items():
            with served() as server:
                found["stalled"].append({"connections": count, "kind": kind, **stall(server, count, sent)})
    for kind, message in (("sound", sound_message()), ("pings", 500 * frame(0x9, b"x" * 100))):
        with served() as server:
            found["not_reading"].append({"sends": kind, **send_and_read_nothing(server, message)})
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def stall(server: Served, count: int, sent: bytes) -> dict[str, Any]:
    """Stall, and return how a client that comes then fares."""
    body = hostile_bodies.encode(hostile_bodies.noise(np.random.default_rng(0), 3.0))
    assert httpx2.post(server.url + "/v1/predict", content=body, timeout=30).status_code == 200
    before = server.memory()
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((server.host, server.port), timeout=10))
            connection.sendall(sent)
        time.sleep(0.5)
        waited, refused = ask(server, body)
        memory = server.memory()
    return {"answered_after_s": waited, "refused_before": refused, "memory_mb": {"before": before, "during": memory}}


def ask(server: Served, body: bytes) -> tuple[float | None, int]:
    """Send a recording until it is answered; return after how many s, and how often it was refused."""
    began, refused = time.perf_counter(), 0
    while (left := began + PATIENCE - time.perf_counter()) > 0:
        try:
            answer = httpx2.post(server.url + "/v1/predict", content=body, timeout=left)
            if answer.status_code == 200:
                return time.perf_counter() - began, refused
        except httpx2.HTTPError:
            pass
        refused += 1
        time.sleep(0.25)
    return None, refused


def send_and_read_nothing(server: Served, message: bytes) -> dict[str, Any]:
    """Send a stream the same again and again, reading nothing; return how long that lasts, and the server's memory."""
    before = largest = server.memory()
    began = time.perf_counter()
    ended = False
    with socket.create_connection((server.host, server.port), timeout=0.5) as connection:
        connection.sendall(UPGRADE.encode())
        while b"\r\n\r\n" not in connection.recv(4096):
            pass
        left = b""
        while not ended and time.perf_counter() - began < WATCHED and largest - before < GROWTH:
            left = left or message
            try:
                left = left[connection.send(left) :]
            except TimeoutError:  # the server reads nothing either
                pass
            except OSError:
                ended = True
            largest = max(largest, server.memory())
    return {
        "ended_after_s": time.perf_counter() - began if ended else None,
        "watched_s": time.perf_counter() - began,
        "memory_mb": {"before": before, "largest": largest},
    }


def sound_message() -> bytes:
    """Make a message of 0.1 s of noise."""
    noise = np.random.default_rng(0).normal(0, 3000, 1600)
    return frame(0x2, noise.astype("<i2").tobytes())


def frame(opcode: int, content: bytes) -> bytes:
    """Make a frame of a client as in RFC 6455, masked with zeros."""
    length = (
        bytes([0x80 | len(content)]) if len(content) < 126 else bytes([0x80 | 126]) + struct.pack(">H", len(content))
    )
    return bytes([0x80 | opcode]) + length + bytes(4) + content


if __name__ == "__main__":
    main()
