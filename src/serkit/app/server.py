"""Assembly of the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Response

import serkit
from serkit.app import PAGE, errors, job_endpoints, live, page, recordings
from serkit.app.accounts import Accounts
from serkit.app.answers import ModelAnswer
from serkit.app.headers import SecurityHeaders
from serkit.app.jobs import Jobs
from serkit.app.limits import Limits
from serkit.app.metrics import Metrics
from serkit.app.models import Models
from serkit.app.origins import Guard
from serkit.app.processes import Processes
from serkit.app.query import check_query
from serkit.app.service import Service, Shared, require_token
from serkit.app.telemetry import Tracing
from serkit.app.uploads import Bodies
from serkit.app.workers import Threads

router = APIRouter(dependencies=[Depends(check_query)])


def create(
    models: Models,
    limits: Limits | None = None,
    token: str | None = None,
    threads: int = 1,
    page_folder: Path = PAGE,
    allowed_hosts: Collection[str] = (),
    jobs_folder: Path | None = None,
) -> FastAPI:
    """Build the application.

    Args:
        models: the recognizers.
        limits: limits of every client; None: the defaults.
        token: token that requests must carry; None: no token.
        threads: number of parallel recordings, each in a separate process; as many threads serve streams.
        page_folder: folder of the built page.
        allowed_hosts: host names, in lower case, besides `localhost` that are allowed without a token.
        jobs_folder: folder for bodies and answers of jobs; None: memory.
    """
    limits = limits or Limits()
    metrics, tracing = Metrics(), Tracing.of_environment()
    metrics.show_models(models.hashes)
    bodies = Bodies(max(limits.body, limits.bodies))
    workers = Processes(
        threads, threads + limits.queue, models.folders, limits, lost=lambda reason: metrics.lost.labels(reason).inc()
    )
    metrics.watch(workers, bodies)
    most = limits.for_jobs()
    jobs = Jobs(
        Processes(1, 1, models.folders, most, lost=lambda reason: metrics.lost.labels(reason).inc()),
        most,
        limits.jobs,
        jobs_folder,
        heard=lambda model, seconds: metrics.audio.labels(model).inc(seconds),
        tracing=tracing,
    )
    service = Service(models, limits, token, bodies, workers, Threads(threads, limits.streams), metrics, jobs, tracing)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.workers.close()
        service.live.close()
        service.jobs.close()
        service.tracing.close()

    app = FastAPI(
        title="serkit",
        description="Speech emotion recognition. See docs/server.md of serkit.",
        version=serkit.__version__,
        lifespan=lifespan,
        # FastAPI's documentation pages load their scripts from other servers.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    if token is None:
        app.add_middleware(Guard, allowed=allowed_hosts)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Accounts, metrics=service.metrics, tracing=service.tracing)
    errors.install(app)
    for part in (router, recordings.router, job_endpoints.router, live.router):
        app.include_router(part)
    page.install(app, page_folder)
    return app


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Confirm that the server answers."""
    return {"status": "ok"}


@router.head("/metrics", dependencies=[Depends(require_token)], include_in_schema=False)
@router.get(
    "/metrics",
    dependencies=[Depends(require_token)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(service: Shared) -> Response:
    """Return counters and times for Prometheus."""
    text = service.metrics.render() if service.peers is None else await service.peers.metrics()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.head("/v1/models", dependencies=[Depends(require_token)], include_in_schema=False)
@router.get("/v1/models", dependencies=[Depends(require_token)])
def models(service: Shared) -> list[ModelAnswer]:
    """List the models: labels, license, scores, size, card."""
    models = service.models
    return [
        ModelAnswer.of(name, recognizer, name == models.default, models.cards[name])
        for name, recognizer in models.recognizers.items()
    ]
