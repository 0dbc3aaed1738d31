import csv
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.interpolate
import scipy.linalg
import scipy.signal

from serkit import audio
from serkit.corpora.corpus import Utterance
from serkit.data.feature_table import write
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.features import build, egemaps, formants, harmonics, periods, subharmonic_pitch
from serkit.features.egemaps import Egemaps, Gemaps
from serkit.features.egemaps_descriptors import SPECTRAL, VOICE, EgemapsDescriptors, describe, smooth

RATE = 16000
GENERATOR = np.random.default_rng(0)
NOISE = (0.1 * GENERATOR.standard_normal(RATE)).astype(np.float32)
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def harmonic(frequency, amplitudes, seconds=0.5):
    """A tone with given harmonics; `frequency` in Hz, one value or one per sample."""
    frequency = np.broadcast_to(frequency, int(seconds * RATE))
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    tone = sum(size * np.sin(number * phase + number**2) for number, size in enumerate(amplitudes, 1))
    return (0.3 * tone / np.abs(tone).max()).astype(np.float32)


def descriptors(signal):
    feature = EgemapsDescriptors()
    return dict(zip(feature.columns, feature(signal), strict=True))


def values(signal):
    feature = Egemaps()
    return dict(zip(feature.columns, feature(signal).tolist(), strict=True))


def test_names_are_opensmiles_in_its_order():
    names = Egemaps().columns
    assert len(names) == len(set(names)) == 88 == Egemaps().shape[0]
    expected = {
        0: "F0semitoneFrom27.5Hz_sma3nz_amean",
        5: "F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2",
        9: "F0semitoneFrom27.5Hz_sma3nz_stddevFallingSlope",
        10: "loudness_sma3_amean",
        20: "spectralFlux_sma3_amean",
        29: "mfcc4_sma3_stddevNorm",
        30: "jitterLocal_sma3nz_amean",
        36: "logRelF0-H1-H2_sma3nz_amean",
        40: "F1frequency_sma3nz_amean",
        57: "F3amplitudeLogRelF0_sma3nz_stddevNorm",
        58: "alphaRatioV_sma3nz_amean",
        62: "slopeV0-500_sma3nz_amean",
        64: "slopeV500-1500_sma3nz_amean",
        75: "mfcc4V_sma3nz_stddevNorm",
        76: "alphaRatioUV_sma3nz_amean",
        78: "slopeUV0-500_sma3nz_amean",
        80: "spectralFluxUV_sma3nz_amean",
        81: "loudnessPeaksPerSec",
        84: "StddevVoicedSegmentLengthSec",
        87: "equivalentSoundLevel_dBp",
    }
    assert {place: names[place] for place in expected} == expected
    few = Gemaps().columns
    assert len(few) == 62 == Gemaps().shape[0]
    assert few == [name for name in names if name in few]
    assert not [name for name in few if re.search("mfcc|Flux|F[23]bandwidth|equivalent", name)]
    assert len(EgemapsDescriptors().columns) == 25 == EgemapsDescriptors().shape[0]


def test_gemaps_is_a_part_of_egemaps():
    signal = np.concatenate((harmonic(150, 1 / np.arange(1, 30)), NOISE[:4000]))
    whole = values(signal)
    np.testing.assert_array_equal(Gemaps()(signal), np.float32([whole[name] for name in Gemaps().columns]))


@pytest.mark.parametrize(("samples", "frames"), [(960, 2), (1119, 2), (1120, 3), (1600, 6), (16000, 96)])
def test_frames(samples, frames):
    assert EgemapsDescriptors()(NOISE[:samples]).shape == (25, frames)


def spectra(signal):
    """Power spectra of the 20 ms frames, written out plainly: (frames, 257)."""
    pieces = [signal[begin : begin + 320].astype(np.float64) for begin in range(0, len(signal) - 319, 160)]
    return np.abs(scipy.fft.rfft(np.array(pieces) * np.hamming(320) * 32768 / 32767, 512)) ** 2


