from pathlib import Path

import numpy as np
import pytest
import soundfile

from serkit import augment
from serkit.augment import (
    Codec,
    ColouredNoise,
    Level,
    Noise,
    Pair,
    Pitch,
    Recorded,
    Shift,
    Speed,
    Stretch,
    Telephone,
)
from serkit.corpora import Channel, Utterance
from serkit.data.items import Item, copies
from serkit.errors import UserError
from serkit.windowing import Windowing

RATE = 16000


def chance(seed=0):
    return np.random.default_rng(seed)


def sine(seconds, frequency=200, level=0.3):
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def padded(signal, samples):
    return np.pad(signal, (0, samples - len(signal)))


def ratio(signal, changed, speech):
    """Signal-to-noise ratio over the speech in dB."""
    noise = (changed - signal)[:speech].astype(np.float64)
    return 10 * np.log10(np.mean(np.square(signal[:speech], dtype=np.float64)) / np.mean(np.square(noise)))


@pytest.mark.parametrize("decibels", [0.0, 12.5, 20.0])
def test_noise_has_its_ratio_to_the_speech_and_covers_the_padding(decibels):
    signal = padded(sine(2.0), 4 * RATE)
    changed = Noise(decibels, decibels)(signal, RATE, 2 * RATE, chance())
    assert changed.dtype == np.float32
    assert changed.shape == signal.shape
    assert ratio(signal, changed, 2 * RATE) == pytest.approx(decibels, abs=0.2)
    assert ratio(sine(2.0), sine(2.0) + changed[2 * RATE :], 2 * RATE) == pytest.approx(decibels, abs=0.2)


def test_noise_is_white_and_its_ratio_uniform():
    signal = sine(1.0)
    ratios = [ratio(signal, Noise()(signal, RATE, RATE, chance(seed)), RATE) for seed in range(300)]
    assert 9.8 <= min(ratios) < 10.5
    assert 19.5 < max(ratios) <= 20.2
    assert np.mean(ratios) == pytest.approx(15, abs=0.7)
    noise = Noise()(signal, RATE, RATE, chance()) - signal
    halves = np.abs(np.fft.rfft(noise)[1:8001].reshape(2, 4000)) ** 2
    assert 10 * np.log10(halves[0].mean() / halves[1].mean()) == pytest.approx(0, abs=0.4)


def test_noise_of_silence_is_silence():
    np.testing.assert_array_equal(Noise()(np.zeros(100, np.float32), RATE, 100, chance()), np.zeros(100))


def test_shift_puts_zeros_first_and_keeps_the_order():
    speech = np.arange(1, RATE + 1, dtype=np.float32)
    signal = padded(speech, 4 * RATE)
    found = set()
    for seed in range(50):
        changed = Shift()(signal, RATE, RATE, chance(seed))
        assert (changed.shape, changed.dtype) == (signal.shape, np.float32)
        begin = int(np.flatnonzero(changed)[0])
        assert 0.2 * RATE <= begin <= 1.0 * RATE
        np.testing.assert_array_equal(changed, np.concatenate([np.zeros(begin), speech, np.zeros(3 * RATE - begin)]))
        found.add(begin)
    assert min(found) < 0.3 * RATE
    assert max(found) > 0.9 * RATE


@pytest.mark.parametrize(("padding", "longest"), [(0.5, 0.5), (0.05, 0.2), (0.0, 0.2)])
def test_shift_stays_within_the_padding_if_it_can(padding, longest):
    speech = np.arange(1, RATE + 1, dtype=np.float32)
    signal = padded(speech, RATE + round(padding * RATE))
    for seed in range(30):
        changed = Shift()(signal, RATE, RATE, chance(seed))
        begin = int(np.flatnonzero(changed)[0])
        assert round(0.2 * RATE) <= begin <= round(longest * RATE)
        np.testing.assert_array_equal(changed[begin:], signal[: len(signal) - begin])


def test_a_shift_longer_than_the_signal_leaves_zeros():
    np.testing.assert_array_equal(Shift()(np.ones(100, np.float32), RATE, 100, chance()), np.zeros(100))


def loudest(signal):
    """Frequency in Hz."""
    return np.argmax(np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 8 * RATE))) / 8


