"""F0 of the EGG: on pulses of known F0, and beside equation 1 computed term by term."""

import dataclasses

import numpy as np
import pytest

from serkit.corpora.source_filter import HOP, utterance
from serkit.errors import UserError
from serkit.features import build, butterworth, spectrum
from serkit.features.f0_egg import _shortest_peak

RATE = 16000
BOTH = pytest.mark.parametrize("name", ["f0_egg", "f0_robust"])


def egg(f0, seconds=1.0, pause=0.3, noise=1e-4, seed=0):
    """Contact that falls slowly and closes at once (a sawtooth, smoothed), between two pauses."""
    generator = np.random.default_rng(seed)
    track = np.broadcast_to(f0, round(seconds * RATE)).astype(float)
    phase = np.cumsum(track / RATE) % 1
    pulse = np.where(phase < 0.08, phase / 0.08, np.maximum(1 - (phase - 0.08) / 0.55, 0)) - 0.3
    rest = np.zeros(round(pause * RATE))
    signal = np.concatenate((rest, 0.3 * pulse, rest))
    truth = np.concatenate((rest, track, rest))
    return (signal + noise * generator.standard_normal(len(signal))).astype(np.float32), truth


def at_frames(feature, truth, frames):
    return truth[feature.middle + feature.hop * np.arange(frames)]


@BOTH
@pytest.mark.parametrize("f0", [80, 100, 137.5, 200, 300, 380, 450])
def test_pulses_of_known_f0(name, f0):
    signal, truth = egg(f0)
    steps = build(name, interpolate=False)(signal)[0]
    fine = build(name, interpolate=True)(signal)[0]
    inside = at_frames(build(name), truth, len(fine)) > 0
    assert (fine[inside] > 0).mean() > 0.98
    core = np.flatnonzero(inside)[4:-4]
    np.testing.assert_allclose(fine[core], f0, rtol=0.02)
    assert np.abs(RATE / steps[core] - RATE / f0).max() <= 1
    # Within 2 frames of the pauses, whose frames hold a part of the voice, it is over.
    assert not fine[: core[0] - 8].any() and not fine[core[-1] + 9 :].any()


@BOTH
def test_glide_and_vibrato(name):
    time = np.arange(2 * RATE) / RATE
    for track in (90 * 4 ** (time / 2), 220 * 2 ** (3 / 12 * np.sin(2 * np.pi * 5.5 * time))):
        signal, truth = egg(track, seconds=2)
        feature = build(name)
        found = feature(signal)[0]
        expected = at_frames(feature, truth, len(found))
        both = (found > 0) & (expected > 0)
        assert both.sum() > 0.97 * (expected > 0).sum()
        cents = 1200 * np.abs(np.log2(found[both] / expected[both]))
        assert np.median(cents) < 15 and (cents < 300).mean() > 0.98


def test_the_lag_is_the_one_of_equation_1():
    generator = np.random.default_rng(3)
    signal = (egg(145)[0] + 0.05 * generator.standard_normal(25600)).astype(np.float32)
    feature = build("f0_egg", high_pass=0, smoothing=False, below_peak=1000, above_noise=-1000)
    found = feature(signal)[0]
    assert len(found) == 1 + (25600 - 640) // 160
    for frame in range(0, len(found), 17):
        x = signal[160 * frame : 160 * frame + 640].astype(float)
        sums = [sum(x[m] * x[m + k] for m in range(640 - k)) for k in range(32, 267)]
        assert found[frame] == np.float32(RATE / (32 + int(np.argmax(sums))))


def test_of_equal_sums_the_shortest_lag_wins():
    feature = build("f0_egg", high_pass=0)
    _, f0, _ = feature._frames(np.zeros(640, dtype=np.float32))
    assert f0.tolist() == [500.0]


