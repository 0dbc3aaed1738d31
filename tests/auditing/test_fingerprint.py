import io

import numpy as np
import pytest
import soundfile

from serkit.audio import resample
from serkit.auditing import fingerprint
from serkit.auditing.fingerprint import COHERENT, RATE, SIMILAR, Fingerprint, coherence, flatten, similar
from serkit.corpora.synthetic import utterance
from serkit.features.log_mel import LogMel


@pytest.fixture(scope="module")
def takes():
    """Two takes of one sentence by one made-up speaker, at `RATE`."""
    found = [utterance(1, 1, "anger", take, seed=0) for take in (1, 2)]
    return [resample(take.speech, take.rate, RATE) for take in found]


def coded(signal, **options):
    file = io.BytesIO()
    soundfile.write(file, signal, RATE, **options)
    file.seek(0)
    decoded, rate = soundfile.read(file, dtype="float32")
    return resample(decoded, rate, RATE)


def with_noise(signal):
    chance = np.random.default_rng(0)
    return (signal + np.sqrt(np.mean(signal**2) / 100) * chance.standard_normal(len(signal))).astype(np.float32)


CHANGES = {
    "gain": lambda x: 0.9 * x,
    "inverted": lambda x: -x,
    "50 ms later": lambda x: np.pad(x, (RATE // 20, 0)),
    "cut": lambda x: x[RATE // 5 : -RATE // 10],
    "another rate": lambda x: resample(resample(x, RATE, 6000), 6000, RATE),
    "mp3": lambda x: coded(x, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.9),
    "opus": lambda x: coded(x, format="OGG", subtype="OPUS", compression_level=1.0),
    "noise at 20 dB": with_noise,
}


def test_at_another_rate_it_is_the_print_of_another_speed(takes):
    slowed = resample(takes[0], RATE, 8800)
    np.testing.assert_array_equal(Fingerprint(8800)(slowed), Fingerprint()(slowed))
    assert similar([Fingerprint()(takes[0]), Fingerprint()(slowed)]) == []
    fast = resample(takes[0], 8800, RATE)
    assert similar([Fingerprint()(takes[0]), Fingerprint()(resample(fast, RATE, 8800))]) == [(0, 1)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_similar_and_coherent(takes, change):
    changed = CHANGES[change](takes[0]).astype(np.float32)
    prints = [Fingerprint()(signal) for signal in (takes[0], changed)]
    assert similar(prints) == [(0, 1)]
    assert coherence(flatten(takes[0]), flatten(changed)) > COHERENT


def test_two_takes_of_one_sentence_are_not_coherent(takes):
    assert coherence(flatten(takes[0]), flatten(takes[1])) < COHERENT / 2


def test_the_print_is_the_change_of_slopes_over_two_frames():
    signal = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    bands = LogMel(
        rate=RATE, fft=1024, length=1024, hop=256, bands=17, low=300.0, high=3300.0, level="linear", norm=None
    )(signal).astype(np.float64)
    level = np.log(1 + bands / bands.mean(axis=1, keepdims=True))
    slope = level[:-1] - level[1:]
    change = slope[:, 2:] - slope[:, :-2]
    norm = np.sqrt((change**2).sum(axis=0))
    print_ = Fingerprint()(signal)
    assert print_.shape == (16, len(level.T)) and Fingerprint().shape == (16, None)
    padded = np.append(norm, np.sqrt(((slope[:, -1:] - slope[:, -2:]) ** 2).sum(axis=0)))
    np.testing.assert_allclose(print_[:, :-2], change / (norm + np.sqrt(np.mean(padded**2))), atol=1e-5)


def test_a_print_does_not_depend_on_the_level(takes):
    quiet, loud = Fingerprint()(takes[0]), Fingerprint()(100 * takes[0])
    np.testing.assert_allclose(quiet, loud, atol=1e-3)


def random_prints(count, frames=80):
    chance = np.random.default_rng(0)
    return [chance.normal(0, 0.2, (16, frames)).astype(np.float32) for _ in range(count)]


def test_an_excerpt_is_found_in_a_long_recording():
    long, other = random_prints(2, frames=700)
    assert similar([long, other, long[:, 333:400]]) == [(0, 2)]


def test_agreement_is_relative_to_the_shorter_one():
    one, noise = random_prints(2)
    mixed = 0.7 * one + 0.3 * noise
    agreement = float((one * mixed).sum() / min((one**2).sum(), (mixed**2).sum()))
    assert similar([one, mixed], threshold=agreement - 0.01) == [(0, 1)]
    assert similar([one, mixed], threshold=agreement + 0.01) == []


def test_blocks_hold_every_pair_once(monkeypatch):
    prints = random_prints(9)
    prints[7], prints[8] = prints[1], prints[4]
    whole = similar(prints)
    monkeypatch.setattr(fingerprint, "_BLOCK", (2, 3))
    assert whole == similar(prints) == [(1, 7), (4, 8)]
    assert similar(prints, prints) == [(1, 7), (4, 8), (7, 1), (8, 4)]


def test_silence_and_short_recordings_are_no_copies_of_anything():
    silence = Fingerprint()(np.zeros(2 * RATE, dtype=np.float32))
    short = random_prints(1, frames=5)[0]
    assert similar([silence, silence, short, short]) == []
    assert similar([]) == []


def test_coherence_of_known_signals():
    one, other = np.random.default_rng(0).normal(size=(2, RATE))
    assert coherence(one, one) == pytest.approx(1)
    assert coherence(one, -one[1000:]) == pytest.approx(1)
    assert coherence(one, one + other) == pytest.approx(1 / np.sqrt(2), abs=0.02)
    assert coherence(one, other) < 0.1
    # An excerpt from the end of a recording so long that its offset is more than half of the padded length.
    long = np.random.default_rng(1).normal(size=2**16 - 12000)
    assert coherence(long, long[-10000:]) == pytest.approx(1)
    assert coherence(long[-10000:], long) == pytest.approx(1)
    # They agree only in the 0.2 s in which one ends and the other begins.
    assert coherence(np.append(other, one[:1600]), np.append(one[:1600], -other[::-1])) < 0.5


def test_flattening_leaves_the_telephone_band_at_one_level():
    signal = np.convolve(np.random.default_rng(0).normal(size=4 * RATE), 0.9 ** np.arange(50))
    level = np.abs(np.fft.rfft(flatten(signal)))
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    inside = (frequencies > fingerprint.LOW) & (frequencies < fingerprint.HIGH)
    assert level[~inside].max() < 1e-9
    low, high = (np.sqrt(np.mean(level[inside & part] ** 2)) for part in (frequencies < 600, frequencies > 3000))
    assert low == pytest.approx(high, rel=0.1)


def test_the_thresholds_are_those_of_the_documentation():
    assert (SIMILAR, COHERENT) == (0.5, 0.25)
