"""The application: its endpoints, each a few lines around one call of the recogniser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

import serkit
from serkit import audio
from serkit.app import access, errors, page, uploads
from serkit.app.answers import ModelAnswer, PredictionAnswer
from serkit.app.limits import Limits
from serkit.app.metrics import CountRequests, Metrics
from serkit.app.models import Models
from serkit.app.workers import Workers
from serkit.errors import UserError
from serkit.recognition import Recognizer
from serkit.recognition.recognizer import Channel

Result = TypeVar("Result")


@dataclass(frozen=True)
class Service:
    """What the endpoints share."""

    models: Models
    limits: Limits
    token: str | None
    workers: Workers
    metrics: Metrics


def create(
    models: Models,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    token: str | None = None,
    threads: int = 1,
    page_folder: Path = page.FOLDER,
) -> FastAPI:
    """Make the application.

    Args:
        models: what it offers.
        limits: of every client.
        token: which requests must carry; None: none.
        threads: predictions at the same time.
        page_folder: where the page was built.
    """
    workers = Workers(threads, limits.queue)
    service = Service(models, limits, token, workers, Metrics(workers))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()

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
    app.include_router(_open)
    app.include_router(_api)
    page.install(app, page_folder)
    return app


def _service(request: Request) -> Service:
    return request.app.state.service


Shared = Annotated[Service, Depends(_service)]


async def _require_token(
    request: Request,
    service: Shared,
    # Only for OpenAPI: how the token is read is one question for requests and WebSockets.
    _: Annotated[object, Depends(HTTPBearer(auto_error=False))],
) -> None:
    if not access.is_allowed(request, service.token):
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})


_open = APIRouter()
_api = APIRouter(dependencies=[Depends(_require_token)])

ModelName = Annotated[str | None, Query(alias="model", description="Name of a model; default: the first.")]
ChannelText = Annotated[
    str | None,
    Query(
        alias="channel",
        max_length=8,
        description="Channel to listen to, from 0, or `egg`; default: what the model was made for.",
    ),
]


@_open.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the server answers."""
    return {"status": "ok"}


@_api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(service: Shared) -> Response:
    """Write counters and times for Prometheus."""
    return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@_api.get("/v1/models")
def models(service: Shared) -> list[ModelAnswer]:
    """List the models: labels, licence, scores, size, card."""
    default = service.models.default
    return [ModelAnswer.of(name, model, name == default) for name, model in service.models.recognizers.items()]


@_api.post("/v1/predict", openapi_extra=uploads.OPENAPI_BODY, responses=errors.OPENAPI_ERRORS)
async def predict(
    request: Request, service: Shared, model: ModelName = None, channel: ChannelText = None
) -> PredictionAnswer:
    """Recognise the emotion in a recording."""
    name, recognizer = _find(service, model)

    def work(recording: audio.InMemory) -> PredictionAnswer:
        return PredictionAnswer.of(name, recognizer.predict_file(recording, _channel(channel)))

    return await _recognise(service, request, name, work)


def _find(service: Service, model: str | None) -> tuple[str, Recognizer]:
    try:
        return service.models.find(model)
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def _channel(text: str | None) -> Channel:
    # What is neither a number nor a known name is the recogniser's to refuse.
    return int(text) if text and text.isdecimal() else text  # type: ignore[return-value]


async def _recognise(
    service: Service, request: Request, model: str, work: Callable[[audio.InMemory], Result]
) -> Result:
    """Take a place, receive the recording, and work on it in a thread."""
    with service.workers.place():
        recording = await uploads.receive(request, service.limits)

        def checked() -> tuple[Result, float]:
            duration = uploads.check(recording, service.limits)
            return work(recording), duration

        result, duration = await service.workers.run(checked, service.limits.answer)
    service.metrics.audio.labels(model).inc(duration)
    return result
