"""Recordings and results in S3, from a server on the loopback interface: moto."""

import socket

import pytest

pytest.importorskip("s3fs", reason="needs the remote extra")
pytest.importorskip("moto.server", reason="needs moto[server]")

from serkit import remote
from serkit.cli import run
from serkit.remote import Folder, RemoteError


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    made = ThreadedMotoServer("127.0.0.1", 0)
    made.start()
    yield "http://{}:{}".format(*made.get_host_and_port())
    made.stop()


@pytest.fixture
def s3(server, monkeypatch):
    """The file system with the bucket `calls`, and the function that changes the environment of the next one."""
    import s3fs

    def environment(**values):
        for name, value in values.items():
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()

    environment(
        AWS_ENDPOINT_URL=server,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="s3cret",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_MAX_ATTEMPTS="1",
        AWS_CONFIG_FILE="none",
        AWS_SHARED_CREDENTIALS_FILE="none",
    )
    system = s3fs.S3FileSystem()
    if not system.exists("calls"):
        system.mkdir("calls")
    yield system, environment
    s3fs.S3FileSystem.clear_instance_cache()


def test_answers_in_s3_are_those_of_the_files(s3, toy, tree, tmp_path, capsys):
    system, _ = s3
    folder = tree(*(f"clips/{name}.wav" for name in ("a", "sub/b #2?", "sub/ü [1]", "d", "e"))) / "clips"
    (folder / "d.wav").write_bytes(b"no sound")
    for path in folder.rglob("*.wav"):
        system.put_file(str(path), f"calls/in/{path.relative_to(folder)}")
    system.pipe_file("calls/in/notes.txt", b"none")

    for command in (["predict", "--model", "toy"], ["features", "log_mel_functionals", "--set", "bands=4"]):
        out = f"s3://calls/{command[0]}"
        parts = [run([*command, "s3://calls/in/", "--shard", f"{i}/2", "--out", out]) for i in (1, 2)]
        assert sorted(parts) == [0, 1]
        assert run(["gather", out, "--out", f"{out}.csv"]) == 1
        assert run([*command, str(folder), "--out", str(tmp_path / "here.csv")]) == 1
        here = (tmp_path / "here.csv").read_bytes()
        assert system.cat_file(f"{out}.csv").replace(b"s3://calls/in/", f"{folder}/".encode()) == here
        assert all(name.endswith(".parquet") for name in system.ls(out))
    assert "d.wav" in capsys.readouterr().err


def test_what_s3_lacks(s3):
    system, environment = s3
    for failing in (
        lambda: remote.find("s3://misspelled/calls/", frozenset({".wav"})),
        lambda: remote.find("s3://misspelled/*.wav", frozenset({".wav"})),
        lambda: remote.fetch("s3://misspelled/a.wav"),
        lambda: Folder("s3://misspelled/out").names(),
    ):
        with pytest.raises(RemoteError, match=r"^s3://misspelled/[^:]*: there is no bucket 'misspelled'$"):
            failing()
    assert not system.exists("misspelled")
    with pytest.raises(RemoteError, match=r"^s3://calls/none\.wav: no such file$"):
        remote.fetch("s3://calls/none.wav")
    assert remote.find("s3://calls/none/", frozenset({".wav"})) == []
    environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    with pytest.raises(RemoteError, match=r"^s3://calls/a\.wav: there are no credentials; they come from "):
        remote.fetch("s3://calls/a.wav")


def test_s3_that_is_not_reached_or_refuses(s3, monkeypatch):
    from moto.core.responses import ActionAuthenticatorMixin

    _, environment = s3
    with monkeypatch.context() as patch:
        # From now on, moto checks who asks.
        patch.setattr(ActionAuthenticatorMixin, "request_count", 0)
        patch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
        for failing in (lambda: remote.fetch("s3://calls/a.wav"), lambda: Folder("s3://calls/out").names()):
            with pytest.raises(RemoteError, match=r": access denied; credentials come from the environment$"):
                failing()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        environment(AWS_ENDPOINT_URL=f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(RemoteError, match=r"a\.wav: the host cannot be reached \(Connection refused\)$"):
            remote.fetch("s3://calls/a.wav")
