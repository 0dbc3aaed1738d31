import numpy as np
import pytest

from serkit.evaluation import Predictions
from serkit.evaluation.spreads import spreads
from serkit.recognition.adaptation import spread


def made(rows, temperature=1.0):
    """Predictions from rows of speaker, class, and log-odds of the second class."""
    speakers, truth, odds = zip(*rows, strict=True)
    second = 1 / (1 + np.exp(-np.array(odds) * temperature))
    return Predictions(
        ids=tuple(f"x/{number}" for number in range(len(rows))),
        speakers=speakers,
        truth=np.array(truth),
        probabilities=np.stack([1 - second, second], axis=1),
        classes=("a", "b"),
        folds=np.ones(len(rows), dtype=int),
        seeds=np.zeros(len(rows), dtype=int),
    )


ONE = [("x/1", 0, -2.0), ("x/1", 0, -1.0), ("x/1", 0, 0.0), ("x/1", 1, 1.0), ("x/1", 1, 2.0), ("x/1", 1, 4.0)]


def test_the_spreads_are_medians_over_speakers_and_over_their_classes():
    predictions = made(ONE)
    answers = predictions.probabilities
    narrow = np.median([spread(answers[:3]), spread(answers[3:])])
    assert spreads(predictions, 1.0) == pytest.approx([narrow, spread(answers)])


def test_the_answers_are_those_at_the_temperature():
    assert spreads(made(ONE, temperature=2.0), 2.0) == pytest.approx(spreads(made(ONE), 1.0))


def test_a_speaker_with_little_or_one_class_does_not_count():
    others = [("x/2", 0, 9.0), ("x/2", 1, -9.0), *[("x/3", 0, value) for value in (-9.0, 0.0, 9.0)], (None, 0, 9.0)]
    assert spreads(made([*ONE, *others]), 1.0) == pytest.approx(spreads(made(ONE), 1.0))


def test_without_a_difference_there_are_no_spreads():
    assert spreads(made([("x/1", label, odds) for label in (0, 1) for odds in (-3.0, 0.0, 3.0)]), 1.0) is None
    assert spreads(made([(None, label, odds) for _, label, odds in ONE]), 1.0) is None
