import librosa
import numpy as np
import pytest

from serkit.errors import UserError
from serkit.features.speech_functionals import SpeechFunctionals
from serkit.features.speech_log_mel import SpeechLogMel

FEATURE = SpeechLogMel()
HOP = FEATURE.hop


def pause(frames):
    return np.zeros(frames * HOP, dtype=np.float32)


@pytest.fixture(scope="module")
def speech():
    """A second of a buzz with a tremolo, on a whole number of hops."""
    time = np.arange(62 * HOP) / 16000
    buzz = sum(np.sin(2 * np.pi * 150 * harmonic * time) / harmonic for harmonic in range(1, 40))
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * (buzz + noise) * (1.2 + np.sin(2 * np.pi * 5 * time))).astype(np.float32)


def test_it_is_librosas_levels_below_the_loud_frames(speech):
    signal = np.concatenate([pause(10), speech, pause(20)])
    mel = librosa.feature.melspectrogram(
        y=signal, sr=16000, n_fft=512, win_length=400, hop_length=256, n_mels=64, fmin=60, fmax=7800,
        htk=True, norm=None, pad_mode="constant",
    )  # fmt: skip
    energy = 10 * np.log10(np.maximum(mel, 1e-10).sum(axis=0))
    spoken = np.flatnonzero(energy > energy.max() - 40)
    levels = librosa.power_to_db(mel, amin=1e-10, top_db=None)[:, spoken[0] - 3 : spoken[-1] + 4]
    expected = np.maximum(levels - np.quantile(levels.max(axis=0), 0.95), -60)
    found = FEATURE(signal)
    assert (found.dtype, FEATURE.shape) == (np.float32, (64, None))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    # 62 hops of sound are centred on by 62 frames and touched by one more, which the window may let pass.
    assert found.shape[1] in (62 + 6, 63 + 6)


@pytest.mark.parametrize("kind", [SpeechLogMel, SpeechFunctionals])
@pytest.mark.parametrize("offset", [-0.3, 0.01, 0.1, 1.0])
def test_a_constant_offset_does_not_matter(speech, kind, offset):
    feature = kind(remove_offset=True)
    signal = np.concatenate([pause(10), speech, pause(20)])
    np.testing.assert_allclose(feature(signal + np.float32(offset)), feature(signal), atol=5e-3)
    assert np.abs(kind()(signal + np.float32(offset)) - feature(signal)[..., :1]).max() > 1


@pytest.mark.parametrize("gain", [0.003, 0.1, 3.0])
def test_recording_level_does_not_matter(speech, gain):
    signal = np.concatenate([pause(10), speech, pause(10)])
    np.testing.assert_allclose(FEATURE(gain * signal), FEATURE(signal), atol=2e-3)


@pytest.mark.parametrize(("before", "after"), [(4, 0), (0, 4), (30, 100), (200, 7)])
def test_silence_around_the_speech_does_not_matter(speech, before, after):
    base = np.concatenate([pause(10), speech, pause(10)])
    found = FEATURE(np.concatenate([pause(before), base, pause(after)]))
    np.testing.assert_allclose(found, FEATURE(base), atol=1e-4)


def test_quiet_noise_around_the_speech_does_not_matter(speech):
    base = np.concatenate([pause(10), speech, pause(10)])
    noise = 1e-5 * np.random.default_rng(0).standard_normal(len(base) + 200 * HOP).astype(np.float32)
    found = FEATURE(np.pad(base, 100 * HOP) + noise)
    assert found.shape == FEATURE(base).shape
    np.testing.assert_allclose(found, FEATURE(base), atol=0.5)


@pytest.mark.parametrize(("decibels", "trim", "kept"), [(36, 40.0, True), (50, 40.0, False), (50, 60.0, True)])
def test_what_is_trimmed_is_judged_by_the_energy_of_all_bands(decibels, trim, kept):
    time = np.arange(60 * HOP) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    # A hiss: its loudest band alone lies some 9 dB below its energy.
    hiss = np.random.default_rng(0).standard_normal(len(time))
    hiss *= 10 ** (-decibels / 20) * np.sqrt(np.mean(tone**2) / np.mean(hiss**2))
    found = SpeechLogMel(trim=trim)(np.concatenate([tone, hiss]).astype(np.float32))
    assert found.shape[1] == pytest.approx(120 if kept else 60, abs=5)


def test_a_pause_within_the_speech_stays(speech):
    both = np.concatenate([speech, pause(50), speech])
    assert FEATURE(both).shape[1] >= 62 + 50 + 62


def test_levels_lie_in_their_range(speech):
    signal = np.concatenate([pause(10), speech, pause(10)])
    for limit in (20.0, 60.0):
        found = SpeechLogMel(range=limit)(signal)
        assert found.min() == -limit
        assert 0 <= found.max() < 6
        assert np.mean(found.max(axis=0) > 0) == pytest.approx(0.05, abs=0.04)  # the 95th percentile is 0 dB


def test_a_click_does_not_set_the_level(speech):
    signal = np.concatenate([pause(10), speech, pause(10)])
    clicked = signal.copy()
    clicked[len(signal) // 2] = 1.0
    near = slice(0, 30)
    np.testing.assert_allclose(FEATURE(clicked)[:, near], FEATURE(signal)[:, near], atol=1.5)


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_silence_alone_is_a_level_of_0(samples):
    found = FEATURE(np.zeros(samples, np.float32))
    np.testing.assert_array_equal(found, np.zeros((64, 1 + samples // HOP)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trim": 0.0}, "speech_log_mel: trim 0 and range 60 must be above 0, margin 3 at least 0"),
        ({"range": -1.0}, "range -1 must be above 0"),
        ({"margin": -1}, "margin -1 at least 0"),
        ({"rate": 8000}, "low must be below high, both from 0 to 4000 Hz, got 60 and 7800.0"),
        ({"hop": 0}, "hop 0"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        SpeechLogMel(**options)
