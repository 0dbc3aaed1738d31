import numpy as np
import pytest
from scipy import stats

from serkit import features
from serkit.errors import UserError
from serkit.features.mfcc import cosines
from serkit.features.speech_functionals import MODULATION_EDGES, STATISTICS, SpeechFunctionals, statistics
from serkit.features.speech_log_mel import SpeechLogMel

FEATURE = SpeechFunctionals()
RATE = 16000


def voice(seconds=2.0, pitch=150.0, tremolo=4.0, depth=0.6):
    """A buzz with all harmonics of a pitch, louder and softer in a rhythm."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, int(7500 / pitch)))
    return (0.1 * buzz * (1 + depth * np.sin(2 * np.pi * tremolo * time))).astype(np.float32)


def named(signal, feature=FEATURE):
    return dict(zip(feature.columns, feature(signal), strict=True))


def test_statistics_agree_with_scipy():
    contours = np.random.default_rng(0).gamma(2, size=(3, 31))
    found = dict(zip(STATISTICS, statistics(contours).T, strict=True))
    slope = np.diff(contours, prepend=contours[:, :1])
    expected = {
        "mean": contours.mean(axis=1),
        "deviation": contours.std(axis=1),
        "median": np.median(contours, axis=1),
        "p5": np.quantile(contours, 0.05, axis=1),
        "p95": np.quantile(contours, 0.95, axis=1),
        "skewness": stats.skew(contours, axis=1),
        "kurtosis": stats.kurtosis(contours, axis=1, fisher=False),
        "slope_deviation": slope.std(axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_the_course_of_a_contour_by_hand():
    # Thirds of 1, 4 and 3: it ends 2 higher than it began, and is 2 above both in between.
    contour = np.array([[0.0, 2.0, 4.0, 4.0, 3.0, 3.0]])
    found = dict(zip(STATISTICS, statistics(contour)[0], strict=True))
    assert found["course"] == pytest.approx(2)
    assert found["arch"] == pytest.approx(4 - (1 + 3) / 2)
    # Slopes 0, 2, 2, 0, -1, 0.
    assert found["rise"] == pytest.approx(4 / 6)
    assert found["bend_deviation"] == pytest.approx(np.std([0, 2, 0, -2, -1, 1]))


@pytest.mark.parametrize("value", [0.1, -8.137287, 3.0, 100.3])
@pytest.mark.parametrize("frames", [3, 31, 1000])
def test_what_stands_still_has_no_shape(value, frames):
    # The mean of equal float32 numbers is not always that number.
    found = dict(zip(STATISTICS, statistics(np.full((1, frames), value, dtype=np.float32))[0], strict=True))
    assert found["mean"] == pytest.approx(value, rel=1e-5)
    assert abs(found["skewness"]) < 1e-2 and abs(found["kurtosis"]) < 1e-2


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_hardly_any_frames(frames):
    found = statistics(np.ones((2, frames)))
    assert found.shape == (2, len(STATISTICS))
    assert np.isfinite(found).all()


def test_the_cepstrum_is_that_of_the_levels_of_speech_log_mel():
    signal = voice()
    cepstrum = cosines(64, 24, 0.0).T @ SpeechLogMel()(signal)
    found = named(signal)
    for number in (0, 1, 23):
        assert found[f"cepstrum{number}_mean"] == pytest.approx(cepstrum[number].mean(), abs=0.05)
        assert found[f"cepstrum{number}_deviation"] == pytest.approx(cepstrum[number].std(), abs=0.05)


@pytest.mark.parametrize("pitch", [100.0, 200.0, 400.0])
def test_pitch_is_in_semitones_above_200_hertz(pitch):
    found = named(voice(pitch=pitch, depth=0.0))
    assert found["pitch_median"] == pytest.approx(12 * np.log2(pitch / 200), abs=0.3)
    assert found["voicing_median"] > 0.35


def test_noise_has_no_pitch():
    found = named(np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32))
    assert found["voicing_p95"] < 0.3
    assert found["pitch_mean"] == found["pitch_deviation"] == 0


@pytest.mark.parametrize(("tremolo", "band"), [(2.0, "1.5"), (4.0, "3"), (10.0, "8")])
def test_a_rhythm_is_in_its_band_of_the_modulation_spectrum(tremolo, band):
    found = named(voice(4.0, tremolo=tremolo))
    group = [found[f"modulation5_{low:g}"] for low in MODULATION_EDGES[:-1]]
    assert f"{MODULATION_EDGES[int(np.argmax(group))]:g}" == band


@pytest.mark.parametrize("gain", [0.01, 0.3, 5.0])
def test_recording_level_does_not_matter(gain):
    signal = np.pad(voice(), 4000)
    np.testing.assert_allclose(FEATURE(np.float32(gain) * signal), FEATURE(signal), atol=0.02, rtol=1e-3)


def test_silence_around_the_speech_does_not_matter():
    signal = np.pad(voice(), 20 * FEATURE.hop)
    longer = np.pad(voice(), (30 * FEATURE.hop, 100 * FEATURE.hop))
    np.testing.assert_allclose(FEATURE(longer), FEATURE(signal), atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("signal", [np.zeros(0), np.zeros(100), np.zeros(8000), np.ones(1), np.ones(160_000)])
def test_whatever_comes_in_numbers_come_out(signal):
    found = FEATURE(signal.astype(np.float32))
    assert found.shape == FEATURE.shape == (26 * len(STATISTICS) + 16 * 7,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_columns_name_every_value_once():
    assert len(set(FEATURE.columns)) == len(FEATURE.columns)
    small = SpeechFunctionals(coefficients=5, groups=8, bands=32)
    assert small.shape == small(voice(0.5)).shape
    assert features.build(**features.config(small)) == small


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"coefficients": 65}, r"speech_functionals: coefficients must be from 1 to bands \(64\), got 65; groups must"),
        ({"groups": 7}, "groups must divide the bands, got 7"),
        ({"trim": 0.0}, "speech_functionals: trim 0"),
        ({"length": 513}, r"length must be from 1 to fft \(512\), got 513"),
        ({"high": 9000.0}, "both from 0 to 8000 Hz, got 60 and 9000"),
    ],
)
def test_what_cannot_be(options, problem):
    with pytest.raises(UserError, match=problem):
        SpeechFunctionals(**options)


@pytest.mark.parametrize("options", [{"hop": 512}, {"hop": 3}, {"rate": 8000, "high": 3800.0}])
def test_frames_that_do_not_show_the_modulation_are_refused(options):
    hop = options.get("rate", 16000) * 256 // 16000
    with pytest.raises(UserError, match=f"frames per second cannot show modulation .*; use hop {hop}"):
        SpeechFunctionals(**options)
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    assert np.isfinite(SpeechFunctionals(**{**options, "hop": hop})(noise)).all()
