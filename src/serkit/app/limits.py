"""What one client, and all of them together, may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass

from serkit import audio


@dataclass(frozen=True)
class Limits:
    """Bounds of size, duration, time and number.

    Memory is bounded by them: at most `workers + queue` bodies lie in memory, each of `body` bytes (twice that
    while a form is taken apart), and what a worker decodes of one is bounded by `longest`.

    Args:
        body: largest body of a request, in bytes.
        shortest: shortest recording, in s.
        longest: longest recording, in s, whatever its size: a few bytes of FLAC may hold hours of silence.
        lowest_rate: lowest sampling rate, in Hz.
        highest_rate: highest sampling rate, in Hz.
        channels: most channels of a recording.
        receive: longest time a body may take to arrive, in s.
        answer: longest time from then to the answer, in s, waiting included.
        queue: requests that wait for a worker; those beyond are answered 503.
        streams: WebSockets at once.
        stream: longest stream, in s of sound.
        message: largest message of a stream, in bytes.
        idle: longest silence of a client within a stream, in s.
        connections: open connections of all kinds.
    """

    body: int = 32_000_000
    shortest: float = audio.SHORTEST
    longest: float = 600.0
    lowest_rate: int = 4000
    highest_rate: int = 192_000
    channels: int = 2
    receive: float = 30.0
    answer: float = 60.0
    queue: int = 64
    streams: int = 8
    stream: float = 3600.0
    message: int = 1_000_000
    idle: float = 30.0
    connections: int = 512
