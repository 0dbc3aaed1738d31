"""A server in the test's own process, with the toy recogniser twice."""

import io
import shutil

import pytest
import soundfile

pytest.importorskip("fastapi", reason="needs the app extra")

from fastapi.testclient import TestClient

from serkit.app.limits import Limits
from serkit.app.models import Models
from serkit.app.server import create

TOKEN = "a-token-of-this-test"


@pytest.fixture
def models(toy, tmp_path):
    """`toy`, and the same as `twin`."""
    shutil.copytree(toy, tmp_path / "twin")
    return Models.load(["toy", str(tmp_path / "twin")])


@pytest.fixture
def serve(models):
    """The function that makes a client of a server with limits and options of its own."""
    clients = []

    def make(token=None, threads=1, page_folder=None, jobs_folder=None, **limits):
        # What the client calls its server.
        options = {"allowed_hosts": ["testserver"], "jobs_folder": jobs_folder}
        if page_folder is not None:
            options["page_folder"] = page_folder
        client = TestClient(create(models, Limits(**limits), token, threads, **options), raise_server_exceptions=False)
        clients.append(client.__enter__())
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve):
    """A client of a server with the default limits."""
    return serve()


@pytest.fixture
def sound(noise, tmp_path):
    """The function that makes the content of a recording."""

    def make(seconds=1.7, rate=16000, channels=1, seed=0, format="WAV"):
        file = io.BytesIO()
        soundfile.write(file, noise(tmp_path / "noise.wav", seconds, rate, channels, seed), rate, format=format)
        return file.getvalue()

    return make