def test_spectral_descriptors_against_scipy():
    signal = NOISE[:4000] * np.linspace(0.2, 1, 4000, dtype=np.float32)
    power = spectra(signal)
    mel = 2595 * np.log10(1 + np.arange(257) * 31.25 / 700)
    edges = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700), 28)
    triangles = np.array([np.interp(mel, edges[band : band + 3], [0, 1, 0]) for band in range(26)])
    triangles[:, :2] = 0
    bands = power @ triangles.T
    # scipy's orthonormal DCT-II has the factor sqrt(2 / 26) for every coefficient but c0.
    cepstrum = scipy.fft.dct(np.log(bands), norm="ortho")[:, 1:5] * (1 + 11 * np.sin(np.pi * np.arange(1, 5) / 22))
    speed = 2 * np.pi * 700 * (10 ** (edges[1:-1] / 2595) - 1)
    loudness = (speed**2 + 56.8e6) * speed**4 / ((speed**2 + 6.3e6) ** 2 * (speed**2 + 0.38e9))
    loudness = ((bands * loudness / (1 + speed**7 / 1.7e31)) ** 0.33).sum(axis=1) / 14.4885
    level = 10 * np.log10(power)

    def slope(begin, end):
        frequency = np.arange(begin, end + 1) * 31.25
        # Regression, with one bin too few in the count.
        count, part = end - begin, level[:, begin : end + 1]
        above = count * (part * frequency).sum(axis=1) - frequency.sum() * part.sum(axis=1)
        return above / (count * (frequency**2).sum() - frequency.sum() ** 2)

    change = np.diff(np.sqrt(power[:, :160]), axis=0, prepend=np.sqrt(power[:1, :160]))
    expected = [
        loudness,
        10 * np.log10(power[:, 32:161].sum(axis=1) / power[:, :32].sum(axis=1)),
        10 * np.log10(power[:, :64].max(axis=1) / power[:, 64:161].max(axis=1)),
        slope(0, 16),
        slope(16, 48),
        np.sqrt((change**2).mean(axis=1)),
        *cepstrum.T,
    ]
    found = describe(signal, RATE)[0]
    for name, row, wanted in zip(SPECTRAL, found, expected, strict=True):
        np.testing.assert_allclose(row, wanted, rtol=1e-3, atol=1e-4, err_msg=name)


def test_smoothing():
    row = np.array([[3.0, 0, 6, 9, 0, 0, 4]])
    np.testing.assert_allclose(smooth(row), [[2, 3, 5, 5, 3, 4 / 3, 8 / 3]])
    np.testing.assert_allclose(smooth(row, voiced=True), [[3, 0, 7.5, 7.5, 0, 0, 4]])


def test_the_spline_is_scipys():
    knots, points = np.sort(GENERATOR.random(20)), GENERATOR.random(50)
    curve = GENERATOR.standard_normal(20)
    expected = scipy.interpolate.CubicSpline(knots, curve, bc_type="natural")(points)
    np.testing.assert_allclose(subharmonic_pitch._natural_spline(knots, points) @ curve, expected, rtol=1e-6, atol=1e-6)


def test_only_peaks_are_kept():
    row = np.array([[5.0, 4, 3, 2, 1, 2, 3, 9, 3, 2, 1, 1]])
    # Peaks at 0 and 7; nothing is lost after the last.
    np.testing.assert_array_equal(subharmonic_pitch._peaks_only(row), [[5, 4, 3, 0, 0, 2, 3, 9, 3, 2, 1, 1]])
    rising = np.array([[1.0, 2, 3, 4, 9, 4, 3, 2, 1, 8]])
    np.testing.assert_array_equal(subharmonic_pitch._peaks_only(rising), [[1, 2, 3, 4, 9, 4, 3, 2, 1, 8]])


@pytest.mark.parametrize("frequency", [70, 120, 210.5, 340, 500])
def test_pitch_of_a_tone(frequency):
    found = descriptors(harmonic(frequency, 1 / np.arange(1, int(7000 / frequency))))["F0semitoneFrom27.5Hz_sma3nz"]
    assert np.median(27.5 * 2 ** (found / 12)) == pytest.approx(frequency, rel=0.01)


