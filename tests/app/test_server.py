import os
import shutil

import pytest
from fastapi.testclient import TestClient

from serkit.app.models import Models
from serkit.app.server import create
from serkit.errors import UserError


def test_models_are_described(client):
    toy, twin = client.get("/v1/models").json()
    assert (toy["name"], toy["default"], twin["name"], twin["default"]) == ("toy", True, "twin", False)
    assert toy["labels"] == ["anger", "joy", "neutral", "sadness"]
    assert (toy["licence"], toy["languages"], toy["trained_on"]) == ("CC-BY-4.0", ["de"], ["emodb"])
    assert (toy["parameters"], toy["window"], toy["hop"], toy["card"]) == (260, 1.0, 0.5, "# Toy\n")
    assert 0 < toy["megabytes"] < 0.1
    assert [score["value"] for score in toy["scores"]] == [0.5, 0.9]
    assert toy["unsure"] is None
    assert "folder" not in str(toy)


def test_the_same_name_twice(toy):
    with pytest.raises(UserError, match="the name 'toy' is already in use by another model"):
        Models.load(["toy", str(toy)])


def test_a_model_without_its_card(toy, tmp_path):
    shutil.copytree(toy, tmp_path / "bare")
    (tmp_path / "bare" / "CARD.md").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"CARD\.md: is not UTF-8"):
        Models.load([str(tmp_path / "bare")])
    (tmp_path / "bare" / "CARD.md").unlink()
    with pytest.raises(UserError, match=r"CARD\.md: missing; copy the whole bundle again"):
        Models.load([str(tmp_path / "bare")])


def test_an_unknown_model_is_named(toy):
    with pytest.raises(UserError, match="unknown bundle 'toi'"):
        Models.load(["toi"])


@pytest.mark.parametrize("what", ["link", "link to a folder", "pipe", "large"])
def test_what_is_no_card_is_not_published(toy, tmp_path, what):
    folder = tmp_path / "theirs"
    shutil.copytree(toy, folder)
    (tmp_path / "secret").write_text("secret")
    card = folder / "CARD.md"
    card.unlink()
    if what == "large":
        card.write_text("x" * 2_000_000)
    elif what == "pipe":
        os.mkfifo(card)
    else:
        card.symlink_to(tmp_path / "secret" if what == "link" else tmp_path)
    with pytest.raises(UserError, match=r"CARD\.md") as error:
        Models.load([str(folder)])
    assert "secret" not in str(error.value)


def test_a_card_is_that_of_the_start(toy, tmp_path):
    shutil.copytree(toy, tmp_path / "changed")
    models = Models.load([str(tmp_path / "changed")])
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "changed" / "CARD.md").unlink()
    (tmp_path / "changed" / "CARD.md").symlink_to(tmp_path / "secret")
    client = TestClient(create(models), base_url="http://localhost")
    assert client.get("/v1/models").json()[0]["card"] == "# Toy\n"


def test_health(client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/v1/models", "/openapi.json"])
@pytest.mark.parametrize("built", [True, False])
def test_head_is_answered_as_get(serve, tmp_path, path, built):
    if built:
        (tmp_path / "index.html").write_text("<!doctype html><title>The page</title>")
    client = serve(page_folder=tmp_path)
    head, get = client.head(path), client.get(path)
    assert (head.status_code, get.status_code) == (200, 200)
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/timeline"])
def test_head_of_what_is_only_posted(client, path):
    assert client.head(path).status_code == 405


def test_every_answer_tells_the_browser_how_little_it_may_do(serve, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>The page</title>")
    client = serve(page_folder=tmp_path)
    for answer in (
        client.get("/"),
        client.get("/healthz"),
        client.get("/none"),
        client.post("/v1/predict", content=b"no sound"),
        client.get("/healthz", headers={"Host": "example.org"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ") and policy.endswith("; frame-ancestors 'none'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["permissions-policy"].startswith("microphone=(self)")
        assert "access-control-allow-origin" not in answer.headers


def test_metrics_count_requests_and_sound(client, sound):
    client.post("/v1/predict", content=sound(2.0))
    client.post("/v1/predict?model=twin", content=sound(1.0))
    client.post("/v1/predict", content=b"no sound")
    client.get("/made/up/path")
    text = client.get("/metrics").text
    for line in (
        'serkit_requests_total{endpoint="/v1/predict",status="200"} 2.0',
        'serkit_requests_total{endpoint="/v1/predict",status="422"} 1.0',
        'serkit_requests_total{endpoint="other",status="404"} 1.0',
        'serkit_request_seconds_count{endpoint="/v1/predict"} 3.0',
        'serkit_audio_seconds_total{model="toy"} 2.0',
        'serkit_audio_seconds_total{model="twin"} 1.0',
        "serkit_running 0.0",
        "serkit_waiting 0.0",
    ):
        assert line in text.splitlines()
    assert "/made/up/path" not in text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/v1/predict", 405)])
def test_errors_are_json(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


def test_openapi_describes_the_endpoints(client):
    described = client.get("/openapi.json").json()
    recordings = {"/v1/predict", "/v1/segments", "/v1/timeline"}
    jobs = {"/v1/jobs", "/v1/jobs/{id}", "/v1/jobs/{id}/result"}
    assert set(described["paths"]) == {"/healthz", "/metrics", "/v1/models", *recordings, *jobs}
    options = {one["name"] for one in described["paths"]["/v1/timeline"]["post"]["parameters"]}
    assert {"window", "hop", "pause", "lookahead", "change", "detector", "adapt"} <= options
    predict = described["paths"]["/v1/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"application/octet-stream", "multipart/form-data"}
    assert {"200", "400", "401", "404", "408", "413", "422", "503"} <= set(predict["responses"])
    assert predict["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
    assert predict["security"] == [{"HTTPBearer": []}]
    assert "text/vtt" in described["paths"]["/v1/timeline"]["post"]["responses"]["200"]["content"]


def test_there_are_no_pages_that_fetch_from_elsewhere(client):
    assert [client.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_without_a_page_there_is_a_word_on_it(serve, tmp_path):
    answer = serve(page_folder=tmp_path).get("/")
    assert "make page" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "http://127.0.0.1:8000/v1/predict" in answer.text and "src=" not in answer.text


def test_the_page_is_served(serve, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>The page</title>")
    (tmp_path / "assets" / "page.js").write_text("'use strict'")
    (tmp_path.parent / "secret").write_text("secret")
    client = serve(page_folder=tmp_path)
    assert "The page" in client.get("/").text
    assert client.get("/assets/page.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/healthz").json() == {"status": "ok"}
    for path in ("/../secret", "/%2e%2e/secret", "/none.js"):
        assert client.get(path).status_code == 404