@pytest.mark.parametrize(("factor", "frequency"), [(1.1, 220), (0.9, 180), (2.0, 400)])
def test_speed_changes_length_and_pitch(factor, frequency):
    signal = padded(sine(2.0), 4 * RATE)
    changed = Speed((factor,))(signal, RATE, 2 * RATE, chance())
    assert changed.dtype == np.float32
    assert len(changed) == round(2 * RATE / factor)  # of the speech alone, without its padding
    assert loudest(changed) == pytest.approx(frequency, abs=0.5)
    assert np.abs(changed[1000:-1000]).max() == pytest.approx(0.3, abs=0.002)


def test_speed_draws_among_its_factors():
    lengths = {len(Speed()(sine(0.99), RATE, 15840, chance(seed))) for seed in range(20)}
    assert lengths == {14400, 17600}
    assert len(augment.build("slower")(sine(0.99), RATE, 15840, chance())) == 17600
    assert len(augment.build("faster")(sine(0.99), RATE, 15840, chance())) == 14400


def test_an_unknown_name():
    with pytest.raises(UserError, match=r"unknown augmentation 'noies'. Did you mean 'noise'\? Available: codec"):
        augment.build("noies")


@pytest.fixture
def utterances(tmp_path):
    """Three recordings of the same sound."""
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", sine(1.3), RATE)
    return [Utterance(f"x/{name}", Path(tmp_path / f"{name}.wav")) for name in "abc"]


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
@pytest.mark.parametrize("windowing", [Windowing(2.0), Windowing(2.0, tail="keep"), Windowing()])
def test_a_copy_depends_on_its_item_and_seed_alone(utterances, name, windowing):
    def signals(items):
        return {item.id: item.signal(RATE, windowing) for item in items if item.copy}

    items = [Item(utterance) for utterance in utterances]
    first = signals(copies(items, [name], seed=1))
    again = signals(reversed(copies(items[1:], ["shift", name] if name != "shift" else [name], seed=1)))
    for item in first.keys() - {f"x/a+{name}"}:
        np.testing.assert_array_equal(first[item], again[item])
    original = items[0].signal(RATE, windowing)
    for signal in first.values():
        assert len(signal) == 2 * RATE or windowing.seconds is None or windowing.tail == "keep"
        assert not np.array_equal(signal, original)


def test_a_copy_knows_how_much_of_its_item_is_padding(utterances):
    windowing = Windowing(2.0)
    starts = []
    for seed in range(20):
        signal = Item(utterances[0], copy="shift", seed=seed).signal(RATE, windowing)
        starts.append(np.flatnonzero(signal)[0] / RATE)
        assert len(signal) == 2 * RATE
    assert 0.2 <= min(starts) < 0.4
    assert 0.5 < max(starts) <= 0.7001  # 1.3 s of 2 s are speech


def test_copies_of_other_items_seeds_and_windows_differ(utterances):
    windowing = Windowing(0.5)
    items = [Item(utterances[0], 0.0, 0.5), Item(utterances[0], 0.5, 1.0), Item(utterances[1], 0.0, 0.5)]
    noises = [item.signal(RATE, windowing) - sine(0.5) for item in copies(items, ["noise"], seed=1)[3:]]
    noises += [item.signal(RATE, windowing) - sine(0.5) for item in copies(items[:1], ["noise"], seed=2)[1:]]
    noises = [noise / np.linalg.norm(noise) for noise in noises]
    correlation = np.stack(noises) @ np.stack(noises).T
    assert np.abs(correlation - np.eye(4)).max() < 0.06


@pytest.mark.parametrize(("name", "until"), [("shift", 1.05), ("speed", 0.75)])
def test_a_further_channel_is_moved_with_the_speech(tmp_path, name, until):
    soundfile.write(tmp_path / "speech.wav", sine(1.3), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "egg.wav", sine(0.9, level=0.15), RATE, subtype="FLOAT")
    utterance = Utterance("x/a", tmp_path / "speech.wav", channels={"egg": Channel(tmp_path / "egg.wav")})
    for seed in range(5):
        item = Item(utterance, copy=name, seed=seed)
        speech, egg = (item.signal(RATE, Windowing(2.5), channel) for channel in (None, "egg"))
        assert len(speech) == len(egg)
        together = slice(0, round(until * RATE))  # before the shorter one ends, at any speed or shift
        np.testing.assert_allclose(egg[together], speech[together] / 2, atol=1e-3)
        assert np.abs(egg[together]).max() > 0.1


