"""Doubts: sound that is no speech, or unlike the training data; segments and answers that differ."""

import numpy as np
import pytest

import serkit
from serkit.corpora import synthetic
from serkit.recognition import TimelineOptions, familiarity, speechlike
from serkit.recognition.bundle import Familiar
from serkit.recognition.prediction import Doubt, Prediction
from serkit.recognition.segments import Segment
from serkit.recognition.timeline import Timeline, _completed

RATE = 16000
TIME = np.arange(3 * RATE) / RATE
RANDOM = np.random.default_rng(0)

SOUNDS = {
    "tone": np.sin(2 * np.pi * 440 * TIME),
    "hum": sum(np.sin(2 * np.pi * 120 * k * TIME) / k for k in range(1, 9)),
    "vibrato": np.sin(2 * np.pi * 200 * TIME + 3 * np.sin(2 * np.pi * 5 * TIME)),
    "sweep": np.sin(2 * np.pi * (200 + 300 * TIME) * TIME),
    "chord": sum(np.sin(2 * np.pi * f * TIME) for f in (220, 277, 330)),
    "noise": RANDOM.standard_normal(len(TIME)),
    "brown noise": np.cumsum(RANDOM.standard_normal(len(TIME))) / 100,
    "clicks": (np.arange(len(TIME)) % 4000 < 20) * 1.0,
    "siren": np.sin(2 * np.pi * 700 * TIME + 200 * np.sin(2 * np.pi * TIME)),
    "dial tone": np.sin(2 * np.pi * 697 * TIME) + np.sin(2 * np.pi * 1209 * TIME),
    "decay": np.exp(-20 * TIME) * np.sin(2 * np.pi * 440 * TIME),
    "nearly silent": 1e-4 * RANDOM.standard_normal(len(TIME)),
}


@pytest.fixture(scope="module")
def recognizer():
    return serkit.load()


@pytest.mark.parametrize("name", SOUNDS)
def test_what_is_no_speech_is_never_sure(name, recognizer):
    samples = (0.3 * SOUNDS[name] / max(1, np.abs(SOUNDS[name]).max())).astype(np.float32)
    prediction = recognizer.predict_signal(samples, RATE)
    assert not prediction.sure and prediction.doubt in (Doubt.no_speech, Doubt.unlike)
    timeline = recognizer.timeline_signal(samples, RATE)
    assert not any(segment.sure for segment in timeline.segments)
    assert timeline.answers == (prediction,)


def test_the_probability_depends_neither_on_the_level_nor_much_on_the_rate():
    take = synthetic.utterance(1, 1, "neutral", 1, 0)
    samples, rate = take.speech.astype(np.float32), take.rate
    assert rate == 2 * speechlike.RATE
    heard = speechlike.measures(speechlike.halved(samples))
    assert speechlike.measures(speechlike.halved(samples / 8)) == pytest.approx(heard, abs=1e-3)
    assert len(heard) == len(speechlike.MEASURES) and np.isfinite(heard).all()
    slow = serkit.audio.resample(samples, rate, 8000)
    assert speechlike.probability(slow, 8000) == pytest.approx(speechlike.probability(samples, rate), abs=0.2)


