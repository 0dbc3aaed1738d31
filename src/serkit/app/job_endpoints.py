"""Endpoints of jobs: long recordings that are sent now and answered later."""

from __future__ import annotations

from contextlib import ExitStack

from fastapi import APIRouter, Depends, Request, Response

from serkit.app import uploads
from serkit.app.answers import JobAnswer
from serkit.app.errors import OPENAPI_ERRORS
from serkit.app.jobs import Job
from serkit.app.query import check_query
from serkit.app.recordings import TEXTS, AnswerFormat, ChannelText, read_channel
from serkit.app.service import ModelName, Shared, require_token
from serkit.app.tasks import Task
from serkit.app.timeline_query import Options
from serkit.recognition.timeline_formats import FORMATS

router = APIRouter(dependencies=[Depends(require_token), Depends(check_query)])


@router.post("/v1/jobs", status_code=202, openapi_extra=uploads.OPENAPI_BODY, responses={202: {}, **OPENAPI_ERRORS})
async def start(
    request: Request,
    response: Response,
    service: Shared,
    model: ModelName = None,
    channel: ChannelText = None,
    format: AnswerFormat = "json",
    *,
    options: Options,
) -> JobAnswer:
    """Receive a recording whose timeline is fetched later; the parameters are those of `/v1/timeline`."""
    name, jobs = service.model(model), service.jobs
    with jobs.place(), ExitStack() as held:
        take = held.enter_context(jobs.bodies.share())
        received = await uploads.receive(request, jobs.limits, take)
        task = Task(
            model=name,
            recording=received.recording,
            channel=read_channel(channel),
            format=format,
            adapt=received.adapt,
            options=options,
        )
        job = jobs.start(task, held.pop_all())
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return _answer(job)


@router.get("/v1/jobs/{id}", responses=OPENAPI_ERRORS)
async def status(service: Shared, id: str) -> JobAnswer:
    """Say how far a job is."""
    return _answer(service.jobs.find(id))


@router.get(
    "/v1/jobs/{id}/result",
    response_class=Response,
    responses={200: {"content": TEXTS}, 409: {"description": "The job is not done."}, **OPENAPI_ERRORS},
)
async def result(service: Shared, id: str) -> Response:
    """Return the timeline of a job that is done."""
    text = service.jobs.result(id)
    return Response(text, media_type=FORMATS[service.jobs.find(id).task.format or "json"].content_type)


@router.delete("/v1/jobs/{id}", status_code=204, responses=OPENAPI_ERRORS)
async def remove(service: Shared, id: str) -> None:
    """Stop a job, and forget its recording and its answer."""
    service.jobs.remove(service.jobs.find(id).id)


def _answer(job: Job) -> JobAnswer:
    task = job.task
    return JobAnswer(
        id=job.id,
        status=job.status,
        file=str(task.recording),
        model=task.model,
        format=task.format or "json",
        error=job.error,
    )
