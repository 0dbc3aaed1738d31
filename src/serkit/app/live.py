"""The WebSocket `/v1/stream`: sound in, windows and segments out as soon as they are known.

A client sends binary messages of little-endian 16-bit mono samples. It is answered in JSON, each message with its
`type`: `ready`, `window`, `segment`, `statistics`, `error`. `{"type": "finish"}` ends the sound; `{"type": "skip",
"samples": 800}` says that samples were lost, in whose place silence is heard. A client that sends faster than the
server predicts is slowed down by TCP, so nothing is dropped here and little is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.exceptions import HTTPException

from serkit.app import access
from serkit.app.errors import INTERNAL
from serkit.app.query import check_parameters, whole_number
from serkit.app.service import Service, Shared
from serkit.documents import parse_json
from serkit.errors import UserError
from serkit.recognition import Stream
from serkit.recognition.bundle import BundleError
from serkit.recognition.stream import Event
from serkit.recognition.timeline_formats import event_as_dict, statistics_as_dict

# Codes of RFC 6455 and its registry: done, what was sent is refused, failed, try again later.
_DONE, _REFUSED, _FAILED, _BUSY = 1000, 1008, 1011, 1013

# Counters are sent every so many s of sound.
_STATISTICS_EVERY = 5.0

_SAMPLE = np.dtype("<i2")

# Silence costs the client nothing to ask for, and the server as much as sound.
_MOST_LOST = 1_000_000

_LOG = logging.getLogger("serkit.app")

router = APIRouter()


@router.websocket("/v1/stream")
async def stream(
    websocket: WebSocket,
    service: Shared,
) -> None:
    """Recognize a sound while it arrives. Parameters: `model`, its name, and `rate` of the samples in Hz (16000)."""
    if not access.is_allowed(websocket, service.token):
        await websocket.close(_REFUSED)  # before it is accepted: HTTP 403
        return
    await websocket.accept(subprotocol=access.offered_subprotocol(websocket))
    try:
        with service.live.place(), service.metrics.streams.track_inprogress():
            await _recognize(websocket, service)
        await websocket.close(_DONE)
    except WebSocketDisconnect:
        pass
    except HTTPException as error:
        await _fail(websocket, str(error.detail), _BUSY)
    except Exception as error:
        if isinstance(error, UserError) and not isinstance(error, BundleError):
            await _fail(websocket, str(error), _REFUSED)
            return
        # Nothing the client could do otherwise.
        _LOG.error("a stream failed", exc_info=error)
        await _fail(websocket, INTERNAL, _FAILED)


async def _recognize(websocket: WebSocket, service: Service) -> None:
    limits, asked = service.limits, websocket.query_params
    # Not by FastAPI, which refuses without a word before the client can hear one.
    check_parameters(websocket, ("model", "rate"))
    rate = whole_number("rate", asked.get("rate", "16000"), limits.lowest_rate, limits.highest_rate)
    name, recognizer = service.models.find(asked.get("model"))
    live = recognizer.stream(rate)
    ready = {"model": name, "labels": live.labels, "rate": rate, "window": live.window, "hop": live.options.hop}
    await websocket.send_json({"type": "ready", **ready})
    told = 0.0
    while (step := _step(await _receive(websocket, limits.idle), live)) is not None:
        before = live.statistics.received
        for event in await service.live.run(step, limits.answer):
            await websocket.send_json(event_as_dict(event))
        service.metrics.audio.labels(name).inc(live.statistics.received - before)
        if live.statistics.received > limits.stream:
            raise UserError(f"a stream may last {limits.stream:g} s; begin another")
        if live.statistics.received - told >= _STATISTICS_EVERY:
            told = live.statistics.received
            await websocket.send_json(statistics_as_dict(live.statistics))
    for event in await service.live.run(live.finish, limits.answer):
        await websocket.send_json(event_as_dict(event))
    await websocket.send_json(statistics_as_dict(live.statistics))


async def _receive(websocket: WebSocket, idle: float) -> bytes | str:
    """Wait for the next message: bytes, or text.

    Raises:
        WebSocketDisconnect: the client has gone.
        UserError: nothing comes.
    """
    try:
        async with asyncio.timeout(idle):
            message = await websocket.receive()
    except TimeoutError:
        raise UserError(f"nothing was sent for {idle:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    return message["bytes"] if message.get("bytes") is not None else message["text"]


def _step(message: bytes | str, live: Stream) -> Callable[[], list[Event]] | None:
    """Return what a message asks of the stream; None: to end.

    Raises:
        UserError: it is none of those that are known.
    """
    if isinstance(message, bytes):
        if len(message) % _SAMPLE.itemsize:
            raise UserError(f"a message of {len(message)} bytes holds no whole number of 16-bit samples")
        samples, arrived = np.frombuffer(message, _SAMPLE), time.perf_counter()
        return lambda: live.push(samples, arrived)
    try:
        asked = parse_json(message, "message")
    except UserError:
        asked = None
    match asked:
        case {"type": "finish"}:
            return None
        case {"type": "skip", "samples": int(lost)} if 0 < lost <= _MOST_LOST and lost is not True:
            return lambda: live.skip(lost)
    raise UserError(
        f"a text of {len(message)} characters is neither {{'type': 'finish'}} nor {{'type': 'skip', 'samples': N}} "
        f"with N from 1 to {_MOST_LOST}"
    )


async def _fail(websocket: WebSocket, text: str, code: int) -> None:
    """Say why, and close."""
    try:
        await websocket.send_json({"type": "error", "error": " ".join(text.split())})
        await websocket.close(code)
    except (WebSocketDisconnect, RuntimeError):  # gone meanwhile
        pass
