"""A server as it is started: a process of its own, on the loopback interface."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from serkit.app.run import listen, url
from serkit.errors import UserError


@pytest.fixture
def process(toy, no_token):
    """A server, and its port."""
    command = [sys.executable, "-m", "serkit", "serve", "--model", "toy", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    assert line.startswith("serkit: toy on http://127.0.0.1:"), line
    yield server, int(line.split(":")[3].split()[0])
    server.kill()
    server.wait()


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv("SERKIT_TOKEN", raising=False)


def head(length):
    return f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def answer(connection):
    """Status and JSON of an answer, read until the connection is closed."""
    received = b""
    while part := connection.recv(65536):
        received += part
    lines, _, body = received.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(body)


def test_what_is_in_flight_is_finished(process, sound):
    server, port = process
    content = sound(2.0)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head(len(content)) + content[:1000])
        while urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20).status != 200:
            pass
        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        connection.sendall(content[1000:])
        status, said = answer(connection)
    assert (status, said["model"]) == (200, "toy")
    assert server.wait(20) == -signal.SIGTERM
    assert server.stderr.read() == ""


def test_ctrl_c_leaves_no_traceback(process):
    server, _ = process
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == 130
    assert server.stderr.read() == ""


def test_a_body_that_is_too_large_ends_the_connection(process):
    _, port = process
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head(10**12))
        assert answer(connection) == (413, {"error": "the body is larger than 32 MB"})


def test_an_address_that_is_taken():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert url(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; try another"):
            listen("127.0.0.1", port)


def test_an_address_of_another_computer():
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1:8000: Cannot assign"):
        listen("192.0.2.1", 8000)
