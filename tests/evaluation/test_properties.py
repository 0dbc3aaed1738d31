import numpy as np
import pytest
import soundfile

from serkit.corpora import Utterance
from serkit.data.store import Store
from serkit.evaluation import properties
from serkit.evaluation.properties import measure, of_signal

RATE = 48000


def sine(level, seconds=2.0, frequency=997.0):
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_loudness_is_that_of_the_standard():
    # ITU-R BS.1770: a full-scale sine of 997 Hz in one channel has -3.01 LUFS.
    assert of_signal(sine(1.0), RATE).loudness == pytest.approx(-3.01, abs=0.1)
    assert of_signal(sine(0.1), RATE).loudness == pytest.approx(-23.01, abs=0.1)
    assert of_signal(sine(0.1), RATE).duration == 2.0


@pytest.mark.parametrize("signal", [np.zeros(RATE, dtype=np.float32), sine(0.5, seconds=0.3)])
def test_silence_and_a_moment_have_no_loudness(signal):
    assert np.isnan(of_signal(signal, RATE).loudness)


def test_recordings_are_measured_once(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", sine(0.1), RATE, subtype="FLOAT")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    whole = Utterance("x/a", tmp_path / "a.wav")
    utterances = [
        whole,
        Utterance("x/part", tmp_path / "a.wav", start=0.5, end=1.25),
        Utterance("x/b", tmp_path / "b.wav"),
    ]
    store = Store(tmp_path / "store")
    found = measure(utterances, store)
    assert list(found) == ["x/a", "x/part"]
    assert found["x/a"].duration == 2.0 and found["x/part"].duration == pytest.approx(0.75)
    monkeypatch.setattr(properties, "of_signal", None)
    assert measure(utterances, store) == found
