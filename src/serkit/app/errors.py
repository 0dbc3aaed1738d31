"""Every error is `{"error": "one line"}` with its status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serkit.app.answers import Problem
from serkit.app.headers import SECURITY
from serkit.app.tasks import TooLong
from serkit.errors import UserError
from serkit.recognition.bundle import BundleError

_LOG = logging.getLogger("serkit.app")

#: Message for errors that are not the client's fault.
INTERNAL = "internal error; see the server's log"

#: OpenAPI descriptions of errors, for endpoints that take a recording.
OPENAPI_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request is malformed."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "The request comes from a page of another origin."},
    404: {"model": Problem, "description": "No such model."},
    408: {"model": Problem, "description": "The body arrives too slowly."},
    413: {"model": Problem, "description": "The body is too large, or the recording too long."},
    421: {"model": Problem, "description": "The host name in the address is not the server's."},
    422: {"model": Problem, "description": "The recording or a parameter is unusable."},
    503: {"model": Problem, "description": "The server is busy; `Retry-After` tells when to try again."},
}


def install(app: FastAPI) -> None:
    """Install the error handlers of this module in an application."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return _answer(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problem = error.errors()[0]
        return _answer(422, f"{problem['loc'][-1]} is {problem.get('input')!r}: {problem['msg']}")

    @app.exception_handler(UserError)
    async def unusable(request: Request, error: UserError) -> JSONResponse:
        if isinstance(error, BundleError):  # not the client's fault
            return await broken(request, error)
        return _answer(413 if isinstance(error, TooLong) else 422, str(error))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        # Outside of all middleware.
        return _answer(500, INTERNAL, SECURITY)


def _answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": " ".join(text.split())}, status, headers)
