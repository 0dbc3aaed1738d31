import csv
import warnings

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import scipy.signal
import scipy.stats

import older_processor
from serkit import audio
from serkit.corpora.corpus import Utterance
from serkit.data.feature_table import write
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.features import cepstral_pitch, spectrum
from serkit.features.is09 import FUNCTIONALS, Is09, functionals
from serkit.features.is09_descriptors import Is09Descriptors

RATE = 16000
GENERATOR = np.random.default_rng(0)
NOISE = (0.1 * GENERATOR.standard_normal(2 * RATE)).astype(np.float32)


def sawtooth(frequency, seconds=1.0):
    """A glottal-like tone without aliasing; `frequency` in Hz, one value or one per sample."""
    frequency = np.broadcast_to(frequency, int(seconds * RATE))
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    partials = (np.sin(number * phase) / number * (number * frequency < 4000) for number in range(1, 80))
    return (0.2 * sum(partials)).astype(np.float32)


def contours(signal):
    """Descriptors by name."""
    feature = Is09Descriptors()
    return dict(zip(feature.columns, feature(signal), strict=True))


def values(signal):
    """Features by name."""
    feature = Is09()
    return dict(zip(feature.columns, feature(signal), strict=True))


def test_names_are_the_challenges_in_its_order():
    names = Is09().columns
    assert len(names) == len(set(names)) == 384 == Is09().shape[0]
    expected = {
        0: "pcm_RMSenergy_sma_max",
        11: "pcm_RMSenergy_sma_kurtosis",
        12: "pcm_fftMag_mfcc_sma[1]_max",
        155: "pcm_fftMag_mfcc_sma[12]_kurtosis",
        156: "pcm_zcr_sma_max",
        168: "voiceProb_sma_max",
        180: "F0_sma_max",
        191: "F0_sma_kurtosis",
        192: "pcm_RMSenergy_sma_de_max",
        204: "pcm_fftMag_mfcc_sma_de[1]_max",
        348: "pcm_zcr_sma_de_max",
        383: "F0_sma_de_kurtosis",
    }
    assert {place: names[place] for place in expected} == expected
    assert [name.rpartition("_")[2] for name in names[:12]] == list(FUNCTIONALS)
    descriptors = Is09Descriptors().columns
    assert len(descriptors) == len(set(descriptors)) == 32 == Is09Descriptors().shape[0]
    assert names[::12] == [f"{name}_max" for name in descriptors]


def test_functionals_against_scipy():
    found = GENERATOR.gamma(2.0, size=(5, 83)).astype(np.float32)
    result = dict(zip(FUNCTIONALS, functionals(found).T, strict=True))
    exact = found.astype(np.float64)
    lines = [np.polyfit(np.arange(83), row, 1) for row in exact]
    residuals = [np.mean((row - np.polyval(line, np.arange(83))) ** 2) for row, line in zip(exact, lines, strict=True)]
    expected = {
        "max": exact.max(1),
        "min": exact.min(1),
        "range": np.ptp(exact, axis=1),
        "maxPos": [list(row).index(max(row)) for row in exact],
        "minPos": [list(row).index(min(row)) for row in exact],
        "amean": exact.mean(1),
        "linregc1": [line[0] for line in lines],
        "linregc2": [line[1] for line in lines],
        "linregerrQ": residuals,
        "stddev": exact.std(1, ddof=0),
        "skewness": scipy.stats.skew(exact, axis=1),
        "kurtosis": scipy.stats.kurtosis(exact, axis=1, fisher=False),
    }
    assert tuple(expected) == FUNCTIONALS
    for name, wanted in expected.items():
        np.testing.assert_allclose(result[name], wanted, rtol=1e-9, atol=1e-12, err_msg=name)


def test_functionals_by_hand():
    rows = np.array([[1, 3, 5, 7], [2, 5, 2, 5], [4, 4, 4, 4]], dtype=np.float32)
    ramp, tie, constant = functionals(rows)
    # Deviations -3 -1 1 3: variance 5, fourth moment 41.
    np.testing.assert_allclose(ramp, [7, 1, 6, 3, 0, 4, 2, 1, 0, 5**0.5, 0, 41 / 25], atol=1e-12)
    # Slope (-1.5 * -1.5 + -0.5 * 1.5 + 0.5 * -1.5 + 1.5 * 1.5) / 5 = 0.6; mean square 2.25 - 0.6**2 * 1.25 is left.
    np.testing.assert_allclose(tie, [5, 2, 3, 1, 0, 3.5, 0.6, 2.6, 1.8, 1.5, 0, 1], atol=1e-12)
    np.testing.assert_array_equal(constant, [4, 4, 0, 0, 0, 4, 0, 4, 0, 0, 0, 0])
    np.testing.assert_array_equal(functionals(np.float32([[0.1]]))[0, 6:], [0, np.float32(0.1), 0, 0, 0, 0])
    np.testing.assert_allclose(functionals(np.float32([[1, 3]]))[0, 6:9], [2, 1, 0])


