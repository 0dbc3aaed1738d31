"""Compared with librosa and Pillow, step by step as the paper names the steps."""

import librosa
import numpy as np
import pytest
from PIL import Image

from serkit import features
from serkit.errors import UserError
from serkit.features import chroma

RATE = 16000

#: What `librosa.estimate_tuning` (0.11) finds in `speech_like` of some pitches.
LIBROSAS_TUNING = {150: -0.34, 180: -0.12, 210: 0.35, 233: 0.29, 260: 0.08, 301: -0.24}


def speech_like(seconds=1.5, seed=0, pitch=210.0):
    """A buzz whose pitch and level move, in a little noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(5 * time))) / RATE
    buzz = sum(np.sin(number * phase) / number for number in range(1, 15)) * (0.2 + 0.1 * np.sin(9 * time))
    return (buzz + 0.003 * generator.standard_normal(len(time))).astype(np.float32)


def resized(levels, size):
    """Two bilinear steps: to as many columns as rows, then to the wanted size."""
    picture = Image.fromarray(np.ascontiguousarray(levels, dtype=np.float32), mode="F")
    picture = picture.resize((len(levels), len(levels)), Image.Resampling.BILINEAR)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def by_librosa(name, signal, size, strict):
    signal = np.trim_zeros(librosa.effects.preemphasis(signal))
    if name == "mel_square":
        values = librosa.feature.melspectrogram(y=signal, sr=RATE)
    elif name == "chroma_square":
        # librosa's own search for the tuning is compiled while it runs, which takes a minute on a slow machine.
        tuning = chroma.tuning(np.abs(librosa.stft(signal)).T ** 2, RATE)
        values = librosa.feature.chroma_stft(y=signal, sr=RATE, tuning=tuning)
    else:
        values = librosa.feature.mfcc(y=signal, sr=RATE)
    if not strict:
        values = librosa.amplitude_to_db(values, ref=np.max)
    elif name != "mfcc_square":
        values = librosa.power_to_db(values, ref=np.max)
    return resized(values / 80, size)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("size", [30, 50, 60, 80])
@pytest.mark.parametrize("name", ["mel_square", "chroma_square", "mfcc_square"])
def test_it_is_the_chain_of_librosa_and_pillow(name, size, strict):
    signal = np.pad(speech_like(pitch=180 + size), (700, 300))
    feature = features.build(name, size=size, strict_units=strict)
    found = feature(signal)
    assert found.dtype == np.float32
    assert found.shape == feature.shape == (1, size, size)
    # 1e-4 is 0.008 dB. Of a cepstrum, where it passes through zero, the level is a difference of rounding errors.
    tolerance = 2e-3 if name == "mfcc_square" else 2e-4
    np.testing.assert_allclose(found[0], by_librosa(name, signal, size, strict), atol=tolerance)


@pytest.mark.parametrize("strict", [False, True])
def test_quiet_signals_meet_librosas_floor(strict):
    signal = np.float32(1e-4) * speech_like()
    found = features.build("mel_square", strict_units=strict)(signal)[0]
    np.testing.assert_allclose(found, by_librosa("mel_square", signal, 60, strict), atol=2e-4)
    assert found.min() > -0.9  # the floor, not 80 dB below the maximum


@pytest.mark.parametrize("length", [2, 100, 511, 4000])
def test_short_signals(length):
    signal = speech_like()[:length]
    found = features.build("mel_square")(signal)[0]
    np.testing.assert_allclose(found, by_librosa("mel_square", signal, 60, False), atol=2e-4)


@pytest.mark.parametrize("cents", [-40, -17, 0, 8, 33, 49])
def test_the_tuning_of_a_tone(cents):
    time = np.arange(RATE) / RATE
    signal = np.sin(2 * np.pi * 880 * 2 ** (cents / 1200) * time).astype(np.float32)
    power = np.abs(librosa.stft(signal)).T ** 2
    found = chroma.tuning(power, RATE)
    assert found == pytest.approx(cents / 100, abs=0.03)


def test_tuning_of_speech_and_of_nothing():
    for pitch, expected in LIBROSAS_TUNING.items():
        power = np.abs(librosa.stft(speech_like(pitch=pitch))).T ** 2
        assert chroma.tuning(power, RATE) == pytest.approx(expected, abs=1e-9)
    assert chroma.tuning(np.zeros((3, 1025), dtype=np.float32), RATE) == 0


@pytest.mark.parametrize("offset", [0.0, -0.37, 0.2])
def test_filters_are_librosas(offset):
    expected = librosa.filters.chroma(sr=RATE, n_fft=2048, tuning=offset).T
    np.testing.assert_allclose(chroma.chroma_filters(RATE, 2048, offset), expected, atol=1e-6)


def test_a_tone_is_its_pitch_class():
    signal = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    found = chroma.chromagram(np.abs(librosa.stft(signal)).T ** 2, RATE)
    assert set(found[:, 5:-5].argmax(axis=0)) == {9}  # A, counted from C


def test_units():
    signal = speech_like()
    loose, strict = (features.build("mel_square", strict_units=choice)(signal) for choice in (False, True))
    # Where neither is cut off, taking a power for an amplitude doubles the dB.
    assert np.median(loose) < 1.5 * np.median(strict) < 0
    assert loose.min() >= -1 and loose.max() <= 0
    assert features.build("mfcc_square", strict_units=True)(signal).max() > 0
    assert features.build("mfcc_square")(signal).max() <= 0


def test_silence_is_dark_and_the_signal_stays_as_it_is():
    for name in ("mel_square", "chroma_square", "mfcc_square"):
        for samples in (1, 3000):
            np.testing.assert_array_equal(features.build(name)(np.zeros(samples, dtype=np.float32)), -1)
    signal = speech_like()
    before = signal.copy()
    features.build("mel_square")(signal)
    np.testing.assert_array_equal(signal, before)


def test_exact_zeros_at_the_ends_make_no_difference():
    signal = np.pad(speech_like(), (3, 3))
    padded = np.pad(signal, 5000)
    np.testing.assert_array_equal(features.build("mel_square")(padded), features.build("mel_square")(signal))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mel_square", {"size": 0}, "mel_square: size must be above 0, got 0"),
        ("chroma_square", {"preemphasis": 1.5}, r"chroma_square: preemphasis must be from 0 to 1, got 1.5"),
        ("mfcc_square", {"coefficients": 200}, r"mfcc_square: coefficients must be from 1 to 128 \(bands\), got 200"),
        ("chroma_square", {"bands": 3}, "unknown option of feature 'chroma_square' 'bands'"),
    ],
)
def test_what_cannot_be_is_told(name, options, message):
    with pytest.raises(UserError, match=message):
        features.build(name, **options)


def test_its_configuration_makes_it_again():
    feature = features.build("mfcc_square", size=30, strict_units=True)
    assert features.build(**features.config(feature)) == feature
