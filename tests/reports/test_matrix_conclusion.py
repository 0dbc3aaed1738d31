"""The sentence that ends a cross-corpus matrix."""

from serkit.evaluation.intervals import Interval
from serkit.flags import Flag
from serkit.reports.conclusion import of_matrix
from serkit.runs.cross import Cell, Matrix


def matrix(low, flags=()):
    """Two corpora: 70 % and 60 % within, 50 % and 40 % across."""
    values = {("a", "a"): 0.7, ("a", "b"): 0.5, ("b", "a"): 0.4, ("b", "b"): 0.6}
    cells = [
        Cell(
            train=train,
            test=test,
            protocol="clean" if train == test else "cross-corpus",
            classes=["anger", "joy", "neutral", "sadness"],
            n=40,
            uar=Interval(value, value - low, value + low, "bootstrap", 10),
            accuracy=Interval(value, value - low, value + low, "bootstrap", 10),
            chance=0.25,
            flags=list(flags),
            run="",
        )
        for (train, test), value in values.items()
    ]
    return Matrix(system="linear-baseline", seed=0, command=None, corpora=["a", "b"], cells=cells)


def test_the_pairs_above_chance_are_counted_by_their_intervals():
    said = (
        "Above chance in 1 of 2 pairs of corpora: UAR 40.0 to 50.0%, against 60.0 to 70.0% on other speakers of the "
        "same corpus; furthest above: trained on a, tested on b, 50.0% (30.0\u201370.0, chance 25.0%)."
    )
    assert of_matrix(matrix(low=0.2)) == said
    assert of_matrix(matrix(low=0.3)).startswith("Above chance in 0 of 2 pairs")


def test_a_leak_comes_first():
    leak = Flag("speakers", "leak", "speakers are in training and test")
    assert of_matrix(matrix(0.1, [leak])) == (
        "Trained on a, tested on a: too optimistic: speakers are in training and test."
    )
