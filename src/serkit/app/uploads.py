"""Read the body of a request as a recording in memory. Nothing is written to disk."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from serkit import audio
from serkit.app.limits import Limits
from serkit.app.workers import busy

#: Name of a body without a file name, in results and errors.
NAME = "recording"

#: Fields of a form: the recording, and a recording of the same voice.
FIELDS = ("file", "adapt")
#: Fields of a form with given segments: the recording, and the file of segments.
SEGMENT_FIELDS = ("file", "segments")

_LONGEST_NAME = 255
_MULTIPART = "multipart/form-data"

# Otherwise the server would wait for the rest of an unread body.
_CLOSE = {"Connection": "close"}

#: OpenAPI description of the body.
OPENAPI_BODY = {
    "requestBody": {
        "required": True,
        "description": "A recording (WAV, FLAC, OGG, MP3, WebM, ...) as the body or as the field `file` of a form. The "
        "field `adapt` of a form may hold another recording of the same voice, to which the model is adapted for this "
        "answer only.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            _MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "adapt": {"type": "string", "format": "binary"},
                    },
                }
            },
        },
    }
}

#: OpenAPI description of a body with given segments.
OPENAPI_SEGMENTS = {
    "requestBody": {
        "required": True,
        "description": "A form with a recording as the field `file`, and a file of segments as the field `segments`: "
        "RTTM, SRT, WebVTT, TextGrid, ELAN, labels of Audacity, JSON of whisper, whisperX or pyannote, or a table with "
        "start and end. The ending of its name tells the format.",
        "content": {
            _MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": list(SEGMENT_FIELDS),
                    "properties": {name: {"type": "string", "format": "binary"} for name in SEGMENT_FIELDS},
                }
            }
        },
    }
}


class Bodies:
    """The memory of all bodies together.

    Received bytes count, not those that a header promises, because promises cost a client nothing.

    Args:
        most: maximum number of bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that takes further bytes for one body; all are released at the end.

        Raises:
            HTTPException: 503 with Retry-After, raised by the function: no memory is left.
        """
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self.taken + size > self._most:
                raise busy("other recordings take all memory")
            self.taken += size
            mine += size

        try:
            yield take
        finally:
            self.taken -= mine


class _InMemoryParser(MultiPartParser):
    # Starlette writes larger files to a temporary file; here the limit of the body applies.
    spool_max_size = sys.maxsize


@dataclass(frozen=True)
class Received:
    """What a request holds.

    Args:
        recording: the recording.
        adapt: recording of the same voice to adapt to.
        segments: name and content of a file of segments.
    """

    recording: audio.InMemory
    adapt: audio.InMemory | None = None
    segments: tuple[str, bytes] | None = None


async def receive(
    request: Request, limits: Limits, take: Callable[[int], None], fields: Sequence[str] = FIELDS
) -> Received:
    """Read the recording of a request, the body itself or the file of a form, and the other files of the form.

    Args:
        request: the request, whose body has not been read.
        limits: limits of size, time and rate.
        take: called with the size of each piece; may raise.
        fields: fields that the form may have; `segments` among them is required.

    Raises:
        HTTPException: 400 not a form with a file, or a path as file name; 408 too slow; 413 too large.
    """
    try:
        async with asyncio.timeout(min(limits.grace, limits.receive)) as patience:
            pieces = _pieces(request, limits, take, patience)
            if request.headers.get("content-type", "").lower().startswith(_MULTIPART):
                files = await _files_of_form(request, pieces, fields)
            elif "segments" in fields:
                raise HTTPException(400, _no_form(fields), _CLOSE)
            else:
                files = {"file": (NAME, b"".join([piece async for piece in pieces]))}
    except TimeoutError:
        rate = f"{limits.slowest:g} bytes per second after the first {limits.grace:g} s"
        wanted = f"it must arrive within {limits.receive:g} s, at {rate}"
        raise HTTPException(408, f"the body arrives too slowly: {wanted}", _CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed before the complete body arrived", _CLOSE) from None
    segments = files.pop("segments", None)
    found = {
        field: audio.InMemory(content, name, whole=True, longest=limits.longest)
        for field, (name, content) in files.items()
    }
    return Received(found["file"], found.get("adapt"), segments)


def _no_form(fields: Sequence[str]) -> str:
    if "segments" in fields:
        return "not a form with one field 'file' and one field 'segments'"
    return "not a form with one field 'file' and at most one field 'adapt'"


async def _pieces(
    request: Request, limits: Limits, take: Callable[[int], None], patience: asyncio.Timeout
) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, up to the limit, as long as it arrives fast enough."""
    began = asyncio.get_running_loop().time()
    # Not closed at once: a client that still sends would lose the answer. `connections` bounds the time for the rest.
    too_large = HTTPException(
        413, f"the body is larger than {limits.body / 1e6:g} MB; compress it (FLAC, OGG), {limits.remedy()}"
    )
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


async def _files_of_form(
    request: Request, pieces: AsyncGenerator[bytes, None], fields: Sequence[str]
) -> dict[str, tuple[str, bytes]]:
    """Return name and content of the files of a form by field."""
    parser = _InMemoryParser(request.headers, pieces, max_files=len(fields), max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"{_no_form(fields)}: {error.message}") from None
    files = {}
    for field, file in form.multi_items():
        if field not in fields or field in files or not isinstance(file, UploadFile):
            raise HTTPException(400, _no_form(fields))
        files[field] = _checked_name(file.filename or (NAME if field == "file" else field)), await file.read()
    if not {"file", "segments"}.intersection(fields) <= files.keys():
        raise HTTPException(400, _no_form(fields))
    return files


def _checked_name(name: str) -> str:
    """Check that a file name has no folders."""
    if len(name) > _LONGEST_NAME or re.search(r"[/\\\x00-\x1f\x7f]", name) or name in (".", ".."):
        raise HTTPException(400, f"the file name must have no folders, got {name[:_LONGEST_NAME]!r}")
    return name
