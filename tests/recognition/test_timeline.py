import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.errors import UserError
from serkit.recognition import Failure, Recognizer, Timeline, TimelineOptions
from serkit.recognition.bundle import Bundle
from voices import scene, voice

OPTIONS = TimelineOptions(hop=0.25, pause=0.3, lookahead=0.5, change=0.0)


@pytest.fixture(scope="module")
def recognizer(shelf):
    return Recognizer(Bundle.load(shelf / "toy"))


@pytest.fixture
def call(tmp_path):
    soundfile.write(tmp_path / "call.wav", scene(), 16000, subtype="FLOAT")
    return tmp_path / "call.wav"


def test_a_file(recognizer, call):
    timeline = recognizer.timeline(call, options=OPTIONS)
    signal = recognizer.timeline_signal(scene(), 16000, options=OPTIONS)
    assert (timeline.windows, timeline.segments) == (signal.windows, signal.segments)
    assert timeline.file == str(call)
    assert timeline.duration == len(scene()) / 16000
    assert timeline.labels == ("anger", "joy", "neutral", "sadness")
    assert timeline.warnings == ()
    assert all(0 <= one.start < one.end <= timeline.duration and one.final for one in timeline.segments)


def test_longer_than_a_block(recognizer, tmp_path):
    # 33 s: the file is read in two blocks.
    samples = np.tile(scene(), 5)
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    timeline = recognizer.timeline(tmp_path / "long.wav", options=OPTIONS)
    assert timeline.windows == recognizer.timeline_signal(samples, 16000, options=OPTIONS).windows
    assert timeline.windows[-1].end == pytest.approx(33.15)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_rates_and_stereo(recognizer, tmp_path, rate):
    samples = scene(rate)
    soundfile.write(tmp_path / "call.flac", np.stack([samples, samples], axis=1), rate)
    timeline = recognizer.timeline(tmp_path / "call.flac", options=OPTIONS)
    assert timeline.segments[0].start == pytest.approx(0.5, abs=0.1)
    assert timeline.segments[-1].end == pytest.approx(5.6, abs=0.2)
    assert recognizer.timeline(tmp_path / "call.flac", channel=1, options=OPTIONS).windows == timeline.windows


def test_silence(recognizer, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    timeline = recognizer.timeline(tmp_path / "silent.wav")
    assert timeline.segments == ()
    assert [(window.start, window.end, window.speech) for window in timeline.windows] == [(0, 0.5, 0), (0, 1, 0)]
    assert timeline.warnings == (f"{tmp_path / 'silent.wav'}: silent (no sample above -96 dB of full scale)",)


def test_sound_without_speech(recognizer):
    quiet = np.full(16000, 1e-3, dtype=np.float32)
    assert recognizer.timeline_signal(quiet, 16000).warnings == ("signal: no speech found (detector 'webrtc')",)


@pytest.mark.parametrize("samples", [1, 7, 160, 1000])
def test_very_short_files(recognizer, tmp_path, samples):
    soundfile.write(tmp_path / "short.wav", voice(0.1, 16000)[:samples], 16000)
    timeline = recognizer.timeline(tmp_path / "short.wav")
    assert timeline.segments == ()
    assert [window.end for window in timeline.windows if window.end > 1e-4] == [samples / 16000][: samples > 1]


def test_a_file_shorter_than_a_hop_of_speech(recognizer):
    timeline = recognizer.timeline_signal(voice(0.3, 16000), 16000)
    [segment] = timeline.segments
    [window] = timeline.windows
    assert segment.probabilities == pytest.approx(window.probabilities)
    assert window.probabilities == pytest.approx(
        recognizer.predict_signal(voice(0.3, 16000), 16000).probabilities, abs=1e-6
    )


def test_truncated(recognizer, call):
    content = call.read_bytes()
    call.write_bytes(content[: len(content) // 2])
    timeline = recognizer.timeline(call, options=OPTIONS)
    [text] = timeline.warnings
    assert "truncated" in text
    assert timeline.windows[-1].end == pytest.approx(3.3, abs=0.1)


def test_many_files(recognizer, call, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no sound at all")
    paths = [call, tmp_path / "broken.wav", tmp_path / "gone.wav", call]
    first, broken, gone, last = recognizer.timelines(paths, options=OPTIONS)
    assert isinstance(first, Timeline) and first == last
    assert isinstance(broken, Failure) and "not audio" in broken.error
    assert isinstance(gone, Failure) and "no such file" in gone.error
    assert list(recognizer.timelines(paths, options=OPTIONS, jobs=2)) == [first, broken, gone, last]


def test_what_no_file_could_is_said_at_once(recognizer):
    with pytest.raises(UserError, match="window 5 s"):
        recognizer.timelines([], options=TimelineOptions(window=5))
    with pytest.raises(UserError, match="unknown detector 'ear'"):
        recognizer.timelines([], options=TimelineOptions(detector="ear"))
    with pytest.raises(UserError, match="reads speech only"):
        recognizer.timelines([], channel="egg")


def test_errors_of_one_file(recognizer, call, tmp_path):
    with pytest.raises(audio.AudioError, match=r"call\.wav: has no channel 1"):
        recognizer.timeline(call, channel=1)
    with pytest.raises(audio.AudioError, match="no such file"):
        recognizer.timeline(tmp_path / "gone.wav")
