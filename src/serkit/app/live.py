"""The WebSocket `/v1/stream`, which receives sound and sends windows and segments at once.

A client sends binary messages of little-endian 16-bit mono samples. The server answers in JSON; each message has a
`type`: `ready`, `adapted`, `window`, `segment`, `statistics`, `error`. `{"type": "finish"}` ends the sound; `{"type":
"skip", "samples": 800}` reports lost samples, which silence replaces. Before any sound, `{"type": "enroll"}` announces
samples of the voice to adapt to, up to `{"type": "enrolled"}`; they are forgotten at once, and what was learned from
them with the stream. TCP slows down a client that sends faster than the server predicts, so the server drops nothing
and keeps little.
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
from serkit.app.accounts import account_of
from serkit.app.errors import INTERNAL
from serkit.app.query import check_parameters, whole_number
from serkit.app.service import Service, Shared
from serkit.app.timeline_query import NAMES, of_texts
from serkit.documents import parse_json
from serkit.errors import UserError
from serkit.recognition import Stream
from serkit.recognition.bundle import BundleError
from serkit.recognition.stream import Event
from serkit.recognition.timeline_formats import event_as_dict, statistics_as_dict

# Codes of RFC 6455 and its registry: done, message rejected, internal error, try again later.
_DONE, _REFUSED, _FAILED, _BUSY = 1000, 1008, 1011, 1013

# Interval between counters, in s of sound.
_STATISTICS_EVERY = 5.0

_SAMPLE = np.dtype("<i2")

#: Longest enrolment in s; more would hardly change the adaptation.
LONGEST_ENROLMENT = 120.0

# Maximum number of a client's characters that an error repeats.
_SHOWN = 40

# Skipped samples cost a client nothing, but the server as much as sound.
_MOST_LOST = 1_000_000

_LOG = logging.getLogger("serkit.app")

router = APIRouter()


@router.websocket("/v1/stream")
async def stream(
    websocket: WebSocket,
    service: Shared,
) -> None:
    """Recognize live sound.

    Parameters: name of the `model`; `rate` of the samples in Hz (16000); the options of a timeline, such as `hop`;
    `adapt=running` to adapt to all speech so far.
    """
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
        # Not the client's fault.
        _LOG.error("a stream failed", exc_info=error)
        await _fail(websocket, INTERNAL, _FAILED)


async def _recognize(websocket: WebSocket, service: Service) -> None:
    limits, asked = service.limits, websocket.query_params
    # FastAPI would reject the request before the client can receive a message.
    check_parameters(websocket, ("model", "rate", *NAMES))
    rate = whole_number("rate", asked.get("rate", "16000"), limits.lowest_rate, limits.highest_rate)
    name, recognizer = service.models.find(asked.get("model"))
    account = account_of(websocket)
    account.model = name
    options = of_texts(asked)
    live = recognizer.stream(rate, options=options)
    ready = {"model": name, "labels": live.labels, "rate": rate, "window": live.window, "hop": live.options.hop}
    await websocket.send_json({"type": "ready", **ready})
    told = 0.0
    message = await _receive(websocket, limits.idle)
    if _asks(message, "enroll"):
        samples = await _enrolment(websocket, limits.idle, rate)
        adapted = await service.live.run(lambda: recognizer.adapt_signal(samples, rate), limits.answer)
        live = adapted.stream(rate, options=options)
        await websocket.send_json({"type": "adapted", "seconds": len(samples) / rate})
        message = await _receive(websocket, limits.idle)
    while (step := _step(message, live)) is not None:
        before = live.statistics.received
        for event in await service.live.run(step, limits.answer):
            await websocket.send_json(event_as_dict(event))
        service.metrics.audio.labels(name).inc(live.statistics.received - before)
        account.audio = live.statistics.received
        if live.statistics.received > limits.stream:
            raise UserError(f"the stream has reached the maximum of {limits.stream:g} s; start another")
        if live.statistics.received - told >= _STATISTICS_EVERY:
            told = live.statistics.received
            await websocket.send_json(statistics_as_dict(live.statistics))
        message = await _receive(websocket, limits.idle)
    for event in await service.live.run(live.finish, limits.answer):
        await websocket.send_json(event_as_dict(event))
    await websocket.send_json(statistics_as_dict(live.statistics))


async def _enrolment(websocket: WebSocket, idle: float, rate: int) -> np.ndarray:
    """Receive the samples of an enrolment, int16 (samples,).

    Raises:
        WebSocketDisconnect: the client has gone.
        UserError: the samples are too many or none, or another message arrives.
    """
    pieces: list[np.ndarray] = []
    received = 0
    while not _asks(message := await _receive(websocket, idle), "enrolled"):
        if not isinstance(message, bytes):
            raise UserError("an enrolment must hold samples up to {'type': 'enrolled'}")
        pieces.append(_samples(message))
        received += len(pieces[-1])
        if received > LONGEST_ENROLMENT * rate:
            raise UserError(f"an enrolment must last at most {LONGEST_ENROLMENT:g} s")
    if not received:
        raise UserError("an enrolment must hold samples")
    return np.concatenate(pieces)


def _asks(message: bytes | str, kind: str) -> bool:
    """Return whether a message is the object `{"type": kind}`."""
    if isinstance(message, bytes):
        return False
    try:
        return bool(parse_json(message, "message") == {"type": kind})
    except UserError:
        return False


def _samples(message: bytes) -> np.ndarray:
    """Return the samples of a binary message, int16 (samples,)."""
    if len(message) % _SAMPLE.itemsize:
        raise UserError(f"a message must hold whole 16-bit samples, got {len(message)} bytes")
    return np.frombuffer(message, _SAMPLE)


async def _receive(websocket: WebSocket, idle: float) -> bytes | str:
    """Wait for the next message: bytes, or text.

    Raises:
        WebSocketDisconnect: the client has gone.
        UserError: no message arrives.
    """
    try:
        async with asyncio.timeout(idle):
            message = await websocket.receive()
    except TimeoutError:
        raise UserError(f"no message arrived for {idle:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    result: bytes | str = message["bytes"] if message.get("bytes") is not None else message["text"]
    return result


def _step(message: bytes | str, live: Stream) -> Callable[[], list[Event]] | None:
    """Return the samples of a message; None: end of the stream.

    Raises:
        UserError: the message is unknown.
    """
    if isinstance(message, bytes):
        samples, arrived = _samples(message), time.perf_counter()
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
        f"a text of {len(message)} characters must be {{'type': 'finish'}} or {{'type': 'skip', 'samples': N}} "
        f"with N from 1 to {_MOST_LOST}"
    )


async def _fail(websocket: WebSocket, text: str, code: int) -> None:
    """Send the reason, and close."""
    try:
        await websocket.send_json({"type": "error", "error": " ".join(text.split())})
        await websocket.close(code)
    except (WebSocketDisconnect, RuntimeError):  # the client has gone
        pass
