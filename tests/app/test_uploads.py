import asyncio

import hostile_bodies
import numpy as np
import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from serkit.app import uploads
from serkit.app.limits import Limits


def post(client, body):
    return client.post("/v1/predict", content=body.content, headers={"Content-Type": body.content_type})


# Hours of silence and 33 MB bodies take their time to be made.
@pytest.mark.parametrize("kind", sorted(set(hostile_bodies.COUNTS) - {"expanding FLAC", "slow client", "too large"}))
def test_hostile_bodies_are_refused(client, kind):
    generator = np.random.default_rng(1)
    for index in range(hostile_bodies.COUNTS[kind] // 2):
        answer = post(client, hostile_bodies.MAKERS[kind](generator, index))
        assert 400 <= answer.status_code < 500, (index, answer.text)
        assert list(answer.json()) == ["error"]
        assert "\n" not in answer.json()["error"]


def test_there_are_300_hostile_bodies():
    assert sum(hostile_bodies.COUNTS.values()) == 300
    assert hostile_bodies.MAKERS.keys() == hostile_bodies.COUNTS.keys()


def test_silence_that_expands_is_refused_by_its_header(client):
    body = hostile_bodies.MAKERS["expanding FLAC"](np.random.default_rng(0), 0)
    assert len(body.content) < 1_000_000
    answer = post(client, body)
    assert answer.status_code == 413
    assert answer.json() == {"error": f"recording: lasts 3600 s; the maximum is 600 s; {Limits().remedy()}"}


@pytest.mark.parametrize(
    ("limits", "seconds", "rate", "channels", "status", "message"),
    [
        ({"longest": 2.0}, 2.5, 16000, 1, 413, "lasts 2 s; the maximum is 2 s"),
        ({"shortest": 0.5}, 0.4, 16000, 1, 422, "lasts 0.4 s; the minimum is 0.5 s"),
        ({"channels": 1}, 1.0, 16000, 2, 422, "has 2 channels; the maximum is 1"),
        ({"lowest_rate": 8001}, 1.0, 8000, 1, 422, "has a sampling rate of 8000 Hz; 8001 to 192000 Hz"),
        ({"highest_rate": 15999}, 1.0, 16000, 1, 422, "has a sampling rate of 16000 Hz; 4000 to 15999 Hz"),
        ({"body": 20000}, 1.0, 16000, 1, 413, "the body is larger than 0.02 MB"),
    ],
)
def test_each_limit(serve, sound, limits, seconds, rate, channels, status, message):
    content = sound(seconds, rate, channels)
    answer = serve(**limits).post("/v1/predict", content=content)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert serve().post("/v1/predict", content=content).status_code == 200


def test_what_just_fits(serve, sound):
    content = sound(1.0)
    exact = {"longest": 1.0, "shortest": 1.0, "lowest_rate": 16000, "highest_rate": 16000, "body": len(content)}
    assert serve(**exact).post("/v1/predict", content=content).status_code == 200


def test_a_body_without_a_length_is_counted(serve, sound):
    client = serve(body=20000)
    pieces = [sound(1.0)[begin : begin + 4000] for begin in range(0, 32044, 4000)]
    assert client.post("/v1/predict", content=iter(pieces)).status_code == 413
    assert serve().post("/v1/predict", content=iter(pieces)).status_code == 200


def test_a_form_counts_as_a_whole(serve, sound):
    content = sound(1.0)
    answer = serve(body=len(content)).post("/v1/predict", files={"file": ("a.wav", content)})
    assert answer.status_code == 413 and "connection" not in answer.headers  # the client, which sends, would be reset


@pytest.mark.parametrize("name", ["../a.wav", "/a.wav", "a\\b.wav", "..", "a\x01.wav", "n" * 256])
def test_a_name_that_is_a_path(name):
    with pytest.raises(HTTPException, match="the file name must have no folders"):
        uploads._checked_name(name)


@pytest.mark.parametrize("name", ["a.wav", "Gespräch 3 (neu).wav", "...wav", "n" * 255])
def test_a_plain_name(name):
    assert uploads._checked_name(name) == name


def receive(messages, pause=0.0, take=lambda size: None, **limits):
    """What `uploads.receive` makes of a request whose messages come one by one."""
    coming = iter(messages)

    async def next_message():
        await asyncio.sleep(pause)
        return next(coming)

    request = Request({"type": "http", "method": "POST", "headers": []}, next_message)
    return asyncio.run(uploads.receive(request, Limits(**{"receive": 0.2, **limits}), take))


def piece(content, more=True):
    return {"type": "http.request", "body": content, "more_body": more}


def test_pieces_are_joined():
    recording = receive([piece(b"ab"), piece(b""), piece(b"c", more=False)]).recording
    assert (recording.content, recording.name, recording.whole) == (b"abc", "recording", True)


@pytest.mark.parametrize(
    ("size", "limits"),
    [
        (1, {"grace": 0.1, "receive": 30.0}),  # a drop now and then
        (1, {"grace": 30.0, "receive": 0.2}),
        (900, {"grace": 0.1, "receive": 30.0, "slowest": 20_000.0}),  # 18 kB a second
    ],
)
def test_a_slow_client_is_not_waited_for(size, limits):
    with pytest.raises(HTTPException) as error:
        receive([piece(b"a" * size)] * 100, pause=0.05, **limits)
    assert (error.value.status_code, error.value.headers) == (408, {"Connection": "close"})
    limits = Limits(**limits)
    rate = f"{limits.slowest:g} bytes per second after the first {limits.grace:g} s"
    wanted = f"it must arrive within {limits.receive:g} s, at {rate}"
    assert error.value.detail == f"the body arrives too slowly: {wanted}"


def test_a_client_that_is_fast_enough_has_more_than_the_grace():
    pieces = [piece(b"a" * 1000)] * 10 + [piece(b"", more=False)]
    recording = receive(pieces, pause=0.05, grace=0.2, receive=30.0, slowest=5000.0).recording
    assert len(recording.content) == 10_000


def test_bodies_share_their_memory():
    bodies = uploads.Bodies(100)
    with bodies.share() as first, bodies.share() as second:
        first(60)
        second(40)
        with pytest.raises(HTTPException) as error:
            first(1)
        assert (error.value.status_code, bodies.taken) == (503, 100)
        assert error.value.headers == {"Retry-After": "1"}
        assert error.value.detail == "the server is busy: other recordings take all memory; try again"
    assert bodies.taken == 0
    with bodies.share() as third:
        third(100)


def test_what_a_body_has_taken_is_given_back_whatever_comes_of_it(client, sound):
    service = client.app.state.service
    for content in (sound(), b"no sound", sound()[:1000]):
        client.post("/v1/predict", content=content)
        client.post("/v1/predict", files={"file": ("a/b.wav", content)})
    assert service.bodies.taken == 0


def test_one_body_always_fits(serve, sound):
    assert serve(bodies=10).post("/v1/predict", content=sound()).status_code == 200


def test_a_client_that_goes_away():
    with pytest.raises(HTTPException, match="the connection was closed before the complete body arrived"):
        receive([piece(b"a"), {"type": "http.disconnect"}])