@pytest.mark.parametrize("semitones", [-2, 1, 2])
def test_pitch_changes_the_frequency_and_not_the_duration(semitones):
    changed = Pitch((semitones,))(padded(sine(1.5, 400), 2 * RATE), RATE, round(1.5 * RATE), chance())
    assert changed.dtype == np.float32
    assert len(changed) == 1.5 * RATE
    assert loudest(changed) == pytest.approx(400 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("factor", [0.75, 1.25])
def test_stretch_changes_the_duration_and_not_the_frequency(factor):
    changed = Stretch((factor,))(padded(sine(1.5, 400), 2 * RATE), RATE, round(1.5 * RATE), chance())
    assert changed.dtype == np.float32
    assert len(changed) == pytest.approx(1.5 * RATE / factor, abs=1)
    assert loudest(changed) == pytest.approx(400, rel=0.01)


@pytest.mark.parametrize("change", [Pitch((1,)), Stretch((0.3,)), Stretch((0.75,)), Stretch((3.0,))])
def test_pitch_and_duration_are_the_same_in_every_run(change):
    first, second = (change(sine(0.5, 400), RATE, RATE // 2, chance()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("change", [Pitch((2,)), Stretch((0.75,))])
@pytest.mark.parametrize("samples", [0, 1, 2, 100])
def test_pitch_and_duration_of_hardly_any_sound(change, samples):
    changed = change(np.full(samples, 0.1, dtype=np.float32), RATE, samples, chance())
    assert changed.dtype == np.float32 and np.isfinite(changed).all() and abs(len(changed) - samples) <= 34


def test_values_of_the_paper():
    assert Pitch().semitones == (-2, -1, 1, 2)
    assert Stretch().factors == (0.75, 0.80, 0.85, 0.90, 1.05, 1.10, 1.20, 1.25)
    assert Pair().ratios == (7, 8, 11, 12, 14, 15, 17, 18, 20)


def test_a_pair_is_two_of_three_changes():
    signal = sine(1.0, 400)
    found = set()
    for seed in range(40):
        changed = Pair()(signal, RATE, len(signal), chance(seed))
        shifted = abs(loudest(changed) / 400 - 1) > 0.03
        stretched = len(changed) != len(signal)
        quiet = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))[len(changed) // 4 :]
        noisy = np.median(quiet) > 0.1
        assert [shifted, stretched, noisy].count(True) == 2
        found.add((bool(shifted), stretched, bool(noisy)))
    assert len(found) == 3


def test_a_pair_repeats_with_its_seed_and_hears_only_the_speech():
    signal = padded(sine(1.0, 400), 3 * RATE)
    first, second = (Pair()(signal, RATE, RATE, chance(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(first) <= RATE / 0.75 + 1
    assert not np.array_equal(first[:RATE], Pair()(signal, RATE, RATE, chance(6))[:RATE])


def speechlike(seconds=2.0):
    """A buzz at 150 Hz with all its harmonics up to 7.5 kHz, louder and softer at 4 Hz."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 150 * harmonic * time) for harmonic in range(1, 51)) / 50
    return (0.4 * buzz * (1 + 0.5 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def band_level(signal, low, high):
    """Power between two frequencies in dB."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    frequency = np.fft.rfftfreq(len(signal), 1 / RATE)
    return 10 * np.log10(power[(frequency >= low) & (frequency < high)].sum() + 1e-12)


@pytest.mark.parametrize(("slope", "expected"), [(0.0, 3.0), (-3.0, 0.0), (-6.0, -3.0)])
def test_coloured_noise_falls_by_its_slope_and_has_its_ratio(slope, expected):
    signal = speechlike(4.0)
    changed = ColouredNoise(10.0, 10.0, (slope,))(signal, RATE, len(signal), chance())
    assert changed.dtype == np.float32
    assert ratio(signal, changed, len(signal)) == pytest.approx(10, abs=0.2)
    noise = changed - signal
    # Twice as wide an octave: white noise gains 3 dB from one to the next.
    assert band_level(noise, 2000, 4000) - band_level(noise, 1000, 2000) == pytest.approx(expected, abs=0.4)


def test_coloured_noise_of_silence_is_silence():
    np.testing.assert_array_equal(ColouredNoise()(np.zeros(100, np.float32), RATE, 100, chance()), np.zeros(100))


@pytest.mark.parametrize("subtype", ["ULAW", "GSM610"])
def test_a_telephone_keeps_its_band_and_nothing_else(subtype):
    signal = speechlike()
    changed = Telephone(subtypes=(subtype,))(signal, RATE, len(signal), chance())
    assert (changed.shape, changed.dtype) == (signal.shape, np.float32)
    assert band_level(changed, 500, 3000) == pytest.approx(band_level(signal, 500, 3000), abs=2)
    for low, high in ((100, 200), (4500, 7500)):
        assert band_level(changed, low, high) < band_level(signal, low, high) - 12


def test_the_words_on_the_telephone_are_in_time():
    click = np.zeros(RATE, np.float32)
    click[8000:8008] = 0.5
    changed = Telephone(subtypes=("ULAW",))(click, RATE, RATE, chance())
    assert abs(int(np.abs(changed).argmax()) - 8004) <= 4


@pytest.mark.parametrize("coding", Codec().formats)
def test_a_codec_loses_something_but_not_the_sound(coding):
    signal = speechlike()
    changed = Codec((coding,), 0.99, 0.99)(signal, RATE, len(signal), chance())
    assert (changed.shape, changed.dtype) == (signal.shape, np.float32)
    assert 0 < ratio(signal, changed, len(signal)) < 60
    assert band_level(changed, 100, 3000) == pytest.approx(band_level(signal, 100, 3000), abs=2)


def test_more_compression_loses_more():
    signal = speechlike()
    opus = (("OGG", "OPUS"),)
    least, most = (
        ratio(signal, Codec(opus, share, share)(signal, RATE, len(signal), chance()), len(signal))
        for share in (0.0, 0.99)
    )
    assert least > most + 3


def test_level_sets_the_peak_and_clips_above_full_scale():
    signal = sine(0.5)
    low = Level(-40.0, -40.0)(signal, RATE, len(signal), chance())
    assert np.abs(low).max() == pytest.approx(0.01, abs=1 / 32767)
    np.testing.assert_allclose(low * 32767, np.round(low * 32767), atol=1e-3)
    clipped = Level(6.0, 6.0)(signal, RATE, len(signal), chance())
    assert np.abs(clipped).max() == 1.0
    # A sine of twice full scale is above it for two thirds of the time.
    assert np.mean(np.abs(clipped) == 1.0) == pytest.approx(2 / 3, abs=0.01)
    np.testing.assert_array_equal(Level()(np.zeros(9, np.float32), RATE, 9, chance()), np.zeros(9))


def test_recordings_are_drawn_from_what_may_happen_to_them():
    signal = speechlike(1.0)
    always = {"speed": 0.0, "noise": 0.0}
    called = Recorded(**always, telephone=1.0, codec=0.0)(signal, RATE, len(signal), chance())
    coded = Recorded(**always, telephone=0.0, codec=1.0)(signal, RATE, len(signal), chance())
    plain = Recorded(**always, telephone=0.0, codec=0.0)(signal, RATE, len(signal), chance())

    def high(changed):
        return band_level(changed, 4500, 7500) - band_level(changed, 500, 3000)

    assert high(called) < high(signal) - 15
    assert high(coded) > high(signal) - 6
    assert high(plain) == pytest.approx(high(signal), abs=0.3)
    # Half a call, half a file: none stays as it was.
    halves = Recorded(**always, telephone=0.5, codec=0.5)
    likeness = [np.corrcoef(halves(signal, RATE, len(signal), chance(seed)), signal)[0, 1] for seed in range(12)]
    assert max(likeness) < 0.9999 < np.corrcoef(plain, signal)[0, 1]
    lengths = {len(Recorded()(signal, RATE, len(signal), chance(seed))) for seed in range(12)}
    assert len(lengths) > 6
    assert 0.9 * RATE < min(lengths) < max(lengths) < 1.12 * RATE


@pytest.mark.parametrize("name", ["coloured_noise", "telephone", "codec", "level", "recorded"])
def test_the_padding_is_not_the_recording_and_chance_is_the_generators(name):
    signal = padded(speechlike(1.0), 2 * RATE)
    change = augment.build(name)
    first, again, other = (change(signal, RATE, RATE, chance(seed)) for seed in (1, 1, 2))
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["telephone", "codec", "level", "recorded", "coloured_noise"])
def test_a_very_short_recording_survives(name):
    changed = augment.build(name)(sine(0.01), RATE, 160, chance())
    assert np.isfinite(changed).all()
    assert len(changed)
