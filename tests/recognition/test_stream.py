import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit import audio
from serkit.errors import UserError
from serkit.recognition import Recognizer, Segment, Stream, TimelineOptions, Window, load
from serkit.recognition.bundle import Bundle
from serkit.recognition.segments import Segmenter
from serkit.recognition.stream import Chunk
from voices import scene, voice

OPTIONS = TimelineOptions(hop=0.25, pause=0.3, lookahead=0.5, change=0.0)


@pytest.fixture(scope="module")
def recognizer(shelf):
    return Recognizer(Bundle.load(shelf / "toy"))


def pushed(stream, samples, sizes):
    """Push in chunks of the sizes, over and over, and finish."""
    events, at, number = [], 0, 0
    while at < len(samples):
        size = sizes[number % len(sizes)]
        events += stream.push(samples[at : at + size])
        at, number = at + size, number + 1
    return events + stream.finish()


def final(events):
    return [event for event in events if isinstance(event, Window) or event.final]


@pytest.fixture(scope="module")
def expected(recognizer):
    """What the timeline of the scene is, by rate."""
    return {rate: recognizer.timeline_signal(scene(rate), rate, options=OPTIONS) for rate in (8000, 16000, 44100)}


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@settings(max_examples=6, deadline=None)
@given(sizes=st.lists(st.integers(1, 40000), min_size=1, max_size=4))
def test_any_chunks_give_the_timeline(recognizer, expected, rate, sizes):
    sizes = [max(size, rate // 200) for size in sizes]  # tiny ones are in the next test: they take long
    events = pushed(recognizer.stream(rate, options=OPTIONS), scene(rate), sizes)
    # Equal to the last bit, not only nearly.
    assert tuple(event for event in events if isinstance(event, Window)) == expected[rate].windows
    assert tuple(event for event in events if isinstance(event, Segment) and event.final) == expected[rate].segments
    assert len(expected[rate].windows) == 27  # every 0.25 s, and the last 0.13 s
    assert len(expected[rate].segments) >= 2


@pytest.mark.parametrize("sizes", [[1], [3, 1, 2], [0, 160]])
def test_tiny_and_empty_chunks(recognizer, sizes):
    samples = scene()[:16000]
    events = pushed(recognizer.stream(16000, options=OPTIONS), samples, sizes)
    timeline = recognizer.timeline_signal(samples, 16000, options=OPTIONS)
    assert final(events) == final(pushed(recognizer.stream(16000, options=OPTIONS), samples, [16000]))
    assert tuple(event for event in events if isinstance(event, Window)) == timeline.windows


def test_windows_by_hand(recognizer):
    stream = recognizer.stream(16000, options=OPTIONS)
    windows = [event for event in pushed(stream, scene(), [4000]) if isinstance(event, Window)]
    [first, *_] = [window for window in windows if window.probabilities]
    spoken = recognizer.predict_signal(scene()[:12000], 16000)
    # Of 0.75 s the speech is 0.25: less than the network needs, so that it hears the silence before as well.
    assert (first.start, first.end) == (0.0, 0.75)
    assert first.probabilities == pytest.approx(spoken.probabilities, abs=1e-6)
    later = windows[7]
    assert (later.start, later.end) == (1.0, 2.0)
    heard = recognizer.predict_signal(scene()[16000:32000], 16000)
    assert later.probabilities == pytest.approx(heard.probabilities, abs=1e-6)
    assert later.speech == 1.0
    assert windows[0].probabilities is None
    assert windows[-1].end == pytest.approx(len(scene()) / 16000)
    assert windows[-1].probabilities is None


def test_a_window_does_not_hear_the_speech_before_the_pause(shelf, tmp_path, network, description):
    # This bundle's maximum is 8 s.
    from serkit.windowing import Windowing

    bundle = description(windowing=Windowing(seconds=8.0, tail="keep"))
    long = Recognizer(bundle.save(tmp_path / "long", network({"mel": 64})[0], "# Long\n"))
    timeline = long.timeline_signal(scene(), 16000, options=replace(OPTIONS, window=3.0))
    windows = {window.end: window for window in timeline.windows}
    assert windows[2.25].start == pytest.approx(0.5, abs=0.1)  # where the first voice begins
    assert windows[4.5].start == pytest.approx(3.0, abs=0.1)  # where the second does
    assert windows[6.0].start == pytest.approx(3.0, abs=0.1)  # the last window of three seconds


def test_segments_lie_on_the_voices(expected):
    segments = expected[16000].segments
    assert segments[0].start == pytest.approx(0.5, abs=0.1)
    ends = [one.end for one in segments]
    assert min(abs(end - 2.2) for end in ends) < 0.15
    assert segments[-1].end == pytest.approx(5.6, abs=0.15)
    assert all(a.end <= b.start for a, b in itertools.pairwise(segments))
    assert all(one.confidence == one.probabilities[one.label] for one in segments)
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in segments)


def test_going_on_and_final(recognizer):
    stream = recognizer.stream(16000, options=OPTIONS)
    seen: list = []
    for at in range(0, len(scene()), 4000):
        for event in stream.push(scene()[at : at + 4000]):
            seen.append((at / 16000 + 0.25, event))
    going_on = [(now, event) for now, event in seen if isinstance(event, Segment) and not event.final]
    assert going_on[0][0] <= 1.0  # half a second after the voice began
    finals = [(now, event) for now, event in seen if isinstance(event, Segment) and event.final]
    # A stretch is over when the pause is, at the end of the next window.
    assert all(now <= event.end + OPTIONS.pause + OPTIONS.hop + 0.1 for now, event in finals[:1])


def test_channels(recognizer):
    both = np.stack([scene(), 0.5 * scene()[::-1]], axis=1)
    alone = recognizer.timeline_signal(both[:, 1].copy(), 16000, options=OPTIONS)
    chosen = Stream(recognizer, 16000, OPTIONS, channel=1, channels=2)
    assert tuple(event for event in pushed(chosen, both, [5000]) if isinstance(event, Window)) == alone.windows
    mixed = Stream(recognizer, 16000, OPTIONS, channels=2)
    mean = recognizer.timeline_signal(both.mean(axis=1), 16000, options=OPTIONS)
    assert tuple(event for event in pushed(mixed, both, [5000]) if isinstance(event, Window)) == mean.windows


def test_an_electroglottograph_beside_the_speech(tmp_path, network, description, noise):
    from serkit import features

    inputs = [
        {"name": "mel", "feature": features.config(features.build("log_mel")), "channel": None},
        {
            "name": "throat",
            "feature": features.config(features.build("log_mel", rate=8000, bands=8)),
            "channel": "egg",
        },
    ]
    content, *_ = network({"mel": 64, "throat": 8})
    recognizer = Recognizer(description(inputs=inputs).save(tmp_path / "both", content, "# Both\n"))
    take = np.stack([voice(1.0, 16000), voice(1.0, 16000, 60)], axis=1)
    stream = Stream(recognizer, 16000, TimelineOptions(hop=0.5, detector="none"), channels=2)
    windows = [event for event in pushed(stream, take, [777]) if isinstance(event, Window)]
    assert windows[-1].probabilities == pytest.approx(recognizer.predict_signal(take, 16000).probabilities, abs=1e-5)
    with pytest.raises(UserError, match=r"has 1 channel\(s\); bundle 'toy' reads the electroglottograph"):
        Stream(recognizer, 16000)


def test_integers_are_full_scale_at_their_largest(recognizer):
    whole = (scene() * 32767).astype(np.int16)
    events = pushed(recognizer.stream(16000, options=OPTIONS), whole, [3000])
    floats = pushed(recognizer.stream(16000, options=OPTIONS), (whole / 32768).astype(np.float32), [3000])
    assert final(events) == final(floats)


def test_lost_samples_are_silence_and_counted(recognizer):
    samples = scene()
    holed = samples.copy()
    holed[20000:24000] = 0
    lossy = [Chunk(samples[:20000]), Chunk(samples[24000:], lost=4000)]
    stream = recognizer.stream(16000, options=OPTIONS)
    events = list(stream.events(lossy))
    assert final(events) == final(pushed(recognizer.stream(16000, options=OPTIONS), holed, [999]))
    assert stream.statistics.dropped == 0.25
    assert stream.statistics.received == len(samples) / 16000


def test_statistics(recognizer):
    stream = recognizer.stream(16000, options=OPTIONS)
    assert stream.statistics.latency(50) is None
    long_ago = time.perf_counter() - 5
    [window] = [event for event in stream.push(voice(0.25, 16000), arrived=long_ago) if isinstance(event, Window)]
    assert 5 <= window.latency < 6
    assert stream.statistics.windows == 1
    assert stream.statistics.latency(95) == window.latency
    [window, *_] = [event for event in stream.push(voice(0.25, 16000)) if isinstance(event, Window)]
    assert window.latency < 1


def test_memory_does_not_grow(recognizer):
    stream = recognizer.stream(16000, options=OPTIONS)
    minute = voice(20, 16000)
    stream.push(minute)
    held = sum(len(heard._samples) for heard in stream._heard.values())
    assert held <= 3 * 16000
    assert len(stream._segmenter._steps) < 70


def test_several_threads_on_one_recognizer(recognizer, expected):
    found = [None] * 4

    def work(place):
        found[place] = recognizer.timeline_signal(scene(), 16000, options=OPTIONS)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected[16000]] * 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hop": 0}, "hop must be at least 0.05 s, got 0 s"),
        ({"hop": -1}, "hop must be a number from 0, got -1"),
        ({"hop": "1"}, "hop must be a number from 0, got '1'"),
        ({"hop": True}, "hop must be a number from 0, got True"),
        ({"change": None}, "change must be a number from 0, got None"),
        ({"detector": None}, "detector must be a name, got None"),
        ({"change": float("nan")}, "change must be a number from 0, got nan"),
        ({"lookahead": float("inf")}, "lookahead must be a number from 0, got inf"),
        ({"window": 0.2}, "window 0.2 s is shorter than hop"),
        ({"pause": 0.1}, "pause 0.1 s is shorter than hop"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(UserError, match=text):
        TimelineOptions(**options)


def test_wrong_streams(recognizer):
    with pytest.raises(UserError, match="window 5 s exceeds the maximum of 1 s of bundle 'toy'"):
        recognizer.stream(16000, options=TimelineOptions(window=5))
    with pytest.raises(UserError, match="rate must be at least 1000, got 0"):
        recognizer.stream(0)
    with pytest.raises(audio.AudioError, match="has no channel 1; it has 1"):
        recognizer.stream(16000, channel=1)
    with pytest.raises(UserError, match="bundle 'toy' reads speech only"):
        recognizer.stream(16000, channel="egg")
    stream = recognizer.stream(16000)
    with pytest.raises(UserError, match=r"samples must have shape \(samples, 1\), got \(10, 2\)"):
        stream.push(np.zeros((10, 2)))
    with pytest.raises(UserError, match="not a number or infinite at sample 3"):
        stream.push(np.array([0, 0, 0, np.nan]))
    with pytest.raises(UserError, match="or integers of up to 32 bits, got <U1"):
        stream.push(np.array(["a"]))


def test_the_window_is_the_bundles_where_that_is_less(recognizer):
    assert recognizer.stream(16000).window == 1.0
    assert TimelineOptions().window_for(load("default").bundle) == 1.5


def test_a_change_costs_less_if_the_probabilities_were_flattened():
    """The path through flattened probabilities is that through the network's own."""
    bundle = load("default").bundle
    temperature, options = bundle.calibration.temperature, TimelineOptions(change=0.8)
    assert options.change_for(bundle) == 0.8 / temperature < 0.8
    assert options.change_for(load("emodb").bundle) == 0.8  # its probabilities were sharpened
    evidence = np.random.default_rng(0).normal(size=(40, 3))
    paths = []
    for scale, change in ((1.0, options.change), (1 / temperature, options.change_for(bundle))):
        probabilities = np.exp(scale * evidence) / np.exp(scale * evidence).sum(axis=1, keepdims=True)
        segmenter = Segmenter(["a", "b", "c"], 0, change)
        found = [one for number, row in enumerate(probabilities) for one in segmenter.add(number, number + 1, row)]
        paths.append([(one.start, one.end, one.label) for one in [*found, *segmenter.finish(40)]])
    assert paths[0] == paths[1] and len(paths[0]) > 3


@pytest.mark.parametrize("name", ["default", "emodb"])
def test_a_stream_asks_for_the_bundles_price_of_a_change(name, monkeypatch):
    prices = []
    monkeypatch.setattr("serkit.recognition.stream.Segmenter", lambda *given: prices.append(given[2]))
    recognizer, options = load(name), TimelineOptions(change=0.8)
    recognizer.stream(16000, options=options)
    assert prices == [options.change_for(recognizer.bundle)]


@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_last_window_hears_the_sound_to_its_end(recognizer, rate):
    # Louder and louder: what the resampler holds back until the end is what weighs most.
    samples = np.random.default_rng(0).standard_normal(round(0.9 * rate)) * np.linspace(0.0, 0.2, round(0.9 * rate))
    stream = recognizer.stream(rate, options=TimelineOptions(hop=0.5, detector="none"))
    *_, last = [event for event in pushed(stream, samples, [1000]) if isinstance(event, Window)]
    assert (last.start, last.end) == (0.0, 0.9)
    whole = recognizer.predict_signal(samples.astype(np.float32), rate)
    assert last.probabilities == pytest.approx(whole.probabilities, rel=1e-4)


def test_a_segment_begins_where_the_voice_does_and_not_with_a_window(recognizer):
    late = np.concatenate([np.zeros(1920, dtype=np.float32), scene()])  # 0.62 s: inside the window from 0.5 to 0.75
    first = recognizer.timeline_signal(late, 16000, options=OPTIONS).segments[0]
    assert first.start == pytest.approx(0.62, abs=0.04)


def test_nothing_is_recognised_in_a_pause(recognizer):
    # The pause from 2.2 to 3.0 s is too short to end the stretch.
    timeline = recognizer.timeline_signal(scene(), 16000, options=replace(OPTIONS, pause=1.0))
    recognised = {window.end: window.probabilities is not None for window in timeline.windows}
    assert [recognised[end] for end in (2.0, 2.25, 2.75, 3.0, 3.25)] == [True, True, False, False, True]
