"""What one client, and all of them together, may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass

from serkit import audio


@dataclass(frozen=True)
class Limits:
    """Bounds of size, duration, time and number.

    Memory is bounded by them: bodies take at most `bodies` bytes together (twice that while forms are taken apart),
    and each process that recognizes takes `memory` bytes more than it does at rest.

    Args:
        body: largest body of a request, in bytes.
        bodies: most bytes of all bodies together, whether they still arrive, wait or are recognized; never less
            than `body`.
        memory: most bytes that one recording may take while it is recognized (Linux).
        shortest: shortest recording, in s.
        longest: longest recording, in s, whatever its size: a few bytes of FLAC may hold hours of silence.
        lowest_rate: lowest sampling rate, in Hz.
        highest_rate: highest sampling rate, in Hz.
        channels: most channels of a recording.
        head: longest time until a client has sent the head of a request, in s.
        receive: longest time a body may take to arrive, in s.
        grace: in s; from then on a body must have arrived with `slowest` bytes per s.
        slowest: least rate at which a body arrives and an answer is read, in bytes per s.
        answer: longest time from then to the answer, in s, waiting included.
        queue: requests that wait for a worker; those beyond are answered 503.
        streams: WebSockets at once.
        stream: longest stream, in s of sound.
        message: largest message of a stream, in bytes.
        idle: longest time in s that a client of a stream may send nothing, and that any client may not read.
        connections: open connections of all kinds; beyond, the one that has waited for its client longest is closed.
    """

    body: int = 32_000_000
    bodies: int = 256_000_000
    memory: int = 1_000_000_000
    shortest: float = audio.SHORTEST
    longest: float = 600.0
    lowest_rate: int = 4000
    highest_rate: int = 192_000
    channels: int = 2
    head: float = 10.0
    receive: float = 30.0
    grace: float = 5.0
    slowest: float = 4000.0
    answer: float = 60.0
    queue: int = 64
    streams: int = 8
    stream: float = 3600.0
    message: int = 1_000_000
    idle: float = 30.0
    connections: int = 512
