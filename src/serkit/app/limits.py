"""Limits for each client, and for all clients together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


def _shortest() -> float:
    # Not at the top: the help of `serkit serve` shows the other limits.
    from serkit import audio

    return audio.SHORTEST


@dataclass(frozen=True)
class Limits:
    """Limits of size, duration, time and number.

    They limit the memory: bodies take at most `bodies` bytes together (twice that while forms are parsed), and each
    recognition process takes at most `memory` bytes more than at rest.

    Args:
        body: maximum body of a request, in bytes.
        bodies: maximum of all bodies together, in bytes, whether they arrive, wait or are recognized; at least
            `body`.
        memory: maximum memory to recognize one recording, in bytes (Linux).
        shortest: minimum length of a recording, in s.
        longest: maximum length of a recording, in s, because a few bytes of FLAC may hold hours of silence.
        lowest_rate: minimum sampling rate, in Hz.
        highest_rate: maximum sampling rate, in Hz.
        channels: maximum number of channels of a recording.
        head: maximum time for a client to send the head of a request, in s.
        pause: maximum time between an answer and the next request on a connection, in s. Longer than usual clients (5
            to 15 s) and proxies (60 s) keep a connection: otherwise the server closes some at the very moment at which
            a client uses them again, and the request is lost.
        receive: maximum time for a body to arrive, in s.
        grace: time in s after which a body must have arrived at `slowest` bytes per s.
        slowest: minimum rate of an arriving body and of reading an answer, in bytes per s.
        answer: maximum time from the body to the answer, in s, including waiting.
        queue: maximum number of requests that wait for a worker; further ones are answered with 503.
        streams: maximum number of WebSockets.
        stream: maximum length of a stream, in s of sound.
        message: maximum message of a stream, in bytes.
        idle: maximum time in s that a client of a stream may be silent, and that any client may not read.
        connections: maximum number of open connections; beyond it, the one that has waited longest is closed.
        jobs: maximum number of jobs that are kept, waiting, at work or finished; 0: no jobs.
        job_body: maximum body of a job, in bytes; not more than `bodies`.
        job_longest: maximum length of the recording of a job, in s.
        job_receive: maximum time for the body of a job to arrive, in s.
        job_answer: maximum time to recognize the recording of a job, in s.
    """

    body: int = 32_000_000
    bodies: int = 256_000_000
    memory: int = 1_000_000_000
    shortest: float = field(default_factory=_shortest)
    longest: float = 600.0
    lowest_rate: int = 4000
    highest_rate: int = 192_000
    channels: int = 2
    head: float = 10.0
    pause: float = 75.0
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
    jobs: int = 16
    job_body: int = 256_000_000
    job_longest: float = 7200.0
    job_receive: float = 600.0
    job_answer: float = 3600.0

    def for_jobs(self) -> Limits:
        """Return the limits of a job, for everything that reads a body or a recording."""
        return replace(
            self,
            body=max(self.body, min(self.job_body, self.bodies)),
            longest=max(self.longest, self.job_longest),
            receive=self.job_receive,
            answer=self.job_answer,
            jobs=0,  # a job that is too large cannot become another
        )

    def remedy(self) -> str:
        """Return what a client can do whose recording is too large or too long."""
        cut = "cut it into parts, or ask the operator for a higher limit"
        if not self.jobs:
            return cut
        most = self.for_jobs()
        return f"send it to /v1/jobs, which takes up to {most.body / 1e6:g} MB and {most.longest:g} s, or {cut}"
