"""What all endpoints share, and the token they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from serkit.app import access
from serkit.app.limits import Limits
from serkit.app.metrics import Metrics
from serkit.app.models import Models
from serkit.app.processes import Processes
from serkit.app.uploads import Bodies
from serkit.app.workers import Threads

ModelName = Annotated[str | None, Query(alias="model", description="Name of a model; default: the first.")]


@dataclass(frozen=True)
class Service:
    """What a server consists of.

    Args:
        models: what it offers.
        limits: of every client.
        token: which requests must carry; None: none.
        bodies: the memory that recordings take.
        workers: predict recordings.
        live: predict streams; apart, lest they wait behind long recordings. They send plain samples, which nothing
            has to decode.
        metrics: counters.
    """

    models: Models
    limits: Limits
    token: str | None
    bodies: Bodies
    workers: Processes
    live: Threads
    metrics: Metrics


def _service(connection: HTTPConnection) -> Service:
    return connection.app.state.service


Shared = Annotated[Service, Depends(_service)]


async def require_token(
    connection: HTTPConnection,
    service: Shared,
    # Only for OpenAPI: how the token is read is one question for requests and WebSockets.
    _: Annotated[object, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Refuse a request that lacks the token.

    Raises:
        HTTPException: 401.
    """
    if not access.is_allowed(connection, service.token):
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
