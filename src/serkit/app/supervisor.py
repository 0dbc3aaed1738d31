"""Several processes behind one port: `serkit serve --workers N`.

Each is a whole server, with its own processes that recognize, its own queue and its own limits. They share the socket,
and the system gives each connection to one of them that is free. The process that starts them serves nothing itself: it
replaces those that end, passes signals on, and answers what only all of them together know: the metrics, and which of
them holds a job.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from serkit.app import logs
from serkit.app.job_endpoints import answer_peer
from serkit.app.limits import Limits
from serkit.app.metrics import summed
from serkit.app.models import Models
from serkit.app.peers import Gone, Link, Peers
from serkit.app.processes import STOPPING
from serkit.app.run import GRACE, Hangup, report, run_worker
from serkit.app.server import create
from serkit.app.service import Service
from serkit.errors import UserError
from serkit.processes import blocked, end_with_parent

_LOG = logging.getLogger("serkit.app")

_CONTEXT = multiprocessing.get_context("spawn")

# Time in s before a process that ended at once is started again, so that one that cannot start does not take all the
# time of a processor.
_PAUSE = 1.0

# Time in s between two looks at the metrics of all processes: what a process has counted since is lost if it is killed.
_LOOK = 5.0

# Time in s for a reload: a process loads all models and starts all its processes anew.
_RELOADING = 120.0

# Time in s for a process to end after the time for pending requests.
_AFTER_GRACE = 15

# What a process that has ended still counts for.
_KEPT = ("counter", "histogram")


@dataclass(frozen=True)
class Settings:
    """What every process of a server is started with; see `serkit serve`.

    Args:
        models: the bundles, by name or folder.
        limits: limits of every client, in each process.
        token: token that requests must carry; None: no token.
        threads: recordings in progress at the same time, in each process.
        allowed_hosts: further host names that are allowed without a token.
        jobs_folder: folder for bodies and answers of jobs; None: memory.
        log_format: form of the log.
        log_requests: whether to log each request.
    """

    models: Sequence[str]
    limits: Limits
    token: str | None = None
    threads: int = 1
    allowed_hosts: Sequence[str] = ()
    jobs_folder: Path | None = None
    log_format: logs.LogFormat = logs.LogFormat.text
    log_requests: bool = False

    def application(self, models: Models) -> FastAPI:
        """Build the application of a process."""
        return create(
            models,
            self.limits,
            self.token,
            self.threads,
            allowed_hosts=self.allowed_hosts,
            jobs_folder=self.jobs_folder,
        )


@dataclass
class _Worker:
    """A process that serves.

    Args:
        number: its number, which no other process of this server has or had.
        process: it.
        pid: its process id, also once it has ended.
        link: connection to it.
        metrics: its metrics when they were last asked for.
    """

    number: int
    process: multiprocessing.process.BaseProcess
    pid: int
    link: Link
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    problem: str = ""
    metrics: str = ""


class Supervisor:
    """The process that starts those that serve.

    Args:
        settings: settings of each of them.
        count: their number.
        listening: their socket.
        started: called once all of them answer requests.
    """

    def __init__(
        self, settings: Settings, count: int, listening: socket.socket, started: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._count = count
        self._listening = listening
        self._started = started
        self._numbers = itertools.count(1)
        self._workers: dict[int, _Worker] = {}
        self._stopped_by: signal.Signals | None = None
        self._reloading = asyncio.Lock()
        self._ended = ""  # metrics of those that have ended
        self._registry = CollectorRegistry()
        self._lost = Counter("serkit_lost_workers", "Processes that served, and ended.", registry=self._registry)
        Gauge("serkit_workers", "Processes that serve.", registry=self._registry).set_function(
            lambda: sum(worker.ready.is_set() for worker in self._workers.values())
        )

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, then let all processes finish pending requests.

        Raises:
            UserError: the models cannot be loaded, or a process cannot start.
        """
        asyncio.run(self._run())
        if self._stopped_by is not None:
            signal.raise_signal(self._stopped_by)  # as a process that does not handle it would end

    async def _run(self) -> None:
        loop, hangup = asyncio.get_running_loop(), Hangup()
        for number in STOPPING:
            loop.add_signal_handler(number, self._stop, number)
        try:
            keeping = [loop.create_task(self._keep()) for _ in range(self._count)]
            first = loop.create_task(self._all_ready())
            done, _ = await asyncio.wait([first, *keeping], return_when=asyncio.FIRST_COMPLETED)
            if first in done:
                hangup.watch(lambda: report(self._reload()))
                self._started()
            looking = loop.create_task(self._look())
            try:
                await asyncio.gather(*keeping)
            finally:
                first.cancel()
                looking.cancel()
                self._end_all()
        finally:
            for number in STOPPING:
                loop.remove_signal_handler(number)

    async def _all_ready(self) -> None:
        while len(self._workers) < self._count:
            await asyncio.sleep(0.01)
        for worker in list(self._workers.values()):
            await worker.ready.wait()

    async def _look(self) -> None:
        while True:
            await self._measure_all()
            await asyncio.sleep(_LOOK)

    async def _keep(self) -> None:
        """Keep one process running until the server stops."""
        served = False
        while self._stopped_by is None:
            worker = await self._serve_one()
            if self._stopped_by is not None:
                return
            ready = worker.ready.is_set()
            if not ready and not served:
                raise UserError(worker.problem or f"a process that serves cannot be started ({_end(worker)})")
            served = True
            self._lost.inc()
            reason = f"cannot start: {worker.problem}" if worker.problem else f"has ended ({_end(worker)})"
            _LOG.error("process %d, which serves, %s; another takes its place", worker.pid, reason)
            # Its pipes would stay open until Python looks for circles: it refers to its link, and its link to it.
            worker.process.close()
            if not ready:
                await asyncio.sleep(_PAUSE)

    async def _serve_one(self) -> _Worker:
        """Start a process, and wait until it has ended."""
        ours, theirs = socket.socketpair()
        number = next(self._numbers)
        process = _CONTEXT.Process(target=_work, args=(self._settings, self._listening, theirs, number))
        with blocked(*STOPPING):
            process.start()
        theirs.close()
        assert process.pid is not None
        worker = _Worker(number, process, process.pid, Link(lambda what, about: self._answer(worker, what, about)))
        self._workers[number] = worker
        try:
            await worker.link.open(ours)
            await worker.link.run()
            await asyncio.to_thread(process.join)
        finally:
            del self._workers[number]
            self._ended = summed([self._ended, worker.metrics], _KEPT)
        return worker

    def _stop(self, number: signal.Signals) -> None:
        """Let all processes finish pending requests; the second Ctrl-C ends them at once."""
        hurry = self._stopped_by is not None and number == signal.SIGINT
        self._stopped_by = self._stopped_by or number
        # Otherwise connections that nobody accepts would wait here.
        self._listening.close()
        for worker in self._workers.values():
            _send(worker, signal.SIGINT if hurry else signal.SIGTERM)
            if not hurry:
                asyncio.get_running_loop().call_later(GRACE + _AFTER_GRACE, _send, worker, signal.SIGKILL)

    def _end_all(self) -> None:
        for worker in self._workers.values():
            _send(worker, signal.SIGKILL)

    async def _reload(self) -> str | None:
        """Load the models of all processes again, one process after the other; return why something has not changed."""
        async with self._reloading:
            try:
                # A broken bundle is found, and reported, once.
                await asyncio.to_thread(Models.load, self._settings.models)
            except (OSError, UserError) as error:
                return " ".join(str(error).split())
            for worker in list(self._workers.values()):
                with contextlib.suppress(Gone):  # another has taken its place, and has the new models
                    if problem := await worker.link.ask("reload", patience=_RELOADING):
                        return f"process {worker.pid}: {problem}"
            return None

    async def _answer(self, worker: _Worker, what: str, about: Any) -> Any:
        """Answer a question of a process."""
        match what:
            case "ready":
                worker.ready.set()
            case "problem":
                worker.problem = about
            case "metrics":
                return await self._metrics()
            case "job":
                return await self._job(about)
        return None

    async def _metrics(self) -> str:
        """Return the metrics of all processes together, and of those that have ended."""
        await self._measure_all()
        texts = [worker.metrics for worker in self._workers.values()]
        return summed([*texts, self._ended, generate_latest(self._registry).decode()])

    async def _measure_all(self) -> None:
        await asyncio.gather(*(self._measure(worker) for worker in self._workers.values() if worker.ready.is_set()))

    async def _measure(self, worker: _Worker) -> None:
        with contextlib.suppress(Gone):  # what it said last counts
            worker.metrics = await worker.link.ask("metrics", patience=2.0)

    async def _job(self, about: dict[str, str]) -> Any:
        """Ask the process that holds a job; None: it has ended."""
        number = about["id"].partition(".")[0]
        for worker in self._workers.values():
            if str(worker.number) == number:
                with contextlib.suppress(Gone):
                    return await worker.link.ask("job", about)
        return None