def test_a_level_that_only_falls_has_finite_measures():
    falling = np.exp(-6 * TIME[: RATE // 2]) * np.sin(2 * np.pi * 440 * TIME[: RATE // 2])
    assert np.isfinite(speechlike.measures(speechlike.halved(falling.astype(np.float32)))).all()


@pytest.mark.parametrize("count", [0, 1, 2, 100, 8000])
def test_any_length_has_a_finite_probability(count):
    samples = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    for heard in (samples, 0 * samples):
        assert 0 <= speechlike.probability(heard, RATE) <= 1


def test_half_the_rate_keeps_low_tones_and_removes_high_ones():
    low, high = (np.sin(2 * np.pi * hertz * TIME).astype(np.float32) for hertz in (1000, 6000))
    assert speechlike.halved(low)[100:-100] == pytest.approx(low[::2][100:-100], abs=0.01)
    assert np.abs(speechlike.halved(high)[100:-100]).max() < 0.01


def table(generator, count, shift=0.0):
    return {"x": generator.normal(shift, 1, (count, 8)), "y": generator.normal(5, 2, (count, 3))}


def test_recordings_far_from_the_training_data_are_unlike_it():
    generator = np.random.default_rng(0)
    known = familiarity.fit(table(generator, 300), table(generator, 300), ["a", "b", "c"] * 100, [None] * 300)
    assert known.means["x"] == pytest.approx(np.zeros(8), abs=0.2)
    assert known.scales["y"] == pytest.approx(np.full(3, 2), abs=0.2)
    distance = familiarity.Distance(known)
    assert distance({"x": np.zeros(8), "y": np.full(3, 5.0)}) < 0.3 < known.threshold < 3
    assert distance({"x": np.full(8, 4.0), "y": np.full(3, 5.0)}) > known.threshold
    # A single row cannot exceed 6 standard deviations.
    assert distance({"x": np.eye(8)[0] * 1e9, "y": np.full(3, 5.0)}) == pytest.approx(6 / np.sqrt(11), rel=0.05)


def test_the_threshold_is_fitted_to_what_is_held_out():
    generator = np.random.default_rng(0)
    parts = [table(generator, 100, shift) for shift in (0, 0, 3)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in "xy"}
    corpora = np.repeat(["a", "b", "c"], 100).tolist()
    apart = familiarity.fit(whole, whole, corpora, [None] * 300)
    together = familiarity.fit(whole, whole, ["a"] * 300, [str(number % 10) for number in range(300)])
    assert apart.threshold > together.threshold + 0.5


def test_too_few_recordings_tell_nothing():
    few = table(np.random.default_rng(0), 10)
    assert familiarity.fit(few, few, ["a"] * 10, [str(number) for number in range(10)]) is None
    many = table(np.random.default_rng(0), 40)
    assert familiarity.fit(many, many, ["a"] * 40, ["one"] * 40) is None


def test_a_scale_for_each_mean():
    with pytest.raises(ValueError, match="a number for each of 'means'"):
        Familiar(means={"x": [0.0, 1.0]}, scales={"x": [1.0]}, threshold=1.0, window_threshold=1.0)


def test_of_several_doubts_the_first_is_named(recognizer):
    unsure, familiar = recognizer.bundle.unsure, recognizer.bundle.familiar
    assert recognizer.doubt(1.0, 1.0, 0.0) == ""
    assert recognizer.doubt(unsure.threshold - 0.01, 1.0, 0.0) == "low confidence"
    assert recognizer.doubt(0.0, 1.0, familiar.threshold + 0.01) == "unlike the training data"
    assert recognizer.doubt(0.0, 0.0, 99.0) == "no speech"
    perhaps = (speechlike.THRESHOLD + speechlike.CERTAIN) / 2
    assert recognizer.doubt(0.0, perhaps, 0.0) == "perhaps no speech"
    assert recognizer.doubt(0.0, perhaps, 99.0) == "unlike the training data"
    for limit, window in ((familiar.threshold, False), (familiar.window_threshold, True)):
        assert recognizer.doubt(1.0, 1.0, limit - 0.01, window=window) == ""
        assert recognizer.doubt(1.0, 1.0, limit + 0.01, window=window) == "unlike the training data"


def test_an_answer_that_no_segment_has_is_a_warning():
    segments = (Segment(0.0, 1.0, "anger", 0.9, {"anger": 0.9}),)
    timeline = Timeline("a.wav", 1.0, ("anger", "joy"), (), segments)
    same = _completed(timeline, Prediction("a.wav", "anger", 0.8, {}, 1.0), ["a.wav: truncated"])
    assert same.warnings == ("a.wav: truncated",)
    other = Prediction("a.wav", "joy", 0.4, {}, 1.0, ("a.wav: truncated",), sure=False, doubt="low confidence")
    assert _completed(timeline, other, ["a.wav: truncated"]).warnings == (
        "a.wav: truncated",
        "a.wav: the whole recording is called joy (unsure: low confidence), but none of its segments is",
    )
    silent = Timeline("a.wav", 1.0, ("anger", "joy"), (), ())
    assert _completed(silent, other, ()).warnings == ("a.wav: truncated",)


def test_each_channel_has_its_own_answer(recognizer):
    takes = [synthetic.utterance(speaker, 1, "anger", 1, 0).speech for speaker in (1, 2)]
    length = min(map(len, takes))
    call = np.stack([take[:length] for take in takes], axis=1).astype(np.float32)
    timeline = recognizer.timeline_signal(call, RATE, "each", TimelineOptions(detector="none"))
    assert [answer.channel for answer in timeline.answers] == [0, 1]
    for channel in (0, 1):
        alone = recognizer.timeline_signal(call, RATE, channel, TimelineOptions(detector="none"))
        assert timeline.of_channel(channel).answers == alone.answers
