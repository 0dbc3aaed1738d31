"""Files at URLs, on a file system in memory."""

import uuid

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
    told = remote._without_secrets(f"cannot open {SECRET} (key s3cret)\nmore", SECRET)
    assert "s3cret" not in told and "abc123" not in told and told.startswith("cannot open https://")
