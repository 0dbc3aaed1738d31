import csv
import io
import json
import os
import signal
import sys
import time
from typing import get_args

import numpy as np
import pytest
import soundfile
from holding import held, in_thread, wait_until

from serkit.app.recordings import AnswerFormat
from serkit.recognition import load
from serkit.recognition.formats import as_dict
from serkit.recognition.timeline_formats import FORMATS, render
from serkit.recognition.timeline_formats import as_dict as timeline_as_dict


@pytest.fixture
def file(tmp_path, sound):
    """A recording on disk, to compare with."""
    (tmp_path / "call.wav").write_bytes(sound(3.0))
    return tmp_path / "call.wav"


def named(answer, name):
    """A result as it would be of a file of another name."""
    return json.loads(json.dumps(answer).replace(json.dumps(answer["file"]), json.dumps(name)))


def test_a_body_is_recognised_as_its_file(client, file):
    answer = client.post("/v1/predict", content=file.read_bytes(), headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 200
    assert answer.json() == {"model": "toy", **named(as_dict(load("toy")(file)), "recording")}


def test_the_file_of_a_form_keeps_its_name(client, file):
    answer = client.post("/v1/predict", files={"file": ("Anruf 1.wav", file.read_bytes())})
    assert answer.json() == {"model": "toy", **named(as_dict(load("toy")(file)), "Anruf 1.wav")}


def test_a_large_form_is_not_written_to_a_disk(client, sound, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    content = sound(60.0, 44100)
    assert len(content) > 5_000_000
    assert client.post("/v1/predict", files={"file": ("a.wav", content)}).status_code == 200


def test_channels_and_models_are_chosen(client, tmp_path, noise):
    noise(tmp_path / "two.wav", 2.0, channels=2)
    content = (tmp_path / "two.wav").read_bytes()
    answers = {
        channel: client.post("/v1/predict", params={"channel": channel, "model": "twin"}, content=content).json()
        for channel in (0, 1)
    }
    for channel, answer in answers.items():
        assert answer["model"] == "twin"
        expected = load("toy")(tmp_path / "two.wav", channel)
        np.testing.assert_allclose(
            list(answer["probabilities"].values()), list(expected.probabilities.values()), atol=1e-6
        )
    assert answers[0]["probabilities"] != answers[1]["probabilities"]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"model": "toi"}, 404, "unknown model 'toi'. Did you mean 'toy'? Available: toy, twin"),
        ({"channel": 1}, 422, "recording: has no channel 1; it has 1, counted from 0"),
        ({"channel": -1}, 422, "channel must be a number from 0, or 'egg', got '-1'"),
        ({"channel": "left"}, 422, "channel must be a number from 0, or 'egg', got 'left'"),
        ({"channel": "egg"}, 422, "bundle 'toy' reads speech only, not channel 'egg'"),
        ({"channel": "9" * 5000}, 422, "channel is '999"),
    ],
)
@pytest.mark.parametrize("endpoint", ["/v1/predict", "/v1/timeline"])
def test_what_cannot_be_is_one_line(client, sound, endpoint, query, status, message):
    answer = client.post(endpoint, params=query, content=sound())
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.json()["error"].startswith(message)
    assert "\n" not in answer.json()["error"]


def test_silence_is_told(client, tmp_path, noise):
    noise(tmp_path / "silent.wav", level=0.0)
    content = (tmp_path / "silent.wav").read_bytes()
    answer = client.post("/v1/predict", files={"file": ("silent.wav", content)})
    assert answer.json()["warnings"] == ["silent.wav: silent (no sample above -96 dB of full scale)"]


def test_a_timeline_is_that_of_its_file(client, file):
    answer = client.post("/v1/timeline", content=file.read_bytes())
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"model": "toy", **named(timeline_as_dict(load("toy").timeline(file)), "recording")}


@pytest.mark.parametrize("name", [name for name in get_args(AnswerFormat) if name != "json"])
def test_formats_of_a_timeline(client, file, name):
    answer = client.post("/v1/timeline", params={"format": name}, files={"file": (file.name, file.read_bytes())})
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[name].content_type
    assert answer.text == render(load("toy").timeline(file), name).replace(str(file), file.name)


def test_every_format_of_one_recording_is_offered():
    # JSON lines are for several.
    assert set(get_args(AnswerFormat)) == set(FORMATS) - {"jsonl"}


def test_when_all_places_are_taken_the_answer_is_503(serve, sound):
    client = serve(threads=1, queue=1)
    workers = client.app.state.service.workers
    with held(client):
        asked = [in_thread(lambda: client.post("/v1/predict", content=sound())) for _ in range(2)]
        wait_until(lambda: workers.waiting == 1)
        refused = client.post("/v1/predict", content=sound())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"error": "the server is busy: all places are taken; try again"}
        # The event loop answers all the while.
        assert client.get("/healthz").json() == {"status": "ok"}
        metrics = client.get("/metrics").text
        assert "serkit_running 1.0" in metrics and "serkit_waiting 1.0" in metrics
        assert f"serkit_body_bytes {2.0 * len(sound())}" in metrics
    for thread, _ in asked:
        thread.join()
    assert [answer.status_code for _, [answer] in asked] == [200, 200]
    assert client.post("/v1/predict", content=sound()).status_code == 200
    assert "serkit_body_bytes 0.0" in client.get("/metrics").text


