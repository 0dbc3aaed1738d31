"""Adaptation to a voice: its values by hand, and what it does not do."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from serkit import audio, features
from serkit.errors import UserError
from serkit.recognition import Recognizer, TimelineOptions, Window, adaptation, load, speechlike
from serkit.recognition.adaptation import ENOUGH, PLENTY, Voice, _variety, shifted, spread, variety
from serkit.recognition.bundle import Adaptation, BundleError
from syllables import syllables

MEL = features.build("log_mel")
POPULATION = np.linspace(-60, -40, 64)
NARROW, WIDE = 0.001, 0.002


@pytest.fixture
def adaptable(tmp_path, network, description):
    content, weights, bias = network({"mel": 64})
    table = {"means": {"mel": POPULATION.tolist()}, "narrow": NARROW, "wide": WIDE}
    folder = tmp_path / "adaptable"
    description(adaptation=table).save(folder, content, "# Adaptable\n")
    return load(folder), weights, bias


@pytest.fixture
def take(tmp_path):
    """Write seconds of something like speech with a level."""

    def write(name, seconds=1.0, level=0.1, seed=0, rate=16000):
        path = tmp_path / name
        soundfile.write(path, syllables(seconds, level, seed, rate), rate)
        return path

    return write


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def voice(answers, seconds, rows=((1.0, 3.0),), means=(0.0, 1.0), narrow=1.0, wide=2.0, **options):
    """Return a voice of windows with equal rows."""
    heard = Voice(Adaptation(means={"x": list(means)}, narrow=narrow, wide=wide, **options))
    for answer in answers:
        for row in rows:
            heard.add({"x": np.array(row, dtype=np.float32)}, np.array(answer), seconds)
    return heard


def test_the_spread_is_the_variance_of_the_logarithms():
    answers = np.exp([[-1.0, -2.0], [-3.0, -2.0]])
    assert spread(answers) == pytest.approx((2.0 + 0.0) / 2)
    assert spread(answers[:1]) == 0.0
    # A probability of 0 counts as 1e-4.
    assert spread(np.array([[0.0, 1.0], [1e-4, 1.0]])) == 0.0


def test_running_sums_give_the_same_spread():
    answers = np.random.default_rng(0).dirichlet(np.ones(5), 9)
    heard = voice(answers, 1.0, rows=[(0.0, 0.0)])
    assert heard._spread() == pytest.approx(spread(answers))


def test_the_share_grows_with_the_square_of_the_material():
    varied = np.exp([[-1.0, -9.0], [-9.0, -1.0]])
    halves = [voice(varied, seconds / 2).share for seconds in (ENOUGH / 2, ENOUGH, 3 * ENOUGH)]
    assert halves == pytest.approx([1 / 5, 1 / 2, 9 / 10])


def test_a_bundle_limits_the_share():
    heard = Voice(Adaptation(means={"x": [0.0, 1.0]}, narrow=1.0, wide=2.0, strength=0.25))
    for answer in np.exp([[-1.0, -9.0], [-9.0, -1.0]]):
        heard.add({"x": np.array([1.0, 3.0])}, answer, ENOUGH / 2)
    assert heard.share == pytest.approx(0.25 * 0.5)


def test_variety_is_the_share_of_information_in_the_mean_answers_uncertainty():
    # The mean answer is even (log 2); each answer is certain. The bias of two answers doubles it.
    assert variety(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(2 * np.log(2) / (np.log(2) + 0.05))
    assert variety(np.tile([0.7, 0.3], (4, 1))) == pytest.approx(0)
    assert variety(np.array([[1.0, 0.0]])) == 0.0
    answers = np.random.default_rng(0).dirichlet(np.ones(5), 9)
    heard = voice(answers, 1.0, rows=[(0.0, 0.0)])
    assert _variety(heard._count, heard._answers, heard._entropies) == pytest.approx(variety(answers))


def test_calibration_does_not_change_the_share():
    logits = np.random.default_rng(0).normal(0, 2, (6, 4))
    sharp, calibrated = (np.exp(logits / scale) / np.exp(logits / scale).sum(1, keepdims=True) for scale in (1, 2.5))
    shares = [voice(sharp, 5.0).share, voice(calibrated, 5.0, temperature=2.5).share, voice(calibrated, 5.0).share]
    assert shares[0] > 0.1
    assert shares[1] == pytest.approx(shares[0], rel=1e-3)
    assert shares[2] < shares[0] / 2


def test_calibration_of_short_windows_does_not_change_the_share():
    logits = np.random.default_rng(0).normal(0, 2, (6, 4))
    whole, short = (Voice(Adaptation(means={"x": [0.0, 1.0]}, narrow=1.0, wide=2.0)) for _ in range(2))
    for row in logits:
        for heard, factor in ((whole, 1.0), (short, 1.8)):
            answer = np.exp(row / factor) / np.exp(row / factor).sum()
            heard.add({"x": np.ones(2, dtype=np.float32)}, answer, 5.0, factor)
    assert short.share == pytest.approx(whole.share) and whole.share > 0.1


def test_nothing_is_removed_for_one_sided_material():
    assert voice(np.tile([0.7, 0.3], (4, 1)), ENOUGH / 4).share == 0
    # Other answers of the same emotion, less certain.
    assert voice(np.array([[0.7, 0.3], [0.8, 0.2]]), ENOUGH / 2).share == 0


def test_minutes_of_material_need_only_a_spread():
    alike = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert variety(alike) < 0.1 and spread(alike) > 0.1
    assert voice(alike, PLENTY / 2, narrow=0.0, wide=0.1).share == pytest.approx(0.5)


def test_the_shift_is_the_share_of_the_difference_of_means():
    heard = voice(np.exp([[-1.0, -9.0], [-9.0, -1.0]]), ENOUGH / 2)
    assert heard.shift()["x"] == pytest.approx([0.5 * (1 - 0), 0.5 * (3 - 1)])
    assert heard.shift()["x"].dtype == np.float32


def test_windows_count_by_their_duration_and_time_is_averaged():
    heard = Voice(Adaptation(means={"x": [0.0]}, narrow=0.0, wide=1e-9))
    heard.add({"x": np.array([[1.0, 3.0]])}, np.array([0.9, 0.1]), 100.0)
    heard.add({"x": np.array([[8.0]])}, np.array([0.1, 0.9]), 200.0)
    assert heard.shift()["x"] == pytest.approx([heard.share * (100 * 2 + 200 * 8) / 300])


def test_nothing_heard_shifts_nothing():
    assert Voice(Adaptation(means={"x": [1.0]}, narrow=0.0, wide=1.0)).shift() == {}


def test_a_shift_applies_to_each_moment_of_its_input_only():
    array, other = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(2, dtype=np.float32)
    moved, kept = shifted([array, other], ["mel", "other"], {"mel": np.array([1.0, 2.0], dtype=np.float32)})
    assert moved.tolist() == [[-1, 0, 1], [1, 2, 3]] and kept is other


def test_an_adapted_answer_by_hand(adaptable, take):
    recognizer, weights, bias = adaptable
    enrolment = [take("a.wav", 1.0, 0.3, seed=1), take("b.wav", 1.0, 0.001, seed=2)]
    test = take("test.wav", 1.0, 0.02, seed=3)

    def mean(path):
        samples, _ = audio.read(path)
        return MEL(samples if samples.ndim == 1 else samples[:, 0]).mean(axis=1)

    answers = np.stack([softmax(mean(path) @ weights + bias) for path in enrolment])
    varied = np.clip((spread(answers) - NARROW) / (0.6 * (WIDE - NARROW)), 0, 1)
    various = np.clip((variety(answers) - 0.1) / 0.2, 0, 1)
    share = max(4 / (4 + ENOUGH**2) * various, 16 / (16 + PLENTY**4) * varied)
    shift = share * (np.mean([mean(path) for path in enrolment], axis=0) - POPULATION)
    adapted = recognizer.adapt(enrolment)
    assert isinstance(adapted, Recognizer) and adapted.voice.seconds == pytest.approx(2.0)
    assert list(adapted(test).probabilities.values()) == pytest.approx(
        softmax((mean(test) - shift) @ weights + bias), abs=1e-4
    )


def test_the_original_stays_and_the_adapted_one_hears_on(adaptable, take):
    recognizer, *_ = adaptable
    first, second, test = take("1.wav", 9.0, 0.3), take("2.wav", 9.0, 0.001, seed=1), take("test.wav", seed=2)
    before = recognizer(test)
    adapted = recognizer.adapt(first)
    once = adapted(test)
    further = adapted.adapt([second])
    assert recognizer(test) == before and recognizer.voice is None
    assert adapted(test) == once != before and adapted.voice.seconds == pytest.approx(9.0)
    together = recognizer.adapt([first, second])
    assert further(test).probabilities == pytest.approx(together(test).probabilities)


def test_the_order_of_the_material_does_not_matter(adaptable, take):
    recognizer, *_ = adaptable
    paths = [take(f"{seed}.wav", 2.5, level, seed) for seed, level in enumerate((0.3, 0.001, 0.05))]
    test = take("test.wav", seed=9)
    answers = [recognizer.adapt(order)(test).probabilities for order in (paths, paths[::-1])]
    assert answers[0] == pytest.approx(answers[1])


def test_an_adapted_recognizer_can_be_carried_to_processes(adaptable, take):
    recognizer, *_ = adaptable
    adapted = recognizer.adapt(take("a.wav", 20.0, 0.3))
    test = take("test.wav", seed=4)
    assert pickle.loads(pickle.dumps(adapted))(test) == adapted(test) != recognizer(test)
    assert list(adapted.predict_files([test], jobs=2)) == [adapted(test)]


def test_silence_is_not_heard(adaptable, take):
    recognizer, *_ = adaptable
    silent = take("silent.wav", 3.0, 0.0)
    with (
        pytest.raises(UserError, match="no recording was given, or none holds speech"),
        pytest.warns(audio.AudioWarning),
    ):
        recognizer.adapt([silent])
    with pytest.raises(UserError, match="nothing to adapt to"):
        recognizer.adapt([])
    loud, test = take("loud.wav", 4.0, 0.3), take("test.wav")
    with pytest.warns(audio.AudioWarning, match="silent.wav: no speech to adapt to"):
        assert recognizer.adapt([silent, loud])(test) == recognizer.adapt(loud)(test)


def test_only_windows_with_speech_are_heard(adaptable, take, monkeypatch):
    recognizer, *_ = adaptable
    music, voice, test = take("music.wav", 3.0, 0.5), take("voice.wav", 4.0, 0.1), take("test.wav")
    monkeypatch.setattr(speechlike, "probability", lambda samples, rate: 0.05 if np.std(samples) > 0.3 else 0.07)
    with pytest.warns(audio.AudioWarning, match="music.wav: no speech to adapt to"):
        found = recognizer.adapt([music, voice])
    assert found(test) == recognizer.adapt(voice)(test) != recognizer(test)
    with pytest.raises(UserError, match="none holds speech"), pytest.warns(audio.AudioWarning):
        recognizer.adapt(music)


def test_a_recording_in_memory_is_material_like_its_file(adaptable, take):
    recognizer, *_ = adaptable
    path, test = take("a.wav", 5.0, 0.3), take("test.wav")
    assert recognizer.adapt(audio.InMemory(path.read_bytes()))(test) == recognizer.adapt(path)(test)


def test_unusable_material_is_an_error(adaptable, take, tmp_path):
    recognizer, *_ = adaptable
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    with pytest.raises(audio.AudioError, match=r"broken\.wav"):
        recognizer.adapt([take("a.wav"), broken])


def test_a_bundle_without_statistics_says_so(toy, take):
    with pytest.raises(UserError, match="bundle 'toy' cannot adapt to a voice: it holds no 'adaptation'"):
        load("toy").adapt(take("a.wav"))
    with pytest.raises(UserError, match="cannot adapt to a voice"):
        load("toy").timeline(take("a.wav"), options=TimelineOptions(adapt=True))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"means": {"mel": [0.0] * 63}}, "'adaptation.means.mel' has 63 numbers, but the input has 64 rows"),
        ({"means": {"mal": [0.0] * 64}}, "'adaptation.means.mal' has 64 numbers, but the input does not exist"),
        ({"narrow": 2.0}, "adaptation.wide"),
        ({"means": {}}, "adaptation.means"),
        ({"strength": 0.0}, "adaptation.strength"),
        ({"means": {"mel": [float("nan")] * 64}}, "adaptation.means.mel.0"),
    ],
)
def test_a_bundle_with_wrong_statistics_is_refused(table, message, tmp_path, network, description):
    whole = {"means": {"mel": [0.0] * 64}, "narrow": 1.0, "wide": 2.0, **table}
    with pytest.raises((BundleError, ValueError), match=message):
        description(adaptation=whole).save(tmp_path / "wrong", network({"mel": 64})[0], "# Wrong\n")


def test_each_speaker_is_adapted_to_its_own_recordings(adaptable, take, tmp_path):
    recognizer, *_ = adaptable
    loud = [take(f"loud{seed}.wav", 10.0, 0.3, seed) for seed in range(2)]
    soft = [take(f"soft{seed}.wav", 10.0, 0.001, seed) for seed in range(2)]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"")
    found = list(recognizer.predict_speakers([[*loud, broken], soft]))
    assert [result.file for result in found] == [str(path) for path in (*loud, broken, *soft)]
    assert found[:2] == [recognizer.adapt(loud)(path) for path in loud]
    assert found[3:] == [recognizer.adapt(soft)(path) for path in soft]
    assert "broken.wav" in found[2].error


def test_a_running_timeline_adapts_to_what_it_has_heard_only(adaptable):
    recognizer, *_ = adaptable
    samples = syllables(40, 0.1).astype(np.float32)
    samples[16000 * 20 :] *= 0.1
    options = {"detector": "none", "window": 1.0}
    plain = recognizer.timeline_signal(samples, 16000, options=TimelineOptions(**options))
    running = recognizer.timeline_signal(samples, 16000, options=TimelineOptions(**options, adapt=True))
    begin = [np.array(list(line.windows[0].probabilities.values())) for line in (plain, running)]
    end = [np.array(list(line.windows[-1].probabilities.values())) for line in (plain, running)]
    # One window says little; 40 s say more.
    assert np.abs(begin[0] - begin[1]).max() < np.abs(end[0] - end[1]).max()
    first = recognizer.timeline_signal(samples[: 16000 * 20], 16000, options=TimelineOptions(**options, adapt=True))
    assert running.windows[: len(first.windows)] == first.windows


def test_a_running_timeline_does_not_depend_on_the_chunks(adaptable):
    recognizer, *_ = adaptable
    samples = syllables(6, 0.1).astype(np.float32)
    options = TimelineOptions(detector="none", adapt=True)

    def windows(size):
        stream = recognizer.stream(16000, options=options)
        return list(stream.events(samples[begin : begin + size] for begin in range(0, len(samples), size)))

    assert windows(400) == windows(16000)


def test_a_running_timeline_counts_each_second_once(adaptable):
    recognizer, *_ = adaptable
    stream = recognizer.stream(
        16000, options=TimelineOptions(detector="none", window=1.0, hop=0.25, pause=0.5, adapt=True)
    )
    list(stream.events([syllables(8, 0.1).astype(np.float32)]))
    assert stream._voice.seconds == pytest.approx(8.0)


def test_a_running_timeline_does_not_adapt_to_noise(adaptable):
    recognizer, *_ = adaptable
    noise = np.random.default_rng(0).normal(0, 0.3, 16000 * 20).astype(np.float32)
    options = TimelineOptions(detector="none", adapt=True, window=1.0)

    def heard(*sounds):
        stream = recognizer.stream(16000, options=options)
        found = list(stream.events(sounds))
        return stream._voice.seconds, [one.probabilities for one in found if isinstance(one, Window)]

    seconds, answers = heard(noise)
    assert seconds == 0
    plain = recognizer.timeline_signal(noise, 16000, options=replace(options, adapt=False))
    assert answers == [one.probabilities for one in plain.windows]
    assert heard(noise, syllables(10, 0.1).astype(np.float32))[0] == pytest.approx(10.0, abs=1.0)


def test_a_stream_of_an_adapted_recognizer_begins_with_its_voice(adaptable, take):
    recognizer, *_ = adaptable
    adapted = recognizer.adapt(take("a.wav", 30.0, 0.3))
    samples = syllables(2, 0.1).astype(np.float32)
    stream = adapted.stream(16000, options=TimelineOptions(detector="none", adapt=True))
    list(stream.events([samples]))
    assert stream._voice.seconds == pytest.approx(32.0) and adapted.voice.seconds == pytest.approx(30.0)


def test_the_rule_never_moves_more_than_the_difference():
    generator = np.random.default_rng(0)
    for _ in range(50):
        answers = generator.dirichlet(np.ones(4), generator.integers(1, 9))
        share = voice(answers, float(generator.uniform(0.1, 600))).share
        assert 0 <= share < 1
    assert adaptation.ENOUGH > 0
