"""Long recordings: sent now, answered later, within bounds."""

import time

import pytest


def wait(client, id):
    """The status of a job once it is done or failed."""
    for _ in range(600):
        answer = client.get(f"/v1/jobs/{id}").json()
        if answer["status"] in ("done", "failed"):
            return answer
        time.sleep(0.05)
    raise AssertionError(answer)


def send(client, content, **params):
    answer = client.post("/v1/jobs", params=params, files={"file": ("call.wav", content)})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()["id"]


@pytest.mark.parametrize("in_folder", [False, True], ids=["memory", "folder"])
def test_a_job_gives_the_answer_of_a_request(serve, sound, tmp_path, in_folder):
    folder = tmp_path / "jobs"
    folder.mkdir()
    client = serve(jobs_folder=folder if in_folder else None, longest=1.0)
    content = sound(3.0)
    refused = client.post("/v1/timeline", content=content)
    assert refused.status_code == 413 and "send it to /v1/jobs" in refused.json()["error"]
    id = send(client, content, format="csv", hop=1, pause=1)
    status = wait(client, id)
    assert {**status, "id": ""} == {
        "id": "",
        "status": "done",
        "file": "call.wav",
        "model": "toy",
        "format": "csv",
        "error": None,
    }
    result = client.get(f"/v1/jobs/{id}/result")
    assert result.headers["content-type"].startswith("text/csv")
    whole = serve().post(
        "/v1/timeline", params={"format": "csv", "hop": 1, "pause": 1}, files={"file": ("call.wav", content)}
    )
    assert result.text == whole.text
    assert client.app.state.service.jobs.bodies.taken == 0
    assert [file.name for file in folder.iterdir()] == ([f"{id}.answer"] if in_folder else [])
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    assert client.get(f"/v1/jobs/{id}").status_code == client.get(f"/v1/jobs/{id}/result").status_code == 404
    assert list(folder.iterdir()) == []


def test_a_job_that_fails_says_why(client):
    id = send(client, b"no sound")
    assert "not audio that serkit can read" in wait(client, id)["error"]
    answer = client.get(f"/v1/jobs/{id}/result")
    assert answer.status_code == 422 and "call.wav: not audio" in answer.json()["error"]


def test_what_is_wrong_with_a_request_is_said_at_once(client, sound):
    for params, status in [({"model": "none"}, 404), ({"hop": "x"}, 422), ({"hops": 1}, 422), ({"hop": 0.001}, 422)]:
        assert client.post("/v1/jobs", params=params, content=sound()).status_code == status
    assert client.get("/v1/jobs/none").status_code == client.delete("/v1/jobs/none").status_code == 404


def test_the_number_is_bounded_and_a_finished_job_makes_room(serve, sound):
    client = serve(jobs=1)
    first = send(client, sound())
    wait(client, first)
    second = send(client, sound())
    assert client.get(f"/v1/jobs/{first}").status_code == 404
    wait(client, second)
    client.app.state.service.jobs.find(second).finished = None  # as if it were still at work
    answer = client.post("/v1/jobs", content=sound())
    assert answer.status_code == 503 and "Retry-After" in answer.headers


def test_a_server_without_jobs(serve, sound):
    client = serve(jobs=0, longest=1.0)
    assert client.post("/v1/jobs", content=sound()).status_code == 404
    assert "/v1/jobs" not in client.post("/v1/timeline", content=sound(3.0)).json()["error"]


def test_a_job_needs_the_token(serve, sound):
    client = serve(token="a-token-of-this-test")
    assert client.post("/v1/jobs", content=sound()).status_code == 401
    assert client.get("/v1/jobs/x").status_code == client.get("/v1/jobs/x/result").status_code == 401


def test_the_options_of_a_timeline(client, sound):
    content = sound(4.0)
    answer = client.post("/v1/timeline", params={"hop": 1, "pause": 1}, content=content)
    assert [window["end"] for window in answer.json()["windows"]][:3] == [1, 2, 3]
    options = {"window": 0.8, "hop": 0.4, "pause": 0.8, "lookahead": 0.5, "change": 2, "detector": "none"}
    answer = client.post("/v1/timeline", params=options, content=content)
    assert answer.status_code == 200, answer.text
    assert [window["end"] for window in answer.json()["windows"]][:2] == [0.4, 0.8]
    assert len(answer.json()["segments"]) > 0
    for wrong in ({"hop": "nan"}, {"pause": 0.1}, {"detector": "x"}, {"adapt": "always"}, {"window": -1}):
        answer = client.post("/v1/timeline", params=wrong, content=content)
        assert answer.status_code == 422 and next(iter(wrong)) in answer.json()["error"], answer.text
