import librosa
import numpy as np
import pytest
import scipy.fft

from serkit.errors import UserError
from serkit.features.log_mel import LogMel
from serkit.features.mfcc import Mfcc

LITERAL = {"rate": 8000, "fft": 256, "length": 192, "hop": 96}


def noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("options", [{}, LITERAL, {"coefficients": 13, "preemphasis": 0.9, "scale": "slaney"}])
def test_it_is_librosas(options):
    feature = Mfcc(**options)
    signal = noise(3 * feature.rate)
    mel = librosa.feature.melspectrogram(
        y=librosa.effects.preemphasis(signal, coef=feature.preemphasis, zi=np.zeros(1)), sr=feature.rate,
        n_fft=feature.fft, win_length=feature.length, hop_length=feature.hop, window="hamming", n_mels=40, fmin=0,
        htk=feature.scale == "htk", norm=None, pad_mode="constant",
    )  # fmt: skip
    expected = librosa.feature.mfcc(S=np.log(mel), n_mfcc=feature.coefficients)
    found = feature(signal)
    assert found.dtype == np.float32
    assert feature.shape == (feature.coefficients, None)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(("options", "frames"), [({}, 250), (LITERAL, 250)])
def test_three_seconds_are_250_frames_and_one(options, frames):
    feature = Mfcc(**options)
    assert feature(noise(3 * feature.rate)).shape == (40, frames + 1)


def test_without_preemphasis_it_is_the_transform_of_the_log_mel_spectrogram():
    signal = noise(5000)
    levels = LogMel(fft=512, length=384, hop=192, bands=40, window="hann", level="db")(signal)
    found = Mfcc(preemphasis=0, level="db", window="hann")(signal)
    np.testing.assert_allclose(found, scipy.fft.dct(levels, axis=0, norm="ortho"), atol=1e-3)


def test_preemphasis_subtracts_the_sample_before():
    signal = noise(4000)
    expected = np.array([signal[0], *(signal[1:] - np.float32(0.5) * signal[:-1])])
    before = signal.copy()
    np.testing.assert_allclose(Mfcc(preemphasis=0.5)(signal), Mfcc(preemphasis=0)(expected), atol=1e-4)
    np.testing.assert_array_equal(signal, before)


def test_the_lifter_weighs_each_coefficient():
    plain, signal = Mfcc(coefficients=13), noise(4000)
    factors = [1 + 11 * np.sin(np.pi * n / 22) for n in range(13)]
    expected = plain(signal) * np.array(factors)[:, None]
    np.testing.assert_allclose(Mfcc(coefficients=13, lifter=22)(signal), expected, rtol=1e-4, atol=1e-4)


def test_silence_is_the_floor_and_nothing_else():
    found = Mfcc(floor=1e-4)(np.zeros(2000, np.float32))
    np.testing.assert_allclose(found[0], np.log(1e-4) * np.sqrt(40), rtol=1e-5)
    np.testing.assert_allclose(found[1:], 0, atol=1e-4)


def test_loudness_is_in_the_first_coefficient_alone():
    signal = noise(4000)
    difference = Mfcc()(3 * signal) - Mfcc()(signal)
    np.testing.assert_allclose(difference[0], 2 * np.log(3) * np.sqrt(40), atol=1e-3)
    np.testing.assert_allclose(difference[1:], 0, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coefficients": 41}, r"mfcc: coefficients must be from 1 to bands \(40\), got 41"),
        ({"coefficients": 0}, r"coefficients must be from 1 to bands \(40\), got 0"),
        ({"level": "linear"}, "mfcc: level must be 'ln' or 'db', got 'linear'"),
        ({"preemphasis": 1.5}, r"mfcc: preemphasis must be from 0 to 1 and lifter at least 0, got 1.5 and 0"),
        ({"lifter": -1.0}, "lifter at least 0, got 0.97 and -1"),
        ({"length": 600}, r"length must be from 1 to fft \(512\), got 600"),
        ({"window": "haming"}, "window 'haming'. Did you mean 'hamming'"),
        ({"floor": 0.0}, "floor 0 must be above 0"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message) as caught:
        Mfcc(**options)
    assert "\n" not in str(caught.value)
