"""State shared by all endpoints, the change of models, and the check of the token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Query
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from serkit.app import access
from serkit.app.jobs import Jobs
from serkit.app.limits import Limits
from serkit.app.metrics import Metrics
from serkit.app.models import Models
from serkit.app.peers import Peers
from serkit.app.processes import Process, Processes
from serkit.app.telemetry import Tracing
from serkit.app.uploads import Bodies
from serkit.app.workers import Threads
from serkit.errors import UserError

ModelName = Annotated[str | None, Query(alias="model", description="Name of a model; default: the first.")]


@dataclass
class Service:
    """State of a server.

    Args:
        models: the recognizers; `reload` changes them.
        limits: limits of every client.
        token: token that requests must carry; None: no token.
        bodies: memory of request bodies.
        workers: workers for recordings.
        live: separate workers for streams, which must not wait behind long recordings. Streams send plain samples,
            which need no decoding.
        metrics: counters.
        jobs: long recordings, which are answered later.
        tracing: traces of requests.
        peers: the other processes of the server; None: there are none.
    """

    models: Models
    limits: Limits
    token: str | None
    bodies: Bodies
    workers: Processes
    live: Threads
    metrics: Metrics
    jobs: Jobs
    tracing: Tracing = field(default_factory=Tracing)
    peers: Peers | None = None
    _reloading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def reload(self) -> str | None:
        """Load all models again. What is in progress ends with the old ones.

        Returns:
            Why nothing has changed; None: everything has.
        """
        async with self._reloading:
            pools = (self.workers, self.jobs.workers)
            fresh: list[list[Process]] = []
            try:
                models = await asyncio.to_thread(Models.load, self.models.given)
                for pool in pools:
                    fresh.append(await pool.prepare(models.folders))
            except (OSError, RuntimeError, UserError) as error:
                for pool, processes in zip(pools, fresh, strict=False):
                    pool.drop(processes)
                self.metrics.reloads.labels("failed").inc()
                return " ".join(str(error).split())
            for pool, processes in zip(pools, fresh, strict=True):
                pool.exchange(processes)
            self.models = models
            self.metrics.show_models(models.hashes)
            self.metrics.reloads.labels("done").inc()
            return None

    def model(self, name: str | None) -> str:
        """Return the name of the model that answers.

        Raises:
            HTTPException: 404: there is none of this name.
        """
        try:
            return self.models.find(name)[0]
        except UserError as error:
            raise HTTPException(404, str(error)) from None


def _service(connection: HTTPConnection) -> Service:
    service: Service = connection.app.state.service
    return service


Shared = Annotated[Service, Depends(_service)]


async def require_token(
    connection: HTTPConnection,
    service: Shared,
    # Only for OpenAPI; requests and WebSockets share the code that reads the token.
    _: Annotated[object, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Reject a request without the token.

    Raises:
        HTTPException: 401.
    """
    if not access.is_allowed(connection, service.token):
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
