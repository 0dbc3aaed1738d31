import numpy as np
import pytest

from serkit.evaluation import Predictions


@pytest.fixture
def make():
    """Return a maker of predictions from class indices; what is predicted has the probability 0.9."""

    def maker(truth, predicted, speakers=None, classes="abcd", ids=None, seeds=None):
        truth, predicted = np.array(truth, dtype=int), np.array(predicted, dtype=int)
        count = len(truth)
        probabilities = np.full((count, len(classes)), 0.1 / (len(classes) - 1))
        probabilities[np.arange(count), predicted] = 0.9
        return Predictions(
            ids=tuple(ids or [f"table/{number:04d}" for number in range(count)]),
            speakers=tuple(speakers or [None] * count),
            truth=truth,
            probabilities=probabilities,
            classes=tuple(classes),
            folds=np.ones(count, dtype=int),
            seeds=np.array(seeds) if seeds is not None else np.zeros(count, dtype=int),
        )

    return maker
