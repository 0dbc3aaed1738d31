"""The application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Response

import serkit
from serkit.app import PAGE, errors, live, page, recordings
from serkit.app.answers import ModelAnswer
from serkit.app.limits import Limits
from serkit.app.metrics import CountRequests, Metrics
from serkit.app.models import Models
from serkit.app.service import Service, Shared, require_token
from serkit.app.workers import Workers

router = APIRouter()


def create(
    models: Models,
    limits: Limits | None = None,
    token: str | None = None,
    threads: int = 1,
    page_folder: Path = PAGE,
) -> FastAPI:
    """Make the application.

    Args:
        models: what it offers.
        limits: of every client; None: the defaults.
        token: which requests must carry; None: none.
        threads: recordings at the same time; as many again serve streams.
        page_folder: where the page was built.
    """
    limits = limits or Limits()
    workers = Workers(threads, threads + limits.queue)
    streaming = Workers(threads, limits.streams)
    service = Service(models, limits, token, workers, streaming, Metrics(workers))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()
        streaming.close()

    app = FastAPI(
        title="serkit",
        description="Speech emotion recognition. See docs/server.md of serkit.",
        version=serkit.__version__,
        lifespan=lifespan,
        # FastAPI's pages of documentation fetch their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(CountRequests, metrics=service.metrics)
    errors.install(app)
    for part in (router, recordings.router, live.router):
        app.include_router(part)
    page.install(app, page_folder)
    return app


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the server answers."""
    return {"status": "ok"}


@router.get(
    "/metrics",
    dependencies=[Depends(require_token)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(service: Shared) -> Response:
    """Write counters and times for Prometheus."""
    return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/models", dependencies=[Depends(require_token)])
def models(service: Shared) -> list[ModelAnswer]:
    """List the models: labels, licence, scores, size, card."""
    default = service.models.default
    return [ModelAnswer.of(name, model, name == default) for name, model in service.models.recognizers.items()]
