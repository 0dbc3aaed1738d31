"""Endpoints that take a whole recording: each a few lines around one call of the recogniser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, get_args

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from serkit import audio
from serkit.app import uploads
from serkit.app.answers import PredictionAnswer, TimelineAnswer
from serkit.app.errors import OPENAPI_ERRORS
from serkit.app.service import ModelName, Service, Shared, require_token
from serkit.errors import UserError
from serkit.recognition import Recognizer
from serkit.recognition.formats import as_dict
from serkit.recognition.recognizer import Channel
from serkit.recognition.timeline_formats import FORMATS, render
from serkit.recognition.timeline_formats import as_dict as timeline_as_dict

Result = TypeVar("Result")

ChannelText = Annotated[
    str | None,
    Query(
        alias="channel",
        max_length=8,
        description="Channel to listen to, from 0, or `egg`; default: what the model was made for.",
    ),
]

#: What a timeline can be asked for as.
AnswerFormat = Literal["json", "csv", "srt", "vtt", "textgrid", "audacity", "rttm", "audformat"]

_TEXTS: dict[str, Any] = {FORMATS[name].content_type: {} for name in get_args(AnswerFormat) if name != "json"}

router = APIRouter(dependencies=[Depends(require_token)])


@router.post("/v1/predict", openapi_extra=uploads.OPENAPI_BODY, responses=OPENAPI_ERRORS)
async def predict(
    request: Request, service: Shared, model: ModelName = None, channel: ChannelText = None
) -> PredictionAnswer:
    """Recognise the emotion in a recording."""
    name, recognizer = _find(service, model)

    def work(recording: audio.InMemory) -> PredictionAnswer:
        return PredictionAnswer(model=name, **as_dict(recognizer.predict_file(recording, _channel(channel))))

    return await _recognise(service, request, name, work)


@router.post(
    "/v1/timeline",
    openapi_extra=uploads.OPENAPI_BODY,
    response_class=Response,
    responses={200: {"model": TimelineAnswer, "content": _TEXTS}, **OPENAPI_ERRORS},
)
async def timeline(
    request: Request,
    service: Shared,
    model: ModelName = None,
    channel: ChannelText = None,
    format: AnswerFormat = "json",
) -> Response:
    """Recognise the emotions in a recording over time."""
    name, recognizer = _find(service, model)

    # To the last byte in the thread: a long recording has thousands of windows.
    def work(recording: audio.InMemory) -> Response:
        found = recognizer.timeline(recording, _channel(channel))
        if format == "json":
            content = TimelineAnswer(model=name, **timeline_as_dict(found)).model_dump_json()
        else:
            content = render(found, format, csv_safe=True)
        return Response(content, media_type=FORMATS[format].content_type)

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
