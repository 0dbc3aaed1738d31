"""The properties a bidirectional search has to have, each on contours made by hand."""

import numpy as np
import pytest

from serkit.features.bidirectional import BREAKS, runs, smooth

RANGE = (60.0, 500.0)
TIME = np.arange(60)
SMOOTH = 150 + 40 * np.sin(2 * np.pi * TIME / 37)


def contour(*parts):
    """Join runs, 4 unvoiced frames around each."""
    gap = np.zeros(4)
    return np.concatenate([gap, *[piece for part in parts for piece in (part, gap)]])


@pytest.mark.parametrize("breaks", BREAKS)
def test_a_smooth_contour_stays_and_a_second_pass_changes_nothing(breaks):
    rising = contour(np.linspace(100, 180, 40), np.linspace(220, 150, 30))
    np.testing.assert_allclose(smooth(rising, *RANGE, breaks=breaks), rising)
    once = smooth(contour(SMOOTH, SMOOTH[::-1]), *RANGE, breaks=breaks)
    # Only the median touches it, at the peaks.
    np.testing.assert_allclose(once, contour(SMOOTH, SMOOTH[::-1]), rtol=0.01)
    np.testing.assert_array_equal(smooth(once, *RANGE, breaks=breaks), once)


@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize("factor", [2, 0.5, 3, 1 / 3])
@pytest.mark.parametrize("frames", [[30], [30, 31], [0], [59], [5, 40]])
def test_octave_errors_are_undone_on_either_side_of_the_anchor(factor, frames, breaks):
    clean = np.linspace(150, 160, 60) if factor >= 1 else np.linspace(200, 210, 60)
    broken = clean.copy()
    broken[frames] *= factor
    found = smooth(contour(broken), *RANGE, median=1, breaks=breaks)
    np.testing.assert_allclose(found, contour(clean))


def test_a_value_that_fits_in_no_way_is_extrapolated():
    line = np.linspace(100, 159, 60)
    broken = line.copy()
    broken[[20, 41, 42]] = 470.0, 200.0, 200.0
    np.testing.assert_allclose(smooth(contour(broken), *RANGE, median=1), contour(line))
    low = np.concatenate((np.linspace(90, 62, 15), [470, 470], [60, 60, 60]))
    found = smooth(contour(low), *RANGE, jump=0.05, median=1)[4:23]
    assert found[15:17].tolist() == [60.0, 60.0]  # 2 Hz lower each, but not below the range


def test_three_that_fit_in_no_way_end_the_run_or_begin_another():
    flat = np.full(40, 100.0)
    flat[25:] = 141.0
    ended = smooth(contour(flat), *RANGE)[4:44]
    np.testing.assert_array_equal(ended, np.where(np.arange(40) < 25, 100.0, 0.0))
    np.testing.assert_array_equal(smooth(contour(flat), *RANGE, breaks="restart")[4:44], flat)
    # The search to the left ends as well.
    np.testing.assert_array_equal(smooth(contour(flat[::-1]), *RANGE)[4:44], ended[::-1])


def test_a_lasting_octave_is_believed_only_where_runs_begin_anew():
    voice = np.concatenate((np.full(30, 120.0), np.full(10, 240.0)))
    np.testing.assert_array_equal(smooth(contour(voice), *RANGE)[4:44], np.full(40, 120.0))
    np.testing.assert_array_equal(smooth(contour(voice), *RANGE, breaks="restart")[4:44], voice)


def test_an_anchor_an_octave_off_gives_way_to_one_near_the_median_of_the_recording():
    # The doubled stretch is the longer one of its run; the other run says what is usual.
    wrong = np.concatenate((np.full(20, 300.0), np.full(8, 150.0)))
    found = smooth(contour(np.full(60, 150.0), wrong), *RANGE)
    np.testing.assert_array_equal(found[68:96], np.full(28, 150.0))


def test_the_frame_nearest_the_median_is_the_anchor_where_nothing_is_steady():
    wild = np.array([100.0, 205.0, 101.0, 52.0 * 4, 102.0])
    np.testing.assert_allclose(smooth(contour(wild), *RANGE, median=1)[4:9], [100, 102.5, 101, 104, 102])


@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_written_outside_runs_and_time_has_no_direction(seed, breaks):
    generator = np.random.default_rng(seed)
    f0 = contour(*[120 * np.exp(np.cumsum(generator.normal(0, 0.05, size))) for size in (3, 20, 50, 1)])
    f0 *= generator.choice([1, 1, 1, 1, 2, 0.5], len(f0))
    f0 = np.where(f0 > 0, np.clip(f0, *RANGE), 0)
    before = f0.copy()
    found = smooth(f0, *RANGE, breaks=breaks)
    np.testing.assert_array_equal(f0, before)
    assert (found[f0 == 0] == 0).all()
    assert ((found == 0) | ((found >= 60) & (found <= 500))).all()
    np.testing.assert_allclose(smooth(f0[::-1], *RANGE, breaks=breaks)[::-1], found)
    if breaks == "restart":
        assert (found[f0 > 0] > 0).all()


def test_runs():
    assert runs(np.array([], dtype=bool)).tolist() == []
    assert runs(np.array([True])).tolist() == [[0, 1]]
    assert not smooth(np.zeros(7), *RANGE).any()
