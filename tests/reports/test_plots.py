import re
from xml.etree import ElementTree

import numpy as np
import pytest

from serkit.evaluation.calibration import ece
from serkit.evaluation.intervals import Ends
from serkit.evaluation.metrics import CLASSES
from serkit.reports import plots

COUNTS = np.array([[3, 1], [0, 2]])
GENERATOR = np.random.default_rng(0)
PROBABILITIES = GENERATOR.dirichlet([1, 1, 1], 60)
HISTORIES = [
    [{"training_loss": 1.0 / (epoch + 1), "training_accuracy": 0.5, "validation_uar": 0.4} for epoch in range(length)]
    for length in (3, 5)
]
POOLED = Ends(0.5, 0.4, 0.6)
CHARTS = {
    "confusion": lambda: plots.confusion(COUNTS, ["anger", "joy"]),
    "recalls": lambda: plots.recalls({"anger": 0.75, "joy": None}, 0.75),
    "speakers": lambda: plots.speakers({"a/1": 0.4, "a/2": 0.6}, POOLED, CLASSES["uar"]),
    "reliability": lambda: plots.reliability(PROBABILITIES, GENERATOR.integers(3, size=60)),
    "curves": lambda: plots.learning_curves("main", HISTORIES),
    "sweep": lambda: plots.sweep(["a=1", "a=2"], np.array([[0.4, 0.5], [0.6, 0.5]]), [1, 0], CLASSES["uar"]),
}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def ids(svg):
    return [element.get("id") for element in ElementTree.fromstring(svg).iter() if element.get("id")]


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_a_titled_image_that_needs_nothing_from_outside(name):
    svg = CHARTS[name]()
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    title = root[0]
    assert title.tag.endswith("title") and title.text
    assert root.get("aria-labelledby") == title.get("id")
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert "http" not in without_namespaces and "<style" not in svg
    references = re.findall(r'(?:url\(|href=")([^)"]*)', svg)
    assert {reference.removeprefix("#") for reference in references} <= set(ids(svg))
    assert "currentColor" in svg and "#010203" not in svg


def test_equal_input_gives_equal_bytes():
    first, second = (plots.reliability(PROBABILITIES, np.zeros(60, dtype=int)) for _ in range(2))
    assert first == second


def test_charts_of_one_page_share_no_id():
    every = [id for name in CHARTS for id in ids(CHARTS[name]())]
    assert len(set(every)) == len(every) > 100


def test_confusion_shows_the_share_of_the_true_class_and_the_number():
    svg = plots.confusion(COUNTS, ["anger", "joy"])
    found = texts(svg)
    assert found[:4] == ["anger", "joy", "predicted", "anger"]
    assert sorted(found[6:]) == sorted(["75%", "3", "25%", "1", "100%", "2"])
    # An empty cell stays empty; the others are as strong as their share.
    strengths = [float(value) for value in re.findall(r"opacity: ([\d.]+)", svg)]
    assert strengths == pytest.approx([0.7 * 0.75, 0.7 * 0.25, 0.0, 0.7])


def test_labels_are_escaped_and_never_read_as_mathematics():
    names = ["<b>x</b>", "$a$", 'id="y']
    svg = plots.confusion(np.eye(3, dtype=int), names)
    assert "<b>" not in svg
    assert set(names) <= set(texts(svg))
    assert "<b>" not in plots.learning_curves("<b>", HISTORIES)


def test_recalls_show_a_class_without_utterances():
    assert {"75%", "none", "UAR 75.0%"} <= set(texts(CHARTS["recalls"]()))


def test_speakers_are_named_up_to_forty():
    few, many = (
        texts(plots.speakers({f"a/{number}": 0.5 for number in range(count)}, POOLED, CLASSES["uar"]))
        for count in (40, 41)
    )
    assert "a/39" in few
    assert "a/39" not in many and "41 speakers, ordered by UAR" in many


def test_reliability_bins_are_those_of_the_calibration_error():
    # 0.55 and 0.6, the upper edge of bin 9 of 15, lie in one bin, 0.95 in the last.
    probabilities = np.array([[0.55, 0.45], [0.6, 0.4], [0.05, 0.95]])
    truth = np.array([0, 1, 1])
    mean, accuracy, size = plots._binned(probabilities, truth, 15)
    assert np.flatnonzero(size).tolist() == [8, 14] and size[[8, 14]].tolist() == [2, 1]
    assert mean[[8, 14]] == pytest.approx([0.575, 0.95])
    assert accuracy[[8, 14]].tolist() == [0.5, 1.0]
    assert float(size @ np.abs(accuracy - mean)) / 3 == pytest.approx(ece(probabilities, truth))


def test_learning_curves_have_a_line_for_each_fold_and_one_for_the_mean():
    assert "Learning curves of stage main, 2 folds" in CHARTS["curves"]()
    thin = CHARTS["curves"]().count("stroke-opacity: 0.4")
    # Training loss, training accuracy and validation UAR of two folds.
    assert thin == 6
    assert set(texts(CHARTS["curves"]())) >= {"training", "training accuracy", "validation UAR"}
    assert "validation accuracy" not in texts(CHARTS["curves"]())


def test_the_mean_goes_as_far_as_half_of_the_folds():
    assert plots._mean([[1.0, 2.0, 3.0], [3.0], [5.0, 4.0]]).tolist() == [3.0, 3.0]
    assert plots._mean([[1.0, 2.0, 3.0], [3.0]]).tolist() == [2.0, 2.0, 3.0]


def test_sweep_fills_the_dots_that_were_taken():
    values = np.array([[0.4, 0.5, 0.3], [0.6, 0.5, 0.3], [0.7, 0.4, 0.3]])
    svg = plots.sweep(["a=1", "a=2", "a=3"], values, [1, 0, 0], CLASSES["uar"])
    assert {"a=1", "a=2", "a=3"} <= set(texts(svg))
    dots = re.findall(rf'<use [^>]*style="([^"]*)stroke: {plots.VALIDATION}', svg)
    assert len(dots) == 9
    assert sum(plots.VALIDATION in dot for dot in dots) == 3


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(first, second):
    """WCAG 2 contrast ratio of two colours, each red, green, blue from 0 to 1."""
    bright, dark = sorted([luminance(first), luminance(second)], reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def rgb(text):
    return np.array([int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)])


@pytest.mark.parametrize(("ground", "ink"), [("#ffffff", "#1b1f24"), ("#16191d", "#e8eaed")])
def test_colours_are_readable_in_both_modes(ground, ink):
    for color in (plots.TRAINING, plots.VALIDATION, plots.BALANCED):
        assert contrast(rgb(color), rgb(ground)) >= 3
    cell = plots._STRONGEST * rgb(plots.TRAINING) + (1 - plots._STRONGEST) * rgb(ground)
    assert contrast(cell, rgb(ink)) >= 4.5


def test_long_names_push_nothing_into_bars_or_out_of_the_picture():
    """Where a text ends, or in the middle where it is centred, is the same beside short names."""
    long = "surprised (pleasantly) or so"

    def place(svg, text):
        return float(re.search(rf'<text[^>]* x="([\d.]+)"[^>]*>{re.escape(text)}<', svg)[1])

    share = [place(plots.recalls({name: 0.4}, 0.75), "40%") for name in ("joy", long)]
    assert share[0] == pytest.approx(share[1], abs=1)
    label = "UAR of the speaker; line and band: all, with the 95% interval"
    middle = [place(plots.speakers({name: 0.4}, POOLED, CLASSES["uar"]), label) for name in ("joy", long)]
    assert middle[0] == pytest.approx(middle[1], abs=1)
