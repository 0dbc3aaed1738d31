"""The examples in C, in Rust and for Node say what Python says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile

import serkit
from serkit import audio
from serkit.corpora import synthetic

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MODULES = ROOT / "page/node_modules"
BUNDLE = serkit.load().bundle
ENVIRONMENT = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}


def library(tmp_path_factory):
    """Return a new folder with the library of Python's onnxruntime, under the names that a linker looks for."""
    libraries = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("needs a shared library of onnxruntime")
    folder = tmp_path_factory.mktemp("onnxruntime")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(libraries[-1])
    return folder


@pytest.fixture(scope="module")
def c(tmp_path_factory):
    """Command line of the example in C, built with the library of Python's onnxruntime."""
    compiler, folder = shutil.which("cc"), library(tmp_path_factory)
    if not compiler:
        pytest.skip("needs a C compiler")
    include = os.environ.get("ONNXRUNTIME_INCLUDE", Path(__file__).parent)
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", EXAMPLES / "c/emotions.c", "-I", include]
    link = ["-L", folder, "-l", "onnxruntime", f"-Wl,-rpath,{folder}", "-o", folder / "emotions"]
    subprocess.run([*command, *link], check=True)
    command = [folder / "emotions", BUNDLE.folder / "waveform.onnx"]
    return lambda paths: "".join(run([*command, path]).stdout for path in paths)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Command line of the example for Node, with the packages of the page."""
    if not shutil.which("node") or not (MODULES / "onnxruntime-web").is_dir():
        pytest.skip("needs node and `make page`")
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(MODULES)
    shutil.copy(EXAMPLES / "node/emotions.mjs", folder)
    return lambda paths: run([shutil.which("node"), folder / "emotions.mjs", BUNDLE.folder, *paths]).stdout


@pytest.fixture(scope="module")
def rust(tmp_path_factory):
    """Command line of the example in Rust, built with the library of Python's onnxruntime."""
    compiler, folder = shutil.which("rustc"), library(tmp_path_factory)
    if not compiler:
        pytest.skip("needs rustc")
    link = ["-L", folder, "-C", f"link-arg=-Wl,-rpath,{folder}", "-o", folder / "emotions"]
    subprocess.run([compiler, "-D", "warnings", EXAMPLES / "rust/emotions.rs", *link], check=True)
    command = [folder / "emotions", BUNDLE.folder / "waveform.onnx"]
    return lambda paths: "".join(run([*command, path]).stdout for path in paths)


@pytest.fixture(params=["c", "rust", "node"])
def example(request):
    """A function from paths to what an example prints of them."""
    return request.getfixturevalue(request.param)


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)


def agrees(example, paths):
    lines = example(paths).splitlines()
    for line, path in zip(lines, paths, strict=True):
        answer = serkit.load()(path)
        found = [float(value) for value in re.findall(r" (\d\.\d{4})", line)]
        assert found == pytest.approx(list(answer.probabilities.values()), abs=1e-4)
        assert all(label in line for label in BUNDLE.labels)
        assert line.endswith("(unsure)") != answer.sure


def test_recordings(example, tmp_path):
    take = synthetic.utterance(2, 1, "sadness", 1, 0)
    sounds = {
        "speech.wav": take.speech,
        "two.wav": np.stack([take.speech, 0.5 * take.speech], axis=1),
        "silence.wav": np.zeros(16000),
    }
    for name, samples in sounds.items():
        soundfile.write(tmp_path / name, samples, 16000)
    agrees(example, [tmp_path / name for name in sounds])


def test_another_rate_is_one_line(example, tmp_path):
    soundfile.write(tmp_path / "fast.wav", np.zeros(1000), 44100)
    with pytest.raises(subprocess.CalledProcessError) as error:
        example([tmp_path / "fast.wav"])
    assert "16000" in error.value.stderr


@pytest.mark.parametrize("path", ["c/emotions.c", "rust/emotions.rs", "node/emotions.mjs"])
def test_an_example_is_short(path):
    assert len((EXAMPLES / path).read_text().splitlines()) < 80


@pytest.mark.corpora
def test_fifty_real_recordings(example, recordings, tmp_path):
    files = sorted(path for path in recordings.rglob("*") if path.suffix in (".flac", ".wav"))
    paths = []
    for number, path in enumerate(files[:: len(files) // 50][:50]):
        samples, rate = audio.read(path)
        signal = audio.resample(audio.mix(samples.reshape(len(samples), -1), None), rate, 16000)
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], signal, 16000)
    agrees(example, paths)
