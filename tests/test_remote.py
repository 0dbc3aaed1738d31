"""Files at URLs: on a file system in memory, and from a server of the web that fails in every way."""

import importlib
import socket
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("fsspec", reason="needs the remote extra")

from serkit import remote
from serkit.remote import Folder, RemoteError

SECRET = "https://me:s3cret@127.0.0.1:9/a.wav?X-Amz-Signature=abc123#t"


@pytest.fixture
def bucket():
    """URL of an empty folder."""
    return f"memory://{uuid.uuid4().hex}"


def put(url, content):
    import fsspec

    with fsspec.open(url, "wb") as file:
        file.write(content)


def test_a_file_is_fetched_up_to_a_size(bucket):
    put(f"{bucket}/a.wav", b"12345")
    assert remote.fetch(f"{bucket}/a.wav", 5) == b"12345"
    with pytest.raises(RemoteError, match=r"/a\.wav: larger than"):
        remote.fetch(f"{bucket}/a.wav", 4)
    with pytest.raises(RemoteError, match=r"/b\.wav: no such file$"):
        remote.fetch(f"{bucket}/b.wav")


def test_recordings_below_a_folder_and_by_a_pattern(bucket):
    for name in ("b.wav", "sub/a.WAV", "notes.txt"):
        put(f"{bucket}/{name}", b"1")
    names = [url.rpartition("/")[2] for url in remote.find(f"{bucket}/", frozenset({".wav"}))]
    assert names == ["b.wav", "a.WAV"]
    assert len(remote.find(f"{bucket}/*.wav", frozenset({".wav"}))) == 1
    assert remote.find(f"{bucket}/none.wav", frozenset({".wav"})) == [f"{bucket}/none.wav"]


def test_names_in_urls_of_this_machine_may_be_quoted(tmp_path):
    for name in ("100%.wav", "a b#1.wav"):
        (tmp_path / name).write_bytes(name.encode())
        assert remote.fetch(f"file://{tmp_path}/{name}") == name.encode()
        assert remote.fetch((tmp_path / name).as_uri()) == name.encode()
    with pytest.raises(remote.RemoteError, match="no such file"):
        remote.fetch(f"file://{tmp_path}/a%20b.wav")


def test_a_folder_receives_complete_files(bucket):
    folder = Folder(f"{bucket}/out")
    assert folder.names() == []
    with pytest.raises(ZeroDivisionError), folder.writing("a.txt") as path:
        path.write_text("half")
        raise ZeroDivisionError
    assert folder.names() == []
    with folder.writing("a.txt") as path:
        path.write_text("whole")
    assert (folder.names(), "a.txt" in folder, "b.txt" in folder) == (["a.txt"], True, False)
    with folder.opened("a.txt") as file:
        assert file.read() == b"whole"


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "s3://key:s3cret@bucket/abc123",
        "https://127.0.0.1:9/a.wav?X-Amz-Signature=abc123&x=s3cret",
        "nix://a/b",
        "https://[a/b.wav",
    ],
)
def test_no_message_shows_a_credential(url):
    with pytest.raises(RemoteError) as raised:
        remote.fetch(url)
    text = str(raised.value)
    assert text.startswith(remote.redacted(url)) and "\n" not in text
    assert "s3cret" not in text and "Signature" not in text


def test_names_and_words_of_libraries_are_redacted():
    assert remote.name(SECRET) == "https://127.0.0.1:9/a.wav"
    assert remote.name("a@b?c.wav") == "a@b?c.wav"
    assert remote.name("s3://calls/take #2 of a@b?.wav") == "s3://calls/take #2 of a@b?.wav"
    assert remote.name("s3://calls/a.wav?versionId=abc123") == "s3://calls/a.wav"
    told = remote._without_secrets(f"cannot open {SECRET} (key s3cret)\nmore", SECRET)
    assert "s3cret" not in told and "abc123" not in told and told.startswith("cannot open https://")


