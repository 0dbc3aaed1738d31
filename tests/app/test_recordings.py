import csv
import io
import json
import threading
from typing import get_args

import numpy as np
import pytest

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
        ({"channel": 1}, 422, "recording: no channel 1; it has 1, counted from 0"),
        ({"channel": -1}, 422, "channel '-1': neither a number from 0 nor 'egg'"),
        ({"channel": "left"}, 422, "channel 'left': neither a number from 0 nor 'egg'"),
        ({"channel": "egg"}, 422, "bundle 'toy' listens to speech only: channel 'egg' is not for it"),
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


def test_when_all_places_are_taken_the_answer_is_503(serve, sound, models, monkeypatch):
    client = serve(threads=1, queue=1)
    recognizer = models.find("toy")[1]
    begun, go = threading.Semaphore(0), threading.Event()
    predict = type(recognizer).predict_file

    def wait(*arguments):
        begun.release()
        assert go.wait(20)
        return predict(*arguments)

    monkeypatch.setattr(type(recognizer), "predict_file", wait)
    answers = []
    post = lambda: answers.append(client.post("/v1/predict", content=sound()))  # noqa: E731
    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=20)
    service = client.app.state.service
    while service.workers.waiting < 1:
        assert threads[1].is_alive()
    refused = client.post("/v1/predict", content=sound())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json() == {"error": "the server is busy: all places are taken; try again"}
    # The event loop answers all the while.
    assert client.get("/healthz").json() == {"status": "ok"}
    metrics = client.get("/metrics").text
    assert "serkit_running 1.0" in metrics and "serkit_waiting 1.0" in metrics
    go.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert client.post("/v1/predict", content=sound()).status_code == 200


def test_what_takes_too_long_is_given_up(serve, sound, models, monkeypatch):
    client = serve(answer=0.05)
    go = threading.Event()
    recognizer = type(models.find("toy")[1])
    predict = recognizer.predict_file
    monkeypatch.setattr(recognizer, "predict_file", lambda *arguments: go.wait(20) and predict(*arguments))
    answer = client.post("/v1/predict", content=sound())
    go.set()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"error": "the server is busy: no answer within 0.05 s; try again"}


def test_a_broken_model_is_not_the_clients_fault(client, sound, models, monkeypatch, caplog):
    from serkit.recognition.bundle import BundleError

    def fail(*arguments):
        raise BundleError("/secret/path: broken")

    monkeypatch.setattr(type(models.find("toy")[1]), "predict_file", fail)
    answer = client.post("/v1/predict", content=sound())
    assert (answer.status_code, answer.json()) == (500, {"error": "internal error; the server's log says more"})
    assert "/secret/path: broken" in caplog.text


@pytest.mark.parametrize("format", ["csv", "audformat"])
def test_csv_is_made_for_spreadsheets(client, file, format):
    name = "=HYPERLINK(1).wav"
    answer = client.post("/v1/timeline", params={"format": format}, files={"file": (name, file.read_bytes())})
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert rows and {row["file"] for row in rows} == {f"'{name}"}
