"""Jobs: long recordings that a client sends now and whose answers it fetches later.

One job is at work at a time, in a process of its own, so that jobs never keep requests waiting. Their number is
bounded.
Bodies and answers are kept in memory, or in a folder that the operator gives; they end with the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from starlette.exceptions import HTTPException

from serkit.app import logs
from serkit.app.accounts import Account
from serkit.app.limits import Limits
from serkit.app.processes import Processes
from serkit.app.tasks import Recognized, Task
from serkit.app.telemetry import Tracing
from serkit.app.uploads import Bodies
from serkit.app.workers import busy
from serkit.errors import UserError
from serkit.recognition.bundle import BundleError

_LOG = logging.getLogger("serkit.app")

Status = Literal["waiting", "running", "done", "failed"]

#: How long a finished job is kept, in s, unless its place is needed earlier.
KEPT = 3600.0


@dataclass
class Job:
    """A recording that is or was recognized.

    Args:
        id: its name, which cannot be guessed.
        task: what to do; its recording is empty once it is stored elsewhere, or done.
        status: how far it is.
        account: account of the request that sent it.
        error: why it failed.
        finished: when it was done or failed, by `time.monotonic`; None: it is not.
    """

    id: str
    task: Task
    account: Account
    status: Status = "waiting"
    error: str | None = None
    finished: float | None = None
    work: asyncio.Task[None] | None = field(default=None, repr=False)


class Jobs:
    """All jobs of a server.

    Args:
        workers: one process, with the limits of jobs.
        limits: limits of jobs.
        most: maximum number of jobs that are kept.
        folder: folder for bodies and answers; None: memory.
        heard: called with the name of a model and the seconds of a recording that it has recognized.
        tracing: traces of jobs.
    """

    def __init__(
        self,
        workers: Processes,
        limits: Limits,
        most: int,
        folder: Path | None = None,
        heard: Callable[[str, float], None] = lambda model, seconds: None,
        tracing: Tracing | None = None,
    ) -> None:
        self.limits = limits
        #: Number of this process among several of one server; None: it is the only one.
        self.number: int | None = None
        self.workers = workers
        #: Memory of their bodies, apart from that of requests.
        self.bodies = Bodies(max(limits.body, limits.bodies))
        self._most = most
        self._folder = folder
        self._heard = heard
        self._tracing = tracing or Tracing()
        self._jobs: dict[str, Job] = {}
        self._texts: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._arriving = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for a body that arrives; the oldest finished job makes room.

        Raises:
            HTTPException: 404: the server takes no jobs; 503 with Retry-After: no place is free.
        """
        if not self._most:
            raise HTTPException(404, "this server takes no jobs; its operator allows them with --jobs")
        self._forget_old()
        if len(self._jobs) + self._arriving >= self._most:
            done = [job for job in self._jobs.values() if job.finished is not None]
            if not done:
                raise busy(f"all {self._most} jobs are at work or waiting")
            self.remove(min(done, key=lambda job: job.finished or 0.0).id)
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    def start(self, task: Task, held: ExitStack, account: Account) -> Job:
        """Start a job.

        Args:
            task: what to do.
            account: account of the request.
            held: what is released once the body is no longer in memory.
        """
        place = "" if self.number is None else f"{self.number}."
        job = Job(place + secrets.token_urlsafe(16), task, account)
        self._jobs[job.id] = job
        job.work = asyncio.get_running_loop().create_task(self._work(job, held))
        return job

    def find(self, id: str) -> Job:
        """Find a job.

        Raises:
            HTTPException: 404: there is none of this name.
        """
        self._forget_old()
        if id not in self._jobs:
            raise HTTPException(
                404, f"no such job; a finished one is kept for {KEPT:g} s, or until its place is needed"
            )
        return self._jobs[id]

    def result(self, id: str) -> str:
        """Return the answer of a job.

        Raises:
            HTTPException: 404: there is no such job; 409: it is not done; 422: it failed.
        """
        job = self.find(id)
        if job.status == "failed":
            raise HTTPException(422, job.error or "failed")
        if job.status != "done":
            raise HTTPException(409, f"the job is {job.status}; ask /v1/jobs/{id} until it is done")
        if self._folder is None:
            return self._texts[id]
        return (self._folder / f"{id}.answer").read_text(encoding="utf-8")

    def remove(self, id: str) -> None:
        """Stop a job and forget it, its body and its answer."""
        job = self._jobs.pop(id)
        self._texts.pop(id, None)
        if job.work is not None:
            job.work.cancel()
        if self._folder is not None:
            for kind in ("body", "adapt", "answer"):
                (self._folder / f"{id}.{kind}").unlink(missing_ok=True)

    def close(self) -> None:
        """Stop and forget all jobs."""
        for id in list(self._jobs):
            self.remove(id)
        self.workers.close()

    def _forget_old(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.finished is not None and now - job.finished > KEPT:
                self.remove(job.id)

    async def _work(self, job: Job, held: ExitStack) -> None:
        found: Recognized | None = None
        began = time.time_ns()
        with held:
            try:
                if self._folder is not None:
                    await asyncio.to_thread(self._store, job)
                    held.close()
                async with self._turn:
                    job.status = "running"
                    task = job.task if self._folder is None else await asyncio.to_thread(self._restore, job)
                    began = time.time_ns()
                    found = await self.workers.run(task, self.limits.answer)
                await self._keep(job, found.text)
                self._heard(task.model, found.duration)
                job.status = "done"
            except HTTPException as error:  # it took too long
                job.status, job.error = "failed", str(error.detail)
            except Exception as error:
                job.status, job.error = "failed", " ".join(str(error).split())
                if not isinstance(error, UserError) or isinstance(error, BundleError):  # not the client's fault
                    _LOG.error("a job failed", exc_info=error)
                    job.error = "internal error; see the server's log"
            job.finished = time.monotonic()
            job.task = _without_sound(job.task)
        self._tell(job, found, began)

    def _tell(self, job: Job, found: Recognized | None, began: int) -> None:
        """Log and trace a job that has ended."""
        seconds = found.duration if found else 0.0
        fields = {"status": job.status, "audio_seconds": round(seconds, 3), "model": job.task.model}
        spent = round((time.time_ns() - began) / 1e9, 4)
        # Not the job's id, because who knows it can read the answer.
        logs.ended("job", id=job.account.id, route="/v1/jobs", seconds=spent, **fields)
        with self._tracing.span("job", job.account.span.headers, began) as span:
            attributes = {f"serkit.{name}": value for name, value in fields.items()}
            span.end("job", attributes, found.times if found else {}, failed=job.status == "failed")

    def _store(self, job: Job) -> None:
        """Write the recordings of a job to the folder, and drop them from memory."""
        assert self._folder is not None
        (self._folder / f"{job.id}.body").write_bytes(job.task.recording.content)
        if job.task.adapt is not None:
            (self._folder / f"{job.id}.adapt").write_bytes(job.task.adapt.content)
        job.task = _without_sound(job.task)

    def _restore(self, job: Job) -> Task:
        assert self._folder is not None
        task, place = job.task, self._folder / job.id
        recording = replace(task.recording, content=place.with_name(f"{job.id}.body").read_bytes())
        adapt = task.adapt and replace(task.adapt, content=place.with_name(f"{job.id}.adapt").read_bytes())
        return replace(task, recording=recording, adapt=adapt)

    async def _keep(self, job: Job, text: str) -> None:
        if self._folder is None:
            self._texts[job.id] = text
            return
        path = self._folder / f"{job.id}.answer"
        await asyncio.to_thread(path.write_text, text, encoding="utf-8")
        for kind in ("body", "adapt"):
            (self._folder / f"{job.id}.{kind}").unlink(missing_ok=True)


def _without_sound(task: Task) -> Task:
    adapt = task.adapt and replace(task.adapt, content=b"")
    return replace(task, recording=replace(task.recording, content=b""), adapt=adapt)
