"""Endpoints for whole recordings; each is a few lines around one call of the recognizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Query, Request, Response

from serkit.app import uploads
from serkit.app.accounts import account_of
from serkit.app.answers import GivenSegmentsAnswer, PredictionAnswer, TimelineAnswer
from serkit.app.errors import OPENAPI_ERRORS
from serkit.app.query import check_query
from serkit.app.service import ModelName, Service, Shared, require_token
from serkit.app.tasks import Recognized, Task
from serkit.app.timeline_query import Options
from serkit.recognition import TimelineOptions
from serkit.recognition.model import Channels
from serkit.recognition.timeline_formats import FORMATS

ChannelText = Annotated[
    str | None,
    Query(
        alias="channel",
        max_length=8,
        description="Channel to read, counted from 0, or `egg`; for a timeline also `each`; default: the channel the "
        "model was trained on.",
    ),
]

AdaptSpeakers = Annotated[
    bool,
    Query(description="Whether to adapt to each speaker of the segments, without labels."),
]

#: Formats of a timeline.
AnswerFormat = Literal["json", "csv", "srt", "vtt", "textgrid", "eaf", "audacity", "rttm", "audformat"]

#: OpenAPI descriptions of the formats that are not JSON.
TEXTS: dict[str, Any] = {FORMATS[name].content_type: {} for name in get_args(AnswerFormat) if name != "json"}

router = APIRouter(dependencies=[Depends(require_token), Depends(check_query)])


@router.post(
    "/v1/predict",
    openapi_extra=uploads.OPENAPI_BODY,
    response_class=Response,
    responses={200: {"model": PredictionAnswer}, **OPENAPI_ERRORS},
)
async def predict(request: Request, service: Shared, model: ModelName = None, channel: ChannelText = None) -> Response:
    """Recognize the emotion in a recording."""
    found = await _recognize(service, request, model, channel)
    return Response(found.text, media_type="application/json")


@router.post(
    "/v1/timeline",
    openapi_extra=uploads.OPENAPI_BODY,
    response_class=Response,
    responses={200: {"model": TimelineAnswer, "content": TEXTS}, **OPENAPI_ERRORS},
)
async def timeline(
    request: Request,
    service: Shared,
    model: ModelName = None,
    channel: ChannelText = None,
    format: AnswerFormat = "json",
    *,
    options: Options,
) -> Response:
    """Recognize the emotions in a recording over time."""
    found = await _recognize(service, request, model, channel, format, options=options)
    return Response(found.text, media_type=FORMATS[format].content_type)


@router.post(
    "/v1/segments",
    openapi_extra=uploads.OPENAPI_SEGMENTS,
    response_class=Response,
    responses={200: {"model": GivenSegmentsAnswer, "content": TEXTS}, **OPENAPI_ERRORS},
)
async def segments(
    request: Request,
    service: Shared,
    model: ModelName = None,
    channel: ChannelText = None,
    format: AnswerFormat = "json",
    adapt_speakers: AdaptSpeakers = False,
) -> Response:
    """Recognize the emotion in each given segment of a recording."""
    found = await _recognize(service, request, model, channel, format, uploads.SEGMENT_FIELDS, adapt_speakers)
    return Response(found.text, media_type=FORMATS[format].content_type)


def read_channel(text: str | None) -> Channels:
    """Read the parameter `channel`."""
    # The recognizer rejects a value that is neither a number nor a known name.
    return int(text) if text and text.isdecimal() else text  # type: ignore[return-value]


async def _recognize(
    service: Service,
    request: Request,
    model: str | None,
    channel: str | None,
    format: str | None = None,
    fields: Sequence[str] = uploads.FIELDS,
    adapt_speakers: bool = False,
    options: TimelineOptions | None = None,
) -> Recognized:
    """Receive a recording, then take a place in the queue, and recognize it in a separate process."""
    account = account_of(request)
    name = account.model = service.model(model)
    with service.bodies.share() as take:
        received = await uploads.receive(request, service.limits, take, fields)
        # After the body is complete, so that a client that sends none does not block others.
        with service.workers.place():
            task = Task(
                model=name,
                recording=received.recording,
                channel=read_channel(channel),
                format=format,
                adapt=received.adapt,
                segments=received.segments,
                adapt_speakers=adapt_speakers,
                options=options,
            )
            found = await service.workers.run(task, service.limits.answer)
    service.metrics.audio.labels(name).inc(found.duration)
    account.audio, account.times = found.duration, found.times
    return found
