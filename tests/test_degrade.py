import numpy as np
import pytest

from serkit.degrade import Babble, Band, Gain, Offset, Reverberation, codec, impulse_response
from serkit.errors import UserError

RATE = 16000


def chance(seed=0):
    return np.random.default_rng(seed)


def tone(seconds=1.0, frequency=1000.0, level=0.1):
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def power(signal):
    return float(np.mean(np.square(signal, dtype=np.float64)))


def chirp(seconds=1.5):
    """A sweep, in which every moment differs from every other."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * (200 * times + 600 * times**2))).astype(np.float32)


@pytest.mark.parametrize("decibels", [0.0, 10.0, 25.0])
def test_babble_has_its_ratio_to_the_speech(decibels):
    signal = np.pad(tone(2.0), (0, RATE))
    changed = Babble((decibels,))(signal, RATE, 2 * RATE, chance())
    assert changed.dtype == np.float32 and len(changed) == len(signal)
    noise = changed - signal
    # The noise is as loud as a whole; the speech is the first two seconds.
    assert 10 * np.log10(power(signal[: 2 * RATE]) / power(noise)) == pytest.approx(decibels, abs=0.1)


def test_babble_is_strongest_where_speech_is_and_has_its_rhythm():
    noise = Babble((0.0,), talkers=1)(tone(8.0), RATE, 8 * RATE, chance()) - tone(8.0)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    bands = [spectrum[(hertz >= low) & (hertz < 2 * low)].mean() for low in (250, 1000, 2000, 4000)]
    steps = 10 * np.log10(np.array(bands[:-1]) / bands[1:])
    # An octave up 8 dB less; from 250 to 1000 Hz there is one such octave and the flat part.
    assert steps[1:] == pytest.approx([8, 8], abs=1.0)
    assert power(spectrum[hertz < 95]) < 1e-6 * power(spectrum[(hertz > 100) & (hertz < 500)])
    levels = np.sqrt(np.square(noise).reshape(-1, 160).mean(1))
    rhythm = np.abs(np.fft.rfft(levels - levels.mean())) ** 2
    # Frames of 10 ms: 100 per second.
    assert rhythm[np.fft.rfftfreq(len(levels), 0.01) < 10].sum() > 0.6 * rhythm.sum()


@pytest.mark.parametrize(("frequency", "left"), [(150, 0.0), (400, 1.0), (3000, 1.0), (4000, 0.0)])
def test_a_band_keeps_what_is_in_it(frequency, left):
    signal = tone(1.0, frequency)
    middle = Band()(signal, RATE, RATE, chance())[2000:-2000]
    assert power(middle) / power(signal) == pytest.approx(left, abs=0.01)


def test_a_band_that_is_none_is_refused():
    with pytest.raises(UserError, match="band: low must be below high, got 3400 to 300 Hz"):
        Band(3400, 300)


@pytest.mark.parametrize("name", ["opus", "mp3"])
def test_lower_rates_lose_more(name):
    signal = Babble((0,))(chirp(), RATE, len(chirp()), chance())
    lost = []
    for kilobits in (64, 32, 16):
        changed = codec(name, kilobits)(signal, RATE, len(signal), chance())
        assert len(changed) == len(signal) and changed.dtype == np.float32
        lost.append(power(changed - signal) / power(signal))
    assert lost == sorted(lost) and lost[0] < 0.9 * lost[-1]
    # Moved by a millisecond the sweep would be lost altogether: no codec leaves its delay.
    changed = codec(name, 16)(chirp(), RATE, len(chirp()), chance())
    assert power(changed - chirp()) < 0.1 * power(chirp())


def test_a_codec_says_what_it_can():
    with pytest.raises(UserError, match="mp3: the bit rate must be from 16 to 160 kbit/s, got 8"):
        codec("mp3", 8)
    with pytest.raises(UserError, match=r"unknown codec 'opsu'\. Did you mean 'opus'"):
        codec("opsu", 8)


@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_a_room_dies_away_as_its_reverberation_time_says(seconds):
    response = impulse_response(seconds, RATE, 0.0, chance())
    assert response[0] == 1 and (response[1:31] == 0).all()
    assert np.square(response[1:]).sum() == pytest.approx(1.0)
    # Schroeder's backward integration: from -5 to -25 dB takes a third of RT60.
    left = 10 * np.log10(np.cumsum(np.square(response[1:])[::-1])[::-1])
    taken = (np.argmax(left < -25) - np.argmax(left < -5)) / RATE
    assert 3 * taken == pytest.approx(seconds, rel=0.1)
    drier = impulse_response(seconds, RATE, 10.0, chance())
    assert np.square(drier[1:]).sum() == pytest.approx(0.1)


def test_reverberation_keeps_level_and_length_and_rings_on():
    signal = np.pad(tone(0.5), (0, RATE // 2))
    changed = Reverberation((0.5,))(signal, RATE, RATE // 2, chance())
    assert changed.shape == signal.shape and changed.dtype == np.float32
    assert power(changed[: RATE // 2]) == pytest.approx(power(signal[: RATE // 2]), rel=1e-4)
    assert power(changed[RATE // 2 : RATE // 2 + 800]) > 1e-2 * power(signal[: RATE // 2])
    with pytest.raises(UserError, match="the time must be above 0 s, got 0"):
        Reverberation((0.0,))(signal, RATE, RATE // 2, chance())


def test_gain_clips_at_full_scale():
    signal = np.array([0.01, -0.05, 0.5], dtype=np.float32)
    np.testing.assert_allclose(Gain((20,))(signal, RATE, 3, chance()), [0.1, -0.5, 1.0], rtol=1e-6)
    np.testing.assert_allclose(Gain((-20,))(signal, RATE, 3, chance()), signal / 10, rtol=1e-6)


def test_offset_is_relative_to_the_speech():
    signal = np.array([0.3, -0.4, 0.0, 0.0], dtype=np.float32)
    # RMS of the first two samples: sqrt((0.09 + 0.16) / 2)
    np.testing.assert_allclose(Offset(2.0)(signal, RATE, 2, chance()), signal + 0.70710678, rtol=1e-6)


@pytest.mark.parametrize(
    "change", [Babble(), Band(), Reverberation(), Gain(), Offset(1.0), codec("opus", 16), codec("mp3", 16)]
)
def test_silence_stays_silence_and_chance_has_a_seed(change):
    silence = np.zeros(8000, dtype=np.float32)
    assert np.abs(change(silence, RATE, 8000, chance())).max() < 1e-3
    signal = chirp(0.5)
    np.testing.assert_array_equal(
        change(signal, RATE, len(signal), chance(3)), change(signal, RATE, len(signal), chance(3))
    )
