"""Endpoints of jobs: long recordings that are sent now and answered later."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from serkit.app import uploads
from serkit.app.accounts import account_of
from serkit.app.answers import JobAnswer
from serkit.app.errors import OPENAPI_ERRORS
from serkit.app.jobs import Job, Jobs
from serkit.app.query import check_query
from serkit.app.recordings import TEXTS, AnswerFormat, ChannelText, read_channel
from serkit.app.service import ModelName, Service, Shared, require_token
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
    account, jobs = account_of(request), service.jobs
    name = account.model = service.model(model)
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
        job = jobs.start(task, held.pop_all(), account)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return _answer(job)


@router.get("/v1/jobs/{id}", response_model=JobAnswer, responses=OPENAPI_ERRORS)
async def status(service: Shared, id: str) -> Response:
    """Say how far a job is."""
    return await _do(service, "status", id)


@router.get(
    "/v1/jobs/{id}/result",
    response_class=Response,
    responses={200: {"content": TEXTS}, 409: {"description": "The job is not done."}, **OPENAPI_ERRORS},
)
async def result(service: Shared, id: str) -> Response:
    """Return the timeline of a job that is done."""
    return await _do(service, "result", id)


@router.delete("/v1/jobs/{id}", status_code=204, responses=OPENAPI_ERRORS)
async def remove(service: Shared, id: str) -> Response:
    """Stop a job, and forget its recording and its answer."""
    return await _do(service, "remove", id)


async def _do(service: Service, action: str, id: str) -> Response:
    """Do something with a job, in the process that holds it."""
    if service.peers is not None and service.peers.holds(id):
        return await service.peers.job(action, id)
    return _ACTIONS[action](service.jobs, id)


def answer_peer(jobs: Jobs, action: str, id: str) -> dict[str, Any]:
    """Do something with a job for another process of the server; see `Peers.job`."""
    try:
        response = _ACTIONS[action](jobs, id)
    except HTTPException as error:
        return {"status": error.status_code, "error": str(error.detail)}
    return {"status": response.status_code, "body": bytes(response.body).decode(), "type": response.media_type}


def _status(jobs: Jobs, id: str) -> Response:
    return Response(_answer(jobs.find(id)).model_dump_json(), media_type="application/json")


def _result(jobs: Jobs, id: str) -> Response:
    text = jobs.result(id)
    return Response(text, media_type=FORMATS[jobs.find(id).task.format or "json"].content_type)


def _remove(jobs: Jobs, id: str) -> Response:
    jobs.remove(jobs.find(id).id)
    return Response(status_code=204)


_ACTIONS = {"status": _status, "result": _result, "remove": _remove}


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
