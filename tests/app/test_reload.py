"""Models that are loaded again without a restart, as SIGHUP does."""

import os
import shutil

import pytest
from fastapi.testclient import TestClient
from holding import held, in_thread, wait_until

from serkit.app.limits import Limits
from serkit.app.models import Models
from serkit.app.server import create

pytestmark = pytest.mark.skipif(os.name == "nt", reason="switches links, holds processes by a signal")


@pytest.fixture
def current(toy, tmp_path, network, description):
    """A link `current` to `first`; `second` is another network."""
    shutil.copytree(toy, tmp_path / "first")
    description().save(tmp_path / "second", network({"mel": 64}, seed=1)[0], "# Second\n")
    link = tmp_path / "current"
    link.symlink_to("first")
    return link


@pytest.fixture
def client(current):
    app = create(Models.load([str(current)]), Limits(), allowed_hosts=["testserver"])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def switch(link, target):
    (link.parent / "new").symlink_to(target)
    (link.parent / "new").rename(link)


def reload(client):
    return client.portal.call(client.app.state.service.reload)


def predict(client, sound):
    return client.post("/v1/predict", content=sound).json()["probabilities"]


def test_what_is_in_progress_ends_with_the_old_model(client, current, sound):
    old = predict(client, sound())
    with held(client):
        thread, found = in_thread(lambda: predict(client, sound()))
        wait_until(lambda: client.app.state.service.workers.running == 1)
        switch(current, "second")
        assert reload(client) is None
        new = predict(client, sound())
    thread.join(20)
    assert found == [old] != [new]
    card = client.get("/v1/models").json()[0]
    assert (card["name"], card["card"]) == ("current", "# Second\n")
    [process] = client.app.state.service.workers.processes
    assert client.app.state.service.workers._busy == set() and process.pid is not None


def test_a_broken_bundle_keeps_the_old_one(client, current, sound):
    old = predict(client, sound())
    (current.parent / "broken").mkdir()
    (current.parent / "broken" / "bundle.json").write_text("{")
    switch(current, "broken")
    problem = reload(client)
    assert "bundle.json" in problem and "\n" not in problem
    assert predict(client, sound()) == old
    # Not even a process that starts anew follows the link.
    [process] = client.app.state.service.workers.processes
    process.close()
    assert predict(client, sound()) == old
    assert 'serkit_reloads_total{result="failed"} 1.0' in client.get("/metrics").text
