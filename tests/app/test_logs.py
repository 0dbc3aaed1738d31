"""The log as JSON: an object per request, stream and job, without sound, names of files, and ids of jobs."""

import io
import json
import logging

import pytest
from holding import wait_until

from serkit.app import logs


@pytest.fixture
def lines(monkeypatch):
    """The function that returns the objects logged so far."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in ("serkit.app", "serkit.requests")]
    before = root.handlers[:], root.level, [one.level for one in ours]
    logs.configure(logs.LogFormat.json)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before[:2]
    for one, level in zip(ours, before[2], strict=True):
        one.setLevel(level)


def test_requests(client, sound, lines):
    answer = client.post("/v1/predict?model=twin", files={"file": ("secret.wav", sound(2.0))})
    client.get("/secret", headers={"X-Request-ID": "of-the-proxy_1"})
    client.get("/healthz", headers={"X-Request-ID": "not an id"})
    first, second, third = lines()
    assert first.pop("time").startswith("20") and first.pop("seconds") > 0 and first.pop("process") > 0
    assert first == {
        "level": "info",
        "event": "request",
        "id": answer.headers["X-Request-ID"],
        "method": "POST",
        "route": "/v1/predict",
        "status": 200,
        "audio_seconds": 2.0,
        "model": "twin",
    }
    assert (second["id"], second["route"], second["status"], second["model"]) == ("of-the-proxy_1", "other", 404, None)
    assert third["id"] != "not an id"
    assert "secret" not in json.dumps(lines())


def test_streams_and_jobs(client, sound, lines):
    with client.websocket_connect("/v1/stream?rate=16000") as websocket:
        websocket.receive_json()
        websocket.send_bytes(bytes(32000))
        websocket.send_json({"type": "finish"})
        while websocket.receive()["type"] != "websocket.close":
            pass
    job = client.post("/v1/jobs", files={"file": ("secret.wav", sound(2.0))})
    wait_until(lambda: lines()[-1]["event"] == "job", 60)
    stream, request, done = lines()
    assert (stream["event"], stream["status"], stream["audio_seconds"], stream["model"]) == ("stream", 1000, 1.0, "toy")
    assert (request["status"], request["id"]) == (202, done["id"])
    assert (done["status"], done["audio_seconds"], done["model"]) == ("done", 2.0, "toy")
    assert job.json()["id"] not in json.dumps(lines()) and "secret" not in json.dumps(lines())


def test_errors_have_their_traceback(lines):
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as error:
        logging.getLogger("serkit.app").error("%s failed", "GET", exc_info=error)
    [line] = lines()
    assert (line["level"], line["event"], line["message"]) == ("error", "message", "GET failed")
    assert line["traceback"].endswith("ZeroDivisionError: by nothing")


def test_text_is_silent_about_requests(client, lines, capsys):
    logs.configure(logs.LogFormat.text)
    client.get("/healthz")
    assert capsys.readouterr().err == ""
