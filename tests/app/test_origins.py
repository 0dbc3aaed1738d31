"""Without a token only this computer's own names, and the server's own page, are answered."""

from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from serkit.app.limits import Limits
from serkit.app.origins import check_name
from serkit.app.server import create
from serkit.errors import UserError

TOKEN = "0123456789abcdef"
WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


@pytest.fixture
def server(models):
    """The function that makes a client of a server; it sends no Host or Origin but those it is given."""

    with ExitStack() as clients:

        def make(*names, token=None):
            client = TestClient(create(models, Limits(), token, allowed_hosts=names), raise_server_exceptions=False)
            return clients.enter_context(client)

        yield make


def statuses(client, headers):
    """What a request for health, one to recognize, and a WebSocket are answered."""
    got = client.get("/healthz", headers=headers)
    posted = client.post("/v1/predict", content=b"no sound", headers=headers)
    for answer in (got, posted):
        if answer.status_code in (403, 421):
            assert list(answer.json()) == ["error"] and "\n" not in answer.text
    try:
        with client.websocket_connect("/v1/stream", headers=headers) as websocket:
            assert websocket.receive_json()["type"] == "ready"
            socket = 101
    except WebSocketDisconnect as refused:
        socket = getattr(refused, "status_code", None)
    return got.status_code, posted.status_code, socket


ANSWERED, ELSEWHERE, FOREIGN = (200, 422, 101), (421, 421, 421), (403, 403, 403)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LocalHost:80",
        "localhost.:8000",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.9.8.7:8000",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]:8000",
    ],
)
def test_the_names_of_this_computer(server, host):
    assert statuses(server(), {"Host": host}) == ANSWERED


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:8000",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1:8000/evil.example",
        "127.0.0.1, evil.example",
        "evil.example#localhost",
        "0.0.0.0:8000",
        "[::]:8000",
        "[::ffff:192.0.2.1]",
        "192.168.1.4:8000",
        "127.1:8000",
        "2130706433",
        "0x7f000001",
        "::1",
        "[localhost]",
        "localhost:",
        "localhost:port",
        "localhost:8000:8000",
        " ",
        "",
        "x" * 8000,
    ],
)
def test_any_other_name(server, host):
    expected = ANSWERED if host == "localhost:" else ELSEWHERE  # an empty port is the default, by RFC 3986
    assert statuses(server(), {"Host": host}) == expected


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://LOCALHOST:8000"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost:443", "https://localhost"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_servers_own_page(server, host, origin):
    assert statuses(server(), {"Host": host, "Origin": origin}) == ANSWERED


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:8000",
        "http://localhost:8000",  # another name of this computer, and so another origin
        "http://127.0.0.1:3000",
        "http://127.0.0.1",
        "http://127.0.0.1:8000.evil.example",
        "http://127.0.0.1:8000@evil.example",
        "http://127.0.0.1:8000/",
        "chrome-extension://127.0.0.1:8000",
        "file://127.0.0.1:8000",
        "127.0.0.1:8000",
        "null",
        "",
    ],
)
def test_any_other_page(server, origin):
    assert statuses(server(), {"Host": "127.0.0.1:8000", "Origin": origin}) == FOREIGN


def test_names_that_are_allowed(server):
    client = server("ser.example.org", "other.example.org")
    assert statuses(client, {"Host": "ser.example.org"}) == ANSWERED
    assert statuses(client, {"Host": "SER.example.org.:8443"}) == ANSWERED
    assert statuses(client, {"Host": "ser.example.org", "Origin": "https://ser.example.org"}) == ANSWERED
    # A proxy that does not pass the name on.
    assert statuses(client, {"Host": "127.0.0.1:8000", "Origin": "https://other.example.org"}) == ANSWERED
    assert statuses(client, {"Host": "ser.example.org", "Origin": "https://example.org"}) == FOREIGN
    assert statuses(client, {"Host": "a.ser.example.org"}) == ELSEWHERE


def test_a_token_is_enough(server):
    client = server(token=TOKEN)
    headers = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert statuses(client, {**headers, "Authorization": f"Bearer {TOKEN}"}) == ANSWERED
    assert client.post("/v1/predict", content=b"no sound", headers=headers).status_code == 401


def test_a_refusal_says_what_would_work(server):
    answer = server().get("/v1/models", headers={"Host": "evil.example"})
    assert answer.json()["error"] == (
        "host 'evil.example' is not allowed; use http://127.0.0.1 or http://localhost, or start the server with "
        "--allowed-host NAME"
    )


@pytest.mark.parametrize("name", ["ser.example.org", "ser", "SER.Example.org", "192.0.2.7", "a_b-c.example"])
def test_a_name_to_allow(name):
    assert check_name(name) == name.lower()


@pytest.mark.parametrize("name", ["", "*", "*.example.org", "http://a.example", "a.example:80", "a/b", "a b", ".a"])
def test_what_is_no_name_to_allow(name):
    with pytest.raises(UserError, match="--allowed-host must be a name such as ser"):
        check_name(name)
