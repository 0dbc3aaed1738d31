import numpy as np
import pytest

from serkit import audio
from serkit.augment import Noise
from serkit.evaluation import snr
from serkit.evaluation.snr import wada_snr


def modelled(count=200_000, seed=0):
    """Samples as the estimate takes clean speech to be: gamma distributed magnitudes of either sign."""
    generator = np.random.default_rng(seed)
    return (0.05 * generator.gamma(snr.SHAPE, size=count) * generator.choice([-1, 1], count)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-3, 0, 10, 20, 28])
def test_mixtures_of_the_model_have_their_ratio(decibels):
    signal = Noise(decibels, decibels)(modelled(), 16000, 200_000, np.random.default_rng(1))
    assert wada_snr(signal) == pytest.approx(decibels, abs=1.0)


def test_the_table_begins_at_the_statistic_of_noise_alone():
    ratios, statistics = snr._table()
    # Of a Gaussian: log sqrt(2 / pi) + (Euler's constant + log 2) / 2.
    gaussian = 0.5 * np.log(2 / np.pi) + (np.euler_gamma + np.log(2)) / 2
    assert gaussian < statistics[0] < gaussian + 0.02
    # Of clean speech: log shape - digamma(shape), with digamma(0.4) = -2.5614.
    assert statistics[-1] < np.log(0.4) + 2.5614
    assert (np.diff(statistics) > 0).all() and ratios[0] == -10 and ratios[-1] == 30


@pytest.mark.parametrize(("decibels", "end"), [(-25, -10), (45, 30)])
def test_what_cannot_be_told_apart_is_the_end_of_the_range(decibels, end):
    signal = Noise(decibels, decibels)(modelled(), 16000, 200_000, np.random.default_rng(1))
    assert wada_snr(signal) == pytest.approx(end, abs=1.0)


def test_level_and_offset_make_no_difference():
    signal = Noise(15, 15)(modelled(), 16000, 200_000, np.random.default_rng(1))
    assert wada_snr(0.01 * signal + 0.2) == pytest.approx(wada_snr(signal), abs=0.2)


def test_silence_has_no_ratio():
    assert np.isnan(wada_snr(np.zeros(1000, dtype=np.float32)))


def test_digital_silence_is_left_out():
    signal = Noise(10, 10)(modelled(), 16000, 200_000, np.random.default_rng(1))
    padded = np.concatenate([signal - signal.mean(), np.zeros(100_000, dtype=np.float32)])
    assert wada_snr(padded) == pytest.approx(wada_snr(signal), abs=0.1)


@pytest.mark.corpora
@pytest.mark.parametrize(("decibels", "low", "high"), [(0, -3, 2), (10, 6, 12), (20, 13, 24)])
def test_real_speech_with_noise_is_estimated_to_a_few_decibels(recordings, decibels, low, high):
    found = []
    for path in sorted((recordings / "emodb" / "wav").iterdir())[::25]:
        signal, rate = audio.read(path)
        found.append(wada_snr(Noise(decibels, decibels)(signal, rate, len(signal), np.random.default_rng(0))))
    assert low < np.median(found) < high