def test_a_constant_has_no_shape_whatever_its_length():
    for frames in range(1, 200):
        np.testing.assert_array_equal(functionals(np.full((1, frames), 0.1, np.float32))[0, 8:], 0)


def test_functionals_are_of_all_frames_but_two():
    feature, descriptors = Is09(), Is09Descriptors()
    for samples in (1, 400, 560, 719, 720, 5000):
        signal = NOISE[:samples]
        frames = max(1, 1 + (samples - 400) // 160)
        found = descriptors(signal)
        assert found.shape == (32, frames)
        expected = functionals(found[:, : max(1, frames - 2)])
        np.testing.assert_allclose(feature(signal), expected.ravel(), rtol=1e-6, atol=1e-12)


def independent(signal):
    """RMS energy and MFCC of each frame, written out plainly: (13, frames)."""
    pieces = [signal[begin : begin + 400].astype(np.float64) for begin in range(0, len(signal) - 399, 160)]
    frames = np.array([np.append(piece[0] * 0.03, piece[1:] - 0.97 * piece[:-1]) for piece in pieces])
    frames *= np.hamming(400) * 32768 / 32767
    magnitude = np.abs(scipy.fft.fft(frames, 512)[:, :257])
    mel = 2595 * np.log10(1 + np.arange(257) * RATE / 512 / 700)
    edges = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    triangles = zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
    filters = np.array([np.interp(mel, triangle, [0, 1, 0]) for triangle in triangles])
    levels = np.log(np.maximum(32767 * magnitude @ filters.T, 1))
    # scipy's orthonormal DCT-II has the factor sqrt(2 / 26) for every coefficient but c0.
    cepstrum = scipy.fft.dct(levels, norm="ortho")[:, 1:13] * (1 + 11 * np.sin(np.pi * np.arange(1, 13) / 22))
    return np.column_stack((np.sqrt((frames**2).mean(1)), cepstrum)).T


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_energy_and_mfcc_against_scipy(scale):
    signal = scale * (NOISE[:8000] + sawtooth(140, 0.5))
    raw = independent(signal)
    smooth = scipy.ndimage.uniform_filter1d(raw, 3, mode="nearest")
    found = Is09Descriptors()(signal)
    np.testing.assert_allclose(found[0], smooth[0], rtol=1e-5)
    np.testing.assert_allclose(found[1:13], smooth[1:], atol=2e-3)
    # The slope over five frames is scipy's Savitzky-Golay derivative of a line; the ends hold the end value.
    slope = scipy.signal.savgol_filter(smooth, 5, 1, deriv=1)
    np.testing.assert_allclose(found[17:29, 2:-2], slope[1:, 2:-2], atol=1e-3)


def test_smoothing_and_slope_at_the_ends():
    signal = NOISE[:1200] * np.linspace(0.1, 1, 1200, dtype=np.float32) ** 2
    frames = independent(signal)[0]
    assert len(frames) == 6
    held = np.concatenate((frames[:1], frames, frames[-1:].repeat(3)))
    smooth = (held[:-2] + held[1:-1] + held[2:]) / 3
    padded = np.concatenate((smooth[:1].repeat(2), smooth))
    slope = [(padded[t + 3] - padded[t + 1] + 2 * (padded[t + 4] - padded[t])) / 10 for t in range(6)]
    found = Is09Descriptors()(signal)
    np.testing.assert_allclose(found[0], smooth[:-2], rtol=1e-5)
    np.testing.assert_allclose(found[16], slope, rtol=1e-3)


def test_zero_crossings():
    alternating = np.tile(np.float32([0.1, -0.1]), 2000)
    # 400 samples have 399 steps; the last is not counted.
    np.testing.assert_allclose(contours(alternating)["pcm_zcr_sma"], 398 / 400, rtol=1e-6)
    # Through 0: + 0 - 0 is one crossing per 0, that is every second sample.
    through = np.tile(np.float32([0.1, 0, -0.1, 0]), 1000)
    np.testing.assert_allclose(contours(through)["pcm_zcr_sma"], 199 / 400, rtol=1e-6)
    touching = np.tile(np.float32([0.1, 0, 0.2, 0.1]), 1000)
    np.testing.assert_array_equal(contours(touching)["pcm_zcr_sma"], 0)
    np.testing.assert_allclose(contours(np.zeros(4000, np.float32))["pcm_zcr_sma"], 398 / 400, rtol=1e-6)
    square = np.sign(np.sin(2 * np.pi * 100 * (np.arange(RATE) + 0.5) / RATE)).astype(np.float32)
    # Steps every 80 samples, four of them within a frame.
    np.testing.assert_allclose(contours(square)["pcm_zcr_sma"], 4 / 400, rtol=1e-6)


@pytest.mark.parametrize("frequency", [150, 200, 310, 440])
def test_f0_of_a_sawtooth(frequency):
    found = contours(sawtooth(frequency))
    assert np.median(found["F0_sma"]) == pytest.approx(frequency, rel=0.02)
    assert np.median(found["voiceProb_sma"]) > 0.6
    at_22050 = scipy.signal.resample_poly(sawtooth(frequency), 441, 320).astype(np.float32)
    assert np.median(Is09Descriptors(rate=22050)(at_22050)[15]) == pytest.approx(frequency, rel=0.02)


def test_a_low_voice_is_unvoiced():
    # A 25 ms frame holds too few periods of 100 Hz for a high autocorrelation peak: so in the reference.
    found = contours(sawtooth(100))
    assert found["voiceProb_sma"].max() < 0.5
    assert not found["F0_sma"].any()


def test_noise_is_unvoiced():
    found = contours(NOISE)
    assert np.median(found["voiceProb_sma"]) < 0.4
    assert np.mean(found["F0_sma"] == 0) > 0.95


def test_the_place_of_the_highest_f0():
    rise_and_fall = np.concatenate((np.linspace(150, 300, 9600), np.linspace(300, 150, 6400)))
    found = values(sawtooth(rise_and_fall))
    # The peak at 0.6 s is in the middle of frame 58.75, and F0 is one frame late.
    assert found["F0_sma_maxPos"] == pytest.approx(60, abs=3)
    assert found["F0_sma_max"] == pytest.approx(300, rel=0.03)
    rise = values(sawtooth(np.linspace(150, 250, RATE)))
    assert rise["F0_sma_linregc1"] == pytest.approx(1.0, rel=0.15)  # 100 Hz in 100 frames


def test_voicing_is_the_highest_autocorrelation_peak():
    frame = np.hamming(400) * sawtooth(125, 0.025)
    power = np.abs(np.fft.rfft(frame, 512)) ** 2
    correlation = np.abs([np.sum(frame[lag:] * frame[: 400 - lag]) for lag in range(256)])
    correlation += np.abs([np.sum(frame[: max(0, lag - 112)] * frame[512 - lag :][:400]) for lag in range(256)])
    voicing, pitch = cepstral_pitch.voicing_and_pitch(power[None].astype(np.float32), RATE)
    assert voicing[0] == pytest.approx(correlation[100:156].max() / correlation[0], rel=1e-4)
    assert pitch[0] == pytest.approx(125, rel=0.01)


@pytest.mark.parametrize(("lag", "sign", "expected"), [(30, 1, 0), (31, 1, 0.45), (100, 1, 0.45), (100, -1, 0.45)])
def test_where_voicing_looks(lag, sign, expected):
    power = 2 + sign * 1.8 * np.cos(2 * np.pi * lag * np.arange(257) / 512)
    # Inverse transform: 2 at lag 0, 0.9 or -0.9 at `lag`. Lag 31 is 516 Hz.
    voicing, _ = cepstral_pitch.voicing_and_pitch(power[None].astype(np.float32), RATE)
    assert voicing[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("height", "lag"), [(0.59, 100), (0.605, 100), (0.62, 60), (0.9, 60)])
def test_pitch_is_the_first_cepstral_peak_that_is_high_enough(height, lag):
    # A cepstrum of 4 at lag 0, `height` at 60, 1 at 100: the threshold is 0.6 * (1 + (5 + height) / 256) = 0.613.
    waves = np.cos(2 * np.pi * np.outer([60, 100], np.arange(257)) / 512)
    power = np.exp(4 + 2 * height * waves[0] + 2 * waves[1]) - 1
    _, pitch = cepstral_pitch.voicing_and_pitch(power[None].astype(np.float32), RATE)
    assert pitch[0] == pytest.approx(RATE / lag)


def test_voicing_of_what_has_no_peak():
    impulse = np.ones((1, 257), np.float32)
    silence = np.zeros((1, 257), np.float32)
    for power in (impulse, silence):
        voicing, pitch = cepstral_pitch.voicing_and_pitch(power, RATE)
        assert voicing[0] == pytest.approx(0, abs=1e-6) and pitch[0] == 0
    # A constant: the autocorrelation of a Hamming window falls without a peak; at lag 255 it is 0.163.
    assert contours(np.full(4000, 0.5, np.float32))["voiceProb_sma"] == pytest.approx(0.1634, abs=1e-3)


def test_pitch_contour():
    def contour(pitch, voicing=None):
        return cepstral_pitch.contour(np.ones(len(pitch)) if voicing is None else voicing, np.array(pitch, float))

    # One frame late; averaged with the frame before; a voiced frame alone is dropped.
    np.testing.assert_allclose(contour([100, 110, 0, 120, 0, 0]), [0, 100, 105, 0, 0, 0])
    np.testing.assert_allclose(contour([100] * 5, np.array([0.54, 0.56, 0.56, 0.54, 1])), [0, 0, 100, 100, 0])
    # Running mean 200, 0.9 * 200 + 0.1 * 400 = 220, 238, ..., 293.7: only then are 400 Hz within 40 %.
    repaired = np.array([200, 200, 220, 238, 254.2, 268.78, 281.902, 400, 400])
    expected = np.concatenate(([0, 200], (repaired[:-2] + repaired[1:-1]) / 2))
    np.testing.assert_allclose(contour([200] + [400] * 8), expected)
    np.testing.assert_allclose(contour([RATE / 42, RATE / 70, 0])[2], RATE / 42)  # exactly 40 % less is a jump
    # 0.7 * 200 + 0.3 * 150 = 185: down to 111 Hz is believed, 110 Hz is not.
    np.testing.assert_allclose(contour([200, 150, 111.1, 0, 0])[3], (150 + 111.1) / 2)
    np.testing.assert_allclose(contour([200, 150, 110.9, 0, 0])[3], (150 + 185) / 2)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_do_not_show(chunk, monkeypatch):
    signal = np.concatenate((sawtooth(150, 0.4), NOISE[:6000], sawtooth(np.linspace(120, 250, 8000), 0.5)))
    whole, vector = Is09Descriptors()(signal), Is09()(signal)
    monkeypatch.setattr(spectrum, "CHUNK", chunk)
    np.testing.assert_allclose(Is09Descriptors()(signal), whole, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("serkit.features.is09._BLOCK", 100 * chunk)
    np.testing.assert_allclose(Is09()(signal), vector, rtol=1e-3, atol=1e-3)


def test_of_values_that_rounding_parts_the_first_is_the_place():
    two, more, less = np.float32(2), np.nextafter(np.float32(2), np.float32(3)), np.nextafter(np.float32(2), 0)
    found = dict(zip(FUNCTIONALS, functionals(np.array([[1, two, more, 1], [more, less, 5, two]])).T, strict=True))
    assert found["maxPos"].tolist() == [1, 2] and found["minPos"].tolist() == [0, 0]
    # The values themselves stay what they are.
    assert found["max"].tolist() == [more, 5] and found["min"].tolist() == [1, less]
    # What is further apart is told apart, whatever the sign and size.
    for scale in (1e-6, -1e-6, 1, -1, 1e6, -1e6):
        row = scale * np.array([[2, 2.001, 2, 1.001, 1]], dtype=np.float32)
        places = functionals(row)[0, 3:5].tolist()
        assert places == ([1, 4] if scale > 0 else [4, 1])


def test_how_far_rounding_reaches_can_be_said():
    row = np.array([[3.0, 3.1, 3.2, 2.9]], dtype=np.float32)
    assert [functionals(row, np.array([reach]))[0, 3] for reach in (0.05, 0.15, 0.25)] == [2, 1, 0]
    assert functionals(row, np.array([0.15]))[0, 4] == 0
    # A deviation of 0.11 is hardly any beside 10, and is no shape.
    np.testing.assert_allclose(functionals(row, np.array([10.0]))[0, 10:], 0, atol=1e-6)


@pytest.mark.parametrize("name", ["pcm_zcr_sma", "F0_sma"])
def test_what_is_counted_in_samples_is_exact(name):
    places = [Is09Descriptors().columns.index(column) for column in (name, f"{name}_de")]
    rounding = Is09()._rounding(Is09Descriptors()(sawtooth(np.linspace(150, 250, RATE))))
    assert rounding[places].tolist() == [0, 0]
    assert np.count_nonzero(rounding) == 28


STEADY = {
    "sawtooth": sawtooth(150),
    "whole frames": sawtooth(200),
    "sine": (0.3 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32),
    "square": np.sign(np.sin(2 * np.pi * 100 * (np.arange(RATE) + 0.5) / RATE)).astype(np.float32),
    "loop": np.tile(NOISE[:2000], 8),
    "voice and noise": np.concatenate((sawtooth(150, 0.4), NOISE[:6000], sawtooth(np.linspace(120, 250, 8000), 0.5))),
}


@pytest.mark.parametrize("sound", STEADY)
def test_the_order_of_summation_does_not_show(sound, monkeypatch):
    """Sums in another order have other last bits: as on another processor, whose matrix products add up otherwise."""

    def backward(energy, filters, out):
        out[:] = np.matmul(energy[:, ::-1].astype(np.float64), filters[::-1].astype(np.float64))
        np.nextafter(out, np.where(np.arange(len(out)) % 3, np.inf, 0)[:, None].astype(np.float32), out=out)

    vector = Is09()(STEADY[sound])
    monkeypatch.setattr(spectrum, "apply_filters", backward)
    found = Is09()(STEADY[sound])
    assert not np.array_equal(found, vector)
    np.testing.assert_allclose(found, vector, rtol=1e-3, atol=2e-3)


def test_an_older_processor_finds_the_same(tmp_path):
    np.savez(tmp_path / "sounds.npz", **STEADY)
    code = f"""
import numpy as np
from serkit.features.is09 import Is09
sounds = np.load({str(tmp_path / "sounds.npz")!r})
np.save({str(tmp_path / "found.npy")!r}, [Is09()(sounds[name]) for name in {list(STEADY)!r}])
"""
    older_processor.run("-c", code)
    expected = [Is09()(signal) for signal in STEADY.values()]
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(0),
        np.zeros(1),
        np.full(399, 0.1),
        NOISE[:401],
        np.zeros(RATE),
        np.full(RATE, -1.0),
        np.clip(30 * NOISE, -1, 1),
        np.eye(1, RATE, 5000)[0],
        1e-20 * NOISE,
        np.where(np.arange(RATE) < 8000, 0, NOISE[:RATE]),
    ],
    ids=["empty", "sample", "short", "frame", "silence", "constant", "clipped", "click", "tiny", "half"],
)
def test_nothing_makes_it_fail(signal):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Is09()(signal.astype(np.float32))
    assert found.shape == (384,) and found.dtype == np.float32
    assert np.isfinite(found).all()


