import json

import numpy as np
import pytest
from holding import held, in_thread, wait_until
from starlette.websockets import WebSocketDisconnect

from serkit.recognition import Segment, Stream, activity, load
from serkit.recognition.bundle import BundleError
from serkit.recognition.timeline_formats import event_as_dict

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch):
    """Take the noise of these tests for speech."""
    monkeypatch.setattr(activity, "build", lambda name: activity.Everything())


@pytest.fixture
def samples():
    """Three seconds of noise as 16-bit integers."""
    generator = np.random.default_rng(0)
    return (3000 * generator.standard_normal(3 * 16000)).astype("<i2")


def received(websocket):
    """All messages until the server closes, and the code it closes with."""
    messages = []
    while True:
        try:
            messages.append(websocket.receive_json())
        except WebSocketDisconnect as closed:
            return messages, closed.code


def of_type(messages, kind):
    return [{**message, "latency_ms": 0.0} for message in messages if message["type"] == kind]


@pytest.mark.parametrize("chunk", [160, 4096, 48000])
def test_a_stream_says_what_the_recogniser_says(client, samples, chunk):
    stream = load("toy").stream(16000)
    expected = [event_as_dict(event) for event in [*stream.push(samples), *stream.finish()]]
    with client.websocket_connect("/v1/stream?model=toy") as websocket:
        for begin in range(0, len(samples), chunk):
            websocket.send_bytes(samples[begin : begin + chunk].tobytes())
        websocket.send_json({"type": "finish"})
        messages, code = received(websocket)
    assert code == 1000
    assert messages[0] == {
        "type": "ready",
        "model": "toy",
        "labels": ["anger", "joy", "neutral", "sadness"],
        "rate": 16000,
        "window": 1.0,
        "hop": 0.5,
    }
    for kind in ("window", "segment"):
        assert of_type(messages, kind) == of_type(expected, kind)
    assert len(of_type(messages, "window")) == 6
    assert messages[-1]["type"] == "statistics"
    assert (messages[-1]["received_s"], messages[-1]["dropped_s"], messages[-1]["windows"]) == (3.0, 0.0, 6)


def test_windows_come_before_the_sound_ends(client, samples):
    with client.websocket_connect("/v1/stream") as websocket:
        websocket.receive_json()
        websocket.send_bytes(samples[:8000].tobytes())
        assert websocket.receive_json()["type"] == "window"
        segment = websocket.receive_json()
        assert (segment["type"], segment["final"], segment["end"]) == ("segment", False, 0.5)


def test_lost_samples_are_silence(client, samples):
    stream = load("toy").stream(16000)
    events = [*stream.push(samples[:16000]), *stream.skip(8000), *stream.push(samples[24000:]), *stream.finish()]
    final = [event_as_dict(event) for event in events if isinstance(event, Segment) and event.final]
    with client.websocket_connect("/v1/stream") as websocket:
        websocket.send_bytes(samples[:16000].tobytes())
        websocket.send_json({"type": "skip", "samples": 8000})
        websocket.send_bytes(samples[24000:].tobytes())
        websocket.send_json({"type": "finish"})
        messages, _ = received(websocket)
    assert messages[-1]["dropped_s"] == 0.5
    assert [message for message in messages if message.get("final")] == final


def test_counters_come_every_five_seconds(client, samples):
    with client.websocket_connect("/v1/stream") as websocket:
        for _ in range(4):
            websocket.send_bytes(samples.tobytes())
        websocket.send_json({"type": "finish"})
        messages, _ = received(websocket)
    assert [message["received_s"] for message in messages if message["type"] == "statistics"] == [6.0, 12.0, 12.0]