class Failing(BaseHTTPRequestHandler):
    """Answers a GET with the status that its path names, or fails as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind = self.path.strip("/").partition(".")[0]
        if kind == "silent":
            time.sleep(1)
            return
        self.send_response(302 if kind in ("file", "loop") else int(kind) if kind.isdecimal() else 200)
        if kind in ("file", "loop"):
            self.send_header("Location", "file:///etc/passwd" if kind == "file" else self.path)
        content = b"" if kind in ("file", "loop") else b"12345"
        self.send_header("Content-Length", str(len(content) + (kind == "truncated")))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = kind == "truncated"

    def do_HEAD(self):
        # As a server whose signature is for GET.
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def web():
    """Address of a server on the loopback interface."""
    pytest.importorskip("aiohttp", reason="needs the remote extra")
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_of_the_web_is_asked_for_once(web):
    assert remote.fetch(f"http://{web}/a.wav", 5) == b"12345"
    with pytest.raises(RemoteError, match=r"/a\.wav: larger than"):
        remote.fetch(f"http://{web}/a.wav", 4)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("401.wav", "access denied; credentials come from the environment"),
        ("403.wav", "access denied; credentials come from the environment"),
        ("404.wav", "no such file"),
        ("410.wav", "no such file"),
        ("429.wav", "the host answers with status 429"),
        ("500.wav", "the host answers with status 500"),
        ("truncated.wav", "the connection ended before the file was complete"),
        ("file.wav", "the host redirects to an address that is not of the web"),
        ("loop.wav", "the host redirects without end"),
        ("silent.wav", "the host does not answer in time"),
    ],
)
def test_how_the_web_fails(web, monkeypatch, path, told):
    monkeypatch.setattr(remote, "_PATIENCE", {"sock_connect": 5, "sock_read": 0.2 if path == "silent.wav" else 5})
    with pytest.raises(RemoteError) as raised:
        remote.fetch(f"http://{web}/{path}?X-Amz-Signature=abc123")
    assert str(raised.value) == f"http://{web}/{path}: {told}"


def test_a_host_that_is_not_reached(web):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = closed.getsockname()[1]
        for scheme in ("http", "https"):
            with pytest.raises(RemoteError, match=r"/a\.wav: the host cannot be reached \(Connection refused\)$"):
                remote.fetch(f"{scheme}://127.0.0.1:{port}/a.wav?sig=abc123")
    with pytest.raises(RemoteError, match=r"/a\.wav: there is no secure connection to the host \([\w ]+\)$"):
        remote.fetch(f"https://{web}/a.wav")


def test_the_web_takes_no_parts(web):
    with pytest.raises(RemoteError, match=r"/out: holds no folder of parts; http, https only give files$"):
        Folder(f"http://{web}/out").names()


@pytest.mark.parametrize(("scheme", "library"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_library_that_is_not_installed(monkeypatch, scheme, library):
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, scheme, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        RemoteError, match=rf"{scheme}://bucket/a\.wav: {scheme}:// requires {library}; try: pip install"
    ):
        remote.fetch(f"{scheme}://bucket/a.wav")


def test_a_bucket_is_never_made(bucket, monkeypatch):
    monkeypatch.setattr(remote, "_BUCKETS", ("memory",))
    name = bucket.partition("://")[2]
    for failing in (
        lambda: remote.find(f"{bucket}/calls/", frozenset({".wav"})),
        lambda: remote.find(f"{bucket}/*.wav", frozenset({".wav"})),
        lambda: Folder(f"{bucket}/out").names(),
        lambda: remote.fetch(f"{bucket}/a.wav"),
    ):
        with pytest.raises(RemoteError, match=f"there is no bucket '{name}'$"):
            failing()
    put(f"{bucket}/a.wav", b"1")
    assert Folder(f"{bucket}/out").names() == []
    with Folder(f"{bucket}/out").writing("a.txt") as path:
        path.write_text("whole")
    assert Folder(f"{bucket}/out").names() == ["a.txt"]


def test_the_reader_of_a_file_judges_its_content(bucket):
    put(f"{bucket}/part", b"no part")
    with pytest.raises(ValueError, match=r"^no part$"), Folder(bucket).opened("part") as file:
        raise ValueError(file.read().decode())
