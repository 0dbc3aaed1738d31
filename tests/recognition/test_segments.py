import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serkit.recognition import segments
from serkit.recognition.segments import Segmenter

LABELS = ["anger", "joy", "neutral"]


def cells(*rows, hop=0.5):
    """Cells of a stretch from 0 s: start, end, probabilities."""
    return [(index * hop, (index + 1) * hop, np.array(row)) for index, row in enumerate(rows)]


def cut(given, lookahead=0, change=0.0, end=None):
    segmenter = Segmenter(LABELS, lookahead, change)
    found = [one for cell in given for one in segmenter.add(*cell)]
    return found + segmenter.finish(given[-1][1] if end is None else end)


def spans(found):
    return [(one.start, one.end, one.label) for one in found]


ANGRY, JOYFUL = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]


def test_without_a_price_each_cell_has_its_best_label():
    found = cut(cells(ANGRY, JOYFUL, JOYFUL, ANGRY))
    assert spans(found) == [(0, 0.5, "anger"), (0.5, 1.5, "joy"), (1.5, 2.0, "anger")]
    assert all(one.final for one in found)


def test_a_change_has_its_price():
    # A cell of 0.5 s is worth 0.5 * ln 8 = 1.04 to joy; there and back cost two changes.
    scene = cells(ANGRY, ANGRY, JOYFUL, ANGRY, ANGRY)
    assert len(cut(scene, change=0.51)) == 3
    assert spans(cut(scene, change=0.53)) == [(0, 2.5, "anger")]


def test_probabilities_are_averaged_over_time():
    given = [(0.0, 0.5, np.array([0.6, 0.3, 0.1])), (0.5, 2.0, np.array([0.8, 0.1, 0.1]))]
    [one] = cut(given, change=1.0)
    assert one.probabilities == pytest.approx({"anger": 0.75, "joy": 0.15, "neutral": 0.1})
    assert one.confidence == one.probabilities["anger"]


def test_a_cell_is_smoothed_over_the_windows_to_come():
    # Each is averaged with the next: (A+J)/2 is a tie that stays, J, J.
    found = cut(cells([0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.2, 0.7, 0.1]), lookahead=1)
    assert spans(found) == [(0, 0.5, "anger"), (0.5, 1.5, "joy")]
    assert found[0].confidence == pytest.approx(0.5)


def test_the_end_of_the_stretch_is_the_end_of_speech():
    assert spans(cut(cells(ANGRY, ANGRY), end=0.9)) == [(0, 0.9, "anger")]


def test_a_decision_comes_before_the_end_and_stands():
    segmenter = Segmenter(LABELS, 0, 0.3)
    scene = cells(ANGRY, ANGRY, ANGRY, JOYFUL, JOYFUL, JOYFUL)
    found = [segmenter.add(*cell) for cell in scene]
    # After the fourth cell one more of anger might still make joy a slip; after the fifth nothing can.
    assert [len(one) for one in found] == [0, 0, 0, 0, 1, 0]
    assert spans(found[4]) == [(0, 1.5, "anger")]
    assert spans(segmenter.finish(3.0)) == [(1.5, 3.0, "joy")]
    assert segmenter.finish(9.0) == []


def test_a_preview_is_what_the_end_would_give_and_changes_nothing():
    scene = cells(ANGRY, ANGRY, JOYFUL, JOYFUL)
    looked, plain = Segmenter(LABELS, 1, 0.3), Segmenter(LABELS, 1, 0.3)
    for cell in scene:
        assert looked.add(*cell) == plain.add(*cell)
        assert not any(one.final for one in looked.preview(cell[1]))
    preview = looked.preview(1.9)
    final = plain.finish(1.9)
    assert spans(preview) == spans(final)
    assert looked.finish(1.9) == final


def best_by_trying_all(given, change):
    """The labels with the largest sum, found by trying every combination."""

    def value(labels):
        evidence = sum(
            (end - start) * np.log(row[label]) for (start, end, row), label in zip(given, labels, strict=True)
        )
        return evidence - change * sum(a != b for a, b in itertools.pairwise(labels))

    return max(value(labels) for labels in itertools.product(range(len(LABELS)), repeat=len(given))), value


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.0, 0.2, 0.5, 2.0]))
def test_no_other_labels_are_better(seed, count, change):
    rows = np.random.default_rng(seed).dirichlet([0.5] * len(LABELS), count).clip(0.01)
    given = cells(*rows / rows.sum(axis=1, keepdims=True))
    best, value = best_by_trying_all(given, change)
    found = cut(given, change=change)
    labels = [next(LABELS.index(one.label) for one in found if one.start <= start < one.end) for start, _, _ in given]
    assert value(labels) == pytest.approx(best)
    assert all(a.label != b.label for a, b in itertools.pairwise(found))


def test_a_decision_does_not_wait_for_ever():
    # Two labels equally likely: neither way ever wins.
    segmenter = Segmenter(LABELS, 0, 100.0)
    for index in range(1000):
        segmenter.add(index * 0.5, (index + 1) * 0.5, np.array([0.49, 0.49, 0.02]))
        assert len(segmenter._steps) <= segments._LONGEST_WAIT
    assert spans(segmenter.finish(500.0)) == [(0, 500.0, "anger")]


def test_segments_below_the_threshold_are_unsure():
    segmenter = Segmenter(LABELS, 0, 0.0, lambda confidence, speech, distance: "" if confidence >= 0.8 else "low")
    found = [one for cell in cells(ANGRY, [0.3, 0.6, 0.1]) for one in segmenter.add(*cell)] + segmenter.finish(1.0)
    assert [(one.label, one.sure, one.doubt) for one in found] == [("anger", True, ""), ("joy", False, "low")]
