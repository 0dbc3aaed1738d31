import librosa
import numpy as np
import pytest
import scipy.signal

from serkit.errors import UserError
from serkit.features.stft_magnitude import StftMagnitude

NOISE = np.random.default_rng(0).standard_normal(9000).astype(np.float32) * 0.1


@pytest.mark.parametrize("samples", [1, 100, 256, 4096, 4097, 9000])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spectrum_scale": False},
        {"fft": 512, "length": 400, "hop": 160, "window": "hann"},
        {"fft": 255, "length": 255},
    ],
)
@pytest.mark.filterwarnings("ignore:n_fft=:UserWarning")
def test_it_is_librosas(options, center, samples):
    feature = StftMagnitude(**options, center=center)
    signal = NOISE[:samples]
    padded = signal if center else np.pad(signal, (0, max(0, feature.fft - samples)))
    expected = np.abs(
        librosa.stft(
            padded,
            n_fft=feature.fft,
            hop_length=feature.hop,
            win_length=feature.length,
            window=feature.window,
            center=center,
            pad_mode="constant",
        )
    )
    if feature.spectrum_scale:
        expected /= scipy.signal.get_window(feature.window, feature.length).sum()
    found = feature(signal)
    assert (found.dtype, feature.shape) == (np.float32, (len(found), None))
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_four_seconds_are_501_frames_of_129():
    assert StftMagnitude()(np.zeros(64000, np.float32)).shape == (129, 501)


@pytest.mark.parametrize("window", ["hann", "hamming", "rectangular"])
def test_a_full_scale_sine_reads_a_half(window):
    signal = np.sin(2 * np.pi * 1000 * np.arange(8000) / 16000).astype(np.float32)
    found = StftMagnitude(window=window, center=False)(signal)
    np.testing.assert_allclose(found[16], 0.5, atol=1e-4)
    assert np.all(np.argmax(found, axis=0) == 16)


def test_by_hand():
    options = {"rate": 8, "fft": 4, "length": 4, "hop": 2, "window": "rectangular", "center": False}
    signal = np.array([1, 0, -1, 0, 1, 1], dtype=np.float32)
    plain = StftMagnitude(**options, spectrum_scale=False)(signal)
    np.testing.assert_allclose(plain, [[0, 1], [2, np.sqrt(5)], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(StftMagnitude(**options)(signal), plain / 4, atol=1e-6)


def test_nothing_changes_where_chunks_meet():
    feature = StftMagnitude(center=False)
    whole = feature(NOISE)
    assert whole.shape[1] > 2 * 32
    alone = [feature(NOISE[128 * frame : 128 * frame + 256]) for frame in range(whole.shape[1])]
    np.testing.assert_allclose(whole, np.concatenate(alone, axis=1), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 257}, r"stft_magnitude: length must be from 1 to fft \(256\), got 257"),
        ({"hop": 0}, "stft_magnitude: rate 16000 and hop 0 must be above 0"),
        ({"window": "hamm"}, r"unknown stft_magnitude window 'hamm'. Did you mean 'hamming'\?"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        StftMagnitude(**options)


def test_four_seconds_as_an_image_of_512_by_128():
    """Time runs along the rows: 501 of them, then zeros; the bin at half the rate is cut off."""
    signal = np.tile(NOISE, 8)[:64000]
    feature, whole = StftMagnitude(size=[512, 128]), StftMagnitude()(signal)
    found = feature(signal)
    assert found.shape == feature.shape == (1, 512, 128) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0, :501], whole[:128].T)
    assert not found[0, 501:].any()
    cut = StftMagnitude(size=(3, 200))(signal)
    np.testing.assert_array_equal(cut[0, :, :129], whole[:, :3].T)
    assert not cut[0, :, 129:].any()


@pytest.mark.parametrize("size", [(512,), (0, 128)])
def test_sizes_that_are_none(size):
    with pytest.raises(UserError, match=r"size must be frames and bins, e\.g\. \[512, 128\], got "):
        StftMagnitude(size=size)
