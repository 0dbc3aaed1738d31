"""A server as it is started: a process of its own, on the loopback interface."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from holding import wait_until

from serkit.app.limits import Limits
from serkit.app.run import listen, url
from serkit.cli.doctor import cores
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


@pytest.fixture
def children(process):
    """The processes of a server that recognize, once they run."""
    if not sys.platform.startswith("linux"):
        pytest.skip("looks for processes as on Linux")
    server, _ = process
    wanted = min(2, cores())
    wait_until(lambda: len(workers_of(server.pid)) >= wanted)
    return workers_of(server.pid)


def workers_of(pid):
    """The numbers of a server's processes, but for the one that keeps account of its resources."""
    found = [
        int(number)
        for threads in Path(f"/proc/{pid}/task").iterdir()
        for number in (threads / "children").read_text().split()
    ]
    return [number for number in found if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at_work", [False, True])
def test_however_a_server_ends_nothing_of_it_is_left(process, children, sound, end, at_work):
    server, port = process
    content = sound(300.0)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        if at_work:
            connection.sendall(head(len(content)).replace(b"predict", b"timeline") + content)
            time.sleep(0.5)
        server.send_signal(end)
        if at_work and end == signal.SIGINT:
            time.sleep(0.5)
            server.send_signal(end)  # in a hurry: what is in flight is not finished
        server.wait(40)
        wait_until(lambda: not any(map(runs, children)))


def test_a_signal_to_all_of_a_server_loses_no_answer(process, children, sound):
    server, port = process
    content = sound(60.0)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head(len(content)) + content)
        while urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read().count(b"running 1.0") != 1:
            assert server.poll() is None
        # As a service manager does, or Ctrl-C in a terminal.
        for pid in (server.pid, *children):
            os.kill(pid, signal.SIGTERM)
        status, _ = answer(connection)
    assert status == 200
    assert server.wait(20) == -signal.SIGTERM
    assert server.stderr.read() == ""


def test_a_body_that_is_too_large_is_refused_before_it_arrives(process):
    _, port = process
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head(10**12).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answer(connection) == (
            413,
            {"error": f"the body is larger than 32 MB; compress it (FLAC, OGG), {Limits().remedy()}"},
        )


def test_an_address_that_is_taken():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert url(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; try another"):
            listen("127.0.0.1", port)


def test_an_address_of_another_computer():
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1:8000: Cannot assign"):
        listen("192.0.2.1", 8000)
