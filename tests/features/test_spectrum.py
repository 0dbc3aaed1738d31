import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit.features import spectrum


@pytest.mark.parametrize(("name", "other"), [("hann", "hann"), ("hamming", "hamming"), ("rectangular", "boxcar")])
@pytest.mark.parametrize(("length", "fft"), [(400, 512), (256, 256), (25, 64), (401, 512), (400, 511)])
def test_windows_are_scipys_periodic_ones_in_the_middle(name, other, length, fft):
    window = spectrum.window(name, length, fft)
    expected = librosa.util.pad_center(scipy.signal.get_window(other, length, fftbins=True), size=fft)
    assert (window.dtype, window.shape) == (np.float32, (fft,))
    np.testing.assert_allclose(window, expected, atol=1e-7)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize(
    ("rate", "fft", "bands", "low", "high"),
    [(16000, 512, 64, 0, 8000), (16000, 400, 40, 60, 7800), (8000, 256, 20, 300, 3400), (44100, 2048, 128, 0, 22050)],
)
def test_mel_filters_are_librosas(rate, fft, bands, low, high, scale, norm):
    filters = spectrum.mel_filters(rate, fft, bands, low, high, scale, norm)
    expected = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=bands, fmin=low, fmax=high, htk=scale == "htk", norm=norm)
    assert (filters.dtype, filters.shape) == (np.float32, (fft // 2 + 1, bands))
    np.testing.assert_allclose(filters, expected.T, atol=1e-5 * expected.max())


def test_mel_scales_by_hand():
    # 2595 log10(1 + 700 / 700); 1000 Hz is 15 mel on Slaney's scale, 6400 Hz is 27 more.
    assert spectrum._hz_to_mel(700, "htk") == pytest.approx(2595 * 0.30102999566)
    assert spectrum._hz_to_mel(1000, "htk") == pytest.approx(999.985, abs=1e-3)
    assert spectrum._hz_to_mel(500, "slaney") == pytest.approx(7.5)
    assert spectrum._hz_to_mel(6400, "slaney") == pytest.approx(42)
    for scale in ("htk", "slaney"):
        for frequency in (0, 440, 999, 1000, 7800):
            mel = spectrum._hz_to_mel(frequency, scale)
            assert spectrum._mel_to_hz(np.array([mel]), scale)[0] == pytest.approx(frequency)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 300), st.integers(1, 400), st.booleans())
def test_frame_count_is_what_comes(samples, fft, hop, center):
    places = [
        place for place, _ in spectrum.spectra(np.zeros(samples, np.float32), np.ones(fft, np.float32), hop, center)
    ]
    expected = list(range(spectrum.frame_count(samples, fft, hop, center)))
    assert [frame for place in places for frame in range(place.start, place.stop)] == expected
    padded = samples + 2 * (fft // 2) if center else max(samples, fft)
    if padded >= fft:
        assert len(expected) == librosa.util.frame(np.zeros(padded), frame_length=fft, hop_length=hop).shape[1]


def test_the_mean_of_each_frame_is_removed():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(3000).astype(np.float32) + np.linspace(0, 9, 3000, dtype=np.float32)
    taper = spectrum.window("hann", 400, 512)
    found = np.concatenate([part for _, part in spectrum.spectra(signal, taper, 160, True, remove_offset=True)])
    repeated = np.pad(signal, 256, "edge")
    inside = slice(57, 456)  # where the window is above 0
    expected = np.zeros((len(found), 512))
    for row, frame in enumerate(librosa.util.frame(repeated, frame_length=512, hop_length=160).T):
        expected[row, inside] = scipy.signal.detrend(frame[inside], type="constant")
    np.testing.assert_allclose(found, np.fft.rfft(expected * taper), atol=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("remove_offset", [False, True])
@pytest.mark.parametrize(("name", "length"), [("hann", 512), ("hann", 1), ("rectangular", 512)])
@pytest.mark.parametrize("center", [False, True])
def test_nothing_and_a_constant_have_no_spectrum(name, length, center, remove_offset):
    taper = spectrum.window(name, length, 512)
    signals = [np.zeros(0, np.float32), *(np.full(n, 0.9 * remove_offset, np.float32) for n in (1, 56, 512, 3000))]
    for signal in signals:
        for _, found in spectrum.spectra(signal, taper, 160, center, remove_offset):
            assert not found.any()


def test_spectra_by_hand():
    signal = np.array([1, 2, 3, 4, 5, 6, 7], dtype=np.float32)
    taper = np.ones(4, dtype=np.float32)

    def sums(center):
        return [row[0].real for _, chunk in spectrum.spectra(signal, taper, 3, center) for row in chunk]

    assert sums(center=False) == [1 + 2 + 3 + 4, 4 + 5 + 6 + 7]
    assert sums(center=True) == [0 + 0 + 1 + 2, 2 + 3 + 4 + 5, 5 + 6 + 7 + 0]
    [(place, short)] = spectrum.spectra(signal[:2], taper, 3, False)
    assert place == slice(0, 1)
    np.testing.assert_allclose(short[0], [3, 1 - 2j, -1], atol=1e-6)  # 1 2 0 0
    assert short.dtype == np.complex64


@pytest.mark.parametrize("center", [True, False])
def test_chunks_joined_are_one_transform(center):
    generator = np.random.default_rng(0)
    signal = generator.standard_normal(100 * 64 + 31).astype(np.float32)
    taper = spectrum.window("hann", 200, 256)
    found = np.concatenate([chunk for _, chunk in spectrum.spectra(signal, taper, 64, center)])
    assert len(found) > 3 * spectrum.CHUNK
    padded = np.pad(signal, 128) if center else signal
    frames = np.lib.stride_tricks.sliding_window_view(padded, 256)[::64]
    np.testing.assert_array_equal(found, np.fft.rfft(frames * taper))


@pytest.mark.parametrize(("frames", "bins", "bands"), [(32, 257, 64), (32, 513, 128), (3, 2049, 512), (1, 5, 2)])
def test_filters_are_applied_in_any_portions(frames, bins, bands):
    generator = np.random.default_rng(0)
    energy = generator.random((frames, bins), dtype=np.float32)
    filters = generator.random((bins, bands), dtype=np.float32)
    out = np.full((frames, bands), np.nan, dtype=np.float32)
    spectrum.apply_filters(energy, filters, out)
    np.testing.assert_allclose(out, energy.astype(np.float64) @ filters, rtol=1e-5)
