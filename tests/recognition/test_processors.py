"""The bundled recognizers answer alike on processors of different age."""

import json
import sys

import numpy as np
import pytest
import soundfile

import older_processor
from serkit.recognition import available, load

PROGRAM = """
import json, sys
import serkit
answers = serkit.load(sys.argv[1]).predict_files(sys.argv[2:])
print(json.dumps([[answer.probabilities, answer.sure] for answer in answers]))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the switches are those of x86")


def assert_alike(folder, paths):
    answers = json.loads(older_processor.run("-c", PROGRAM, str(folder), *map(str, paths)))
    recognizer = load(folder)
    for path, (older, _) in zip(paths, answers, strict=True):
        newer = recognizer(path).probabilities
        assert older.keys() == newer.keys()
        np.testing.assert_allclose(list(older.values()), list(newer.values()), atol=1e-4)


@pytest.mark.parametrize("folder", available(), ids=lambda folder: folder.name)
def test_generated_sounds(folder, synthetic, tmp_path):
    generator = np.random.default_rng(0)
    sounds = {
        "noise": 0.1 * generator.standard_normal(40000),
        "tone": 0.5 * np.sin(np.arange(32000) * 0.1),
        "click": np.eye(1, 16000, 8000)[0],
        "silence": np.zeros(16000),
    }
    paths = [tmp_path / f"{name}.wav" for name in sounds]
    for path, signal in zip(paths, sounds.values(), strict=True):
        soundfile.write(path, signal, 16000)
    assert_alike(folder, [*paths, *(utterance.path for utterance in synthetic.utterances[:10])])


@pytest.mark.corpora
@pytest.mark.parametrize("folder", available(), ids=lambda folder: folder.name)
def test_real_recordings(folder, recordings):
    paths = [
        *sorted((recordings / "emodb").rglob("*.flac"))[::60],
        *sorted((recordings / "savee").rglob("*.flac"))[::60],
    ]
    assert_alike(folder, paths)
