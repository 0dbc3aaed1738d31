import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit import audio
from serkit.recognition.windows import cut, windows
from serkit.windowing import Windowing


def whole_then_cut(signal, rate, duration, windowing):
    """Cut a whole signal; its last sample belongs to the window that reaches the end."""
    pieces = []
    for start, end in windowing.windows(duration):
        last = round(end * rate) >= round(duration * rate)
        pieces.append(windowing.fit(signal[round(start * rate) : None if last else round(end * rate)], rate))
    return pieces


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_windows_by_hand():
    blocks = [np.arange(3), np.arange(3, 8), np.arange(8, 11)]
    found = list(cut(blocks, 1, 11.0, Windowing(seconds=4.0, hop=3.0, tail="keep")))
    assert [list(map(int, window)) for window in found] == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [9, 10]]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("pad", [[0, 1, 2, 3], [4, 5, 0, 0]]),
        ("keep", [[0, 1, 2, 3], [4, 5]]),
        ("drop", [[0, 1, 2, 3]]),
        ("last", [[0, 1, 2, 3], [2, 3, 4, 5]]),
        ("first", [[0, 1, 2, 3]]),
    ],
)
def test_tails_by_hand(tail, expected):
    blocks = [np.array([index], dtype=np.float32) for index in range(6)]
    found = list(cut(blocks, 1, 6.0, Windowing(seconds=4.0, tail=tail)))
    assert [list(map(int, window)) for window in found] == expected


@settings(max_examples=200, deadline=None)
@given(
    samples=st.integers(1, 400),
    rate=st.sampled_from([7, 16, 100]),
    seconds=st.floats(0.3, 6),
    hop=st.one_of(st.none(), st.floats(0.2, 8)),
    tail=st.sampled_from(["pad", "keep", "drop", "last", "first"]),
    minimum=st.sampled_from([0.0, 0.5]),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
)
def test_any_blocks_give_what_the_whole_gives(samples, rate, seconds, hop, tail, minimum, cuts):
    signal = np.arange(1, samples + 1, dtype=np.float32)
    windowing = Windowing(seconds, hop, tail, minimum)
    blocks = np.split(signal, [place for place in np.cumsum(cuts) if place < samples])
    expected = [
        piece for piece in whole_then_cut(signal, rate, samples / rate, windowing) if np.any(piece)
    ]  # a tail below half a sample is rounded away
    assert_same(list(cut(blocks, rate, samples / rate, windowing)), expected)


@pytest.mark.parametrize("tail", ["pad", "keep", "drop", "last", "first"])
@pytest.mark.parametrize(("stored", "wanted"), [(8000, None), (11025, 8000), (8000, 16000)])
def test_a_file_streams_to_what_the_whole_file_gives(tmp_path, noise, stored, wanted, tail):
    # Longer than two of the blocks it is read in.
    path = tmp_path / "long.wav"
    noise(path, seconds=67.3, rate=stored, channels=2)
    windowing = Windowing(seconds=8.0, hop=5.0, tail=tail, minimum=1.0)
    signal, rate = audio.read(path, wanted)
    expected = whole_then_cut(signal, rate, audio.info(path).duration, windowing)
    assert_same(list(windows(path, windowing, wanted)), expected)
    assert len(expected) == {"pad": 13, "keep": 13, "drop": 12, "last": 13, "first": 1}[tail]


def test_one_window_without_a_length(tmp_path, noise):
    path = tmp_path / "long.wav"
    noise(path, seconds=31.0, rate=8000)
    [window] = windows(path, Windowing(), 16000)
    np.testing.assert_array_equal(window, audio.read(path, 16000)[0])


def test_a_recording_shorter_than_announced_ends_where_its_samples_end():
    blocks = [np.ones(100, dtype=np.float32)]
    found = list(cut(blocks, 10, 40.0, Windowing(seconds=8.0, tail="keep")))
    assert [len(window) for window in found] == [80, 20]


def test_memory_does_not_grow_with_length():
    blocks = (np.zeros(4000, dtype=np.float32) for _ in range(500))  # 8 MB together
    tracemalloc.start()
    number = sum(1 for _ in cut(blocks, 1000, 2000.0, Windowing(seconds=4.0, hop=2.0, tail="last")))
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 999
    assert highest < 1_000_000


def test_the_file_is_closed_after_the_first_window(tmp_path, noise):
    path = tmp_path / "long.wav"
    noise(path, seconds=40.0, rate=8000)
    assert len(list(windows(path, Windowing(seconds=1.0, tail="first")))) == 1
    path.unlink()  # Windows refuses this for an open file
    assert not path.exists()


def test_nothing_is_left_of_a_single_sample(tmp_path):
    path = tmp_path / "one.wav"
    soundfile.write(path, np.array([0.5]), 96000)
    assert all(len(window) for window in windows(path, Windowing(seconds=1.0, tail="keep"), 8000))
