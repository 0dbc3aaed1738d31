"""Clients that keep the server waiting, over real connections on the loopback interface."""

import contextlib
import socket
import struct
import threading
import time

import numpy as np
import pytest
import uvicorn

from serkit.app.limits import Limits
from serkit.app.run import configure, listen
from serkit.app.server import create

SHORT = {"head": 0.6, "pause": 0.6, "idle": 1.0, "grace": 0.6, "slowest": 1000.0, "connections": 6}

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING, BINARY, PONG = 0x9, 0x2, 0xA


@pytest.fixture
def port(models):
    """The function that serves with short limits, and returns the port."""
    stack = contextlib.ExitStack()

    def make(**changes):
        limits = Limits(**{**SHORT, **changes})
        app = create(models, limits)
        listening = stack.enter_context(listen("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(configure(app, limits))
        make.connections = server.server_state.connections
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()

        @stack.callback
        def stop():
            server.should_exit = True
            thread.join()
            app.state.service.workers.close()

        return port

    with stack:
        yield make


@contextlib.contextmanager
def connected(port, sent=b"", room=None):
    """A connection on which something has been sent; `room` is how many bytes the client's system takes unread."""
    with socket.socket() as connection:
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        connection.sendall(sent)
        yield connection


def head(length):
    return f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def frame(opcode, content=b""):
    """A frame as a client sends it, masked with zeros."""
    length = len(content)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + struct.pack(">H", length)
    return bytes([0x80 | opcode]) + size + bytes(4) + content


def rest(connection):
    """All that comes until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received


def seconds_to_the_end(connection, sent, every=0.02):
    """How long the server keeps a connection on which something is sent again and again, and nothing is read."""
    began = time.monotonic()
    connection.settimeout(every)
    while time.monotonic() - began < 20:
        try:
            connection.send(sent)
            time.sleep(every)
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", GET[:10], GET[:-2], GET + GET[:20], GET])
def test_a_head_that_does_not_come(port, sent):
    began = time.monotonic()
    with connected(port(), sent) as connection:
        received = rest(connection)
    assert 0.4 < time.monotonic() - began < 6
    assert received.count(b'{"status":"ok"}') == sent.count(GET)


def test_a_head_that_comes_in_drops(port):
    with connected(port()) as connection:
        assert seconds_to_the_end(connection, b"x") < 6


def test_a_client_with_many_requests_is_kept(port):
    with connected(port()) as connection:
        for _ in range(6):
            connection.sendall(GET)
            received = b""
            while not received.endswith(b'{"status":"ok"}'):
                received += (part := connection.recv(4096))
                assert part
            time.sleep(0.3)


@pytest.mark.parametrize("body", [b"", b"x" * 100])
def test_a_client_may_pause_between_requests(port, body):
    # Longer than for a head, even if the first answer came before its body had arrived.
    with connected(port(pause=20.0)) as connection:
        connection.sendall(head(len(body)).replace(b"predict", b"nothing") + body[:50])
        assert b"404" in connection.recv(4096)
        connection.sendall(body[50:])
        time.sleep(1.2)
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert rest(connection).endswith(b'{"status":"ok"}')


def test_a_websocket_after_a_request_on_the_same_connection_stays(port):
    with connected(port(idle=30.0), GET) as connection:
        assert b"200" in connection.recv(4096)
        connection.sendall(UPGRADE)
        connection.settimeout(1.5)  # longer than the time for a head
        with pytest.raises(TimeoutError):
            while connection.recv(4096):
                pass


def test_a_head_after_a_pause_must_come_at_once(port):
    with connected(port(pause=20.0), GET) as connection:
        assert b"200" in connection.recv(4096)
        time.sleep(0.1)
        assert seconds_to_the_end(connection, b"x") < 6


def test_connections_stay_open_longer_than_usual_clients_keep_them():
    # The AWS load balancer and nginx keep a connection to a server for 60 s; Python's clients for 5 to 15 s.
    limits = Limits()
    assert limits.pause > 60
    assert configure(lambda: None, limits).timeout_keep_alive == limits.pause


def test_a_client_that_sends_too_much_still_gets_its_answer(port):
    # It would be reset while it sends, if the server closed the connection with the answer.
    with connected(port(body=1000, bodies=1000, head=20.0), head(8_000_000)) as connection:
        connection.sendall(bytes(8_000_000))
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_never_ends_after_the_answer(port):
    with connected(port(), head(10**6).replace(b"predict", b"nothing")) as connection:
        assert b"404" in connection.recv(4096)
        assert seconds_to_the_end(connection, b"x" * 100) < 6


def test_a_body_that_does_not_come(port):
    began = time.monotonic()
    with connected(port(), head(1000) + b"R") as connection:
        assert rest(connection).startswith(b"HTTP/1.1 408 ")
    assert 0.4 < time.monotonic() - began < 6


def test_a_body_that_comes_in_drops(port):
    with connected(port(), head(10**6)) as connection:
        assert seconds_to_the_end(connection, b"x" * 10) < 6


def test_a_slow_body_that_is_fast_enough(port, sound):
    content = sound(1.0)
    with connected(port(slowest=8000.0), head(len(content))) as connection:
        for begin in range(0, len(content), 2000):
            connection.sendall(content[begin : begin + 2000])
            time.sleep(0.1)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"POST", head(10**6) + b"R"])
def test_those_who_stop_keep_nobody_out(port, sound, sent):
    port = port(queue=0, connections=20, head=30.0, grace=30.0, receive=60.0)
    content = sound(1.0)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(connected(port, sent)) for _ in range(30)]
        with connected(port, head(len(content)) + content) as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        # Who waited longest has gone.
        assert rest(stalled[0]) == b""
        stalled[-1].settimeout(0.2)
        with pytest.raises(TimeoutError):
            stalled[-1].recv(1)


def test_who_is_at_work_is_not_closed_for_others(port, sound):
    port = port(connections=2, queue=10)
    content = sound(60.0)
    with contextlib.ExitStack() as stack:
        working = stack.enter_context(connected(port, head(len(content)) + content))
        time.sleep(0.3)  # until the body is there
        for _ in range(10):
            stack.enter_context(connected(port))
        assert working.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_bodies_in_waiting_are_bounded_together(port, sound):
    port = port(bodies=100_000, body=60_000, grace=30.0)
    content = sound(1.0)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connected(port, head(60_000) + bytes(45_000)))
        time.sleep(0.5)
        with connected(port, head(len(content)) + content) as connection:
            received = rest(connection)
            assert received.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in received
            assert b"other recordings take all memory" in received
    time.sleep(0.5)
    with connected(port, head(len(content)) + content) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_answers_that_are_not_read(port):
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(port(), room=4096) as connection:
        assert seconds_to_the_end(connection, 100 * request) < 10


def test_answers_that_are_read_late_but_whole(port):
    count = 100
    with connected(port(head=20.0), room=4096) as connection:
        thread = threading.Thread(
            target=connection.sendall, args=(count * b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n",)
        )
        thread.start()
        # Joined: a status line may arrive in two parts.
        received = bytearray()
        while received.count(b"HTTP/1.1 200 OK") < count:
            part = connection.recv(4 * 65536)
            assert part
            received += part
        thread.join()


@pytest.mark.parametrize("sent", [100 * frame(PING, b"x" * 100), frame(PING), frame(PONG)])
def test_a_websocket_that_reads_nothing(port, sent):
    with connected(port(), UPGRADE, room=4096) as connection:
        assert b"101 Switching Protocols" in connection.recv(4096)
        assert seconds_to_the_end(connection, sent) < 10


def test_pongs_that_are_not_read_do_not_pile_up(port):
    with connected(port(idle=30.0), UPGRADE, room=4096) as connection:
        assert b"101 Switching Protocols" in connection.recv(4096)
        connection.settimeout(10.0)  # a busy machine reads late
        sent, pings = 0, 1000 * frame(PING, b"x" * 100)
        while sent < 20_000_000:
            sent += connection.send(pings)
        [websocket] = port.connections
        assert 0 < websocket.transport.get_write_buffer_size() < 500_000


def test_a_websocket_that_does_nothing(port):
    with connected(port(), UPGRADE) as connection:
        began = time.monotonic()
        assert b"101 Switching Protocols" in rest(connection)
        assert time.monotonic() - began < 8


def test_a_websocket_that_sends_sound_and_reads_nothing(port):
    sound = np.zeros(1600, dtype="<i2").tobytes()
    with connected(port(), UPGRADE, room=4096) as connection:
        assert b"101 Switching Protocols" in connection.recv(4096)
        assert seconds_to_the_end(connection, frame(BINARY, sound)) < 10


def test_a_websocket_that_reads_and_answers_is_kept(port):
    sound = frame(BINARY, np.zeros(800, dtype="<i2").tobytes())
    with connected(port(), UPGRADE) as connection:
        received = b""
        end = time.monotonic() + 3.0
        # A busy machine takes longer to answer.
        while (now := time.monotonic()) < end or (b'"type":"window"' not in received and now < end + 30):
            connection.sendall(sound)
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                received += (part := connection.recv(65536))
                # A ping of the server: four bytes, which it wants back.
                if (at := part.find(b"\x89\x04")) >= 0:
                    connection.sendall(frame(PONG, part[at + 2 : at + 6]))
        assert b'"type":"window"' in received and b'"type":"error"' not in received
        assert received.count(b"\x89\x04") >= 3


def test_a_websocket_that_does_not_say_goodbye_makes_room(port):
    port = port(streams=0, connections=5)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(port, UPGRADE))
        time.sleep(0.5)
        with connected(port, GET) as connection:
            assert b"200 OK" in connection.recv(4096)