def test_silence_is_zero_but_for_the_zero_crossings():
    found = values(np.zeros(RATE, np.float32))
    level = {name: value for name, value in found.items() if value}
    assert set(level) == {f"pcm_zcr_sma_{name}" for name in ("max", "min", "amean", "linregc2")}


@pytest.mark.parametrize("kind", [Is09, Is09Descriptors])
def test_a_rate_too_low_for_pitch(kind):
    with pytest.raises(UserError, match=r"rate must be at least 2000 Hz \(usually 16000\), got 1000"):
        kind(rate=1000)


def test_tables_have_the_challenges_columns(tmp_path, noise):
    path = tmp_path / "call.wav"
    noise(path, seconds=0.5)
    utterance = Utterance(id="x/call", path=path)
    for feature, first in ((Is09(), ["file"]), (Is09Descriptors(), ["file", "time"])):
        write(feature, [utterance], tmp_path / "out.csv", store=Store(tmp_path / "store"))
        with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == [*first, *feature.columns]
        np.testing.assert_array_equal(
            np.array(rows)[:, len(first) :].astype(np.float32), np.atleast_2d(feature(audio.read(path, RATE)[0]).T)
        )
    assert [float(row[1]) for row in rows[:3]] == [0, 0.01, 0.02]


@pytest.mark.corpora
def test_it_is_opensmiles(recordings):
    table = recordings.parent / "reference" / "is09_opensmile_emodb20.csv"
    if not table.exists():
        pytest.skip(f"no reference values beside the corpora ({table.name})")
    with open(table, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    feature = Is09()
    assert header[1:] == feature.columns
    expected = np.array([row[1:] for row in rows], dtype=np.float64)
    found = np.array([feature(audio.read(recordings / "emodb" / "wav" / f"{row[0]}.flac", RATE)[0]) for row in rows])
    correlation = []
    for ours, theirs in zip(found.astype(np.float64).T, expected.T, strict=True):
        same = np.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        correlation.append(1.0 if same else np.corrcoef(ours, theirs)[0, 1])
    assert np.sum(np.array(correlation) >= 0.999) >= 370
    assert min(correlation) >= 0.95
