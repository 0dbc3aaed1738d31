import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="needs the app extra")

from fastapi.testclient import TestClient

from serkit.cli import APP, run


@pytest.fixture(autouse=True)
def served(monkeypatch):
    """What was to be served, by the last call of `serkit serve`; nothing is."""
    monkeypatch.delenv("SERKIT_TOKEN", raising=False)
    calls = []
    monkeypatch.setattr("serkit.app.run.uvicorn.Server.run", lambda self, sockets: calls.append((self.config, sockets)))
    return calls


def test_it_listens_on_this_computer_with_the_limits_asked_for(toy, served, capsys):
    options = ["--queue", "3", "--streams", "2", "--max-megabytes", "1.5", "--max-seconds", "20", "--max-channels", "4"]
    assert run(["serve", "--model", "toy", "--port", "0", "--timeout", "7", "--threads", "3", *options]) == 0
    [(config, [listening])] = served
    service = config.app.state.service
    limits = service.limits
    assert (limits.queue, limits.streams, limits.body, limits.longest, limits.channels, limits.answer) == (
        3,
        2,
        1_500_000,
        20.0,
        4,
        7.0,
    )
    assert (list(service.models.recognizers), service.token) == (["toy"], None)
    assert capsys.readouterr().out == ""
    assert listening.fileno() == -1  # closed again


def test_without_limits(toy, served):
    options = ["--max-megabytes", "inf", "--max-seconds", "inf", "--timeout", "inf"]
    assert run(["serve", "--model", "toy", "--port", "0", *options]) == 0
    limits = served[0][0].app.state.service.limits
    assert (limits.body, limits.longest, limits.answer) == (sys.maxsize, float("inf"), float("inf"))


def test_a_public_address_needs_a_token(toy, served, monkeypatch, tmp_path, capsys):
    assert run(["serve", "--model", "toy", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "serkit: error: --host 0.0.0.0: the address is public; set a token in" in capsys.readouterr().err
    assert served == []
    monkeypatch.setenv("SERKIT_TOKEN", "0123456789abcdef")
    assert run(["serve", "--model", "toy", "--host", "0.0.0.0", "--port", "0"]) == 0
    (tmp_path / "token").write_text("of-a-file-0123456789")
    assert run(["serve", "--model", "toy", "--port", "0", "--token-file", str(tmp_path / "token")]) == 0
    assert [config.app.state.service.token for config, _ in served] == ["0123456789abcdef", "of-a-file-0123456789"]
    assert "0123456789abcdef" not in capsys.readouterr().err


def test_names_that_are_answered(toy, served):
    names = ["--allowed-host", "SER.example.org", "--allowed-host", "other.example.org"]
    assert run(["serve", "--model", "toy", "--port", "0", *names]) == 0
    client = TestClient(served[0][0].app)
    statuses = [
        client.get("/healthz", headers={"Host": host}).status_code
        for host in ("ser.example.org", "other.example.org:443", "localhost", "example.org")
    ]
    assert statuses == [200, 200, 200, 421]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "toi"], "unknown bundle 'toi'"),
        (["--model", "toy", "--model", "toy"], "--model toy: the name 'toy' is already in use by another model"),
        (["--token-file", "none"], "--token-file none: No such file or directory"),
        (["--port", "65536"], "Invalid value for '--port'"),
        (["--allowed-host", "http://a.example"], "--allowed-host must be a name such as ser.example"),
    ],
)
def test_mistakes_are_one_line(toy, served, options, message, capsys):
    assert run(["serve", *options]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert served == []


def test_without_the_extra_there_is_advice():
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {set(APP)!r}: raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from serkit.cli import run
sys.exit(run(["serve"]))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("serkit: error: `serkit serve` needs ")
    assert result.stderr.endswith(": pip install 'serkit[app]'\n") and result.stderr.count("\n") == 1