def test_a_path_avoids_a_lonely_octave_error():
    frequency = np.tile([200.0, 100.0, 0, 0, 0, 0], (9, 1))
    voicing = np.tile([0.8, 0.75, 0, 0, 0, 0], (9, 1))
    frequency[4], voicing[4, :2] = [400, 200, 0, 0, 0, 0], [0.82, 0.8]
    np.testing.assert_array_equal(subharmonic_pitch.contour(frequency, voicing), 200)
    voicing[:4] *= 0.5
    # Weak candidates are unvoiced.
    assert not subharmonic_pitch.contour(frequency, voicing)[:3].any()
    assert not subharmonic_pitch.contour(np.zeros((3, 6)), np.zeros((3, 6))).any()


def test_a_quiet_tone_is_unvoiced():
    tone = harmonic(150, 1 / np.arange(1, 30))
    assert np.median(descriptors(tone)["F0semitoneFrom27.5Hz_sma3nz"]) > 0
    assert not descriptors(0.004 * tone)["F0semitoneFrom27.5Hz_sma3nz"].any()


@pytest.mark.parametrize("amplitudes", [[1, 2, *[1] * 12], [1, 8, 2, *[1] * 12]])
def test_differences_of_harmonics_begin_at_the_second(amplitudes):
    found = descriptors(harmonic(250, amplitudes))
    expected = 20 * np.log10(amplitudes[1] / amplitudes[2])
    assert np.median(found["logRelF0-H1-H2_sma3nz"]) == pytest.approx(expected, abs=0.3)


def test_levels_of_formants():
    magnitude = np.full((1, 513), 0.01)
    # Bins of 15.625 Hz; F0 is 250 Hz, so harmonic n is at bin 16 n.
    for number, height in enumerate((1.0, 4.0, 2.0, 0.5, 0.25, 0.125, 0.1, 0.1, 0.05), 1):
        magnitude[0, 16 * number] = height
    found = harmonics.levels(magnitude, np.array([250.0]), np.array([[600.0, 1010.0, 2100.0]]), RATE)[:, 0]
    # Peaks one bin wide: the parabola through 0.01, h, 0.01 has the height h.
    expected = [4 / 2, 4 / 0.1, 4 / 1, 0.5 / 1, 0.1 / 1]
    np.testing.assert_allclose(found, 20 * np.log10(expected), atol=1e-6)
    assert harmonics.levels(magnitude, np.array([250.0]), np.array([[370.0, 1000.0, 2000.0]]), RATE)[2, 0] == 0


def test_formants_are_roots_of_the_predictor():
    frames = scipy.signal.lfilter([1], [1, -1.2, 0.9], GENERATOR.standard_normal((4, 320))) * np.hamming(320)
    fft = np.fft.rfft(frames, 512)
    parts = formants._resampled(fft, 320, RATE)
    assert parts.shape == (4, 220)
    found, width = formants.formants(fft, 320, RATE)
    for part, frequency, bandwidth in zip(parts, found, width, strict=True):
        correlation = [part[: 220 - lag] @ part[lag:] for lag in range(12)]
        predictor = scipy.linalg.solve_toeplitz(correlation[:11], correlation[1:])
        # The reference's sign: 1 + sum, where the error filter is 1 - sum.
        roots = np.roots([1, *predictor])
        hertz = np.angle(roots) * 11000 / 2 / np.pi
        chosen = np.argsort(np.where((hertz > 50) & (hertz < 5450), hertz, np.inf))[:3]
        np.testing.assert_allclose(frequency, hertz[chosen], rtol=1e-6)
        np.testing.assert_allclose(bandwidth, -np.log(np.abs(roots[chosen])) * 11000 / np.pi, rtol=1e-4)


def pulses(places, sizes):
    signal = np.zeros(RATE)
    time = np.arange(300)
    pulse = np.exp(-time / 40) * np.sin(2 * np.pi * time * 700 / RATE)
    for place, size in zip(places, sizes, strict=True):
        part = signal[place : place + 300]
        part += size * pulse[: len(part)]
    return signal