@pytest.mark.parametrize(
    ("query", "message", "error"),
    [
        ("?model=toi", None, "unknown model 'toi'. Did you mean 'toy'? Available: toy, twin"),
        ("?model=", None, "unknown model ''"),
        *[
            (f"?rate={text}", None, f"rate must be a whole number from 4000 to 192000, got {shown!r}")
            for text, shown in [
                ("384000", "384000"),
                ("3999", "3999"),
                ("-1", "-1"),
                ("%2B16000", "+16000"),
                ("16000.0", "16000.0"),
                ("16_000", "16_000"),
                ("16e3", "16e3"),
                ("0x3e80", "0x3e80"),
                ("", ""),
                ("abc", "abc"),
                ("nan", "nan"),
                ("16000%00", "16000\x00"),
                ("%EF%BC%91%EF%BC%96000", "１６000"),
                ("9" * 5000, "9" * 40),
            ]
        ],
        ("?rate", None, "rate must be a whole number from 4000 to 192000, got ''"),
        ("?rate=16000&rate=8000", None, "parameter 'rate' must appear once, got 2 times"),
        (
            "?chanel=1",
            None,
            "unknown parameter 'chanel'. Did you mean 'change'? Available: adapt, change, detector, hop, ",
        ),
        ("?rat=16000", None, "unknown parameter 'rat'. Did you mean 'rate'? Available: adapt, change, detector, hop, "),
        ("?model=toy&token=1", None, "unknown parameter 'token'"),
        ("", b"\0\0\0", "a message must hold whole 16-bit samples, got 3 bytes"),
        ("", "hello", "a text of 5 characters must be"),
        ("", "[1]", "a text of 3 characters must be"),
        ("", '{"type": "begin"}', "a text of 17 characters must be"),
        ("", '{"type": "skip", "samples": 0}', "a text of 30 characters must be"),
        ("", '{"type": "skip", "samples": 1000001}', "a text of 36 characters must be"),
        ("", '{"type": "skip", "samples": "1"}', "a text of 32 characters must be"),
        ("", '{"type": "skip", "samples": true}', "a text of 33 characters must be"),
        ("", "[" * 100_000, "a text of 100000 characters must be"),
    ],
)
def test_mistakes_end_a_stream(client, query, message, error):
    with client.websocket_connect(f"/v1/stream{query}") as websocket:
        if message is not None:
            websocket.send_text(message) if isinstance(message, str) else websocket.send_bytes(message)
        messages, code = received(websocket)
    assert code == 1008
    assert messages[-1]["type"] == "error"
    assert messages[-1]["error"].startswith(error)


def test_a_client_that_says_nothing_is_left(serve):
    with serve(idle=0.1).websocket_connect("/v1/stream") as websocket:
        messages, code = received(websocket)
    assert (messages[-1], code) == ({"type": "error", "error": "no message arrived for 0.1 s"}, 1008)


def test_a_stream_has_an_end(serve, samples):
    with serve(stream=2.0).websocket_connect("/v1/stream") as websocket:
        websocket.send_bytes(samples.tobytes())
        messages, code = received(websocket)
    assert (messages[-1], code) == (
        {"type": "error", "error": "the stream has reached the maximum of 2 s; start another"},
        1008,
    )


def test_streams_are_bounded_in_number(serve):
    client = serve(streams=1)
    with client.websocket_connect("/v1/stream") as first:
        assert first.receive_json()["type"] == "ready"
        assert "serkit_streams 1.0" in client.get("/metrics").text
        with client.websocket_connect("/v1/stream") as second:
            messages, code = received(second)
        assert (code, messages) == (
            1013,
            [{"type": "error", "error": "the server is busy: all places are taken; try again"}],
        )
    # A client that goes away without a word gives its place back.
    with client.websocket_connect("/v1/stream") as third:
        assert third.receive_json()["type"] == "ready"


@pytest.mark.parametrize("protocols", [[], ["bearer.wrong"], ["bearer."], [TOKEN]])
def test_without_the_token_there_is_no_stream(serve, protocols):
    client = serve(token=TOKEN)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/stream", subprotocols=protocols):
        pass


def test_the_token_is_a_subprotocol_or_a_header(serve):
    client = serve(token=TOKEN)
    with client.websocket_connect("/v1/stream", subprotocols=["other", f"bearer.{TOKEN}"]) as websocket:
        assert websocket.accepted_subprotocol == f"bearer.{TOKEN}"
        assert websocket.receive_json()["type"] == "ready"
    with client.websocket_connect("/v1/stream", headers={"Authorization": f"Bearer {TOKEN}"}) as websocket:
        assert websocket.receive_json()["type"] == "ready"


@pytest.mark.parametrize("error", [BundleError("/secret/path: broken"), IndexError("/secret/path: broken")])
def test_a_fault_of_the_server_is_not_the_clients(client, samples, monkeypatch, caplog, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(Stream, "push", fail)
    with client.websocket_connect("/v1/stream") as websocket:
        websocket.send_bytes(samples.tobytes())
        messages, code = received(websocket)
    assert (code, messages[-1]["error"]) == (1011, "internal error; see the server's log")
    assert "/secret/path: broken" in caplog.text


def test_streams_do_not_wait_behind_recordings(serve, sound, samples):
    client = serve(threads=1)
    with held(client):
        thread, found = in_thread(lambda: client.post("/v1/predict", content=sound()))
        wait_until(lambda: client.app.state.service.workers.running == 1)
        with client.websocket_connect("/v1/stream") as websocket:
            websocket.receive_json()
            websocket.send_bytes(samples.tobytes())
            assert json.loads(websocket.receive_text())["type"] == "window"
        assert found == []
    thread.join()
    assert found[0].status_code == 200
