"""From the body of a request to a recording in memory. Nothing of it is written to a disk."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from serkit import audio
from serkit.app.limits import Limits

#: What results and errors call a body that has no file name.
NAME = "recording"

_LONGEST_NAME = 255
_MULTIPART = "multipart/form-data"

# A body that is not read to its end would otherwise be waited for.
_CLOSE = {"Connection": "close"}

#: The body as OpenAPI describes it.
OPENAPI_BODY = {
    "requestBody": {
        "required": True,
        "description": "A recording (WAV, FLAC, OGG, MP3, M4A, WebM, ...) as it is, or as the field `file` of a form.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            _MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


class _InMemoryParser(MultiPartParser):
    # Starlette writes larger files to a temporary one; the limit of the body bounds them here.
    spool_max_size = sys.maxsize


async def receive(request: Request, limits: Limits) -> audio.InMemory:
    """Read the recording a request sends: the body itself, or the file of a form.

    Raises:
        HTTPException: 400 not a form with one file, or a path as its name; 408 too slow; 413 too large.
    """
    try:
        async with asyncio.timeout(limits.receive):
            if request.headers.get("content-type", "").lower().startswith(_MULTIPART):
                name, content = await _file_of_form(request, limits)
            else:
                name, content = NAME, b"".join([chunk async for chunk in _chunks(request, limits)])
    except TimeoutError:
        raise HTTPException(408, f"the body did not arrive within {limits.receive:g} s", _CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed before the whole body had arrived", _CLOSE) from None
    return audio.InMemory(content, name, whole=True, longest=limits.longest)


def check(recording: audio.InMemory, limits: Limits) -> float:
    """Look at a recording's header and return its duration in s.

    Raises:
        AudioError: not audio, or not a whole file.
        HTTPException: 413 too long; 422 too short, or of a rate or number of channels that is not taken.
    """
    info = audio.info(recording)
    if not limits.lowest_rate <= info.rate <= limits.highest_rate:
        taken = f"{limits.lowest_rate} to {limits.highest_rate} Hz are taken"
        raise HTTPException(422, f"{recording}: a sampling rate of {info.rate} Hz; {taken}")
    if info.channels > limits.channels:
        raise HTTPException(422, f"{recording}: has {info.channels} channels; at most {limits.channels} are taken")
    if info.duration > limits.longest:
        raise HTTPException(413, f"{recording}: lasts {info.duration:.0f} s; at most {limits.longest:g} s are taken")
    if info.duration < limits.shortest:
        raise HTTPException(422, f"{recording}: lasts {info.duration:g} s; at least {limits.shortest:g} s are wanted")
    return info.duration


async def _chunks(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, up to the limit."""
    too_large = HTTPException(413, f"the body is larger than {limits.body / 1e6:g} MB", _CLOSE)
    if int(request.headers.get("content-length", 0)) > limits.body:
        raise too_large
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limits.body:
            raise too_large
        yield chunk


async def _file_of_form(request: Request, limits: Limits) -> tuple[str, bytes]:
    """Return name and content of the one file of a form."""
    parser = _InMemoryParser(request.headers, _chunks(request, limits), max_files=1, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"not a form with one field 'file': {error.message}") from None
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise HTTPException(400, "not a form with one field 'file'")
    return _checked_name(file.filename or NAME), await file.read()


def _checked_name(name: str) -> str:
    """Refuse what is more than the name of a file."""
    if len(name) > _LONGEST_NAME or re.search(r"[/\\\x00-\x1f\x7f]", name) or name in (".", ".."):
        raise HTTPException(400, f"the file name {name[:_LONGEST_NAME]!r} is no plain name: leave its folders out")
    return name
