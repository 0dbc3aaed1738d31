"""A server under everything at once, for an hour: nothing may be lost but what was killed, mixed up, or leak.

    python benchmarks/soak.py [--minutes 60] [--clients 8] [--workers 2] [--json FILE]

On the loopback interface only. Clients send recordings, ask for timelines, hold live streams, send jobs and fetch
them, and send hostile bodies, in a random order. Every answer is compared with what the recogniser says of that
recording without a server. Each minute one process of the server is killed: in turn one that recognises, and one that
serves. The models are loaded again every 90 s. An error within 20 s after a kill counts as its consequence, any other
as a failure. Recordings are of EMO-DB where SERKIT_CORPORA names a folder with it, made up elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_bodies
import httpx2
import numpy as np
import soundfile
import websockets
from hostile_bodies import Hostile
from server_load import recordings
from server_process import Served, children, served

import serkit
from serkit.audio import InMemory
from serkit.recognition.formats import as_dict
from serkit.recognition.timeline_formats import as_dict as timeline_as_dict
from serkit.recognition.timeline_formats import event_as_dict

LONGEST = 120.0
MOST_CLIENTS = 64

#: How often each kind of request is chosen.
SHARES = {"predict": 0.5, "timeline": 0.2, "stream": 0.1, "job": 0.1, "hostile": 0.1}

KILL_EVERY, RELOAD_EVERY, LOOK_EVERY = 60.0, 90.0, 5.0

#: Looks at memory, descriptors and processes that the report shows one by one.
SHOWN = 13

#: Time in s in which an error is a consequence of a kill: until the process that took its place answers.
AFTERMATH = 20.0

#: A client that is told that the server is busy tries again after this time in s.
PAUSE = 1.0


@dataclass(frozen=True)
class Sound:
    """A recording, and what the recogniser says of it."""

    content: bytes
    samples: np.ndarray
    rate: int
    prediction: dict[str, Any]
    timeline: dict[str, Any]
    windows: list[dict[str, Any]]


@dataclass
class Tally:
    """What the clients saw."""

    statuses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)
    consequences: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    killed_at: float = -1e9
    kills: Counter[str] = field(default_factory=Counter)
    reloads: int = 0

    def fail(self, kind: str, what: str) -> None:
        """Note that a request had no answer."""
        late = time.perf_counter() - self.killed_at
        (self.consequences if late < AFTERMATH else self.failures)[f"{kind}: {what}"] += 1


def listen(recognizer: serkit.Recognizer, file: Path) -> Sound:
    """Say what the server must answer."""
    content = file.read_bytes()
    samples, rate = soundfile.read(file, dtype="int16")
    stream = recognizer.stream(rate)
    events = [event_as_dict(event) for event in (*stream.push(samples), *stream.finish())]
    timeline = timeline_as_dict(recognizer.timeline(InMemory(content, "x.wav")))
    return Sound(
        content,
        samples,
        rate,
        as_dict(recognizer.predict_file(InMemory(content, "x.wav"))),
        {key: timeline[key] for key in ("windows", "segments", "duration")},
        [_window(event) for event in events if event["type"] == "window"],
    )


def _window(event: dict[str, Any]) -> dict[str, Any]:
    return {key: event[key] for key in ("start", "end", "probabilities")}


class Client:
    """A client that sends one thing after another.

    Args:
        number: its number; part of every name that it sends, so that an answer shows whose it is.
        server: the server.
        http: connections.
        sounds: what it may send.
        bodies: hostile bodies, of all clients together.
        tally: what it saw.
    """

    def __init__(
        self,
        number: int,
        server: Served,
        http: httpx2.AsyncClient,
        sounds: list[Sound],
        bodies: Iterator[Hostile],
        tally: Tally,
    ) -> None:
        self._number, self._server, self._http, self._sounds, self._tally = number, server, http, sounds, tally
        self._bodies = bodies
        self._random = np.random.default_rng(number)
        self._names = itertools.count()

    async def run(self, end: float) -> None:
        """Send until the time is over."""
        kinds, shares = list(SHARES), list(SHARES.values())
        while time.perf_counter() < end:
            kind = str(self._random.choice(kinds, p=shares))
            send: Callable[[], Awaitable[str]] = getattr(self, f"_{kind}")
            began = time.perf_counter()
            try:
                status = await send()
            except (httpx2.HTTPError, OSError, TimeoutError, websockets.WebSocketException) as error:
                self._tally.fail(kind, type(error).__name__)
                await asyncio.sleep(PAUSE)
                continue
            self._tally.statuses[kind][status] += 1
            if status in ("503", "1013"):
                await asyncio.sleep(PAUSE)
            elif status in ("200", "1000", "done", "4xx"):
                self._tally.seconds[kind].append(time.perf_counter() - began)
            else:
                self._tally.fail(kind, f"status {status}")

    def _choose(self) -> tuple[str, Sound]:
        sound = self._sounds[int(self._random.integers(len(self._sounds)))]
        return f"{self._number}-{next(self._names)}.wav", sound

    def _check(self, kind: str, right: bool) -> None:
        self._tally.wrong[kind] += not right

    async def _predict(self) -> str:
        name, sound = self._choose()
        answer = await self._http.post("/v1/predict", files={"file": (name, sound.content)})
        if answer.status_code == 200:
            self._check("predict", answer.json() == {**sound.prediction, "model": "default", "file": name})
        return str(answer.status_code)

    async def _timeline(self) -> str:
        name, sound = self._choose()
        answer = await self._http.post("/v1/timeline", files={"file": (name, sound.content)})
        if answer.status_code == 200:
            self._check("timeline", _is_timeline(answer.json(), name, sound))
        return str(answer.status_code)

    async def _job(self) -> str:
        name, sound = self._choose()
        sent = await self._http.post("/v1/jobs", files={"file": (name, sound.content)})
        if sent.status_code != 202:
            return str(sent.status_code)
        place = sent.headers["location"]
        while True:
            await asyncio.sleep(0.2)
            answer = await self._http.get(place)
            if answer.status_code != 200:
                return str(answer.status_code)  # 404: its process was killed
            if (status := answer.json()["status"]) in ("done", "failed"):
                break
        if status == "failed":
            return "failed"
        result = await self._http.get(f"{place}/result")
        if result.status_code == 200:
            self._check("job", _is_timeline(result.json(), name, sound))
            await self._http.delete(place)
            return "done"
        return str(result.status_code)

    async def _stream(self) -> str:
        _, sound = self._choose()
        windows = []
        url = f"ws://{self._server.host}:{self._server.port}/v1/stream?rate={sound.rate}"
        async with websockets.connect(url, max_size=None, open_timeout=60, proxy=None) as socket:
            for begin in range(0, len(sound.samples), sound.rate // 5):
                await socket.send(sound.samples[begin : begin + sound.rate // 5].tobytes())
            await socket.send(json.dumps({"type": "finish"}))
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "window":
                    windows.append(_window(event))
        if socket.close_code == 1000:
            self._check("stream", windows == sound.windows)
        return str(socket.close_code)

    async def _hostile(self) -> str:
        body = next(self._bodies)
        headers = {"Content-Type": body.content_type}
        answer = await self._http.post("/v1/predict", content=body.content, headers=headers)
        return "4xx" if 400 <= answer.status_code < 500 else str(answer.status_code)


def _is_timeline(answer: dict[str, Any], name: str, sound: Sound) -> bool:
    return answer["file"] == name and all(answer[key] == value for key, value in sound.timeline.items())


async def kill(server: Served, end: float, tally: Tally) -> None:
    """Kill a process every minute: in turn one that recognises, and one that serves."""
    for turn in itertools.count():
        await asyncio.sleep(KILL_EVERY)
        if time.perf_counter() >= end:
            return
        serving = [pid for pid in children(server.process.pid) if _is_worker(pid)]
        kind = "serves" if turn % 2 and len(serving) > 1 else "recognises"
        chosen = serving[turn % len(serving)]
        if kind == "recognises":
            chosen = next((pid for pid in children(chosen) if _is_worker(pid)), chosen)
        tally.killed_at = time.perf_counter()
        tally.kills[kind] += 1
        os.kill(chosen, signal.SIGKILL)


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def reload(server: Served, end: float, tally: Tally) -> None:
    """Load the models again now and then."""
    while time.perf_counter() + RELOAD_EVERY < end:
        await asyncio.sleep(RELOAD_EVERY)
        server.process.send_signal(signal.SIGHUP)
        tally.reloads += 1


def look(server: Served, began: float) -> dict[str, Any]:
    """Measure memory in MB, descriptors by kind, and processes."""
    return {
        "minute": round((time.perf_counter() - began) / 60, 1),
        "memory_mb": round(server.memory()),
        "descriptors": server.descriptors(),
        "processes": len(server.processes()),
    }


async def watch(server: Served, end: float) -> list[dict[str, Any]]:
    """Look again and again."""
    seen, began = [], time.perf_counter()
    while time.perf_counter() < end:
        seen.append(look(server, began))
        await asyncio.sleep(LOOK_EVERY)
    return seen


async def soak(server: Served, minutes: float, clients: int, files: list[Path]) -> dict[str, Any]:
    """Run all clients and return what they saw."""
    recognizer = serkit.load()
    sounds = [listen(recognizer, file) for file in files]
    bodies = itertools.cycle(body for body in hostile_bodies.make() if not body.slow)
    tally, began = Tally(), time.perf_counter()
    end = began + 60 * minutes
    connections = httpx2.Limits(max_connections=2 * clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(base_url=server.url, timeout=120.0, limits=connections) as http:
        sending = [Client(number, server, http, sounds, bodies, tally).run(end) for number in range(clients)]
        seen, *_ = await asyncio.gather(
            watch(server, end), kill(server, end, tally), reload(server, end, tally), *sending
        )
        metrics = (await http.get("/metrics")).text
    # Processes that were killed have started anew, and what was sent has been answered.
    await asyncio.sleep(10)
    seen.append(look(server, began))
    memory = [one["memory_mb"] for one in seen]
    half = len(memory) // 2
    return {
        "minutes": (time.perf_counter() - began) / 60,
        "clients": clients,
        "answers": sum(sum(counts.values()) for counts in tally.statuses.values()),
        "statuses": {kind: dict(sorted(counts.items())) for kind, counts in sorted(tally.statuses.items())},
        "wrong_answers": dict(tally.wrong),
        "failures": dict(tally.failures),
        "consequences_of_kills": dict(tally.consequences),
        "kills": dict(tally.kills),
        "reloads": tally.reloads,
        "reloads_done": _sum(metrics, 'serkit_reloads_total{result="done"}'),
        "lost_workers": _sum(metrics, "serkit_lost_workers_total"),
        "seconds": {
            kind: {f"p{percent}": float(np.percentile(values, percent)) for percent in (50, 95)}
            for kind, values in sorted(tally.seconds.items())
        },
        "memory_mb": {
            "median_first_half": float(np.median(memory[:half])),
            "median_second_half": float(np.median(memory[half:])),
            "largest": max(memory),
        },
        "descriptors_largest": max(sum(one["descriptors"].values()) for one in seen),
        # The last look is 10 s after the last request.
        "over_time": [seen[round(place)] for place in np.linspace(0, len(seen) - 1, min(SHOWN, len(seen)))],
        "load_average": os.getloadavg()[0],
        "alive": server.alive,
    }


def _sum(metrics: str, name: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(f"{name} "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not (0 < options.clients <= MOST_CLIENTS and 0 < options.minutes <= LONGEST):
        parser.error(f"at most {MOST_CLIENTS} clients and {LONGEST:g} minutes")
    with tempfile.TemporaryDirectory() as folder, served("--workers", str(options.workers)) as server:
        found = asyncio.run(soak(server, options.minutes, options.clients, recordings(Path(folder))[::3]))
    found["workers"] = options.workers
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    if any(found["wrong_answers"].values()) or found["failures"] or not found["alive"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