def test_the_normalised_estimator_takes_the_shortest_of_the_good_peaks():
    curves = np.zeros((3, 12))
    curves[:, 4], curves[:, 8] = (0.95, 0.5, 0.0), (1.0, 1.0, 0.0)
    place, height = _shortest_peak(curves)
    assert place.tolist() == [3, 7, 0]
    assert height.tolist() == [0.95, 1.0, 0.0]
    # A dying tone is fully periodic: what it loses is divided out.
    time = np.arange(640)
    tone = (np.exp(-time / 300) * np.sin(2 * np.pi * time / 80)).astype(np.float32)
    _, f0, periodicity = build("f0_robust")._frames(tone)
    assert periodicity[0] == pytest.approx(1, abs=1e-3) and f0[0] == pytest.approx(200, rel=0.01)


@BOTH
def test_silence_and_constants_are_unvoiced(name):
    for signal in (np.zeros(16000), np.full(16000, 0.4), np.zeros(5), np.full(1, 0.5)):
        found = build(name, voicing=True)(signal.astype(np.float32))
        assert found.shape == (2, 1 + max(0, len(signal) - 640) // 160)
        assert not found.any()


@BOTH
def test_a_signal_shorter_than_a_frame_is_one_padded_frame(name):
    feature = build(name, run=1, above_noise=-100, high_pass=0)
    signal = egg(200, seconds=0.03, pause=0)[0]
    assert len(signal) == 480
    found = feature(signal)
    np.testing.assert_array_equal(found, feature(np.pad(signal, (0, 160))))
    assert found.shape == (1, 1) and found[0, 0] == pytest.approx(200, rel=0.02)


@BOTH
def test_polarity_gain_and_drift_do_not_matter(name):
    signal, _ = egg(np.linspace(120, 260, RATE))
    feature = build(name)
    found = feature(signal)
    np.testing.assert_array_equal(feature(-signal), found)
    np.testing.assert_array_equal(feature(0.25 * signal), found)
    drift = 10 * np.abs(signal).max() * np.sin(2 * np.pi * np.arange(len(signal)) / RATE + 0.7)
    moved = feature((signal + drift).astype(np.float32))
    np.testing.assert_array_equal(moved > 0, found > 0)
    np.testing.assert_allclose(moved, found, rtol=0.02)
    unfiltered = dataclasses.replace(feature, high_pass=0)
    assert ((unfiltered((signal + drift).astype(np.float32)) > 0) != (found > 0)).mean() > 0.1


def test_noise_at_10_db_and_no_pauses_want_the_robust_variant():
    signal, truth = egg(160, noise=0.3 * 0.33 * 10 ** (-10 / 20))
    voiced = at_frames(build("f0_egg"), truth, 157) > 0
    robust = build("f0_robust")(signal)[0]
    assert (robust[voiced] > 0).mean() > 0.95 and (robust[~voiced] == 0).mean() > 0.9
    np.testing.assert_allclose(robust[voiced & (robust > 0)], 160, rtol=0.05)
    steady = egg(160, pause=0)[0]
    assert not build("f0_egg")(steady).any()
    assert (build("f0_robust")(steady)[0] > 0).all()


def test_hum_is_no_voice_to_the_robust_variant():
    time = np.arange(2 * RATE) / RATE
    hum = (0.1 * np.sin(2 * np.pi * 50 * time)).astype(np.float32)
    assert not build("f0_robust")(hum).any()


def test_gaps_are_filled_and_short_runs_dropped():
    feature = build("f0_egg")
    energy = np.full(100, -60.0)
    energy[10:14] = 0.0  # 4 frames: too short
    energy[20:25] = 0.0  # 5 frames: long enough
    energy[40:50] = 0.0
    energy[[44, 45]] = -60.0  # filled
    energy[60:80] = 0.0
    energy[65:68] = -60.0  # too long to be filled
    found = np.flatnonzero(feature._voiced(energy, np.ones(100)))
    assert found.tolist() == [*range(20, 25), *range(40, 50), *range(60, 65), *range(68, 80)]
    loud = np.linspace(-100, 0, 101)
    assert np.flatnonzero(feature._voiced(loud, np.ones(101)))[0] == 71  # 30 dB below the loudest
    assert np.flatnonzero(dataclasses.replace(feature, below_peak=90)._voiced(loud, np.ones(101)))[0] == 21


@BOTH
def test_chunks_do_not_matter(name, monkeypatch):
    signal = egg(np.linspace(100, 300, 3 * RATE), seconds=3)[0]
    found = build(name)(signal)
    monkeypatch.setattr(spectrum, "CHUNK", 7)
    np.testing.assert_array_equal(build(name)(signal), found)
    monkeypatch.setattr(spectrum, "CHUNK", 10_000)
    monkeypatch.setattr(butterworth, "LONGEST", 1 << 16)
    np.testing.assert_allclose(build(name)(signal), found, rtol=1e-4)


def test_scales_and_the_voicing_row():
    signal = egg(240)[0]
    hz = build("f0_egg")(signal)
    voiced = hz > 0
    assert hz.shape[0] == 1 and hz.dtype == np.float32
    np.testing.assert_allclose(build("f0_egg", scale="relative")(signal), hz / 500)
    logarithmic = build("f0_egg", scale="log")(signal)
    np.testing.assert_allclose(logarithmic[voiced], np.log2(hz[voiced] / 60), rtol=1e-6)
    assert not logarithmic[~voiced].any()
    both = build("f0_egg", voicing=True)
    assert both.columns == ["f0", "voiced"] and both.shape == (2, None)
    np.testing.assert_array_equal(both(signal), np.concatenate((hz, voiced)))


@BOTH
def test_the_generated_speakers_egg(name):
    feature = build(name)
    for speaker, emotion in ((1, "neutral"), (2, "surprise"), (3, "fear")):
        take = utterance(speaker, 1, emotion, 1)
        found = feature(take.egg)[0]
        truth = take.f0[(feature.middle + feature.hop * np.arange(len(found))) // HOP]
        both = (found > 0) & (truth > 0)
        assert both.sum() > 0.98 * (truth > 0).sum()
        assert (np.abs(found[both] / truth[both] - 1) > 0.2).mean() < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"f_min": 0}, "F0 must be from 0 to 4000 Hz, got 0 to 500 Hz"),
        ({"f_min": 300, "f_max": 200}, "F0 must be from 0 to 4000 Hz, got 300 to 200 Hz"),
        ({"f_max": 5000}, "F0 must be from 0 to 4000 Hz, got 60 to 5000 Hz"),
        ({"length": 200}, "a frame of 200 samples is not longer than a period of 60 Hz; 534 samples hold two periods"),
        ({"hop": 0}, "hop 0"),
        ({"median": 4}, "median 4 must be odd"),
        ({"scale": "mel"}, "unknown f0_egg scale 'mel'"),
        ({"estimator": "biasd"}, "Did you mean 'biased'"),
        ({"breaks": "no"}, "unknown f0_egg breaks"),
    ],
)
def test_what_cannot_be_asked_for(options, message):
    with pytest.raises(UserError, match=message):
        build("f0_egg", **options)


@pytest.mark.corpora
def test_real_egg_of_both_polarities(recordings):
    from serkit.corpora.tava import read
    from serkit.data.items import Item
    from serkit.windowing import Windowing

    feature = build("f0_robust")
    medians = {"male": [], "female": []}
    for item in map(Item, read(recordings / "tava").utterances[::5]):
        found = feature(item.signal(RATE, Windowing(), "egg"))[0]
        if (found > 0).sum() > 20:
            medians[item.utterance.sex].append(np.median(found[found > 0]))
    assert len(medians["male"]) > 20 and len(medians["female"]) > 20
    assert 90 < np.median(medians["male"]) < 220 < np.median(medians["female"]) + 50 < 400
