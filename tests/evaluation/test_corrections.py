import itertools

import numpy as np
import pytest

from serkit.evaluation.corrections import holm


def test_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; the last may not fall below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_it_rejects_what_the_sequential_procedure_rejects():
    generator = np.random.default_rng(0)
    for _, level in itertools.product(range(50), (0.01, 0.05, 0.2)):
        values = generator.beta(0.3, 2, size=6)
        rejected = set()
        # Step by step as Holm describes it: the smallest against level / n, the next against level / (n - 1), ...
        for rank, place in enumerate(np.argsort(values)):
            if values[place] > level / (6 - rank):
                break
            rejected.add(int(place))
        assert {place for place, p in enumerate(holm(values)) if p <= level} == rejected


def test_false_alarms_stay_below_the_level():
    generator = np.random.default_rng(1)
    alarms = [min(holm(generator.random(10))) <= 0.05 for _ in range(4000)]
    assert 0.035 < np.mean(alarms) < 0.062
