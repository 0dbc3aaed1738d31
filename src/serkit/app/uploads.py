"""From the body of a request to a recording in memory. Nothing of it is written to a disk."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from serkit import audio
from serkit.app.limits import Limits
from serkit.app.workers import busy

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


class Bodies:
    """The memory that bodies take, all together.

    What has arrived counts, not what a header promises: promises cost a client nothing.

    Args:
        most: how many bytes there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Yield what takes a number of bytes more for one body; all are given back at the end.

        Raises:
            HTTPException: 503 with Retry-After, by the function: there are no more.
        """
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self.taken + size > self._most:
                error = busy("other recordings take all its memory")
                raise HTTPException(error.status_code, error.detail, {**(error.headers or {}), **_CLOSE})
            self.taken += size
            mine += size

        try:
            yield take
        finally:
            self.taken -= mine


class _InMemoryParser(MultiPartParser):
    # Starlette writes larger files to a temporary one; the limit of the body bounds them here.
    spool_max_size = sys.maxsize


async def receive(request: Request, limits: Limits, take: Callable[[int], None]) -> audio.InMemory:
    """Read the recording a request sends: the body itself, or the file of a form.

    Args:
        request: its body has not been read.
        limits: of size, time and rate.
        take: called with the size of each piece; may raise.

    Raises:
        HTTPException: 400 not a form with one file, or a path as its name; 408 too slow; 413 too large.
    """
    try:
        async with asyncio.timeout(min(limits.grace, limits.receive)) as patience:
            pieces = _pieces(request, limits, take, patience)
            if request.headers.get("content-type", "").lower().startswith(_MULTIPART):
                name, content = await _file_of_form(request, pieces)
            else:
                name, content = NAME, b"".join([piece async for piece in pieces])
    except TimeoutError:
        rate = f"{limits.slowest:g} bytes a second after the first {limits.grace:g} s"
        wanted = f"all of it within {limits.receive:g} s, and {rate}, would do"
        raise HTTPException(408, f"the body arrives too slowly: {wanted}", _CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed before the whole body had arrived", _CLOSE) from None
    return audio.InMemory(content, name, whole=True, longest=limits.longest)


async def _pieces(
    request: Request, limits: Limits, take: Callable[[int], None], patience: asyncio.Timeout
) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, up to the limit, and be patient for as long as it arrives fast enough."""
    began = asyncio.get_running_loop().time()
    too_large = HTTPException(413, f"the body is larger than {limits.body / 1e6:g} MB", _CLOSE)
    if int(request.headers.get("content-length", 0)) > limits.body:
        raise too_large
    received = 0
    async for piece in request.stream():
        received += len(piece)
        if received > limits.body:
            raise too_large
        take(len(piece))
        patience.reschedule(began + min(limits.grace + received / limits.slowest, limits.receive))
        yield piece


async def _file_of_form(request: Request, pieces: AsyncGenerator[bytes, None]) -> tuple[str, bytes]:
    """Return name and content of the one file of a form."""
    parser = _InMemoryParser(request.headers, pieces, max_files=1, max_fields=0)
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
