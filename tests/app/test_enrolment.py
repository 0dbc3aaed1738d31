"""Adaptation to a voice over the network: for one answer or one stream, then forgotten."""

import io
import json

import numpy as np
import pytest
import soundfile
from starlette.websockets import WebSocketDisconnect

from serkit import audio
from serkit.app.limits import Limits
from serkit.app.models import Models
from serkit.app.tasks import Task
from serkit.recognition import TimelineOptions, activity, load, speechlike
from serkit.recognition.timeline_formats import event_as_dict
from syllables import syllables


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch):
    monkeypatch.setattr(activity, "build", lambda name: activity.Everything())


@pytest.fixture
def models(tmp_path, network, description, toy):
    """`adaptable`, and `toy`, which cannot adapt."""
    table = {"means": {"mel": [-50.0] * 64}, "narrow": 0.001, "wide": 0.002}
    description(name="adaptable", adaptation=table).save(
        tmp_path / "adaptable", network({"mel": 64})[0], "# Adaptable\n"
    )
    return Models.load([str(tmp_path / "adaptable"), "toy"])


@pytest.fixture
def recognizer(models, tmp_path):
    return load(tmp_path / "adaptable")


def spoken(seconds, level, seed=0):
    return (32767 * syllables(seconds, level, seed)).astype("<i2")


def wav(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="WAV")
    return file.getvalue()


VOICE = spoken(10, 0.3)
# Noise: answers of the toy network differ most on it.
CALL = np.random.default_rng(1).normal(0, 655, 3 * 16000).astype("<i2")


def form(**samples):
    return {name: (f"{name}.wav", wav(content)) for name, content in samples.items()}


def test_an_upload_is_adapted_to_the_other_part_of_its_form(client, recognizer):
    adapted = recognizer.adapt(audio.InMemory(wav(VOICE)))
    expected = adapted(audio.InMemory(wav(CALL))).probabilities
    plain = recognizer(audio.InMemory(wav(CALL))).probabilities
    answer = client.post("/v1/predict", files=form(adapt=VOICE, file=CALL)).json()
    assert answer["file"] == "file.wav" and answer["duration"] == 3.0
    assert answer["probabilities"] == pytest.approx(expected, abs=1e-5) != pytest.approx(plain, abs=1e-5)
    # The next answer knows nothing of it.
    again = client.post("/v1/predict", files=form(file=CALL)).json()
    assert again["probabilities"] == pytest.approx(plain, abs=1e-5)


def test_a_timeline_is_adapted_too(client, recognizer):
    # In this process, because the server's own does not take noise for speech.
    voice, call = audio.InMemory(wav(VOICE)), audio.InMemory(wav(CALL))
    task = Task("adaptable", call, None, "json", voice)
    answer = json.loads(task({"adaptable": recognizer}, Limits()).text)
    adapted = recognizer.adapt(voice).timeline(call)
    assert answer["windows"][-1]["probabilities"] == pytest.approx(adapted.windows[-1].probabilities, abs=1e-5)
    assert client.post("/v1/timeline?format=srt", files=form(file=CALL, adapt=VOICE)).status_code == 200


@pytest.mark.parametrize(
    ("files", "status", "message"),
    [
        ({"adapt": VOICE}, 400, "not a form with one field 'file' and at most one field 'adapt'"),
        ({"file": CALL, "voice": VOICE}, 400, "not a form with one field 'file' and at most one field 'adapt'"),
        ({"file": CALL, "adapt": VOICE * 0}, 422, "nothing to adapt to"),
        ({"file": CALL, "adapt": VOICE[:10]}, 422, "adapt.wav: lasts"),
    ],
)
def test_forms_that_are_refused(client, files, status, message):
    answer = client.post("/v1/predict", files=form(**files))
    assert answer.status_code == status and message in answer.json()["error"]


