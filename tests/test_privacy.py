"""Nothing is sent: every process of serkit runs with a fresh home folder and, where there is strace, under its eyes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

SERKIT = [sys.executable, "-m", "serkit"]
# glibc reads these to look up a name.
LOOK_UP = re.compile(r'openat\(.*"/etc/(resolv\.conf|hosts|nsswitch\.conf|gai\.conf)"')
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")


@pytest.fixture
def home(toy, tmp_path, monkeypatch):
    """A home folder with nothing in it; the environment asks for onnxruntime's reports."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "SERKIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    # Where these are set, onnxruntime takes the process for a test and keeps still.
    for name in [name for name in os.environ if name in ("CI", "TF_BUILD") or name.startswith(("GITHUB_", "PYTEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    return folder


@pytest.fixture
def clips(tmp_path, noise):
    """Two short recordings."""
    paths = [tmp_path / "clips" / f"{name}.wav" for name in "ab"]
    for path in paths:
        noise(path, seconds=0.5)
    return paths


def files(folder):
    return [path for path in folder.rglob("*") if not path.is_dir()]


def predict(*options):
    def use(program, clips):
        answer = subprocess.run(
            [*program, "predict", *map(str, clips), "--model", "toy", "--format", "jsonl", *options],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.count('"label"') == len(clips)

    return use


def serve(program, clips):
    """Start a server, let it answer one request, and stop it."""
    server = subprocess.Popen(
        [*program, "serve", "--model", "toy", "--port", "0"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        line = server.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line
        body = clips[0].read_bytes()
        with urllib.request.urlopen(f"{address[0]}/v1/predict", data=body, timeout=60) as answer:
            assert answer.status == 200
    finally:
        # All of the group: strace ends with the server.
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=60)


PATHS = {"predict": predict(), "workers": predict("--jobs", "2"), "serve": serve}


@pytest.fixture(params=PATHS)
def use(request):
    """A function that takes the program and two recordings, and uses serkit as people do."""
    if request.param == "serve":
        pytest.importorskip("fastapi", reason="needs the app extra")
        if sys.platform == "win32":
            pytest.skip("has no process groups")
    return PATHS[request.param]


def test_a_fresh_home_stays_empty(home, clips, use):
    use(SERKIT, clips)
    assert files(home) == []


def test_a_home_that_cannot_be_written_is_no_matter(home, clips, monkeypatch):
    monkeypatch.setenv("HOME", str(clips[0] / "no-folder"))  # below a file not even root can write
    predict()(SERKIT, clips)
    predict("--jobs", "2")(SERKIT, clips)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_process_looks_up_or_connects(home, clips, use, tmp_path):
    trace = tmp_path / "trace"
    use(["strace", "-f", "-qq", "-e", "trace=network,openat", "-o", str(trace), *SERKIT], clips)
    lines = trace.read_text(errors="replace").splitlines()
    assert any("model.onnx" in line for line in lines)  # the trace has followed
    assert [line for line in lines if LOOK_UP.search(line) or "/Microsoft" in line] == []
    reached = {four or six for line in lines for four, six in ADDRESS.findall(line)}
    assert [address for address in reached if not LOOPBACK.match(address)] == []


@pytest.mark.parametrize("value", [None, "", "0", "false", "2", "1"])
@pytest.mark.parametrize(
    "start", ["import serkit", "import serkit.recognition.session", "import serkit.cli", "from serkit import load"]
)
def test_it_is_off_before_onnxruntime_can_be_imported(home, monkeypatch, value, start):
    if value is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    else:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", value)
    program = f"{start}\nimport os, onnxruntime\nprint(os.environ['ORT_DISABLE_TELEMETRY'])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (found.stdout, found.stderr, files(home)) == ("1\n", "", [])


def test_these_tests_run_without_it_too():
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
