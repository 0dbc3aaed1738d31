"""Several processes behind one port: one server for its clients."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from holding import wait_until
from test_run import workers_of

from serkit.app.metrics import Metrics, summed

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes as on Linux")


def test_metrics_are_summed_by_name_and_labels():
    one, other = Metrics(), Metrics()
    one.requests.labels("/v1/predict", 200).inc(2)
    other.requests.labels("/v1/predict", 200).inc(3)
    other.requests.labels("/v1/predict", 422).inc()
    one.seconds.labels("/v1/predict").observe(0.2)
    other.seconds.labels("/v1/predict").observe(0.02)
    other.streams.inc()
    texts = [metrics.render().decode() for metrics in (one, other)]
    lines = summed(texts).splitlines()
    assert 'serkit_requests_total{endpoint="/v1/predict",status="200"} 5.0' in lines
    assert 'serkit_requests_total{endpoint="/v1/predict",status="422"} 1.0' in lines
    assert 'serkit_request_seconds_bucket{endpoint="/v1/predict",le="0.1"} 1.0' in lines
    assert 'serkit_request_seconds_count{endpoint="/v1/predict"} 2.0' in lines
    assert "serkit_streams 1.0" in lines
    assert len([line for line in lines if line.startswith("process_start_time_seconds ")]) == 1
    kept = summed(texts, ["counter", "histogram"])
    assert "serkit_requests_total" in kept and "serkit_streams" not in kept
    assert summed([kept, kept]).count("# TYPE serkit_requests_total counter") == 1


@pytest.fixture
def server(toy, monkeypatch):
    """A server of two processes, and its address."""
    monkeypatch.delenv("SERKIT_TOKEN", raising=False)
    command = [sys.executable, "-m", "serkit", "serve", "--model", "toy", "--port", "0", "--workers", "2"]
    process = subprocess.Popen([*command, "--threads", "1"], stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    assert line.startswith("serkit: toy on http://127.0.0.1:"), line
    yield process, line.split()[3]
    process.kill()
    process.wait()


def pipes_of(pid):
    """Number of open pipes of a process."""
    return sum(os.readlink(entry.path).startswith("pipe:") for entry in os.scandir(f"/proc/{pid}/fd"))


def ask(url, data=None):
    """Status and text of an answer, over a connection of its own."""
    try:
        with urllib.request.urlopen(url, data, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_one_server_for_its_clients(server, sound):
    process, url = server
    # Wherever a job is, every connection finds it.
    jobs = [json.loads(ask(f"{url}/v1/jobs", sound())[1])["id"] for _ in range(2)]
    for job in jobs:
        wait_until(lambda job=job: json.loads(ask(f"{url}/v1/jobs/{job}")[1])["status"] == "done", 60)
        assert {ask(f"{url}/v1/jobs/{job}/result")[0] for _ in range(4)} == {200}
    serving = workers_of(process.pid)
    assert len(serving) == 2
    before = ask(f"{url}/metrics")[1]
    assert 'serkit_requests_total{endpoint="/v1/jobs",status="202"} 2.0' in before and "serkit_workers 2.0" in before
    pipes = pipes_of(process.pid)
    # One that ends is replaced; what it has counted stays.
    os.kill(serving[0], signal.SIGKILL)
    wait_until(lambda: len(now := workers_of(process.pid)) == 2 and serving[0] not in now, 60)
    wait_until(lambda: "serkit_workers 2.0" in ask(f"{url}/metrics")[1], 60)
    after = ask(f"{url}/metrics")[1]
    assert 'serkit_requests_total{endpoint="/v1/jobs",status="202"} 2.0' in after
    assert "serkit_lost_workers_total 1.0" in after
    assert pipes_of(process.pid) == pipes
    # All of them load their models again.
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: 'serkit_reloads_total{result="done"} 2.0' in ask(f"{url}/metrics")[1], 60)
    assert ask(f"{url}/v1/predict", sound())[0] == 200
    children = workers_of(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 60)
    errors = process.stderr.read().splitlines()
    assert len(errors) == 2 and "has ended (SIGKILL); another takes its place" in errors[0], errors
    assert errors[1].endswith("the models are reloaded")


def test_a_terminal_that_is_closed_ends_the_server(toy, monkeypatch):
    import pty

    monkeypatch.delenv("SERKIT_TOKEN", raising=False)
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "serkit", "serve", "--model", "toy", "--port", "0", "--threads", "1"]
        os.execv(command[0], command)
    said = b""
    while b"Ctrl-C stops" not in said:
        said += os.read(terminal, 1000)
    os.kill(pid, signal.SIGHUP)
    while b"reloaded" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)
    end = time.monotonic() + 30
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < end
        time.sleep(0.05)