def test_a_field_given_twice_is_refused(client):
    files = [("file", ("a.wav", wav(CALL))), ("file", ("b.wav", wav(CALL)))]
    assert client.post("/v1/predict", files=files).status_code == 400


def test_a_broken_voice_is_named(client):
    answer = client.post("/v1/predict", files={"file": ("a.wav", wav(CALL)), "adapt": ("voice.wav", b"RIFFxxxx")})
    assert answer.status_code == 422 and answer.json()["error"].startswith("voice.wav")


def test_a_model_without_statistics_says_so(client):
    answer = client.post("/v1/predict?model=toy", files=form(file=CALL, adapt=VOICE))
    assert answer.status_code == 422 and "bundle 'toy' cannot adapt to a voice" in answer.json()["error"]


def test_both_count_for_the_limit_of_a_body(serve):
    with serve(body=len(wav(CALL)) + 1000) as client:
        assert client.post("/v1/predict", files=form(file=CALL, adapt=VOICE)).status_code == 413


def converse(client, *messages, address="/v1/stream?model=adaptable"):
    """Send messages; return the answers, and the code of the end."""
    with client.websocket_connect(address) as websocket:
        for message in messages:
            websocket.send_bytes(message.tobytes()) if isinstance(message, np.ndarray) else websocket.send_json(message)
        found = []
        while True:
            try:
                found.append(websocket.receive_json())
            except WebSocketDisconnect as closed:
                return found, closed.code


ENROLL, ENROLLED, FINISH = {"type": "enroll"}, {"type": "enrolled"}, {"type": "finish"}


def windows(messages):
    return [message["probabilities"] for message in messages if message["type"] == "window"]


def expected(recognizer, options=None):
    stream = recognizer.stream(16000, options=options)
    events = [event_as_dict(event) for event in [*stream.push(CALL), *stream.finish()]]
    return windows(events)


def test_a_stream_is_adapted_to_its_enrolment(client, recognizer):
    found, code = converse(client, ENROLL, VOICE[:70000], VOICE[70000:], ENROLLED, CALL, FINISH)
    assert code == 1000 and found[1] == {"type": "adapted", "seconds": 10.0}
    adapted, plain = expected(recognizer.adapt_signal(VOICE, 16000)), expected(recognizer)
    assert windows(found) == adapted != plain
    # The next session knows nothing of it.
    assert windows(converse(client, CALL, FINISH)[0]) == plain


def test_a_stream_adapts_while_it_runs(client, recognizer, monkeypatch):
    monkeypatch.setattr(speechlike, "probability", lambda samples, rate: 1.0)
    found, _ = converse(client, CALL, FINISH, address="/v1/stream?model=adaptable&adapt=running")
    running = expected(recognizer, TimelineOptions(adapt=True))
    assert windows(found) == running != expected(recognizer)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ((ENROLL, ENROLLED), "an enrolment must hold samples"),
        ((ENROLL, VOICE, FINISH), "an enrolment must hold samples up to {'type': 'enrolled'}"),
        ((ENROLL, VOICE * 0, ENROLLED), "nothing to adapt to"),
        ((CALL, ENROLL), "a text of 17 characters must be"),
        ((ENROLLED,), "a text of 19 characters must be"),
        ((ENROLL, *[np.zeros(400_000, "<i2")] * 5), "an enrolment must last at most 120 s"),
    ],
)
def test_enrolments_that_end_a_stream(client, messages, message):
    found, code = converse(client, *messages)
    assert code == 1008 and found[-1]["type"] == "error" and message in found[-1]["error"]


def test_other_ways_to_adapt_are_unknown(client):
    found, code = converse(client, address="/v1/stream?model=adaptable&adapt=always")
    assert code == 1008 and found == [{"type": "error", "error": "adapt must be 'running', got 'always'"}]
    found, code = converse(client, address="/v1/stream?model=toy&adapt=running")
    assert code == 1008 and "cannot adapt" in found[0]["error"]