def test_what_takes_too_long_is_given_up(serve, sound):
    client = serve(answer=1.0)
    with held(client):
        answer = client.post("/v1/predict", content=sound())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"error": "the server is busy: no answer within 1 s; try again"}
    # Its process was ended; another takes its place.
    assert 'serkit_lost_processes_total{reason="timeout"} 1.0' in client.get("/metrics").text
    client.app.state.service.workers.processes[0].start()
    assert client.post("/v1/predict", content=sound()).status_code == 200


@pytest.mark.parametrize("endpoint", ["/v1/predict", "/v1/timeline"])
@pytest.mark.parametrize(
    ("name", "status", "error", "reason"),
    [
        (
            "SIGSEGV",
            422,
            "call.wav: the process that decoded it crashed (SIGSEGV); the recording is probably broken",
            "crashed",
        ),
        ("SIGKILL", 500, "internal error; see the server's log", "killed"),
    ],
)
def test_a_process_that_ends_over_a_recording(client, sound, caplog, endpoint, name, status, error, reason):
    workers = client.app.state.service.workers
    with held(client) as pid:
        thread, found = in_thread(lambda: client.post(endpoint, files={"file": ("call.wav", sound())}))
        wait_until(lambda: workers.running == 1)
        time.sleep(0.2)  # until it has been sent
        os.kill(pid, getattr(signal, name))
    thread.join()
    assert (found[0].status_code, found[0].json()) == (status, {"error": error})
    assert client.post(endpoint, content=sound()).status_code == 200
    assert f'serkit_lost_processes_total{{reason="{reason}"}} 1.0' in client.get("/metrics").text
    assert f"ended over a recording ({name})" in caplog.text and "call.wav" not in caplog.text


def test_a_recording_that_needs_more_memory_than_it_may_take(serve, sound):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux bounds the memory of a process")
    client = serve(memory=1_000_000, body=1_000_000)
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros((40 * 192_000, 2), dtype=np.int16), 192_000, format="FLAC")
    answer = client.post("/v1/timeline", files={"file": ("call.flac", silence.getvalue())})
    assert (answer.status_code, answer.json()) == (422, {"error": "call.flac: requires more than 1 MB of memory"})
    assert client.post("/v1/predict", content=sound(1.0)).status_code == 200


def test_a_broken_model_is_not_the_clients_fault(client, sound, models, caplog):
    # After it was loaded: the process that recognizes finds it so.
    (models.folders["twin"] / "model.onnx").write_bytes(b"no network")
    answer = client.post("/v1/predict", params={"model": "twin"}, content=sound())
    assert (answer.status_code, answer.json()) == (500, {"error": "internal error; see the server's log"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "model.onnx: corrupt" in caplog.text


@pytest.mark.parametrize("endpoint", ["/v1/predict", "/v1/timeline"])
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("chanel=0", "unknown parameter 'chanel'. Did you mean 'channel'? Available: "),
        ("model=toy&threshold=0.5", "unknown parameter 'threshold'. Available: "),
        ("Model=toy", "unknown parameter 'Model'. Did you mean 'model'? Available: "),
        ("%00", "unknown parameter '\x00'. Available: "),
        ("=toy", "unknown parameter ''. Available: "),
        ("x" * 4000, f"unknown parameter '{'x' * 40}'. Available: "),
        ("model=toy&model=twin", "parameter 'model' must appear once, got 2 times"),
        ("model=", "unknown model ''. Available: toy, twin"),
    ],
)
def test_a_parameter_that_is_none_is_not_ignored(client, sound, endpoint, query, error):
    answer = client.post(f"{endpoint}?{query}", content=sound())
    assert answer.status_code == (404 if query == "model=" else 422)
    assert answer.json()["error"].startswith(error) and "\n" not in answer.json()["error"]


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/models"])
def test_what_takes_no_parameter(client, path):
    answer = client.get(f"{path}?model=toy")
    assert (answer.status_code, answer.json()) == (422, {"error": "unknown parameter 'model'. Available: none"})


@pytest.mark.parametrize("format", ["csv", "audformat"])
def test_csv_is_made_for_spreadsheets(client, file, format):
    name = "=HYPERLINK(1).wav"
    answer = client.post("/v1/timeline", params={"format": format}, files={"file": (name, file.read_bytes())})
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert rows and {row["file"] for row in rows} == {f"'{name}"}
