import librosa
import numpy as np
import pytest

from serkit.errors import UserError
from serkit.features.log_mel import LogMel

GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.standard_normal(40000).astype(np.float32) * 0.1
CONFIGURATIONS = {
    "defaults": {},
    "speech": {"hop": 256, "low": 60.0, "high": 7800.0},
    "librosa": {
        "rate": 22050,
        "fft": 2048,
        "length": 2048,
        "hop": 512,
        "bands": 128,
        "scale": "slaney",
        "norm": "slaney",
    },
    "narrow": {"rate": 8000, "fft": 256, "length": 200, "hop": 80, "bands": 20, "low": 100.0, "high": 3400.0},
    "magnitude": {"power": 1.0, "window": "hamming", "level": "ln"},
    "other power": {"power": 0.6, "window": "rectangular", "norm": "slaney"},
    "odd": {"fft": 401, "length": 401, "hop": 101, "bands": 30},
}


def librosas(feature, signal):
    """Mel spectrogram before the logarithm."""
    if not feature.center:
        signal = np.pad(signal, (0, max(0, feature.fft - len(signal))))
    return librosa.feature.melspectrogram(
        y=signal,
        sr=feature.rate,
        n_fft=feature.fft,
        hop_length=feature.hop,
        win_length=feature.length,
        window={"rectangular": "boxcar"}.get(feature.window, feature.window),
        center=feature.center,
        pad_mode="constant",
        power=feature.power,
        n_mels=feature.bands,
        fmin=feature.low,
        fmax=feature.high or feature.rate / 2,
        htk=feature.scale == "htk",
        norm=feature.norm,
    )


@pytest.mark.parametrize("samples", [1, 100, 399, 400, 512, 5000, 5120, 5121, 40000])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
@pytest.mark.filterwarnings("ignore:n_fft=:UserWarning")
def test_it_is_librosas(options, center, samples):
    signal = NOISE[:samples]
    linear = LogMel(**{**options, "center": center, "level": "linear"})
    expected = librosas(linear, signal)
    found = linear(signal)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert linear.shape == (len(found), None)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())
    levels = LogMel(**{**options, "center": center})
    scale = 1 if levels.level == "ln" else 10 / np.log(10)
    expected = scale * np.log(np.maximum(expected, 1e-10))
    np.testing.assert_allclose(levels(signal), expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"bands": 1}, [[4]]),
        ({"bands": 2}, [[2], [2]]),
        ({"bands": 2, "norm": "slaney"}, [[1.5], [1.5]]),
        ({"bands": 2, "power": 1.0}, [[1], [1]]),
        ({"bands": 2, "level": "ln"}, [[np.log(2)], [np.log(2)]]),
        ({"bands": 1, "level": "db"}, [[20 * np.log10(2)]]),
        ({"bands": 1, "low": 2.0}, [[0]]),
    ],
)
def test_by_hand(options, expected):
    # One frame 1 0 -1 0 at 8 Hz: magnitudes 0 2 0 at 0 2 4 Hz. Below 1 kHz Slaney's scale is linear, so that
    # one filter has the edges 0 2 4, and two have 0 4/3 8/3 4: 2 Hz lies half up each.
    signal = np.array([1, 0, -1, 0], dtype=np.float32)
    base = {"rate": 8, "fft": 4, "length": 4, "hop": 4, "window": "rectangular", "scale": "slaney", "center": False}
    found = LogMel(**{**base, "level": "linear", **options})(signal)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_full_scale_sine_reads_the_windows_gain():
    # At the middle of a bin its power is (sum of the window / 2)^2; a rectangular filter would pass all of it.
    feature = LogMel(bands=200, fft=512, length=512, level="linear", window="hann", center=False)
    signal = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000).astype(np.float32)
    energy = feature(signal)[:, 10]
    frequency = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 202)[1:-1] / 2595) - 1)
    assert frequency[np.argmax(energy)] == pytest.approx(2000, abs=40)
    assert energy.max() <= (256 / 2) ** 2 * 1.001
    assert energy.max() > (256 / 2) ** 2 * 0.7


@pytest.mark.parametrize(
    ("level", "floor", "expected"),
    [("db", 1e-10, -100), ("db", 1e-4, -40), ("ln", 1e-10, np.log(1e-10)), ("linear", 1e-10, 0)],
)
def test_silence_reads_the_floor(level, floor, expected):
    found = LogMel(level=level, floor=floor)(np.zeros(3000, np.float32))
    np.testing.assert_allclose(found, np.full((64, 19), expected), rtol=1e-5)


def test_nothing_changes_where_chunks_meet():
    feature = LogMel(center=False)
    whole = feature(NOISE)
    assert whole.shape[1] > 7 * 32
    alone = np.concatenate([feature(NOISE[160 * frame : 160 * frame + 512]) for frame in range(whole.shape[1])], axis=1)
    np.testing.assert_allclose(whole, alone, rtol=1e-5, atol=1e-4)


def test_the_signal_is_left_as_it_was():
    signal = NOISE.copy()
    LogMel()(signal)
    np.testing.assert_array_equal(signal, NOISE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 513}, r"log_mel: length must be from 1 to fft \(512\), got 513"),
        ({"length": 0}, r"log_mel: length must be from 1 to fft \(512\), got 0"),
        ({"high": 9000.0}, "log_mel: low must be below high, both from 0 to 8000 Hz, got 0 and 9000.0"),
        ({"low": 500.0, "high": 400.0}, "low must be below high, both from 0 to 8000 Hz, got 500 and 400.0"),
        ({"rate": 0}, "low must be below high"),
        ({"hop": 0}, "log_mel: hop 0, bands 64 and floor 1e-10 must be above 0"),
        ({"bands": 0}, "bands 0"),
        ({"floor": 0.0}, "floor 0 must be above 0"),
        ({"window": "han"}, r"unknown log_mel window 'han'. Did you mean 'hann'\?"),
        ({"scale": "htc"}, r"unknown log_mel scale 'htc'. Did you mean 'htk'\?"),
        ({"norm": "slany"}, r"unknown log_mel norm 'slany'. Did you mean 'slaney'\? Available: None, slaney"),
        ({"level": "dB"}, "unknown log_mel level 'dB'.*Available: db, linear, ln"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        LogMel(**options)