def test_jitter_and_shimmer_of_pulses():
    places = np.arange(50, RATE, 100)
    pitch = np.full(90, 160.0)
    even = periods.jitter_and_shimmer(pulses(places, np.ones(len(places))), pitch, RATE, 160)
    np.testing.assert_allclose(even[:, 5:], 0, atol=1e-6)
    # Every second period is four samples longer: 98 and 102.
    moved = places + 2 * (np.arange(len(places)) % 2)
    jitter = periods.jitter_and_shimmer(pulses(moved, np.ones(len(places))), pitch, RATE, 160)[0]
    assert np.median(jitter[20:]) == pytest.approx(0.04, rel=0.15)
    # Every second pulse has 80 % of the height.
    sizes = np.where(np.arange(len(places)) % 2, 0.8, 1.0)
    shimmer = periods.jitter_and_shimmer(pulses(places, sizes), pitch, RATE, 160)[1]
    assert np.median(shimmer[20:]) == pytest.approx(20 * np.log10(1 / 0.8), rel=0.25)
    pitch[30:40] = 0
    assert not periods.jitter_and_shimmer(pulses(places, sizes), pitch, RATE, 160)[:, 30:40].any()


def test_slopes_by_hand():
    # 0, 4, 1, 5, 0: two peaks; rising 4 over 2 frames and 4 over 2, falling 3 over 1; the end falls by 5 over 2.
    contour = np.array([0, 2, 4, 1, 3, 5, 2.5, 0])
    assert egemaps._extremes(contour) == [(0, False), (2, True), (3, False), (5, True)]
    rising, rising_deviation, falling, falling_deviation = egemaps._slopes(contour)
    assert (rising, rising_deviation) == (200, 0)
    # The part to the last frame keeps its sign, and does not count in the deviation.
    assert falling == pytest.approx((300 - 250) / 2)
    assert falling_deviation == pytest.approx(np.sqrt((300 - 25) ** 2 / 2))
    assert egemaps._slopes(np.ones(5)) == (0, 0, 0, 0)


def test_segments_by_hand():
    voiced = np.array([int(letter) for letter in "0000111101110011000111110"], dtype=bool)
    found = egemaps._segments(voiced)
    # Voiced: 8 frames with a gap, and 5; 2 are too few. Unvoiced: 4 and 3; 2 and 1 are too few.
    assert found["VoicedSegmentsPerSec"] == pytest.approx(100 * 2 / 25)
    assert found["MeanVoicedSegmentLengthSec"] == pytest.approx((7 + 4) / 200)
    assert found["StddevVoicedSegmentLengthSec"] == pytest.approx(0.015)
    assert found["MeanUnvoicedSegmentLength"] == pytest.approx((3 + 2) / 200)


def test_moments_of_loudness():
    signal = NOISE[:8000] * np.repeat([0.1, 1, 0.3, 1, 0.1], 1600).astype(np.float32)
    found = values(signal)
    contour = smooth(describe(signal, RATE)[0])[0]
    assert found["loudness_sma3_amean"] == pytest.approx(contour.mean(), rel=1e-5)
    assert found["loudness_sma3_stddevNorm"] == pytest.approx(contour.std() / contour.mean(), rel=1e-5)
    assert found["loudness_sma3_percentile80.0"] == pytest.approx(np.percentile(contour, 80), rel=1e-5)
    assert found["loudnessPeaksPerSec"] == pytest.approx(100 * 2 / len(contour))


def test_the_sound_level_of_a_sine():
    sine = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)
    assert values(sine)["equivalentSoundLevel_dBp"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)


def test_unvoiced_speech_has_no_voice():
    found = values(NOISE)
    voice = [name for name in found if name.startswith((VOICE[0], "jitter", "HNR")) or "V_sma" in name]
    assert {found[name] for name in voice if "UV_" not in name} == {0}
    assert found["alphaRatioUV_sma3nz_amean"] == pytest.approx(found["VoicedSegmentsPerSec"] + 6, abs=1)


