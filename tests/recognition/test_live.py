import io
import sys
import time
import types

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.errors import UserError
from serkit.recognition import live


class Pipe:
    """Gives what has come, however little."""

    def __init__(self, *parts):
        self._parts = list(parts)

    def read1(self, size):
        return self._parts.pop(0) if self._parts else b""


def test_a_pipe():
    samples = np.arange(-500, 500, dtype="<i2").reshape(-1, 2)
    data = samples.tobytes()
    # Cut anywhere, even inside a sample; a torn last one is left out.
    chunks = list(live.from_pipe(Pipe(data[:3], data[3:4], data[4:1001], data[1001:], b"x"), 16000, 2))
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), samples)
    whole = list(live.from_pipe(io.BytesIO(data), 16000, 2))
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in whole]), samples)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\x00\x10\x00\x00WAVEfmt ", "WAV"),
        (b"fLaC\x00\x00\x00\x22", "FLAC"),
        (b"OggS\x00\x02", "Ogg"),
        (b"ID3\x04\x00\x00", "MP3"),
        (b"FORM\x00\x00\x10\x00AIFF", "AIFF"),
        (b".snd\x00\x00", "AU"),
        (b"\x00\x00\x00\x1cftypM4A ", "MP4"),
        (b"\x1a\x45\xdf\xa3\x01", "WebM"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_recording_in_a_pipe_is_not_played_as_samples(head, kind, size):
    data = head + bytes(1000)
    pipe = Pipe(*(data[begin : begin + size] for begin in range(0, len(data), size)))
    with pytest.raises(
        UserError, match=rf"standard input is a recording \({kind}\).* ffmpeg -i - -f s16le -ac 2 -ar 8000 -"
    ):
        list(live.from_pipe(pipe, 8000, 2))


def test_a_file_comes_as_it_would_be_spoken(tmp_path):
    signal = np.linspace(-0.5, 0.5, 2400).reshape(-1, 2)
    soundfile.write(tmp_path / "call.wav", signal, 8000, subtype="FLOAT")  # 0.15 s
    began = time.perf_counter()
    chunks = list(live.from_file(tmp_path / "call.wav"))
    assert time.perf_counter() - began >= 0.15
    np.testing.assert_allclose(np.concatenate([chunk.samples for chunk in chunks]), signal, atol=1e-6)
    # Each arrived when its last sample was spoken.
    assert np.diff([chunk.arrived for chunk in chunks]) == pytest.approx([0.02] * 6 + [0.01])
    fast = list(live.from_file(tmp_path / "call.wav", fast=True))
    assert {chunk.arrived for chunk in fast} == {None}
    with pytest.raises(audio.AudioError, match="no such file"):
        list(live.from_file(tmp_path / "gone.wav"))


@pytest.fixture
def sounddevice(monkeypatch):
    """A stand-in for sounddevice: `speak(value)` is a chunk; four are spoken as soon as it is opened."""
    module = types.ModuleType("sounddevice")

    class InputStream:
        def __init__(self, callback, **options):
            if options["device"] == "nowhere":
                raise ValueError("No input device matching 'nowhere'")
            module.options = options
            module.speak = lambda value: callback(np.full((320, 1), value, dtype=np.float32), 320, None, None)

        def __enter__(self):
            module.open = True
            for value in (1, 2, 3, 4):
                module.speak(value)

        def __exit__(self, *reason):
            module.open = False

    module.PortAudioError, module.InputStream = RuntimeError, InputStream
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_the_microphone_counts_what_it_loses(sounddevice, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE", 0.04)  # two chunks may wait
    chunks = live.from_microphone(16000, 1)
    heard = [next(chunks), next(chunks)]
    sounddevice.speak(5)
    heard.append(next(chunks))
    assert [(chunk.samples[0, 0], chunk.samples.shape, chunk.lost) for chunk in heard] == [
        (1, (320, 1), 0),
        (2, (320, 1), 0),
        (5, (320, 1), 640),
    ]
    assert heard[0].arrived <= heard[2].arrived <= time.perf_counter()
    assert sounddevice.options["samplerate"] == 16000
    assert sounddevice.open
    chunks.close()
    assert not sounddevice.open


def test_no_microphone(sounddevice, monkeypatch):
    with pytest.raises(UserError, match="microphone: No input device matching 'nowhere'"):
        next(live.from_microphone(16000, 1, "nowhere"))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"pip install 'serkit\[mic\]'"):
        next(live.from_microphone(16000))