def _send(worker: _Worker, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, number)


def _end(worker: _Worker) -> str:
    code = worker.process.exitcode
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _work(settings: Settings, listening: socket.socket, connection: socket.socket, number: int) -> None:
    """Main function of a process that serves."""
    end_with_parent()
    # The process that has started this one decides what it means.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.configure(settings.log_format, settings.log_requests)
    asking: set[asyncio.Task[None]] = set()
    try:
        models = Models.load(settings.models)
    except UserError as error:
        asyncio.run(_complain(connection, " ".join(str(error).split())))
        return
    app = settings.application(models)
    service: Service = app.state.service
    link = Link(lambda what, about: _answer(service, what, about))
    service.peers = Peers(number, link)
    service.jobs.number = number

    async def talk() -> None:
        await link.open(connection)
        asking.add(asyncio.get_running_loop().create_task(link.run()))
        await link.ask("ready")

    run_worker(
        app,
        listening,
        settings.log_requests,
        lambda: asking.add(asyncio.get_running_loop().create_task(talk())),
    )


async def _complain(connection: socket.socket, problem: str) -> None:
    """Tell the process that has started this one why it cannot serve."""

    async def answer(what: str, about: Any) -> None:
        return None

    link = Link(answer)
    await link.open(connection)
    running = asyncio.get_running_loop().create_task(link.run())
    with contextlib.suppress(Gone):
        await link.ask("problem", problem)
    running.cancel()


async def _answer(service: Service, what: str, about: Any) -> Any:
    """Answer a question of the process that has started this one."""
    match what:
        case "metrics":
            return service.metrics.render().decode()
        case "reload":
            return await service.reload()
        case "job":
            return answer_peer(service.jobs, about["action"], about["id"])
    return None