def test_chunks_do_not_show(monkeypatch):
    signal = np.concatenate((harmonic(150, 1 / np.arange(1, 30)), NOISE[:4000]))
    whole = EgemapsDescriptors()(signal)
    monkeypatch.setattr("serkit.features.egemaps_descriptors._CHUNK", 5)
    np.testing.assert_allclose(EgemapsDescriptors()(signal), whole, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(0),
        np.full(1, 0.5),
        NOISE[:100],
        NOISE[:800],
        NOISE[:960],
        harmonic(200, [1, 0.5], 0.06),
        np.zeros(RATE),
        np.full(RATE, -1.0),
        np.clip(30 * NOISE, -1, 1),
        np.clip(30 * harmonic(150, 1 / np.arange(1, 30)), -1, 1),
        np.eye(1, RATE, 5000)[0],
        1e-20 * NOISE,
        np.where(np.arange(RATE) < 8000, 0, NOISE),
        np.sin(2 * np.pi * 40 * np.arange(RATE) / RATE),
    ],
    ids=[
        "empty",
        "sample",
        "short",
        "50 ms",
        "frame",
        "voiced frame",
        "silence",
        "constant",
        "clipped",
        "clipped voice",
        "click",
        "tiny",
        "half",
        "low",
    ],
)
def test_nothing_makes_it_fail(signal):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, frames = Egemaps()(signal.astype(np.float32)), EgemapsDescriptors()(signal.astype(np.float32))
    assert found.shape == (88,) and found.dtype == np.float32 and np.isfinite(found).all()
    assert frames.shape[0] == 25 and frames.dtype == np.float32 and np.isfinite(frames).all()


def test_silence():
    found = values(np.zeros(RATE, np.float32))
    # The floor of the mel bands and of the levels; no formants.
    assert found["loudness_sma3_amean"] == pytest.approx(0.001034, rel=1e-3)
    assert found["slopeUV0-500_sma3nz_amean"] == pytest.approx(0.112, rel=1e-3)
    assert found["F1amplitudeLogRelF0_sma3nz_amean"] == -201
    assert found["MeanUnvoicedSegmentLength"] == pytest.approx(0.93)


@pytest.mark.parametrize("name", ["egemaps", "gemaps", "egemaps_descriptors"])
def test_a_rate_too_low_for_the_bands(name):
    with pytest.raises(UserError, match=f"{name}: rate must be at least 16000 Hz, got 8000"):
        build(name, rate=8000)


def test_a_higher_rate_changes_little():
    signal = np.concatenate((harmonic(150, 1 / np.arange(1, 30)), NOISE[:4000], harmonic(220, 1 / np.arange(1, 20))))
    fine = scipy.signal.resample_poly(signal, 441, 160).astype(np.float32)
    low, high = values(signal), dict(zip(Egemaps().columns, Egemaps(rate=44100)(fine).tolist(), strict=True))
    assert high["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(
        low["F0semitoneFrom27.5Hz_sma3nz_amean"], rel=0.02
    )
    assert high["equivalentSoundLevel_dBp"] == pytest.approx(low["equivalentSoundLevel_dBp"], abs=0.3)


def test_tables(tmp_path, noise):
    path = tmp_path / "50% call.wav"
    noise(path, seconds=0.5)
    utterance = Utterance(id="x/call", path=path)
    for feature, first in ((Egemaps(), ["file"]), (EgemapsDescriptors(), ["file", "time"])):
        write(feature, [utterance], tmp_path / "out.csv", store=Store(tmp_path / "store"))
        with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == [*first, *feature.columns]
        write(feature, [utterance], tmp_path / "out.arff", store=Store(tmp_path / "store"))
        head, _, body = (tmp_path / "out.arff").read_text(encoding="utf-8").partition("\n@data\n")
        assert head.startswith(f"@relation {feature.name}\n")
        assert re.findall("@attribute (.*) (?:numeric|string)", head) == [*first, *feature.columns]
        escaped = str(path).replace("\\", "\\\\").replace("%", "\\%")
        assert body.splitlines() == [",".join([f"'{escaped}'", *row[1:]]) for row in rows]


@pytest.mark.corpora
def test_it_is_opensmiles(recordings):
    """Figures from openSMILE's output itself are not here; this is the agreement that was measured."""
    figures = json.loads((RESULTS / "egemaps-opensmile.json").read_text(encoding="utf-8"))
    assert list(figures["by functional"]) == Egemaps().columns
    assert list(figures["by descriptor"]) == EgemapsDescriptors().columns
    spectral = [name for name in EgemapsDescriptors().columns if name.endswith("sma3")]
    assert min(figures["by descriptor"][name]["r"] for name in spectral) >= 0.9999
    paths = sorted((recordings / "emodb" / "wav").glob("*.flac"))[:3]
    for path in paths:
        found = Egemaps()(audio.read(path, RATE)[0])
        assert np.isfinite(found).all() and 20 < found[0] < 50
